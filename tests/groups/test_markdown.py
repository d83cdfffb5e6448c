"""Text -> HTML: what people write is shown, what they inject is not."""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import islice, product
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groups.markdown import HTML_CHARACTERS, STEPS, _rendered, parse, render
from groups.models import Channel, User
from tests.cast import Api

SAFE_TAGS = {
    *("p", "br", "hr", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a", "span"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}
SAFE_ATTRIBUTES = {"href", "title", "rel", "start", "class", "data-user-id"}
PEOPLE = {"ada": 1, "bob": 2, "b.ob": 3, "ada_b": 4, "山田": 5, "ada.": 6}
GROUPS = {"channel", "here"}
SCHEME = re.compile(r"[\x00-\x20]*([a-zA-Z\x00-\x20][-+.a-zA-Z0-9\x00-\x20]*):")
"""As browsers read it, who leave control characters and spaces out."""


class Parts(HTMLParser):
    """The tags and attributes that a browser would find."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.named: list[tuple[str, str | None]] = []
        """Who or what each span names, and under which id."""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag == "span":
            self.named.append((dict(attrs)["class"] or "", dict(attrs).get("data-user-id")))


def assert_clean(html: str) -> None:
    parts = Parts(html)
    assert parts.tags <= SAFE_TAGS
    assert parts.attributes <= SAFE_ATTRIBUTES
    schemes = {scheme[1].lower() for link in parts.links if (scheme := SCHEME.match(link))}
    assert schemes <= {"http", "https", "mailto"}, parts.links
    ids = {None if user_id is None else str(user_id) for user_id in (None, *PEOPLE.values())}
    assert {name for name, _ in parts.named} <= {"mention", "mention mention-group"}
    assert {user_id for _, user_id in parts.named} <= ids


HOSTILE = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<style>*{display:none}</style>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "<iframe src=//evil.example></iframe>",
    "<form action=//evil.example><input name=password></form>",
    "<b onclick=alert(1) style='position:fixed'>x</b>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "![x](https://evil.example/pixel.png)",
    "![x](javascript:alert(1))",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\nscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:msgbox(1))",
    "[x](file:///etc/passwd)",
    "<javascript:alert(1)>",
    '[x](https://example.org "title" onmouseover="alert(1)")',
    '[x](https://example.org/"onmouseover="alert(1))',
    "[x]: javascript:alert(1)\n\n[x]",
    '```"><script>alert(1)</script>\ncode\n```',
    "`</code><script>alert(1)</script>`",
    "| <img src=x onerror=alert(1)> |\n|---|\n| <script>alert(1)</script> |",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_somebody_injects_is_inert(text: str) -> None:
    assert_clean(render(text))
    assert_clean(parse(f"@ada {text} @bob").naming(PEOPLE, GROUPS).html)


def test_html_is_shown_as_it_was_typed() -> None:
    assert render("a <b>bold</b> & <i>claim</i>") == "<p>a &lt;b&gt;bold&lt;/b&gt; &amp; &lt;i&gt;claim&lt;/i&gt;</p>"


def test_links_open_nothing_of_ours() -> None:
    assert render("[notes](https://example.org/a?b=1&c=2)") == (
        '<p><a href="https://example.org/a?b=1&amp;c=2" rel="noopener noreferrer nofollow">notes</a></p>'
    )


def test_an_image_is_a_link_to_it() -> None:
    assert render("![cat](https://example.org/cat.png)") == (
        '<p>!<a href="https://example.org/cat.png" rel="noopener noreferrer nofollow">cat</a></p>'
    )


def test_emphasis_lists_quotes_and_tables_are_rendered() -> None:
    assert render("**a** *b* ~~c~~") == "<p><strong>a</strong> <em>b</em> <s>c</s></p>"
    assert Parts(render("1. a\n2. b\n\n> c\n\n| d |\n|---|\n| e |")).tags >= {"ol", "li", "blockquote", "table", "td"}


def test_a_line_end_is_a_line_end() -> None:
    assert "<br>" in render("one\ntwo")


def test_code_keeps_its_lines_spaces_and_brackets() -> None:
    html = render("```python\nif a < b:\n    print('**no**')\n```")

    assert html == "<pre><code class=\"language-python\">if a &lt; b:\n    print('**no**')\n</code></pre>"


def test_japanese_is_kept_and_may_be_emphasised() -> None:
    assert render("おはよう、**世界**!🍰") == "<p>おはよう、<strong>世界</strong>!🍰</p>"


def fill(part: str) -> str:
    return (part * 4000)[:4000]


BOMBS = {
    **{
        f"many {part!r}": fill(part) for part in ("*", "_", "`", "[", "]", ">", "(", "!", "~", "<", "|", "#", "\\", "&")
    },
    "open emphasis": fill("*a "),
    "open strong": fill("**a"),
    "mixed emphasis": fill("*_"),
    "closers without openers": fill("a**"),
    "emphasis both ways": fill("a**b") + "c* ",
    "open links": fill("[a]("),
    "nested links": "[" * 1300 + "a" + "](b)" * 600,
    "nested images": fill("![a"),
    "nested quotes": fill("> "),
    "nested lists": "\n".join(" " * depth + "- a" for depth in range(85)),
    "many lists": fill("- a\n1. b\n"),
    "deep quotes of lists": fill("> - "),
    "wide table": "|".join("a" * 600) + "\n" + "|".join(["-"] * 600) + "\n" + "|" * 1500,
    "long table": "a|b\n-|-\n" + fill("|\n"),
    "unclosed code": "".join("`" * length + " " for length in range(1, 88)),
    "many cells": "|".join("a" * 50) + "\n" + "|".join("-" * 50) + "\n" + "|\n" * 1900,
    "uses of a long reference": "[a]: https://example.org/" + "a" * 2000 + "\n\n" + fill("[a]"),
    "references": fill("[a]: b\n"),
    "uses of references": "[a]: b\n\n" + fill("[a]"),
    "html": fill("<a "),
    "comments": fill("<!--"),
    "entities": fill("&amp;"),
    "unknown entities": fill("&a"),
    "autolinks": fill("<http://a"),
    "backslashes in links": "[a](" + fill("\\("),
    "tildes": fill("~~a "),
    "breaks": fill("a  \n"),
    "rules": fill("---\n"),
    "headings": fill("a\n=\n"),
    "broken quotes of lists": fill("a\n> -\n"),
    "broken quotes of rules": fill("a\n> ---\n"),
    "broken quotes of references": fill("a\n> [a]: b\n***"),
    "broken quotes of code": fill("`a\n> ~~~\\\n"),
    "quotes of lists": fill("  - a\na\n> *    "),
    "combining characters": "a" + "\u0301" * 3999,
    "marked combining characters": fill("*\u0301"),
    "right-to-left overrides": fill("\u202e"),
    "isolates": fill("*\u2066a"),
    "emoji": "\U0001f600" * 4000,
    "marked emoji": fill("**\U0001f469\u200d\U0001f680**"),
    "names": fill("@a "),
    "names without an end": fill("@"),
    "names of full stops": "@a" + "." * 3998,
    "names in one": fill("@a/"),
    "names with accents": fill("@\u0301"),
    "names of particles": fill("@aの"),
    "names in emphasis": fill("*@a*"),
    "URLs of names": fill("://@a"),
    "addresses": fill("a@a."),
}
CALLS = 700_000
"""Of functions, to parse one text; 100,000 take about 7 ms. Broken quotes took 8,000,000 before they were counted."""


def calls_of_parsing(text: str) -> int:
    calls = 0

    def count(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        parse(text)
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("name", BOMBS)
def test_no_text_of_4000_characters_keeps_the_server_busy_or_grows_without_end(name: str) -> None:
    text = BOMBS[name][:4000]

    assert calls_of_parsing(text) < CALLS
    assert len(render(text)) <= HTML_CHARACTERS
    assert len(parse(text).naming({"a": 10**12}).html) < 2 * HTML_CHARACTERS


PARTS = [
    *("*", "**", "_", "~~", "`", "```", "[", "]", "(", ")", "[a](b)", "![", "<", ">", "> ", "- ", "  - ", "1. ", "#"),
    *("\n", "\n\n", "  \n", "\t", "    ", "---\n", "===\n", "~~~", "[a]: b\n", "<http://a>", "|", "|-", "&amp;"),
    *("\\", "a", "a ", "@ada ", "@", "://", "a\n> ", "- a\n", "\u0301", "\u202e", "\U0001f600", "語"),
]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.lists(st.sampled_from(PARTS), min_size=1, max_size=5), st.integers(1, 4000)), max_size=4))
def test_no_repeated_markup_keeps_the_server_busy(parts: list[tuple[list[str], int]]) -> None:
    assert calls_of_parsing("".join("".join(unit) * times for unit, times in parts)[:4000]) < CALLS


def test_what_takes_too_many_steps_is_shown_as_it_was_typed() -> None:
    text = BOMBS["broken quotes of lists"][:4000]

    html = render(text)

    assert html.startswith("<p>a<br>&gt; -<br>a<br>")
    assert len(text) < STEPS


def test_long_honest_text_is_far_from_the_limit_of_steps() -> None:
    item = "- **one** of the `things` in [this](https://example.org/list), *said* by @ada\n  > and quoted\n\n"

    assert Parts(render((item * 60)[:4000])).tags >= {"ul", "li", "strong", "em", "a", "code", "blockquote"}


def test_what_would_grow_without_end_is_shown_as_it_was_typed() -> None:
    text = BOMBS["uses of a long reference"][:4000]

    html = render(text)

    assert html.startswith("<p>[a]: https://example.org/aaa")
    assert html.count("[a]") == text.count("[a]")


def test_a_table_of_many_cells_is_shown_as_it_was_typed() -> None:
    assert "<table>" in render("a|b\n-|-\n" + "c|d\n" * 200)
    assert "<table>" not in render(BOMBS["many cells"])


def test_the_page_gets_the_cleaned_html_and_programs_the_text(api: Api, general: Channel, ada: User) -> None:
    text = "<script>alert(1)</script> **お茶**"

    message = api(ada)("message.send", channel_id=general.pk, body=text).body["message"]

    assert message["body"] == text
    assert message["html"] == "<p>&lt;script&gt;alert(1)&lt;/script&gt; <strong>お茶</strong></p>"


LETTERS = st.sampled_from([*"ab1 ~-+=.)(:/\"'!\n", "é", "語", "\u3000", "\u00a0", "\u200b", "\ufeff", "\U0001f600"])
"""What plain text is made of, and what makes it something else at its beginning, doubled or at its end."""


@settings(max_examples=1000)
@given(st.text(LETTERS | st.sampled_from("@ada"), min_size=1, max_size=8) | st.text(min_size=1, max_size=12))
def test_text_without_markdown_becomes_what_the_renderer_makes_of_it(body: str) -> None:
    assert parse(body).html == _rendered(body)


INJECTED = st.sampled_from(
    [
        *("<script>", "</p>", '<span data-name="">@ada</span>', '<span class="mention" data-user-id="9">', "onclick="),
        *("javascript:", "[x](javascript:1)", '[x](b "', "<img src=x>", "@ada", "@bob.", "@channel", "@eve", "@9"),
        *("&lt;", "&#64;", "\\@ada", "data-user-id", "<!--", "]]>", "\u202e", "\u2066", "\u0301", "style="),
    ]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(PARTS) | INJECTED | st.text(max_size=5), max_size=25).map("".join))
def test_no_text_gets_out_of_its_html(text: str) -> None:
    text = text.strip() or "x"

    html, met = parse(text).naming(PEOPLE, GROUPS)

    assert_clean(html)
    assert met <= PEOPLE.keys() | GROUPS
    named = {user_id for _, user_id in Parts(html).named if user_id is not None}
    assert named == {str(PEOPLE[name]) for name in met & PEOPLE.keys()}
    assert '<span data-name=""' not in html


NAMED = [
    ("hi @ada", ["@ada"]),
    ("@Ada, @BOB.", ["@Ada", "@BOB"]),
    ("**@ada** _@bob_ ~~@ada~~", ["@ada", "@bob", "@ada"]),
    ("# @ada\n- @bob\n\n|@ada|b|\n|-|-|\n|a|@bob|", ["@ada", "@bob", "@ada", "@bob"]),
    ('(@ada) "@bob": @ada\'s -', ["@ada", "@bob", "@ada"]),
    ("@ada/@bob", ["@ada", "@bob"]),
    ("@b.ob. @ada_b", ["@b.ob", "@ada_b"]),
    ("@ada. @ada..", ["@ada.", "@ada."]),
    ("@bob... @bob+ @bob-", ["@bob", "@bob", "@bob"]),
    ("こんにちは@adaさん、@山田 さん", ["@ada", "@山田"]),
    ("@ada", ["@ada"]),
    ("<b>@ada</b>", ["@ada"]),
    ("[@ada](https://example.org/@bob '@bob')", ["@ada"]),
    ("see https://example.org/@bob @ada", ["@ada"]),
    ("@channel, @HERE!", ["@channel", "@HERE"]),
]
NOT_NAMED = [
    *("ada@ada.org", "x@ada", "a+@ada", "mail ada@bob", "@adab", "@ada-b", "@ada@bob", "@ada.b", "@ada_bb", "@@ada"),
    *("`@ada`", "``@ada``", "```\n@ada\n```", "    @ada", "~~~\n@ada", "\\@ada", "&#64;ada", "&commat;ada", "@eve"),
    *(
        "<https://example.org/@ada>",
        "https://example.org/@ada/x",
        "http://@ada",
        "<http:@ada>",
        "example.org/@ada",
        "<ada@bob.org>",
    ),
    *("[x](https://example.org/@ada)", "[x]: https://e.org/@ada\n\n[x]", "[x](https://e.org '@ada')"),
    *("**x**@ada", "@ada**b**", "@ad**a**", "> @ada", "> - @ada\n> > @bob", "@ada\u0301", "@山田さん"),
    *("@", "@ ada", "@" + "a" * 200, "@.", "@channels", "@-ada", "@.ada"),
]


def shown_names(html: str) -> Iterator[str]:
    return (match[1] for match in re.finditer(r'<span class="mention[^>]*>([^<]*)</span>', html))


@pytest.mark.parametrize(("text", "names"), NAMED)
def test_a_name_is_found_where_it_is_one(text: str, names: list[str]) -> None:
    assert list(shown_names(parse(text).naming(PEOPLE, GROUPS).html)) == names


@pytest.mark.parametrize("text", NOT_NAMED)
def test_a_part_of_something_else_is_no_name(text: str) -> None:
    html, met = parse(text).naming(PEOPLE, GROUPS)

    assert (list(shown_names(html)), met) == ([], frozenset())
    assert html == render(text)


def test_a_name_is_shown_with_whom_it_means() -> None:
    assert parse("@Ada. @channel & @eve").naming(PEOPLE, GROUPS).html == (
        '<p><span class="mention" data-user-id="6">@Ada.</span> '
        '<span class="mention mention-group">@channel</span> &amp; @eve</p>'
    )


def test_a_text_names_only_so_many_places() -> None:
    names = ["".join(letters) for letters in islice(product("abcdefgh", repeat=3), 300)]
    text = " ".join(f"@{name}" for name in names)

    html, met = parse(text).naming({name: number for number, name in enumerate(names, 1)})

    assert met == set(names[:250])
    assert html.endswith(f"@{names[-1]}</p>")


@pytest.mark.parametrize(
    "text", ["\u202eabc", "\u2066\u202eabc", "a\n\u202eb", "- \u202ea\n- b", "|\u202ea|\n|-|\n|b|"]
)
def test_what_turns_the_direction_ends_with_its_block(text: str) -> None:
    html = render(text)

    # Browsers isolate the text of a block, so that nothing after it is turned.
    assert re.search(r"\u202e[^<]*(<br>[^<]*)*</(p|li|th|td)>", html)
    assert html.count("\u202e") == text.count("\u202e")
