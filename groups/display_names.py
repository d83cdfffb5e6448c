"""Display names: whatever people call themselves, as long as it shows as what it is and stays on its line.

Another member's name is allowed, and so is one that looks like it: people do share names. The username, which is one of
its kind, stands beside it.
"""

import unicodedata
from typing import Final

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

DISPLAY_NAME_CHARACTERS: Final = 80
MARKS_IN_A_ROW: Final = 4
"""Accents on one letter, after those that have a character of their own with it. Living languages need up to three."""
_INVISIBLE: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters, symbols and marks that show nothing, beside all of the categories below."""
_UNSHOWN: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
"""Control and format characters, which bidirectional overrides and zero widths are among, and private ones.

Not those that this Python does not know yet: new emoji are among them.
"""


def checked_display_name(name: str) -> str:
    """The name as it is stored; "" for none. Raises ValidationError."""
    clean = " ".join(unicodedata.normalize("NFC", name).split())
    if name and not clean:
        raise _refusal(_("Write a name, or nothing at all to go by your username."))
    if len(clean) > DISPLAY_NAME_CHARACTERS:
        raise _refusal(_("At most %(limit)d characters.") % {"limit": DISPLAY_NAME_CHARACTERS})
    marks = 0
    for character in clean:
        category = unicodedata.category(character)
        if category in _UNSHOWN or character in _INVISIBLE:
            raise _refusal(_("The name has characters that cannot be seen."))
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks > MARKS_IN_A_ROW:
            raise _refusal(_("The name has too many accents on one letter."))
    if clean and unicodedata.category(clean[0]).startswith("M"):
        raise _refusal(_("A name does not begin with an accent."))
    return clean


def _refusal(told: str) -> ValidationError:
    return ValidationError({"display_name": told})
