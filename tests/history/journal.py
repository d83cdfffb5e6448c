"""What was done and what was seen in one run, and what of it may not be."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from tests.history.state import Presence

Kind = Literal[
    "lost",
    "twice",
    "order",
    "leak",
    "state",
    "seq",
    "repeat",
    "refused",
    "error",
    "unsettled",
    "presence order",
    "presence flap",
    "presence end state",
]
now = time.monotonic


class Violation(NamedTuple):
    kind: Kind
    what: str


@dataclass(frozen=True, slots=True)
class Connected:
    """A session came to a server: from here on it is replayed what it missed, up to `top`, then told live."""

    asked_at: float
    transport: str
    mode: str
    epoch: str
    top: int
    """0 where the transport does not tell: a poll that goes on."""


@dataclass(frozen=True, slots=True)
class Got:
    """An event as it came."""

    at: float
    asked_at: float
    """When the session asked for the connection that brought it."""
    replayed: bool
    epoch: str
    seq: int
    name: str
    stamp: str
    data: dict[str, Any]

    @property
    def channel_id(self) -> int | None:
        """The channel that it tells of, if it does."""
        if "message" in self.data:
            return int(self.data["message"]["channel_id"])
        if "channel" in self.data:
            return int(self.data["channel"]["id"])
        return self.data.get("channel_id")

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes it this event, on every session and however its text changed since."""
        data = self.data
        about = data["message"]["id"] if "message" in data else data.get("message_id") or data.get("user_id")
        if "user" in data:
            about = data["user"]["id"]
        return (self.name, self.channel_id, about, self.stamp)


@dataclass(frozen=True, slots=True)
class Booted:
    """A session fetched the whole state."""

    latest: dict[int, int]
    """The highest message id that it then knew of each channel."""
    presence: dict[int, Presence]
    """Who was there, by user id."""


Line = Connected | Got | Booted


@dataclass
class Contact:
    """From `since` to `until` a session was in contact with a server that had said hello: its lease lived."""

    since: float
    until: float
    bye_at: float = float("inf")
    """When it said goodbye, after which its lease may have ended."""
    bye_until: float = 0.0
    """Until when that may still end the lease, which another connection may have by then."""


@dataclass
class Log:
    """Everything that one session of somebody was told, in the order in which it came."""

    name: str
    user_id: int
    lines: list[Line] = field(default_factory=list)
    contacts: list[Contact] = field(default_factory=list)

    def contact(self) -> Contact:
        """One that begins now."""
        self.contacts.append(Contact(now(), now()))
        return self.contacts[-1]


@dataclass
class Text:
    """A text that a message had, and when it stopped being its text."""

    body: str
    gone_at: float | None = None


@dataclass
class Message:
    """A message whose sending was acknowledged, with every text that it had."""

    id: int
    channel_id: int
    author_id: int
    client_msg_id: str
    texts: list[Text]
    deleted_at: float | None = None


@dataclass
class Away:
    """Somebody left a channel: they asked for it, it was acknowledged at `since`, and asked to come back at `until`."""

    user_id: int
    channel_id: int
    asked_at: float
    since: float
    until: float = float("inf")


@dataclass
class Said:
    """Somebody set their status text; when they asked for it and when it was acknowledged."""

    user_id: int
    asked_at: float
    since: float


class Journal:
    def __init__(self) -> None:
        self.unix_at_zero = time.time() - now()
        """The servers' clocks at the zero of ours, which is the same machine's."""
        self.logs: list[Log] = []
        self.messages: dict[int, Message] = {}
        self.away: list[Away] = []
        self.said: list[Said] = []
        self.violations: list[Violation] = []
        self.counts: Counter[str] = Counter()

    def open_log(self, name: str, user_id: int) -> Log:
        log = Log(name, user_id)
        self.logs.append(log)
        return log

    def violation(self, kind: Kind, what: str) -> None:
        self.violations.append(Violation(kind, what))

    def count(self, what: str, by: int = 1) -> None:
        self.counts[what] += by
