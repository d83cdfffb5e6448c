"""The state that a log leads to: what a client shows that knows every message of its channels."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Data = dict[str, Any]

SHOWN = ("name", "topic", "kind", "archived", "member_count", "role", "muted", "notify")
"""What a channel's row shows as the server said it."""
DELETED = {"deleted": True, "body": "", "reactions": [], "pinned": False}


@dataclass
class Known:
    """What is known of a message: the whole of it as it was at some rev, and changes of a part of it that came later.

    A change may come before the whole, which is being fetched then.
    """

    whole: Data | None = None
    changes: list[Data] = field(default_factory=list)

    def take(self, message: Data) -> None:
        if self.whole is None or message["rev"] > self.whole["rev"]:
            self.whole = message
            self.changes = [change for change in self.changes if change["rev"] > message["rev"]]

    def change(self, change: Data) -> None:
        if self.whole is None or change["rev"] > self.whole["rev"]:
            self.changes.append(change)

    @property
    def shown(self) -> Data | None:
        """None while it is unknown, and when it is deleted."""
        if self.whole is None:
            return None
        shown = dict(self.whole)
        for change in self.changes:
            shown |= change
        return None if shown["deleted"] else shown


class Mentioned(NamedTuple):
    """Whether a message names the reader, by the highest rev that said something of it."""

    rev: int
    named: bool


@dataclass
class Channel:
    shown: Data
    last_read_id: int
    read_version: int
    present: dict[int, bool]
    """Of a direct channel: whether each of its people is in it still."""
    messages: dict[int, Known] = field(default_factory=dict)
    mentions: dict[int, Mentioned] = field(default_factory=dict)
    whole_up_to: int = 0
    """The rev up to which nothing is missing, as the server said it."""
    newest_rev: int = 0
    """The highest rev that the messages here hold."""

    @classmethod
    def of(cls, payload: Data) -> "Channel":
        present = {user["id"]: user["active"] for user in payload.get("members", ())}
        return cls(_shown(payload), payload["last_read_id"], payload["read_version"], present)

    def known(self, pk: int, rev: int) -> Known:
        self.newest_rev = max(self.newest_rev, rev)
        return self.messages.setdefault(pk, Known())

    def mention(self, pk: int, rev: int, *, named: bool) -> None:
        if pk not in self.mentions or rev > self.mentions[pk].rev:
            self.mentions[pk] = Mentioned(rev, named)

    def unread(self, reader_id: int) -> int:
        return sum(
            shown["author"]["id"] != reader_id
            for pk, known in self.messages.items()
            if pk > self.last_read_id and (shown := known.shown) is not None
        )

    def unread_mentions(self) -> int:
        return sum(pk > self.last_read_id and mention.named for pk, mention in self.mentions.items())

    def unread_in_thread(self, thread: Data, reader_id: int) -> int:
        return sum(
            shown["thread_root_id"] == thread["thread_root_id"] and shown["author"]["id"] != reader_id
            for pk, known in self.messages.items()
            if pk > thread["last_read_id"] and (shown := known.shown) is not None
        )


class Presence(NamedTuple):
    """Somebody's presence as it is known. Of two, the one with the higher version is true."""

    version: int
    status: str
    text: str
    emoji: str

    @classmethod
    def of(cls, payload: Data) -> "Presence":
        return cls(payload["version"], payload["status"], payload["status_text"], payload["status_emoji"])


class Name(NamedTuple):
    """How somebody is called, and at which of all changes of names that was told; 0 when it was only seen."""

    shown: str
    told: int


Facts = dict[int, dict[str, Any]]
"""Everything that is shown, for comparing: by channel, and under 0 what belongs to none."""


