"""What members of classrooms fired, reported and saw."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

INFINITE = float("inf")


@dataclass(eq=False)
class Fired:
    """An event that somebody fired, under a name that no other event of the run has."""

    name: str
    node_id: str
    number: int
    """Of its sender, rising in the order in which its events have to come."""
    asked_at: float
    knows: tuple[str, int] | None = None
    """The key and number of the value that its sender had reported last, which has to be there before it."""
    acked_at: float = INFINITE
    at_once: bool = False
    """The first try was acknowledged."""

    @property
    def order_key(self) -> str:
        return f"20261121090000-{self.number:07d}"


@dataclass
class Value:
    """What is known of a value of a node: what was acknowledged last, and what had no answer and may be stored, too.

    Values are numbers that rise.
    """

    acked: str = ""
    unsure: set[str] = field(default_factory=set)


@dataclass(eq=False)
class Room:
    """A group and the truth about it."""

    id: str
    domain: str
    label: str
    host_id: str
    fired: dict[str, Fired] = field(default_factory=dict)
    """By name."""
    values: dict[tuple[str, str], Value] = field(default_factory=dict)
    """By node and key."""
    end_asked_at: float = INFINITE

    @property
    def over(self) -> bool:
        return self.end_asked_at < INFINITE

    @property
    def place(self) -> dict[str, str]:
        return {"groupId": self.id, "domain": self.domain}


class Logged(NamedTuple):
    """An event as a poll brought it."""

    name: str
    cursor: str
    stamp: str


@dataclass
class Stay:
    """A time in which a member was told everything: one subscription, or what follows one hello without a gap."""

    since: float
    """When the start or the hello had come."""
    names: list[str] = field(default_factory=list)
    until: float = INFINITE
    first: bool = False
    """It goes on where the member joined."""


class Gap(NamedTuple):
    """A member was told that it missed something: where it stood last, and when that was said."""

    known_at: float
    told_at: float
    how: str


@dataclass
class Log:
    """What one member saw of the events of its group."""

    who: str
    room: Room
    logged: list[Logged] = field(default_factory=list)
    """Of one who polls."""
    drained: list[float] = field(default_factory=list)
    """When polls were asked that brought all there was."""
    stays: list[Stay] = field(default_factory=list)
    """Of one who is told."""
    gaps: list[Gap] = field(default_factory=list)
    places: dict[tuple[str, int], str] = field(default_factory=dict)
    """What came over our own doors, by epoch and seq."""

    @property
    def names(self) -> Iterator[str]:
        yield from (one.name for one in self.logged)
        for stay in self.stays:
            yield from stay.names
