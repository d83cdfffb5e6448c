"""What a user's stream lets out when it is read later: rights of now, texts of now."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import orjson

from groups.events import LEFT, PROFILE
from groups.models import ChannelMember, Message, WorkspaceMember, people
from groups.payloads import message_payload
from realtime.reading import revises
from realtime.relay import refreshes
from realtime.streams import REDACTED, Entry


@revises("user")
def revise(user_id: int, entries: Sequence[tuple[int, Entry]]) -> list[tuple[int, Entry]]:
    """The entries for a reader: redacted where they lost the right, with the current text where it changed since."""
    stored = [entry for _, entry in entries]
    channels = ChannelMember.objects.filter(user=user_id, channel__in=_ids(stored, "channel"))
    workspaces = WorkspaceMember.objects.filter(user=user_id, workspace__in=_ids(stored, "workspace"))
    profiles = _ids(stored, PROFILE)
    visible = people.visible_to(user_id).filter(user__in=_ids(stored, "user") | profiles)
    seen = {user_id, *visible.values_list("user_id", flat=True)}
    unseen = profiles - seen
    may_read = {
        "channel": set(channels.values_list("channel_id", flat=True)),
        "workspace": set(workspaces.values_list("workspace_id", flat=True)),
        "user": seen,
        PROFILE: seen | (people.authors_read_by(user_id, unseen) if unseen else set()),
    }

    def may(entry: Entry) -> bool:
        left = entry.about.get(LEFT) == user_id
        return left or all(entry.about[kind] in ids for kind, ids in may_read.items() if kind in entry.about)

    current = with_current_texts(stored)
    return [
        (seq, entry if may(entry) else replace(entry, body=REDACTED))
        for (seq, _), entry in zip(entries, current, strict=True)
    ]


@refreshes
def with_current_texts(entries: Sequence[Entry]) -> list[Entry]:
    """The entries with the texts of now: an edited one in its current form, a deleted one without."""
    messages = Message.objects.with_payload().in_bulk(list(_ids(entries, "message")))

    def current(entry: Entry) -> Entry:
        if "message" not in entry.about:
            return entry
        message = messages.get(entry.about["message"])
        if message is None:
            return replace(entry, body=REDACTED)
        if message.rev == entry.about["rev"]:
            return entry
        return replace(entry, body=_with_current(entry.body, message))

    return [current(entry) for entry in entries]


def _ids(entries: Iterable[Entry], kind: str) -> set[int]:
    return {entry.about[kind] for entry in entries if kind in entry.about}


def _with_current(body: bytes, message: Message) -> bytes:
    frame = orjson.loads(b"{" + body)
    frame["data"]["message"] = message_payload(message)
    return orjson.dumps(frame)[1:]
