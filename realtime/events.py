"""What happened, as clients are told. Each event is one frozen class with its wire name; routing is not in here."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, ClassVar

import orjson

from realtime import clock

EVENTS: dict[str, type["Event"]] = {}
EPHEMERALS: dict[str, type["Ephemeral"]] = {}


@dataclass(frozen=True)
class Event:
    """Base of all events that streams keep. The fields of a subclass are the keys of `data` on the wire.

    Subclasses say their wire name: `class MessageCreated(Event, name="message.created")`.
    """

    name: ClassVar[str]

    def __init_subclass__(cls, *, name: str) -> None:
        if name in EVENTS:
            raise TypeError(f"two events are called {name}: {EVENTS[name].__name__} and {cls.__name__}")
        cls.name = name
        EVENTS[name] = cls

    @property
    def data(self) -> dict[str, Any]:
        return _data(self)

    @property
    def about(self) -> dict[str, int]:
        """Ids that replay asks the rights and the current text of: {"channel": 3, "message": 9, "rev": 12}."""
        return {}

    def body(self, at: datetime) -> bytes:
        """The frame without its opening brace, encoded once, ready to follow a seq."""
        return orjson.dumps({"event": self.name, "at": clock.stamp(at), "data": self.data})[1:]


@dataclass(frozen=True)
class Ephemeral:
    """Base of what is told to who is there and kept nowhere: no seq, no replay. What comes later replaces it whole."""

    name: ClassVar[str]

    def __init_subclass__(cls, *, name: str) -> None:
        cls.name = name
        EPHEMERALS[name] = cls

    @property
    def frame(self) -> dict[str, Any]:
        return {"type": "ephemeral", "event": self.name, "data": _data(self)}


def _data(told: Event | Ephemeral) -> dict[str, Any]:
    return {field.name: getattr(told, field.name) for field in fields(told)}
