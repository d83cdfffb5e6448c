"""What was done and what was seen in one run, and what of it may not be."""

import time
from collections import Counter
from collections.abc import Iterator
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
    "mention",
    "counts",
    "audit",
    "presence order",
    "presence flap",
    "presence end state",
    "classroom lost",
    "classroom twice",
    "classroom order",
    "classroom leak",
    "classroom state",
    "classroom end",
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
        if (told := self.data.get("message") or self.data.get("thread")) is not None:
            return int(told["channel_id"])
        if "channel" in self.data:
            return int(self.data["channel"]["id"])
        return self.data.get("channel_id")

    @property
    def rev(self) -> int:
        """The highest rev of its channel that it holds; 0 when it says none."""
        told = [self.data.get(noun) or {} for noun in ("message", "thread", "channel")]
        return max(int(one.get("rev", 0)) for one in [self.data, *told])

    @property
    def about_user_id(self) -> int | None:
        """Whom it tells of, as somebody to be known."""
        if self.name == "presence.updated" or self.name.startswith("workspace.member_"):
            return int(self.data["user_id"] if "user_id" in self.data else self.data["user"]["id"])
        return int(self.data["user"]["id"]) if self.name == "user.updated" else None

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes it this event, on every session and however its text changed since."""
        data = self.data
        nouns = {noun: data[noun] for noun in ("message", "user", "workspace") if noun in data}
        about = [one["id"] for one in nouns.values()]
        about += [data.get(name) for name in ("message_id", "user_id", "workspace_id", "version")]
        if "message" not in data:
            # That of a message is the one of now, where it is told again.
            about.append(data.get("rev"))
        if "thread" in data:
            about += [data["thread"][name] for name in ("thread_root_id", "rev", "last_read_id", "following")]
        if "channel" in data:
            about += [data["channel"].get(name) for name in ("rev", "muted", "notify", "role")]
        return (self.name, self.channel_id, *about, self.stamp)


@dataclass(frozen=True, slots=True)
class Booted:
    """A session fetched the whole state."""

    latest: dict[int, int]
    """The highest message id that it then knew of each channel."""
    presence: dict[int, Presence]
    """Who was there, by user id."""
    whole: bool = True
    """Else it fetched only who is there; what it was told of all else it was told without a hole."""


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
    """A text that a message had: when it was asked for and acknowledged, and when it stopped being its text."""

    body: str
    asked_at: float
    since: float
    names: frozenset[int] = frozenset()
    """The ids of those whom it names by name, members or not."""
    everybody: bool = False
    """Whether it calls @channel, and may."""
    gone_at: float | None = None


@dataclass
class Message:
    """A message whose sending was acknowledged, with every text that it had."""

    id: int
    channel_id: int
    author_id: int
    client_msg_id: str
    texts: list[Text]
    root_id: int | None = None
    replies: list[int] = field(default_factory=list)
    reactions: set[tuple[int, str]] = field(default_factory=set)
    """(user, emoji), as it was acknowledged."""
    unsure: set[tuple[int, str]] = field(default_factory=set)
    """Of these it is not known: a toggle had no answer."""
    deletion_asked_at: float | None = None
    deleted_at: float | None = None


@dataclass
class Spell:
    """A time in which somebody was out of a channel, say, or had it muted.

    It was asked for, acknowledged at `since`, ended by what was asked for at `until` and acknowledged at `back`.
    """

    user_id: int
    channel_id: int
    """0 for the whole workspace."""
    asked_at: float
    since: float
    until: float = float("inf")
    back: float = float("inf")

    def touches(self, start: float, end: float) -> bool:
        return self.asked_at <= end and start <= self.back

    def covers(self, start: float, end: float) -> bool:
        return self.since <= start and end <= self.until


class Spells:
    """The spells of one sort, of all people."""

    def __init__(self) -> None:
        self.all: list[Spell] = []

    def __iter__(self) -> Iterator[Spell]:
        return iter(self.all)

    def of(self, user_id: int, channel_id: int = 0) -> list[Spell]:
        return [one for one in self.all if (one.user_id, one.channel_id) == (user_id, channel_id)]

    def began(self, user_id: int, channel_id: int = 0, *, asked_at: float) -> None:
        self.all.append(Spell(user_id, channel_id, asked_at, now()))

    def never_before(self, user_id: int, channel_id: int) -> None:
        """One that began before the run."""
        self.all.append(Spell(user_id, channel_id, 0, 0))

    def ending(self, user_id: int, channel_id: int = 0) -> None:
        """Somebody is about to ask for its end."""
        for one in self.of(user_id, channel_id):
            one.until = min(one.until, now())

    def ended(self, user_id: int, channel_id: int = 0) -> None:
        for one in self.of(user_id, channel_id):
            one.until, one.back = min(one.until, now()), min(one.back, now())


@dataclass
class Said:
    """Somebody set their status text, or came where they are told of anew; when it was asked for and acknowledged."""

    user_id: int
    asked_at: float
    since: float


class Outage(NamedTuple):
    """Redis lost all that it held: it was asked to end, had ended, and was back."""

    asked_at: float
    gone_at: float
    back_at: float


class Journal:
    def __init__(self) -> None:
        self.unix_at_zero = time.time() - now()
        """The servers' clocks at the zero of ours, which is the same machine's."""
        self.logs: list[Log] = []
        self.messages: dict[int, Message] = {}
        self.away = Spells()
        """Out of a channel."""
        self.outside = Spells()
        """Out of the workspace."""
        self.guests = Spells()
        """In it, and seeing only some of the people there."""
        self.muted = Spells()
        self.said: list[Said] = []
        self.came: list[Said] = []
        """Into a channel. If guests were there, who did not see them before, everybody is told of them again."""
        self.outages: list[Outage] = []
        self.pauses: list[tuple[float, float]] = []
        """In which Redis did not answer."""
        self.audited = 0
        """Deeds that the audit log has to hold."""
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