class State:
    def __init__(self, user_id: int) -> None:
        self.user_id = user_id
        self.channels: dict[int, Channel] = {}
        self.workspaces: dict[int, Data] = {}
        self.threads: dict[int, Data] = {}
        self.presence: dict[int, Presence] = {}
        self.names: dict[int, Name] = {}
        self.renamed = 0
        """How many changes of names were told."""

    @property
    def facts(self) -> Facts:
        facts = {pk: self._facts_of(channel) for pk, channel in sorted(self.channels.items())}
        return facts | {0: {"workspaces": self.workspaces, "threads": self._shown_threads()}}

    def boot(self, answer: Data) -> None:
        """Take the answer of client.boot. What is known of messages stays; message.changes brings it up to date."""
        self.presence = {payload["user_id"]: Presence.of(payload) for payload in answer["presence"]}
        self.workspaces = {row["id"]: row for row in answer["workspaces"]}
        self.threads = {row["thread_root_id"]: row for row in answer["threads"]}
        self.names = {}
        known, self.channels = self.channels, {}
        for payload in answer["channels"]:
            fresh = self.add(payload)
            if (before := known.get(payload["id"])) is not None:
                fresh.messages, fresh.whole_up_to, fresh.newest_rev = (
                    *(before.messages, before.whole_up_to),
                    before.newest_rev,
                )

    def add(self, payload: Data) -> Channel:
        return self.channels.setdefault(payload["id"], Channel.of(payload))

    def apply(self, name: str, data: Data) -> None:
        match name:
            case "message.created" | "message.updated":
                self.take(data["message"])
            case "channel.added":
                self.add(data["channel"])
            case "channel.removed":
                self._remove(data["channel_id"])
            case "thread.updated":
                self._thread(data["thread"], newer=False)
            case "mention.created":
                self.name_me(data["mention"])
            case "presence.updated":
                self.see(data)
            case "user.updated":
                self.renamed += 1
                self.names[data["user"]["id"]] = Name(data["user"]["display_name"], self.renamed)
            case "workspace.member_joined" | "workspace.member_left" | "workspace.updated":
                self._workspace(name, data)
            case _:
                pk = data["channel"]["id"] if "channel" in data else data.get("channel_id", 0)
                if (channel := self.channels.get(pk)) is not None:
                    _change(channel, name, data)

    def take(self, message: Data, *, asked_after: int | None = None) -> None:
        """A message as the server has it; of a fetched one, after how many changes of names it was asked for."""
        if (channel := self.channels.get(message["channel_id"])) is not None:
            channel.known(message["id"], message["rev"]).take(message)
            self.call(message["author"], asked_after)

    def call(self, user: Data, asked_after: int | None) -> None:
        """How somebody is called. What a fetch says is newer than what was told before it was asked for."""
        known = self.names.get(user["id"])
        if known is None or (asked_after is not None and known.told <= asked_after):
            self.names[user["id"]] = Name(user["display_name"], 0 if known is None else known.told)

    def nameless(self) -> dict[int, int]:
        """Authors of whom it is not known how they are called, each with a message of theirs."""
        shown = [
            one for channel in self.channels.values() for known in channel.messages.values() if (one := known.shown)
        ]
        return {one["author"]["id"]: one["id"] for one in shown if one["author"]["id"] not in self.names}

    def follow(self, threads: Iterable[Data]) -> None:
        """Threads as a fetch has them: what was told of them since is as new or newer."""
        for thread in threads:
            self._thread(thread, newer=True)

    def name_me(self, mention: Data) -> None:
        if (channel := self.channels.get(mention["channel_id"])) is not None:
            channel.mention(mention["message_id"], mention["rev"], named=True)

    def see(self, payload: Data) -> None:
        told = Presence.of(payload)
        if (known := self.presence.get(payload["user_id"])) is None or told.version > known.version:
            self.presence[payload["user_id"]] = told

    def told_wrong(self, name: str, data: Data) -> str | None:
        """What is wrong with the counts of an event that was just applied, if all that they hold is known and no more.

        Nothing of what the state needs may be missing.
        """
        thread = data.get("thread")
        pk = data["channel_id"] if name == "read.updated" else 0 if thread is None else thread["channel_id"]
        channel = self.channels.get(pk)
        if channel is None or channel.newest_rev > (data if thread is None else thread)["rev"]:
            return None
        if thread is None and data["version"] != channel.read_version:
            return None  # It is older than what was fetched.
        if thread is None:
            told = {count: data[count] for count in ("last_read_id", "unread_count", "mention_count")}
            counts = [channel.last_read_id, channel.unread(self.user_id), channel.unread_mentions()]
        else:
            told = {"unread_count": thread["unread_count"]}
            counts = [channel.unread_in_thread(thread, self.user_id) if thread["following"] else 0]
        true = dict(zip(told, counts, strict=True))
        return None if told == true else f"{name} of {pk} said {told}, the messages say {true}: {data}"

    def _facts_of(self, channel: Channel) -> dict[str, Any]:
        messages = {pk: shown for pk, known in sorted(channel.messages.items()) if (shown := known.shown)}
        return channel.shown | {
            "present": channel.present,
            "last_read_id": channel.last_read_id,
            "read_version": channel.read_version,
            "unread_count": channel.unread(self.user_id),
            "mention_count": channel.unread_mentions(),
            "mentions": sorted(pk for pk, mention in channel.mentions.items() if mention.named),
            "messages": {
                pk: message_facts(shown, self._name_of(shown["author"]["id"])) for pk, shown in messages.items()
            },
        }

    def _name_of(self, user_id: int) -> str:
        known = self.names.get(user_id)
        return "unknown" if known is None else known.shown

    def _shown_threads(self) -> dict[int, Data]:
        return {
            pk: thread_facts(thread)
            for pk, thread in sorted(self.threads.items())
            if thread["following"] and (thread["reply_count"] or self._root(thread) is not None)
        }

    def _root(self, thread: Data) -> Data | None:
        channel = self.channels.get(thread["channel_id"])
        known = None if channel is None else channel.messages.get(thread["thread_root_id"])
        return None if known is None else known.shown

    def _thread(self, thread: Data, *, newer: bool) -> None:
        """Of two with the same rev the later in the stream is true."""
        known = self.threads.get(thread["thread_root_id"])
        if known is None or thread["rev"] > known["rev"] or (thread["rev"] == known["rev"] and not newer):
            self.threads[thread["thread_root_id"]] = thread

    def _remove(self, channel_id: int) -> None:
        self.channels.pop(channel_id, None)
        self.threads = {pk: thread for pk, thread in self.threads.items() if thread["channel_id"] != channel_id}

    def _workspace(self, name: str, data: Data) -> None:
        if name == "workspace.member_left":
            pk, user_id = data["workspace_id"], data["user_id"]
            if user_id == self.user_id:
                self.workspaces.pop(pk, None)
            else:
                self.presence.pop(user_id, None)
                if pk in self.workspaces:
                    self.workspaces[pk] = self.workspaces[pk] | {"member_count": data["member_count"]}
            return
        workspace, member = data["workspace"], data.get("member")
        mine = self.workspaces.get(workspace["id"], {"role": "", "silenced_until": None})
        if name == "workspace.member_joined" and data["user"]["id"] == self.user_id:
            mine = mine | {"role": data["role"]}
        elif workspace["id"] not in self.workspaces:
            return
        if member is not None and member["user_id"] == self.user_id:
            mine = mine | {"role": member["role"]}
        self.workspaces[workspace["id"]] = mine | workspace


