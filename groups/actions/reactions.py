from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from groups.actions.locks import check_writable
from groups.actions.messages import lock_message
from groups.actions.silence import check_not_silenced
from groups.audiences import members_of
from groups.emoji import canonical_emoji
from groups.events import MessageReacted
from groups.models import Message, User
from groups.payloads import reaction_payloads
from realtime import limits
from realtime.errors import Conflict
from realtime.publish import publish

REACTIONS_PER_MESSAGE = 50
"""Different emoji."""
REACTIONS_IN_ALL = 5000
"""Of all people to one message. Each change tells everybody all of them, about seven bytes for each."""


def react(*, reactor: User, message_id: int, emoji: str) -> Message:
    """Give a message an emoji. The same one again changes nothing.

    Raises Conflict when the message has too many, and RateLimited past REACT_PER_MINUTE.
    """
    return _set(reactor, message_id, emoji, given=True)


def unreact(*, reactor: User, message_id: int, emoji: str) -> Message:
    """Take back an emoji that one gave. One that was not given changes nothing."""
    return _set(reactor, message_id, emoji, given=False)


def toggle_react(*, reactor: User, message_id: int, emoji: str) -> Message:
    """Give an emoji, or take it back where it was given. Each call is a change, so this must not be retried."""
    return _set(reactor, message_id, emoji, given=None)


def _set(reactor: User, message_id: int, emoji: str, *, given: bool | None) -> Message:
    """Let an emoji of somebody be given or not; None for the other one of both."""
    emoji = canonical_emoji(emoji)
    per_minute = settings.REACT_PER_MINUTE
    limits.spend(f"react:{reactor.pk}", per_minute=per_minute, burst=max(1, per_minute))
    with transaction.atomic():
        channel, message = lock_message(reactor, message_id)
        check_writable(channel)
        check_not_silenced(reactor, channel.workspace_id)
        was_given = any(one.user_id == reactor.pk and one.emoji == emoji for one in message.reactions.all())
        if given is None:
            given = not was_given
        if given == was_given:
            return message
        if given:
            _check_room(message, emoji)
            message.reactions.create(user=reactor, emoji=emoji)
        else:
            message.reactions.filter(user=reactor, emoji=emoji).delete()
        Message.objects.filter(pk=message.pk).update(rev=channel.next_rev())
        channel.save(update_fields=["rev"])
        message = Message.objects.with_payload().get(pk=message.pk)
        reacted = MessageReacted(
            message_id=message.pk, channel_id=channel.pk, reactions=reaction_payloads(message), rev=message.rev
        )
        publish(reacted, to=members_of(channel), order=channel.order)
    return message


def _check_room(message: Message, emoji: str) -> None:
    """For one more reaction to a message whose reactions were read under the lock."""
    reactions = message.reactions.all()
    if len({one.emoji for one in reactions} - {emoji}) >= REACTIONS_PER_MESSAGE:
        told = _("The message has %(limit)d different emoji already.") % {"limit": REACTIONS_PER_MESSAGE}
        raise Conflict("too_many_reactions", told)
    if len(reactions) >= REACTIONS_IN_ALL:
        told = _("The message has %(limit)d reactions already.") % {"limit": REACTIONS_IN_ALL}
        raise Conflict("too_many_reactions", told)
