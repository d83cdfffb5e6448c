from collections.abc import Sequence
from typing import Any, TypedDict

from django.conf import settings
from django.utils.translation import gettext as _
from rest_framework import serializers

from groups.actions.messages import delete_message, edit_message
from groups.actions.moderation import REASON_CHARACTERS
from groups.actions.sending import Draft, Sent, send_message, send_messages
from groups.api.callers import user_of
from groups.api.channels import readable_channel
from groups.api.fields import Fact, Text, cursor_field, id_field, limit_field
from groups.models import Message
from groups.payloads import MessagePayload, message_payload
from realtime.commands import Call, Caller, Params, method


class MessageAnswer(TypedDict):
    message: MessagePayload


class SentAnswer(MessageAnswer):
    duplicate: bool


class MessagesAnswer(TypedDict):
    messages: list[MessagePayload]
    has_more: bool
    next_since_id: int


class ChangesAnswer(TypedDict):
    changes: list[MessagePayload]
    rev: int
    has_more: bool


class DeletedAnswer(TypedDict):
    message_id: int
    channel_id: int


class MessageSendParams(Params):
    channel_id = id_field()
    body = Text(max_length=4 * settings.MESSAGE_CHARACTERS)
    client_msg_id = Text(max_length=64, required=False, allow_null=True)
    thread_root_id = id_field(required=False, allow_null=True)
    confirm_mentions = Fact(default=False)


def send_together(calls: Sequence[Call]) -> list[SentAnswer | Exception]:
    outcomes = send_messages([Draft(user_of(caller), **params) for caller, params in calls])
    return [outcome if isinstance(outcome, Exception) else _sent(outcome) for outcome in outcomes]


@method("message.send", params=MessageSendParams, answer=SentAnswer, scope="write", together=send_together)
def send(caller: Caller, params: dict[str, Any]) -> SentAnswer:
    """Send a message. Repeated with the same `client_msg_id` it gives the first message, `duplicate: true`.

    `@name` tells a member, `@channel` all and `@here` those who are online. In a large channel these two answer 409
    `mention_unconfirmed` until they are sent with `confirm_mentions`.
    """
    return _sent(send_message(author=user_of(caller), **params))


class MessageListParams(Params):
    channel_id = id_field()
    since_id = cursor_field(required=False)
    before_id = id_field(required=False)
    around_id = id_field(required=False)
    limit = limit_field()

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if len(values.keys() & {"since_id", "before_id", "around_id"}) > 1:
            raise serializers.ValidationError(_("Give one of since_id, before_id and around_id."))
        return values


@method("message.list", params=MessageListParams, answer=MessagesAnswer, scope="read")
def list_messages(caller: Caller, params: dict[str, Any]) -> MessagesAnswer:
    """History of a channel, ascending.

    With `since_id` what comes after it, so that a program that stores `next_since_id` misses nothing; with `before_id`
    what comes before; with `around_id` both sides; with none of them the newest. Deleted messages are left out.
    """
    channel = readable_channel(caller, params["channel_id"])
    rows = Message.objects.with_payload().filter(channel=channel)
    limit = params["limit"]
    if (since_id := params.get("since_id")) is not None:
        page, has_more, next_since_id = rows.since(since_id, limit)
        return _messages(page, has_more, next_since_id)
    if (around_id := params.get("around_id")) is not None:
        before, more_before = rows.before(around_id, limit // 2)
        after, more_after, next_since_id = rows.since(around_id - 1, limit - limit // 2)
        return _messages([*before, *after], more_before or more_after, next_since_id)
    page, has_more = rows.before(params.get("before_id"), limit)
    return _messages(page, has_more, page[-1].pk if page else 0)


class ChangesParams(Params):
    channel_id = id_field()
    since_rev = cursor_field()
    limit = limit_field()


@method("message.changes", params=ChangesParams, answer=ChangesAnswer, scope="read")
def changes(caller: Caller, params: dict[str, Any]) -> ChangesAnswer:
    """Every message of a channel that changed since a `rev`, by a reaction or a pin too, as it is now; deleted ones as
    tombstones.

    Go on with the `rev` of the answer. It catches up what history by id cannot: changes of older messages.
    """
    channel = readable_channel(caller, params["channel_id"])
    # The channel's rev was read before the rows: what changes in between has a higher one and comes again.
    messages = Message.objects.with_payload().filter(channel=channel)
    page, has_more = messages.changed_since(params["since_rev"], params["limit"])
    newest = page[-1].rev if page else 0
    return {
        "changes": [message_payload(message) for message in page],
        "rev": newest if has_more else max(newest, channel.rev),
        "has_more": has_more,
    }


class MessageUpdateParams(Params):
    message_id = id_field()
    body = Text(max_length=4 * settings.MESSAGE_CHARACTERS)
    confirm_mentions = Fact(default=False)


@method("message.update", params=MessageUpdateParams, answer=MessageAnswer, scope="write")
def update(caller: Caller, params: dict[str, Any]) -> MessageAnswer:
    """Replace the text of one's own message. The earlier text is kept."""
    return {"message": message_payload(edit_message(editor=user_of(caller), **params))}


class MessageParams(Params):
    message_id = id_field()


class MessageDeleteParams(MessageParams):
    reason = Text(max_length=REASON_CHARACTERS, required=False)


@method("message.delete", params=MessageDeleteParams, answer=DeletedAnswer, scope="write")
def delete(caller: Caller, params: dict[str, Any]) -> DeletedAnswer:
    """Erase a message. Its author, the channel's admins and the workspace's moderators may.

    Of somebody else's message the audit log has the `reason`, of one's own nothing.
    """
    message = delete_message(deleter=user_of(caller), **params)
    return {"message_id": message.pk, "channel_id": message.channel_id}


@method("message.get", params=MessageParams, answer=MessageAnswer, scope="read")
def get(caller: Caller, params: dict[str, Any]) -> MessageAnswer:
    """One message. Of a deleted one the tombstone, without its text."""
    messages = Message.objects.with_payload().open_to(user_of(caller))
    return {"message": message_payload(messages.get(pk=params["message_id"]))}


def _messages(page: list[Message], has_more: bool, next_since_id: int) -> MessagesAnswer:
    return {
        "messages": [message_payload(message) for message in page],
        "has_more": has_more,
        "next_since_id": next_since_id,
    }


def _sent(sent: Sent) -> SentAnswer:
    return {"message": message_payload(sent.message, new=not sent.duplicate), "duplicate": sent.duplicate}
