"""Fields that take exactly their type. DRF's own would make "5" of 5 and "True" of true."""

import re
from typing import Any, Final

from rest_framework import serializers

BIGGEST_ID = 2**63 - 1
_DIGITS: Final = re.compile("-?[0-9]+")
"""int() would take "1_0", " 1" and digits of other scripts too."""


class Whole(serializers.IntegerField):
    """A whole number; as text only in a query string, where everything is text."""

    def to_internal_value(self, data: Any) -> int:
        text = isinstance(data, str) and self.context.get("query", False)
        if text and not _DIGITS.fullmatch(data):
            self.fail("invalid")
        if not text and (isinstance(data, bool) or not isinstance(data, int)):
            self.fail("invalid")
        value: int = super().to_internal_value(data)
        return value


class Fact(serializers.BooleanField):
    """true or false; as text only in a query string."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool) and not (self.context.get("query", False) and data in ("true", "false")):
            self.fail("invalid", input=data)
        return data is True or data == "true"


class _Ids(serializers.ListField):
    """A list; in a query string with commas: user_ids=3,7."""

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, str) and self.context.get("query", False):
            data = data.split(",")
        values: list[Any] = super().to_internal_value(data)
        return values


def ids_field(*, most: int, **options: Any) -> _Ids:
    return _Ids(child=id_field(), max_length=most, **options)


def id_field(**options: Any) -> Whole:
    return Whole(min_value=1, max_value=BIGGEST_ID, **options)


def cursor_field(**options: Any) -> Whole:
    """An id to read from; 0 is the beginning."""
    return Whole(min_value=0, max_value=BIGGEST_ID, **options)


def limit_field(*, most: int = 200, default: int = 50) -> Whole:
    return Whole(min_value=1, max_value=most, default=default)


class Text(serializers.CharField):
    """A string, kept as it was written. NUL and lone surrogates are refused: they cannot be stored."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        value: str = super().to_internal_value(data)
        return value
