"""Checks of what clients send as ids, texts and times."""

from datetime import datetime

from django.core.exceptions import ValidationError
from django.utils.dateparse import parse_datetime

from groups.models.mesh import ID_CHARACTERS

DOMAIN_UNITS = 256
"""UTF-16 code units, as clients count."""
TEXT_CHARACTERS = 65_536
"""Of a value or a payload."""


def check_id(name: str, value: str) -> None:
    if not value:
        raise ValidationError(f"{name} is required")
    check_text(name, value, ID_CHARACTERS)


def check_text(name: str, value: str, most: int) -> None:
    if len(value) > most:
        raise ValidationError(f"{name} must be {most} characters or less")
    if not storable(value):
        raise ValidationError(f"{name} holds a character that cannot be stored")


def storable(*texts: str) -> bool:
    """PostgreSQL stores no NUL, and UTF-8 knows no lone surrogates."""
    try:
        return all("\0" not in text and text.encode() is not None for text in texts)
    except UnicodeEncodeError:
        return False


def is_moment(text: str) -> bool:
    """Whether it is an ISO 8601 time with a zone, as `fired_at` has to be. Any year will do."""
    try:
        moment_of(text)
    except ValidationError:
        return False
    return True


def moment_of(text: str) -> datetime:
    try:
        moment = parse_datetime(text)
    except (ValueError, OverflowError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValidationError("firedAt must be an ISO 8601 time with a zone")
    return moment
