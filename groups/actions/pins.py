from django.db import transaction
from django.utils.translation import gettext as _

from groups import roles
from groups.actions.locks import check_writable
from groups.actions.messages import lock_message
from groups.actions.silence import check_not_silenced
from groups.audiences import members_of
from groups.events import MessagePinned
from groups.models import Channel, Message, User
from groups.roles import Deed
from realtime import clock
from realtime.errors import Conflict
from realtime.publish import publish

PINS_PER_CHANNEL = 100


def pin_message(*, pinner: User, message_id: int) -> Message:
    """Pin a message to its channel. One that is pinned already stays as it is, whoever did it.

    Every member may who is no guest. Raises Conflict when the channel has PINS_PER_CHANNEL.
    """
    with transaction.atomic():
        channel, message = _lock_for(pinner, message_id)
        if message.pinned_at is not None:
            return message
        if channel.messages.pinned().count() >= PINS_PER_CHANNEL:
            limit = {"limit": PINS_PER_CHANNEL}
            raise Conflict("too_many_pins", _("The channel has %(limit)d pinned messages already.") % limit)
        message.pinned_at, message.pinned_by = clock.now(), pinner
        _tell(channel, message, pinner)
    return message


def unpin_message(*, pinner: User, message_id: int) -> Message:
    """Take a pin off, one's own or that of somebody else. Without a pin nothing changes."""
    with transaction.atomic():
        channel, message = _lock_for(pinner, message_id)
        if message.pinned_at is None:
            return message
        message.pinned_at = message.pinned_by = None
        _tell(channel, message, pinner)
    return message


def _lock_for(pinner: User, message_id: int) -> tuple[Channel, Message]:
    channel, message = lock_message(pinner, message_id)
    roles.check(pinner, Deed.PIN, channel)
    check_writable(channel)
    check_not_silenced(pinner, channel.workspace_id)
    return channel, message


def _tell(channel: Channel, message: Message, pinner: User) -> None:
    message.rev = channel.next_rev()
    message.save(update_fields=["pinned_at", "pinned_by", "rev"])
    channel.save(update_fields=["rev"])
    pinned = MessagePinned(
        message_id=message.pk,
        channel_id=channel.pk,
        pinned=message.pinned_at is not None,
        user_id=pinner.pk,
        rev=message.rev,
    )
    publish(pinned, to=members_of(channel), order=channel.order)
