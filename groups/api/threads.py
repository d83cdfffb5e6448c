from typing import Any, TypedDict

from django.utils.translation import gettext as _
from rest_framework import serializers

from groups.actions.threads import follow_thread, mark_thread_read, unfollow_thread
from groups.api.callers import user_of
from groups.api.channels import readable_channel
from groups.api.fields import Fact, cursor_field, id_field, limit_field
from groups.api.messages import MessagesAnswer
from groups.models import Message, ThreadFollower, User, Workspace
from groups.payloads import MessagePayload, OwnThreadPayload, message_payload, own_thread_payload
from realtime.commands import Caller, Params, method


class ThreadAnswer(TypedDict):
    thread: OwnThreadPayload


class RepliesAnswer(MessagesAnswer):
    root: MessagePayload
    thread: OwnThreadPayload


class ListedThreadPayload(TypedDict):
    thread: OwnThreadPayload
    root: MessagePayload


class ThreadsAnswer(TypedDict):
    threads: list[ListedThreadPayload]
    has_more: bool
    next_before_id: int


def unread_threads(user: User, limit: int) -> list[OwnThreadPayload]:
    """The newest threads that a user follows and has not read."""
    rows = ThreadFollower.objects.followed_by(user).unread().with_state().order_by("-newest_id")
    return [own_thread_payload(row) for row in rows[:limit]]


class RepliesParams(Params):
    message_id = id_field()
    since_id = cursor_field(required=False)
    before_id = id_field(required=False)
    limit = limit_field()

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if values.keys() >= {"since_id", "before_id"}:
            raise serializers.ValidationError(_("Give one of since_id and before_id."))
        return values


@method("message.replies", params=RepliesParams, answer=RepliesAnswer, scope="read")
def replies(caller: Caller, params: dict[str, Any]) -> RepliesAnswer:
    """A thread: its first message, of a deleted one the tombstone, and the replies, ascending.

    With `since_id` what comes after it, with `before_id` what comes before, with neither the newest. `thread` is my own
    state of it.
    """
    user = user_of(caller)
    root = Message.objects.with_payload().select_related("channel").open_to(user).get(pk=params["message_id"])
    if root.thread_root_id is not None:
        raise serializers.ValidationError({"message_id": _("A reply cannot begin a thread of its own.")})
    # Before the replies: what comes in between has a higher rev than this, and an event of its own.
    thread = _own_thread(user, root)
    rows = Message.objects.with_payload().filter(thread_root=root)
    if (since_id := params.get("since_id")) is not None:
        page, has_more, next_since_id = rows.since(since_id, params["limit"])
    else:
        page, has_more = rows.before(params.get("before_id"), params["limit"])
        next_since_id = page[-1].pk if page else 0
    return {
        "root": message_payload(root),
        "messages": [message_payload(message) for message in page],
        "has_more": has_more,
        "next_since_id": next_since_id,
        "thread": thread,
    }


class ThreadListParams(Params):
    channel_id = id_field(required=False)
    workspace_id = id_field(required=False)
    unread = Fact(default=False)
    before_id = id_field(required=False)
    limit = limit_field()


@method("thread.list", params=ThreadListParams, answer=ThreadsAnswer, scope="read")
def list_threads(caller: Caller, params: dict[str, Any]) -> ThreadsAnswer:
    """The threads that I follow, those with the newest replies first; with `unread` only what I have not read.

    Go on with `next_before_id` as `before_id`.
    """
    user = user_of(caller)
    followed = ThreadFollower.objects.followed_by(user)
    if "channel_id" in params:
        followed = followed.filter(root__channel=readable_channel(caller, params["channel_id"]))
    if "workspace_id" in params:
        workspace = Workspace.objects.open_to(user).get(pk=params["workspace_id"])
        followed = followed.filter(root__channel__workspace=workspace)
    if params["unread"]:
        followed = followed.unread()
    rows = followed.with_state()
    if "before_id" in params:
        rows = rows.filter(newest_id__lt=params["before_id"])
    limit = params["limit"]
    rows = rows.select_related("root__author").prefetch_related("root__reactions").order_by("-newest_id")
    found = list(rows[: limit + 1])
    page = found[:limit]
    return {
        "threads": [{"thread": own_thread_payload(row), "root": message_payload(row.root)} for row in page],
        "has_more": len(found) > limit,
        "next_before_id": page[-1].newest_id if page else 0,
    }


class ThreadParams(Params):
    message_id = id_field()


@method("thread.follow", params=ThreadParams, answer=ThreadAnswer, scope="write")
def follow(caller: Caller, params: dict[str, Any]) -> ThreadAnswer:
    """Be told of replies to a message from now on."""
    user = user_of(caller)
    return {"thread": _own_thread(user, follow_thread(follower=user, **params))}


@method("thread.unfollow", params=ThreadParams, answer=ThreadAnswer, scope="write")
def unfollow(caller: Caller, params: dict[str, Any]) -> ThreadAnswer:
    """Hear nothing more of a thread, also when I write in it or am named there. Only thread.follow brings it back."""
    user = user_of(caller)
    return {"thread": _own_thread(user, unfollow_thread(follower=user, **params))}


class ThreadMarkParams(ThreadParams):
    last_read_id = cursor_field()


@method("thread.mark_read", params=ThreadMarkParams, answer=ThreadAnswer, scope="write")
def mark_read(caller: Caller, params: dict[str, Any]) -> ThreadAnswer:
    """Move my place in a thread that I follow forward. It is never lower than before."""
    user = user_of(caller)
    return {"thread": _own_thread(user, mark_thread_read(reader=user, **params))}


def _own_thread(user: User, root: Message) -> OwnThreadPayload:
    """The thread as it is for a user, also for one who never followed it."""
    row = ThreadFollower.objects.filter(root=root, user=user).with_state().first()
    if row is not None:
        return own_thread_payload(row)
    return {
        "thread_root_id": root.pk,
        "channel_id": root.channel_id,
        "following": False,
        "last_read_id": 0,
        "unread_count": 0,
        "reply_count": root.reply_count,
        "latest_reply_id": root.replies.order_by("-pk").values_list("pk", flat=True).first() or 0,
        "rev": root.channel.rev,
    }
