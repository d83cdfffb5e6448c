from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from groups.actions.locks import refusal_of
from groups.events import ReadUpdated
from groups.models import Channel, ChannelMember, Message, ReadCursor, User
from groups.models.sidebar import with_counts_after
from realtime.publish import publish, users


class Marked(NamedTuple):
    channel_id: int
    last_read_id: int
    version: int
    unread_count: int
    mention_count: int
    rev: int


def mark_read(*, reader: User, channel_id: int, last_read_id: int) -> Marked:
    """Move the reader's cursor forward; a lower id leaves it where it is and tells nobody."""
    with transaction.atomic():
        cursor = _lock_cursor(reader, channel_id)
        if last_read_id and not Message.objects.filter(channel=channel_id, pk=last_read_id).exists():
            raise ValidationError({"last_read_id": _("There is no such message in this channel.")})
        return _move(cursor, max(last_read_id, cursor.last_read_id))


def mark_unread(*, reader: User, channel_id: int, message_id: int) -> Marked:
    """Move the reader's cursor right before a message, backwards too, so that it is unread with all after it.

    A cursor that is there already stays, and nobody is told.
    """
    with transaction.atomic():
        cursor = _lock_cursor(reader, channel_id)
        messages = Message.objects.filter(channel=channel_id)
        if not messages.filter(pk=message_id).exists():
            raise ValidationError({"message_id": _("There is no such message in this channel.")})
        before = messages.filter(pk__lt=message_id).order_by("-pk").values_list("pk", flat=True).first()
        return _move(cursor, before or 0)


def _lock_cursor(reader: User, channel_id: int) -> ReadCursor:
    cursor = ReadCursor.objects.select_for_update().filter(user=reader, channel=channel_id).first()
    if cursor is None or not ChannelMember.objects.filter(user=reader, channel=channel_id).exists():
        raise refusal_of(reader, channel_id)
    cursor.user = reader
    return cursor


def _move(cursor: ReadCursor, last_read_id: int) -> Marked:
    moved = last_read_id != cursor.last_read_id
    if moved:
        cursor.last_read_id = last_read_id
        cursor.version += 1
        cursor.save(update_fields=["last_read_id", "version"])
    # One statement, so that the counts are those of its rev.
    row = with_counts_after(last_read_id, cursor.user, Channel.objects.filter(pk=cursor.channel_id)).get()
    marked = Marked(cursor.channel_id, last_read_id, cursor.version, row.my_unread_count, row.my_mention_count, row.rev)
    if moved:
        # In the channel's order, although only the cursor is locked: what the reader has read, and their joining, were
        # committed before, so they are told before. Cursors of others have no order to this one. A message that was
        # committed after the statement may be told before this: its rev is higher than this one's, which says so.
        publish(ReadUpdated(*marked), to=users([cursor.user_id]), order=row.order)
    return marked
