"""Where a text names somebody: `@ada`, when it is no part of an address or a longer name. Who it is, an action asks."""

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from html import escape
from itertools import islice
from typing import NamedTuple

_JAPANESE_OR_KOREAN = "\u3005\u3006\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uff66-\uff9f"
"""Letters of languages that put no space between words."""
_NAME = r"@[\w.@+\-\u0300-\u036f]++"
"""What may be in a username (Django's UnicodeUsernameValidator), and accents that some keyboards write apart."""
_PLACES = re.compile(
    r"://\S*+"  # the rest of a URL
    rf"|(?<![^\W{_JAPANESE_OR_KOREAN}])(?<![@+%/\-])(?P<names>{_NAME}(?:/{_NAME})*+)"
)
MOST_PLACES = 250
"""Of one text; what comes after them names nobody. Each takes place in the HTML, and a name to ask for."""

NAME_CHARACTERS = 150
_PUNCTUATION = ".@+-"
_BEFORE_A_PARTICLE = re.compile(rf"[\x00-\x7f]+(?=[{_JAPANESE_OR_KOREAN}])")
_MARK = re.compile(r'<span data-name="">@([^<]*)</span>')
_GROUP = re.compile(r'<span class="mention mention-group">@([^<]*)</span>')


class Place(NamedTuple):
    """Where one or more people are named: "@ada/@bob"."""

    start: int
    end: int
    names: str


def places_in(text: str, most: int) -> list[Place]:
    """The first places where a text names somebody."""
    found = (Place(*place.span(), place["names"]) for place in _PLACES.finditer(text) if place["names"])
    return list(islice(found, most))


def marked_text(text: str) -> str:
    """Text that is HTML already, with marks."""
    html, done = [], 0
    for place in places_in(text, MOST_PLACES):
        html += [text[done : place.start], mark(place.names)]
        done = place.end
    return "".join([*html, text[done:]])


def mark(names: str) -> str:
    """What the `names` of a place become in HTML until it is known who they are.

    Nobody can write it: in text `<` is escaped, and in attributes the quotes are.
    """
    marked = (
        f'<span data-name="">{escape(name)}</span>' if any(_readings(name[1:])) else escape(name)
        for name in names.split("/")
    )
    return "/".join(marked)


def marked_names(html: str) -> frozenset[str]:
    """All names that somebody in the text may have."""
    return frozenset(name for run in set(_MARK.findall(html)) for name, _rest in _readings(run))


class Naming(NamedTuple):
    html: str
    met: frozenset[str]
    """Who and what is named, by `folded` name."""


def with_names(html: str, user_ids: Mapping[str, int], groups: Collection[str]) -> Naming:
    """The HTML with everybody's name in place of the marks. `user_ids` and `groups` are by `folded` name."""
    met: set[str] = set()

    def named(found: re.Match[str]) -> str:
        run = found[1]
        for name, rest in _readings(run):
            key = folded(name)
            shown = run[: len(run) - len(rest)]
            if key in groups:
                met.add(key)
                return f'<span class="mention mention-group">@{shown}</span>{rest}'
            if key in user_ids:
                met.add(key)
                return f'<span class="mention" data-user-id="{user_ids[key]}">@{shown}</span>{rest}'
        return f"@{run}"

    return Naming(_MARK.sub(named, html), frozenset(met))


def groups_named(html: str) -> frozenset[str]:
    """The groups that HTML of `with_names` names."""
    return frozenset(folded(name) for name in _GROUP.findall(html))


def folded(name: str) -> str:
    """The same for all ways to write a name."""
    return unicodedata.normalize("NFKC", name).lower()


def _readings(run: str) -> Iterator[tuple[str, str]]:
    """The names that may be meant, the longest first, each with what then follows it: "ada.", "ada" and "."."""
    bare = run.rstrip(_PUNCTUATION)
    particle = _BEFORE_A_PARTICLE.match(run)
    ends = [len(run), len(bare) + 1, len(bare), particle.end() if particle else 0]
    for end in sorted({end for end in ends if 0 < end <= min(len(run), NAME_CHARACTERS)}, reverse=True):
        yield unicodedata.normalize("NFKC", run[:end]), run[end:]