def message_facts(message: Data, author: str) -> tuple[Any, ...]:
    """What a message shows."""
    reactions = [(one["emoji"], *one["user_ids"]) for one in message["reactions"]]
    parts = [message[name] for name in ("rev", "body", "html", "edited_at", "pinned", "reply_count", "thread_root_id")]
    return (author, *parts, reactions)


def thread_facts(thread: Data) -> Data:
    """Without the rev, which rises with what concerns no thread."""
    return {name: thread[name] for name in ("last_read_id", "unread_count", "reply_count", "latest_reply_id")}


def _shown(payload: Data) -> Data:
    return {name: payload[name] for name in SHOWN if name in payload}


def _change(channel: Channel, name: str, data: Data) -> None:
    match name:
        case "message.deleted":
            channel.known(data["message_id"], data["rev"]).change({"rev": data["rev"], **DELETED})
        case "message.reacted":
            channel.known(data["message_id"], data["rev"]).change({"rev": data["rev"], "reactions": data["reactions"]})
        case "message.pinned":
            channel.known(data["message_id"], data["rev"]).change({"rev": data["rev"], "pinned": data["pinned"]})
        case "mention.deleted":
            channel.mention(data["message_id"], data["rev"], named=False)
        case "read.updated" if data["version"] > channel.read_version:
            channel.last_read_id, channel.read_version = data["last_read_id"], data["version"]
        case "channel.updated":
            channel.shown |= _shown(data["channel"])
        case "channel.member_joined" | "channel.member_left":
            channel.shown["member_count"] = data["member_count"]
            user_id = data["user"]["id"] if "user" in data else data["user_id"]
            if user_id in channel.present:
                channel.present[user_id] = name == "channel.member_joined"
