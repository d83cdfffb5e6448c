"""Markdown of messages -> safe HTML. Rendered here and cleaned; nothing that a user typed reaches a page as HTML."""

import re
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final, NamedTuple

import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from groups.names import MOST_PLACES, Naming, mark, marked_names, marked_text, places_in, with_names

HTML_CHARACTERS = 64 * 1024
"""Above what honest text of 4,000 characters becomes. A long link that is named a thousand times becomes megabytes."""
TABLE_CELLS = 2000
"""Short rows are filled up to the width of the table, so that few characters could become a huge one."""
STEPS: Final = 10_000
"""Each is a place that the parser looked at, and takes about 4 µs. Honest text of 4,000 characters needs a few hundred;
quotes that are broken off and begun again would be read again and again.
"""


class Text(NamedTuple):
    """A body as HTML, but for the people that it names."""

    html: str
    names: frozenset[str]
    """Who may be meant, if there is somebody of that name."""

    def naming(self, user_ids: Mapping[str, int], groups: Collection[str] = ()) -> Naming:
        """The HTML with these named, by `folded` name; what names nobody stays as it was typed."""
        return with_names(self.html, user_ids, groups) if self.names else Naming(self.html, frozenset())


class _TooMuch(Exception):
    """The text needs more than STEPS."""


def _renderer(*rules: str) -> MarkdownIt:
    options = {"html": False, "linkify": False, "breaks": True, "maxNesting": 20}
    markdown = MarkdownIt("commonmark", options).enable(list(rules)).disable("image")
    ending = ["paragraph", "reference", "blockquote", "list"]
    markdown.block.ruler.before("table", "steps", _count_step, {"alt": ending})
    markdown.inline.ruler.before("text", "steps", _count_step)
    # Before what is escaped becomes text like any other: \@ada is no name.
    markdown.core.ruler.before("text_join", "names", _mark_names)
    markdown.add_render_rule("names", _render_names)
    return markdown


def _count_step(state: Any, *_where: Any) -> bool:
    steps = state.env["steps"] = state.env.get("steps", 0) + 1
    if steps > STEPS:
        raise _TooMuch
    return False


def _mark_names(state: StateCore) -> None:
    left, quotes = MOST_PLACES, 0
    for block in state.tokens:
        if block.tag == "blockquote":
            quotes += block.nesting
        # What is quoted was told to those whom it names when it was written.
        if block.children and not quotes and left > 0 and "@" in block.content:
            block.children = _with_names(block.children, left)
            left -= sum(token.type == "names" for token in block.children)


def _with_names(tokens: Sequence[Token], most: int) -> list[Token]:
    """The tokens of a paragraph, cut where it names somebody: as it reads, and in the text of one token."""
    texts = list(_texts(tokens))
    places = deque(places_in("".join(texts), most))
    cut: list[Token] = []
    start = 0
    for token, text in zip(tokens, texts, strict=True):
        end, done = start + len(text), start
        while places and places[0].start < end:
            place = places.popleft()
            if place.end <= end and token.type == "text":
                cut += [_token("text", text[done - start : place.start - start]), _token("names", place.names)]
                done = place.end
        cut.append(token if done == start else _token("text", text[done - start :]))
        start = end
    return cut


def _texts(tokens: Sequence[Token]) -> Iterator[str]:
    """Of each token what a reader takes for a part of a name or an address."""
    address = False
    for token in tokens:
        if token.type == "link_open":
            address = token.info == "auto"
        elif token.type == "link_close":
            address = False
        if token.type in ("text", "text_special"):
            yield " " if address else token.content
        else:
            yield "" if token.nesting else "\n"


def _token(kind: str, content: str) -> Token:
    return Token(kind, "", 0, content=content)


def _render_names(_renderer: Any, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    return mark(tokens[index].content)


_with_tables, _without_tables = _renderer("strikethrough", "table"), _renderer("strikethrough")

_TAGS = {
    *("p", "br", "hr", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a", "span"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "code": {"class"}, "span": {"data-name"}}
_SCHEMES = {"http", "https", "mailto"}


_PLAIN = re.compile(
    r"(?![-+= ]|\d+[.)])"  # begins no list, line or code
    r"(?:[^\s\x00-\x1f\x7f#&*<>\[\\\]_`|~]++| ++|~(?!~))++"
    r"(?<! )"
)
"""One line in which nothing means anything, as most messages are."""


def parse(body: str) -> Text:
    """A message body, read once. Images become links: a picture from elsewhere would tell its server who reads."""
    if "@" not in body:
        return Text(f"<p>{body}</p>" if _PLAIN.fullmatch(body) else _rendered(body), frozenset())
    html = f"<p>{marked_text(body)}</p>" if _PLAIN.fullmatch(body) else _rendered(body)
    return Text(html, marked_names(html))


def render(body: str) -> str:
    """HTML of a body that names nobody."""
    return parse(body).naming({}).html


def _rendered(body: str) -> str:
    lines = body.split("\n")
    cells = len(lines) * max(line.count("|") + 1 for line in lines)
    try:
        html: str = (_with_tables if cells <= TABLE_CELLS else _without_tables).render(body)
    except _TooMuch:
        html = ""
    if not 0 < len(html) <= HTML_CHARACTERS:
        html = f"<p>{escape(body).replace(chr(10), '<br>')}</p>"
    return nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        link_rel="noopener noreferrer nofollow",
    ).strip()
