import hashlib
from typing import NamedTuple

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from groups.actions.channels import lock_channel, lock_channel_of
from groups.audiences import members_of
from groups.events import MessageCreated, MessageDeleted, MessageUpdated
from groups.markdown import render
from groups.models import Channel, Message, User
from groups.models.channel import ChannelRole
from groups.models.workspace import MODERATORS
from groups.payloads import message_payload
from realtime import clock, limits
from realtime.errors import Conflict
from realtime.publish import publish


class Sent(NamedTuple):
    message: Message
    duplicate: bool


def send_message(
    *,
    author: User,
    channel_id: int,
    body: str,
    client_msg_id: str | None = None,
    thread_root_id: int | None = None,
) -> Sent:
    """Send to a channel that the author is a member of.

    Repeated with the same `client_msg_id` and content it gives the first message and tells nobody; with other content
    it raises Conflict. Raises RateLimited past SEND_PER_MINUTE.
    """
    limits.spend(f"send:{author.pk}", per_minute=settings.SEND_PER_MINUTE, burst=settings.SEND_BURST)
    body = _checked(body)
    html = render(body)
    content_hash = _content_hash(channel_id, body, thread_root_id)
    try:
        with transaction.atomic():
            channel = lock_channel(author, channel_id)
            if (earlier := _sent_before(author, client_msg_id, content_hash)) is not None:
                return Sent(earlier, duplicate=True)
            _check_writable(channel)
            root = _thread_root(channel, thread_root_id)
            # The id is drawn under the channel's lock: a reader that has seen it has seen all lower ones.
            message = Message.objects.create(
                channel=channel,
                author=author,
                body=body,
                html=html,
                thread_root=root,
                client_msg_id=client_msg_id,
                content_hash=content_hash,
                rev=channel.next_rev(),
                created_at=clock.now(),
            )
            _publish(MessageCreated(message_payload(message)), channel)
            if root is not None:
                root.reply_count += 1
                root.rev = channel.next_rev()
                root.save(update_fields=["reply_count", "rev"])
                _publish(MessageUpdated(message_payload(root)), channel)
            channel.save(update_fields=["rev"])
    except IntegrityError:
        # The same key came at the same time for another channel, which no common lock keeps apart.
        earlier = _sent_before(author, client_msg_id, content_hash)
        if earlier is None:
            raise
        return Sent(earlier, duplicate=True)
    return Sent(message, duplicate=False)


def edit_message(*, editor: User, message_id: int, body: str) -> Message:
    """Replace the text of one's own message; the earlier text is kept. The same text again changes nothing."""
    body = _checked(body)
    html = render(body)
    with transaction.atomic():
        channel, message = _lock_message(editor, message_id)
        if message.author_id != editor.pk:
            raise PermissionDenied(_("Only its author may edit a message."))
        _check_writable(channel)
        if message.body == body:
            return message
        now = clock.now()
        message.versions.create(body=message.body, replaced_at=now)
        message.body, message.html, message.edited_at = body, html, now
        message.rev = channel.next_rev()
        message.save(update_fields=["body", "html", "edited_at", "rev"])
        channel.save(update_fields=["rev"])
        _publish(MessageUpdated(message_payload(message)), channel)
    return message


def delete_message(*, deleter: User, message_id: int, as_moderator: bool = False) -> Message:
    """Erase the text of a message everywhere and leave a tombstone. Deleting it again changes nothing.

    The author, the channel's admins and the workspace's moderators may. `as_moderator` is for doors that have checked
    a right over the whole site, as the admin site does.
    """
    with transaction.atomic():
        if as_moderator:
            channel = lock_channel_of(message_id)
            message = Message.objects.with_author().get(pk=message_id)
        else:
            channel, message = _lock_message(deleter, message_id, deleted_too=True)
            if message.author_id != deleter.pk and not _moderates(deleter, channel):
                raise PermissionDenied(_("Only its author or a moderator may delete a message."))
        if message.deleted:
            return message
        message.versions.all().delete()
        message.body = message.html = ""
        message.deleted_at, message.deleted_by = clock.now(), deleter
        message.rev = channel.next_rev()
        message.save(update_fields=["body", "html", "deleted_at", "deleted_by", "rev"])
        _publish(MessageDeleted(message_id=message.pk, channel_id=channel.pk, rev=message.rev), channel)
        if (root := message.thread_root) is not None:
            root.reply_count -= 1
            root.rev = channel.next_rev()
            root.save(update_fields=["reply_count", "rev"])
            _publish(MessageUpdated(message_payload(root)), channel)
        channel.save(update_fields=["rev"])
    return message


def _checked(body: str) -> str:
    body = body.replace("\r\n", "\n").replace("\r", "\n")
    if not body.strip():
        raise ValidationError({"body": _("Write something first.")})
    if len(body) > settings.MESSAGE_CHARACTERS:
        limit = {"limit": settings.MESSAGE_CHARACTERS, "length": len(body)}
        raise ValidationError({"body": _("At most %(limit)d characters, not %(length)d.") % limit})
    return body


def _content_hash(channel_id: int, body: str, thread_root_id: int | None) -> bytes:
    return hashlib.sha256(f"{channel_id}\n{thread_root_id or ''}\n{body}".encode()).digest()


def _sent_before(author: User, client_msg_id: str | None, content_hash: bytes) -> Message | None:
    if client_msg_id is None:
        return None
    earlier = Message.objects.with_author().filter(author=author, client_msg_id=client_msg_id).first()
    if earlier is not None and bytes(earlier.content_hash) != content_hash:
        raise Conflict("idempotency_conflict", _("This client_msg_id was used for another message."))
    return earlier


def _check_writable(channel: Channel) -> None:
    if channel.archived_at is not None:
        raise Conflict("channel_archived", _("The channel is archived."))


def _thread_root(channel: Channel, thread_root_id: int | None) -> Message | None:
    if thread_root_id is None:
        return None
    root = channel.messages.with_author().shown().filter(pk=thread_root_id).first()
    if root is None:
        raise ValidationError({"thread_root_id": _("There is no such message in this channel.")})
    if root.thread_root_id is not None:
        raise ValidationError({"thread_root_id": _("A reply cannot begin a thread of its own.")})
    return root


def _lock_message(user: User, message_id: int, *, deleted_too: bool = False) -> tuple[Channel, Message]:
    found = Message.objects.open_to(user).filter(pk=message_id).values_list("channel_id", flat=True).first()
    if found is None:
        raise Message.DoesNotExist
    channel = lock_channel(user, found)
    messages = Message.objects.select_related("author", "thread_root__author")
    return channel, (messages if deleted_too else messages.shown()).get(pk=message_id)


def _moderates(user: User, channel: Channel) -> bool:
    return (
        channel.members.filter(user=user, role=ChannelRole.ADMIN).exists()
        or channel.workspace.members.filter(user=user, role__in=MODERATORS).exists()
    )


def _publish(event: MessageCreated | MessageUpdated | MessageDeleted, channel: Channel) -> None:
    publish(event, to=members_of(channel), order=channel.order)
