"""What a client hands to its program: items of the stream, ephemeral events, changes of state."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

Json = dict[str, Any]
"""A JSON object as it came over the wire; docs/protocol.md lists the fields."""

State = Literal["offline", "connecting", "live", "polling", "reconnecting", "refused"]
"""`live` is on a socket, `polling` on the long-poll. `offline` is before `connect` and after `close`."""


class Position(NamedTuple):
    """A place in the stream of a user; valid on every transport and every worker."""

    epoch: str
    seq: int


@dataclass(frozen=True)
class Event:
    seq: int
    name: str
    at: datetime
    data: Json


@dataclass(frozen=True)
class Resync:
    """Events are missing that cannot be had any more, or more changed than events tell.

    As after a fresh sign-in: read `client.boot` again, forget what is not in it, then go on with what follows.
    """

    reason: str
    missed: tuple[int, int] | None
    """First and last `seq` of what is gone, where the server knows it."""


Item = Event | Resync


@dataclass(frozen=True)
class Ephemeral:
    """An event without a place in the stream (`typing.updated`): never repeated, perhaps lost."""

    name: str
    data: Json


@dataclass(frozen=True)
class StateChange:
    state: State
    code: int | None = None
    """The close code that led here; 4900 and above are this client's own reasons."""
    error: str | None = None
    """The code of the server's last `error` frame or problem."""
    retry_seconds: float | None = None
    """In how long the next attempt is made."""
