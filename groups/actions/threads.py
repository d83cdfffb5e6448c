from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from groups.actions.followers import THREAD_FOLLOWERS, told_to
from groups.actions.messages import lock_message
from groups.models import Message, ThreadFollower, User
from realtime.errors import Conflict
from realtime.publish import publish_all


def follow_thread(*, follower: User, message_id: int) -> Message:
    """Follow the replies to a message from now on. Who follows already changes nothing.

    Raises Conflict when the thread has THREAD_FOLLOWERS.
    """
    with transaction.atomic():
        root = _lock_root(follower, message_id)
        row = root.followers.filter(user=follower).first() or ThreadFollower(root=root, user=follower, following=False)
        if not row.following:
            if root.deleted:
                raise Message.DoesNotExist
            if root.followers.filter(following=True).count() >= THREAD_FOLLOWERS:
                raise Conflict("thread_full", _("This thread has as many followers as a thread can have."))
            row.following = True
            row.last_read_id = max(row.last_read_id, _latest_reply_id(root))
            row.save()
            publish_all(told_to(root.followers.filter(pk=row.pk)))
    return root


def unfollow_thread(*, follower: User, message_id: int) -> Message:
    """Hear nothing more of a thread; writing in it or being named in it does not change that."""
    with transaction.atomic():
        root = _lock_root(follower, message_id)
        row = root.followers.filter(user=follower, following=True).first()
        if row is not None:
            row.following = False
            row.save(update_fields=["following"])
            publish_all(told_to(root.followers.filter(pk=row.pk)))
    return root


def mark_thread_read(*, reader: User, message_id: int, last_read_id: int) -> Message:
    """Move a follower's place in a thread forward. A lower id leaves it where it is; who does not follow has none."""
    with transaction.atomic():
        root = _lock_root(reader, message_id)
        in_thread = Message.objects.filter(Q(pk=root.pk) | Q(thread_root=root), pk=last_read_id)
        if last_read_id and not in_thread.exists():
            raise ValidationError({"last_read_id": _("There is no such message in this thread.")})
        row = root.followers.filter(user=reader, following=True).first()
        if row is not None and last_read_id > row.last_read_id:
            row.last_read_id = last_read_id
            row.save(update_fields=["last_read_id"])
            publish_all(told_to(root.followers.filter(pk=row.pk)))
    return root


def _lock_root(user: User, message_id: int) -> Message:
    """A message that begins or may begin a thread, under the lock of its channel."""
    _channel, root = lock_message(user, message_id, deleted_too=True)
    if root.thread_root_id is not None:
        raise ValidationError({"message_id": _("A reply cannot begin a thread of its own.")})
    return root


def _latest_reply_id(root: Message) -> int:
    return root.replies.order_by("-pk").values_list("pk", flat=True).first() or 0
