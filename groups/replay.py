"""What a user's stream lets out when it is read later: rights of now, texts of now."""

from collections.abc import Sequence
from dataclasses import replace

import orjson

from groups.models import ChannelMember, Message, WorkspaceMember
from groups.payloads import message_payload
from realtime.reading import revises
from realtime.streams import REDACTED, Entry


@revises("user")
def revise(user_id: int, entries: Sequence[tuple[int, Entry]]) -> list[tuple[int, Entry]]:
    """The entries for a reader: redacted where they lost the right, with the current text where it changed since."""
    channels = ChannelMember.objects.filter(user=user_id, channel__in=_ids(entries, "channel"))
    workspaces = WorkspaceMember.objects.filter(user=user_id, workspace__in=_ids(entries, "workspace"))
    may_read = {
        "channel": set(channels.values_list("channel_id", flat=True)),
        "workspace": set(workspaces.values_list("workspace_id", flat=True)),
    }
    messages = Message.objects.with_author().in_bulk(list(_ids(entries, "message")))

    def body(entry: Entry) -> bytes:
        if any(kind in entry.about and entry.about[kind] not in ids for kind, ids in may_read.items()):
            return REDACTED
        if "message" not in entry.about:
            return entry.body
        message = messages.get(entry.about["message"])
        if message is None:
            return REDACTED
        return entry.body if message.rev == entry.about["rev"] else _with_current(entry.body, message)

    return [(seq, replace(entry, body=body(entry))) for seq, entry in entries]


def _ids(entries: Sequence[tuple[int, Entry]], kind: str) -> set[int]:
    return {entry.about[kind] for _, entry in entries if kind in entry.about}


def _with_current(body: bytes, message: Message) -> bytes:
    frame = orjson.loads(b"{" + body)
    frame["data"]["message"] = message_payload(message)
    return orjson.dumps(frame)[1:]
