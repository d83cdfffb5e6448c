"""What is one emoji, and the one form in which it is stored."""

import json
from typing import Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

VARIATION: Final = "\N{VARIATION SELECTOR-16}"
"""Asks for an emoji in colour. Keyboards differ in where they write it."""


def _read() -> dict[str, str]:
    # The picker's own file, so that nothing can be picked that is refused. scripts/emoji.py makes it.
    path = settings.BASE_DIR / "static" / "emoji" / "en.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["emoji"]
    forms = [form for emoji, _name, _words, _group, toned in rows for form in (emoji, *toned)]
    return {form.replace(VARIATION, ""): form for form in forms}


_CANONICAL: Final = _read()
"""By the form without variation selectors."""


def canonical_emoji(text: str) -> str:
    """The form that Unicode calls fully qualified, so that the same emoji of two keyboards is the same.

    Raises ValidationError, `unknown_emoji`, for anything but one emoji of those that Unicode recommends (RGI), with or
    without skin tones.
    """
    emoji = _CANONICAL.get(text.replace(VARIATION, ""))
    if emoji is None:
        raise ValidationError({"emoji": ValidationError(_("This is not one emoji."), code="unknown_emoji")})
    return emoji
