"""How names are written, and which ones nobody could tell apart: UTS 39, by Unicode's list of look-alikes."""

import json
import re
import unicodedata
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Final

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

MARKS_TOGETHER = 4
"""Accents on one letter. More are no language and climb over the lines around."""
KEY_CHARACTERS = 200
"""Of a look, which may be longer than its name: "rn" stands for "m"."""

_LOOK_ALIKES: Final = Path(__file__).parent / "look_alikes.json"
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks that show nothing, although Unicode's categories do not say so."""
_SELECTORS: Final = re.compile("[\u180b-\u180d\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""They choose a form of the character before them."""
_JOINED: Final = re.compile(
    "(?<=[\u2190-\u2bff\ufe0f\U0001f000-\U0001faff])\u200d(?=[\u2190-\u2bff\U0001f000-\U0001faff])"
)
"""What makes one emoji of several; anywhere else it is invisible."""
_JOINERS: Final = frozenset("\u200c\u200d")
"""Between letters some languages need them."""


def checked_name(name: str, *, field: str, most: int) -> str:
    """A name as it is stored: in one form (NFKC), with single spaces.

    Raises ValidationError of the field for a name with something that nobody sees or can read, or above `most`.
    """
    name = _one_line(unicodedata.normalize("NFKC", name))
    if _hides_something(_JOINED.sub("", name)):
        raise ValidationError({field: _("A name has no invisible or control characters.")})
    return _readable(name, field=field, most=most)


def checked_line(text: str, *, field: str, most: int) -> str:
    """A short text as it is stored: one line, with single spaces. Raises ValidationError as `checked_name`."""
    text = _one_line(unicodedata.normalize("NFC", text))
    if _hides_something("".join(character for character in text if character not in _JOINERS)):
        raise ValidationError({field: _("This has invisible or control characters.")})
    return _readable(text, field=field, most=most)


def spelling_of(name: str) -> str:
    """The same for names that differ only by case, width, or by look-alikes as small letters."""
    return _skeleton(_folded(name))[:KEY_CHARACTERS]


def look_of(name: str) -> str:
    """The same for names that look the same as they are written: of "GeneraI" with a capital I and "General"."""
    return _folded(_skeleton(unicodedata.normalize("NFKC", name)))[:KEY_CHARACTERS]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _hides_something(text: str) -> bool:
    return any(unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs") or character in _BLANK for character in text)


def _readable(text: str, *, field: str, most: int) -> str:
    if len(text) > most:
        limit = {"limit": most, "length": len(text)}
        raise ValidationError({field: _("At most %(limit)d characters, not %(length)d.") % limit})
    marks = groupby(text, key=lambda character: unicodedata.category(character) in ("Mn", "Me"))
    if any(are_marks and len(list(run)) > MARKS_TOGETHER for are_marks, run in marks):
        raise ValidationError({field: _("There are too many accents on one letter.")})
    return text


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _skeleton(text: str) -> str:
    """What UTS 39, section 4, calls so: equal for what looks alike. For comparing only."""
    bare = "".join(character for character in _SELECTORS.sub("", text) if not _hides_something(character))
    alike = _prototypes()
    shown = "".join(alike.get(character, character) for character in unicodedata.normalize("NFD", bare))
    return unicodedata.normalize("NFD", shown)


@cache
def _prototypes() -> dict[str, str]:
    listed = json.loads(_LOOK_ALIKES.read_text(encoding="utf-8"))
    return {character: prototype for prototype, characters in listed.items() for character in characters}
