"""Markdown of messages -> safe HTML. Rendered here and cleaned; nothing that a user typed reaches a page as HTML."""

import re
from html import escape

import nh3
from markdown_it import MarkdownIt

HTML_CHARACTERS = 64 * 1024
"""Above what honest text of 4,000 characters becomes. A long link that is named a thousand times becomes megabytes."""
TABLE_CELLS = 2000
"""Short rows are filled up to the width of the table, so that few characters could become a huge one."""


def _renderer(*rules: str) -> MarkdownIt:
    options = {"html": False, "linkify": False, "breaks": True, "maxNesting": 20}
    return MarkdownIt("commonmark", options).enable(list(rules)).disable("image")


_with_tables, _without_tables = _renderer("strikethrough", "table"), _renderer("strikethrough")

_TAGS = {
    *("p", "br", "hr", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "code": {"class"}}
_SCHEMES = {"http", "https", "mailto"}


_PLAIN = re.compile(
    r"(?![-+= ]|\d+[.)])"  # begins no list, line or code
    r"(?:[^\s\x00-\x1f\x7f#&*<>\[\\\]_`|~]++| ++|~(?!~))++"
    r"(?<! )"
)
"""One line in which nothing means anything, as most messages are."""


def render(body: str) -> str:
    """HTML of a message body. Images become links: a picture from elsewhere would tell its server who reads."""
    if _PLAIN.fullmatch(body):
        return f"<p>{body}</p>"
    return _rendered(body)


def _rendered(body: str) -> str:
    lines = body.split("\n")
    cells = len(lines) * max(line.count("|") + 1 for line in lines)
    html: str = (_with_tables if cells <= TABLE_CELLS else _without_tables).render(body)
    if len(html) > HTML_CHARACTERS:
        html = f"<p>{escape(body).replace(chr(10), '<br>')}</p>"
    return nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        link_rel="noopener noreferrer nofollow",
    ).strip()
