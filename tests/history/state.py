"""The state that a log leads to: what a client shows that knows every message of its channels."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Shown(NamedTuple):
    """A message as it is known. Ordered by `rev`: an older state of a message changes nothing."""

    rev: int
    author_id: int
    body: str
    deleted: bool


@dataclass
class Channel:
    last_read_id: int
    member_count: int
    messages: dict[int, Shown] = field(default_factory=dict)
    whole_up_to: int = 0
    """The rev up to which nothing is missing, as the server said it."""

    def place(self, pk: int, shown: Shown) -> None:
        known = self.messages.get(pk)
        if known is None or shown.rev > known.rev:
            self.messages[pk] = shown

    def unread(self, reader_id: int) -> int:
        return sum(
            pk > self.last_read_id and shown.author_id != reader_id and not shown.deleted
            for pk, shown in self.messages.items()
        )


class Presence(NamedTuple):
    """Somebody's presence as it is known. Of two, the one with the higher version is true."""

    version: int
    status: str
    text: str
    emoji: str

    @classmethod
    def of(cls, payload: dict[str, Any]) -> "Presence":
        return cls(payload["version"], payload["status"], payload["status_text"], payload["status_emoji"])


Facts = dict[int, dict[str, Any]]


class State:
    def __init__(self, user_id: int) -> None:
        self.user_id = user_id
        self.channels: dict[int, Channel] = {}
        self.presence: dict[int, Presence] = {}

    @property
    def facts(self) -> Facts:
        """All of it, for comparing: by channel."""
        return {
            pk: {
                "last_read_id": channel.last_read_id,
                "unread_count": channel.unread(self.user_id),
                "member_count": channel.member_count,
                "messages": {
                    message_id: (shown.rev, shown.body)
                    for message_id, shown in sorted(channel.messages.items())
                    if not shown.deleted
                },
            }
            for pk, channel in sorted(self.channels.items())
        }

    def boot(self, channels: Iterable[dict[str, Any]], presence: Iterable[dict[str, Any]]) -> None:
        """Take the answer of client.boot. What is known of messages stays; message.changes brings it up to date."""
        self.presence = {payload["user_id"]: Presence.of(payload) for payload in presence}
        known, self.channels = self.channels, {}
        for payload in channels:
            fresh = self.add(payload)
            if (before := known.get(payload["id"])) is not None:
                fresh.messages, fresh.whole_up_to = before.messages, before.whole_up_to

    def add(self, payload: dict[str, Any]) -> Channel:
        return self.channels.setdefault(payload["id"], Channel(payload["last_read_id"], payload["member_count"]))

    def apply(self, name: str, data: dict[str, Any]) -> None:
        if name == "channel.added":
            self.add(data["channel"])
        elif name == "channel.removed":
            self.channels.pop(data["channel_id"], None)
        elif name in ("message.created", "message.updated"):
            self.take(data["message"])
        elif name == "presence.updated":
            told = Presence.of(data)
            if (known := self.presence.get(data["user_id"])) is None or told.version > known.version:
                self.presence[data["user_id"]] = told
        elif (channel := self.channels.get(data.get("channel_id", 0))) is not None:
            _change(channel, name, data)

    def take(self, message: dict[str, Any]) -> None:
        """A message as the server has it."""
        if (channel := self.channels.get(message["channel_id"])) is not None:
            shown = Shown(message["rev"], message["author"]["id"], message["body"], message["deleted"])
            channel.place(message["id"], shown)


def _change(channel: Channel, name: str, data: dict[str, Any]) -> None:
    if name == "message.deleted":
        channel.place(data["message_id"], Shown(data["rev"], 0, "", True))
    elif name == "read.updated":
        channel.last_read_id = max(channel.last_read_id, data["last_read_id"])
    elif name in ("channel.member_joined", "channel.member_left"):
        channel.member_count = data["member_count"]
