from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils.translation import gettext as _

from groups import roles
from groups.actions.audit import record
from groups.actions.followers import Reply, told_of_naming, told_of_threads
from groups.actions.locks import check_writable, lock_channel, lock_channel_of
from groups.actions.mentions import created_of, deleted_of, people_in, permit_edit, remove_mentions, replace_mentions
from groups.actions.sending import checked_body
from groups.actions.silence import check_not_silenced
from groups.audiences import members_of
from groups.events import MessageCreated, MessageDeleted, MessageUpdated
from groups.markdown import parse
from groups.models import Channel, Message, User
from groups.models.audit import AuditAction
from groups.payloads import message_payload
from groups.roles import Deed
from realtime import clock
from realtime.publish import publish, publish_all


def lock_message(user: User, message_id: int, *, deleted_too: bool = False) -> tuple[Channel, Message]:
    """A message that the user may read, and its channel, which stays locked until the transaction ends."""
    found = Message.objects.open_to(user).filter(pk=message_id).values_list("channel_id", flat=True).first()
    if found is None:
        raise Message.DoesNotExist
    channel = lock_channel(user, found)
    messages = Message.objects.with_payload().select_related("thread_root__author")
    return channel, (messages if deleted_too else messages.shown()).get(pk=message_id)


def edit_message(*, editor: User, message_id: int, body: str, confirm_mentions: bool = False) -> Message:
    """Replace the text of one's own message; the earlier text is kept. The same text again changes nothing.

    Who is named now and was not is told, and who was and is not any more. A text that names @channel or @here, and did
    not, needs what it needs when it is sent.
    """
    body = checked_body(body)
    text = parse(body)
    permit = permit_edit(editor=editor, message_id=message_id, text=text, body=body, confirmed=confirm_mentions)
    with transaction.atomic():
        channel, message = lock_message(editor, message_id)
        if message.author_id != editor.pk:
            raise PermissionDenied(_("Only its author may edit a message."))
        check_writable(channel)
        check_not_silenced(editor, channel.workspace_id)
        if message.body == body:
            return message
        people = people_in([(channel.pk, text, permit)])
        named = people.named_in(text, author_id=editor.pk, channel_id=channel.pk, permit=permit)
        replaced = replace_mentions(message, named)
        now = clock.now()
        message.versions.create(body=message.body, replaced_at=now)
        message.body, message.html, message.edited_at = body, named.html, now
        message.rev = channel.next_rev()
        message.save(update_fields=["body", "html", "edited_at", "rev"])
        channel.save(update_fields=["rev"])
        payload = message_payload(message)
        _publish(MessageUpdated(payload), channel)
        publish_all(
            [
                *deleted_of(message, replaced.removed),
                *created_of(message, payload, replaced.added),
                *(told_of_naming(Reply(message, replaced.by_name)) if replaced.by_name else ()),
            ]
        )
    return message


def delete_message(*, deleter: User, message_id: int, as_moderator: bool = False, reason: str = "") -> Message:
    """Erase the text of a message everywhere and leave a tombstone. Deleting it again changes nothing.

    The author, the channel's admins and the workspace's moderators may. `as_moderator` is for doors that have checked
    a right over the whole site, as the admin site does. A deletion by others is in the audit log, with the reason.
    """
    with transaction.atomic():
        if as_moderator:
            channel = lock_channel_of(message_id)
            message = Message.objects.with_payload().get(pk=message_id)
        else:
            channel, message = lock_message(deleter, message_id, deleted_too=True)
            if message.author_id != deleter.pk:
                roles.check(deleter, Deed.DELETE_MESSAGE, channel)
        if message.deleted:
            return message
        message.versions.all().delete()
        message.reactions.all().delete()
        unnamed = remove_mentions(message)
        message.body = message.html = ""
        message.pinned_at = message.pinned_by = None
        message.deleted_at, message.deleted_by = clock.now(), deleter
        message.rev = channel.next_rev()
        message.save(update_fields=["body", "html", "pinned_at", "pinned_by", "deleted_at", "deleted_by", "rev"])
        deleted = MessageDeleted(
            message_id=message.pk,
            channel_id=channel.pk,
            author_id=message.author_id,
            thread_root_id=message.thread_root_id,
            rev=message.rev,
        )
        _publish(deleted, channel)
        publish_all(deleted_of(message, unnamed))
        if (root := message.thread_root) is not None:
            root.reply_count -= 1
            root.rev = channel.next_rev()
            root.save(update_fields=["reply_count", "rev"])
            _publish(MessageUpdated(message_payload(root)), channel)
        channel.save(update_fields=["rev"])
        if as_moderator or message.author_id != deleter.pk:
            _record_deletion(deleter, channel, message, reason)
        publish_all(told_of_threads([message.thread_root_id or message.pk]))
    return message


def _record_deletion(moderator: User, channel: Channel, message: Message, reason: str) -> None:
    record(
        actor=moderator,
        action=AuditAction.MESSAGE_DELETED,
        target=f"message:{message.pk}",
        workspace_id=channel.workspace_id,
        reason=reason,
        channel_id=channel.pk,
        author_id=message.author_id,
    )


def _publish(event: MessageCreated | MessageUpdated | MessageDeleted, channel: Channel) -> None:
    publish(event, to=members_of(channel), order=channel.order)
