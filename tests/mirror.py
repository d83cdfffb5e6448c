"""A client without a network: it takes client.boot and message.changes once, and from then on only events."""

from collections.abc import Callable
from typing import Any

from tests.cast import Door

Data = dict[str, Any]


class Mirror:
    """What somebody's client knows. After any events its `facts` equal those of a mirror that was made just now."""

    def __init__(self, call: Door) -> None:
        self.call = call
        self.boot()

    def boot(self) -> None:
        answer = self._ask("client.boot")
        self.me: Data = answer["me"]
        self.workspaces: dict[int, Data] = {row["id"]: row for row in answer["workspaces"]}
        self.channels: dict[int, Data] = {}
        self.messages: dict[int, dict[int, Data]] = {}
        self.threads: dict[int, Data] = {row["thread_root_id"]: row for row in answer["threads"]}
        for channel in answer["channels"]:
            self._open(channel)

    @property
    def facts(self) -> Data:
        """Everything that a page shows. Without revs, which count what a page does not show, too."""
        return {
            "me": self.me,
            "workspaces": self.workspaces,
            "channels": {pk: _without(channel, "rev") for pk, channel in sorted(self.channels.items())},
            "messages": {
                pk: [message for _, message in sorted(self.messages[pk].items()) if not message["deleted"]]
                for pk in sorted(self.channels)
            },
            "threads": {
                pk: _without(thread, "rev")
                for pk, thread in sorted(self.threads.items())
                if thread["following"] and thread["unread_count"]
            },
        }

    def apply(self, name: str, data: Data) -> None:
        """One event of the stream. An event that this client does not know is an error: the contract lists them all."""
        APPLY[name](self, data)

    def _ask(self, method: str, **params: Any) -> Data:
        answer = self.call(method, **params)
        assert answer.status == 200, answer
        body: Data = answer.body
        return body

    def _open(self, channel: Data) -> None:
        """Show a channel and load its messages; those of events that follow are known already then."""
        pk, since_rev = channel["id"], 0
        self.channels[pk], self.messages[pk] = dict(channel), {}
        while True:
            page = self._ask("message.changes", channel_id=pk, since_rev=since_rev, limit=200)
            self.messages[pk].update({message["id"]: message for message in page["changes"]})
            since_rev = page["rev"]
            if not page["has_more"]:
                return

    def _place(self, message: Data) -> None:
        messages = self.messages[message["channel_id"]]
        known = messages.get(message["id"])
        if known is None or message["rev"] > known["rev"]:
            messages[message["id"]] = message

    def _patch(self, data: Data, **fields: Any) -> None:
        known = self.messages[data["channel_id"]][data["message_id"]]
        if data["rev"] > known["rev"]:
            self._place({**known, **fields, "rev": data["rev"]})

    def _counts(self, author_id: int, channel: Data, message_id: int) -> bool:
        return bool(author_id != self.me["id"] and message_id > channel["last_read_id"])

    def message_created(self, data: Data) -> None:
        message = data["message"]
        channel = self.channels[message["channel_id"]]
        self._place(message)
        channel["latest_message_id"] = message["id"]
        channel["unread_count"] += self._counts(message["author"]["id"], channel, message["id"])

    def message_updated(self, data: Data) -> None:
        self._place(data["message"])

    def message_deleted(self, data: Data) -> None:
        channel = self.channels[data["channel_id"]]
        self._patch(data, body="", html="", deleted=True, reactions=[], pinned=False)
        channel["unread_count"] -= self._counts(data["author_id"], channel, data["message_id"])

    def message_reacted(self, data: Data) -> None:
        self._patch(data, reactions=data["reactions"])

    def message_pinned(self, data: Data) -> None:
        self._patch(data, pinned=data["pinned"])

    def mention_created(self, data: Data) -> None:
        mention = data["mention"]
        channel = self.channels[mention["channel_id"]]
        channel["mention_count"] += mention["message_id"] > channel["last_read_id"]

    def mention_deleted(self, data: Data) -> None:
        channel = self.channels[data["channel_id"]]
        channel["mention_count"] -= data["message_id"] > channel["last_read_id"]

    def thread_updated(self, data: Data) -> None:
        self.threads[data["thread"]["thread_root_id"]] = data["thread"]

    def channel_added(self, data: Data) -> None:
        self._open(data["channel"])

    def channel_updated(self, data: Data) -> None:
        self.channels[data["channel"]["id"]].update(data["channel"])

    def channel_removed(self, data: Data) -> None:
        pk = data["channel_id"]
        del self.channels[pk], self.messages[pk]
        self.threads = {root: thread for root, thread in self.threads.items() if thread["channel_id"] != pk}

    def channel_member_joined(self, data: Data) -> None:
        self.channels[data["channel_id"]]["member_count"] = data["member_count"]
        self._show_in_direct(data["channel_id"], data["user"])

    def channel_member_left(self, data: Data) -> None:
        channel = self.channels[data["channel_id"]]
        channel["member_count"] = data["member_count"]
        for user in channel.get("members", ()):
            if user["id"] == data["user_id"]:
                # The channel stays named after them; their profile is no longer shown.
                nothing = {"display_name": user["username"], "avatar_url": None, "time_zone": "", "active": False}
                self._show_in_direct(data["channel_id"], {**user, **nothing})

    def _show_in_direct(self, channel_id: int, shown: Data) -> None:
        channel = self.channels[channel_id]
        if "members" in channel:
            channel["members"] = [shown if user["id"] == shown["id"] else user for user in channel["members"]]

    def read_updated(self, data: Data) -> None:
        channel = self.channels[data["channel_id"]]
        if data["version"] > channel["read_version"]:
            counts = {name: data[name] for name in ("last_read_id", "unread_count", "mention_count")}
            channel.update(counts, read_version=data["version"])

    def workspace_updated(self, data: Data) -> None:
        workspace = self.workspaces[data["workspace"]["id"]]
        workspace.update(data["workspace"])
        member = data["member"]
        if member is not None and member["user_id"] == self.me["id"]:
            workspace["role"] = member["role"]

    def workspace_member_joined(self, data: Data) -> None:
        workspace = data["workspace"]
        if data["user"]["id"] == self.me["id"]:
            self.workspaces[workspace["id"]] = {**workspace, "role": data["role"], "silenced_until": None}
        else:
            self.workspaces[workspace["id"]].update(workspace)

    def workspace_member_left(self, data: Data) -> None:
        pk = data["workspace_id"]
        if data["user_id"] == self.me["id"]:
            del self.workspaces[pk]
        else:
            self.workspaces[pk]["member_count"] = data["member_count"]

    def user_updated(self, data: Data) -> None:
        user = data["user"]
        shown = {name: user[name] for name in ("id", "username", "display_name", "avatar_url")}
        profile = shown | {name: user[name] for name in ("active", "time_zone")}
        for messages in self.messages.values():
            for pk, message in messages.items():
                if message["author"]["id"] == user["id"]:
                    messages[pk] = {**message, "author": shown}
        for channel in self.channels.values():
            if "members" in channel:
                channel["members"] = [profile if one["id"] == user["id"] else one for one in channel["members"]]
        if user["id"] == self.me["id"]:
            self.me = {**self.me, **user}

    def sync_reset(self, data: Data) -> None:
        self.boot()

    def presence_updated(self, data: Data) -> None:
        """Proven by its own tests: it depends on sessions, and there are none here."""


APPLY: dict[str, Callable[[Mirror, Data], None]] = {
    name.replace("_", ".", 1): getattr(Mirror, name)
    for name in vars(Mirror)
    if name.split("_")[0]
    in {"message", "mention", "thread", "channel", "read", "workspace", "user", "sync", "presence"}
}


def _without(row: Data, key: str) -> Data:
    return {name: value for name, value in row.items() if name != key}


def differences(known: Any, fresh: Any, path: str = "") -> list[str]:
    """Where two facts differ, one line each."""
    if isinstance(known, dict) and isinstance(fresh, dict):
        return [
            line
            for key in sorted(known.keys() | fresh.keys(), key=str)
            for line in differences(known.get(key), fresh.get(key), f"{path}/{key}")
        ]
    if isinstance(known, list) and isinstance(fresh, list) and len(known) == len(fresh):
        return [
            line
            for index, pair in enumerate(zip(known, fresh, strict=True))
            for line in differences(*pair, f"{path}/{index}")
        ]
    return [] if known == fresh else [f"{path}: it knows {known!r}, a fresh login shows {fresh!r}"]
