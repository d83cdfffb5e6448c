"""What all people of a run share: the places, and what was said there."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.history.journal import Message

PUBLIC = "public"
PRIVATE = "private"
DIRECT = "direct"


@dataclass(frozen=True)
class Account:
    id: int
    name: str
    token: str
    joined: frozenset[int]


@dataclass
class Place:
    """A channel, with the truth about it."""

    id: int
    kind: str
    peers: frozenset[int] = frozenset()
    """Of a direct channel that the run opened: whose it is."""
    archived: bool = False
    """Changed only while nobody does anything."""
    said: list[Message] = field(default_factory=list)
    """Acknowledged messages in the order of the acknowledgements, without those whose deletion was."""


@dataclass
class World:
    workspace_id: int
    invite: str
    """A token that anybody may use, as often as they want."""
    accounts: Sequence[Account]
    places: dict[int, Place]
