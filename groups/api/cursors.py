from typing import Any, TypedDict

from groups.actions import cursors
from groups.actions.cursors import Marked
from groups.api.callers import user_of
from groups.api.fields import cursor_field, id_field
from realtime.commands import Caller, Params, method


class MarkedAnswer(TypedDict):
    channel_id: int
    last_read_id: int
    version: int
    unread_count: int
    mention_count: int
    rev: int


class MarkParams(Params):
    channel_id = id_field()
    last_read_id = cursor_field()


@method("read.mark", params=MarkParams, answer=MarkedAnswer, scope="write")
def mark(caller: Caller, params: dict[str, Any]) -> MarkedAnswer:
    """Move my read cursor forward. The answer holds where it stands, which is never lower than before."""
    return _answer(cursors.mark_read(reader=user_of(caller), **params))


class MarkUnreadParams(Params):
    channel_id = id_field()
    message_id = id_field()


@method("read.mark_unread", params=MarkUnreadParams, answer=MarkedAnswer, scope="write")
def mark_unread(caller: Caller, params: dict[str, Any]) -> MarkedAnswer:
    """Move my read cursor right before a message, backwards too, so that it is unread with all after it."""
    return _answer(cursors.mark_unread(reader=user_of(caller), **params))


def _answer(marked: Marked) -> MarkedAnswer:
    return {
        "channel_id": marked.channel_id,
        "last_read_id": marked.last_read_id,
        "version": marked.version,
        "unread_count": marked.unread_count,
        "mention_count": marked.mention_count,
        "rev": marked.rev,
    }
