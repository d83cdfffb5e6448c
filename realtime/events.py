"""What happened, as clients are told. Each event is one frozen class with its wire name; routing is not in here."""

from dataclasses import dataclass, fields
from typing import Any, ClassVar

EVENTS: dict[str, type["Event"]] = {}


@dataclass(frozen=True)
class Event:
    """Base of all events. The fields of a subclass are the keys of `data` on the wire.

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
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def about(self) -> dict[str, int]:
        """Ids that replay asks the rights and the current text of: {"channel": 3, "message": 9, "rev": 12}."""
        return {}
