from typing import Any, TypedDict

from groups.actions.pins import pin_message, unpin_message
from groups.api.callers import user_of
from groups.api.channels import readable_channel
from groups.api.fields import id_field
from groups.api.messages import MessageAnswer, MessageParams
from groups.models import Message
from groups.payloads import MessagePayload, message_payload
from realtime.commands import Caller, Params, method


class PinsAnswer(TypedDict):
    messages: list[MessagePayload]


@method("message.pin", params=MessageParams, answer=MessageAnswer, scope="write")
def pin(caller: Caller, params: dict[str, Any]) -> MessageAnswer:
    """Pin a message to its channel. Every member may who is no guest."""
    return {"message": message_payload(pin_message(pinner=user_of(caller), **params))}


@method("message.unpin", params=MessageParams, answer=MessageAnswer, scope="write")
def unpin(caller: Caller, params: dict[str, Any]) -> MessageAnswer:
    """Take the pin off a message, whoever pinned it."""
    return {"message": message_payload(unpin_message(pinner=user_of(caller), **params))}


class PinsParams(Params):
    channel_id = id_field()


@method("message.pins", params=PinsParams, answer=PinsAnswer, scope="read")
def pins(caller: Caller, params: dict[str, Any]) -> PinsAnswer:
    """The pinned messages of a channel, at most 100, the newest pin first."""
    channel = readable_channel(caller, params["channel_id"])
    pinned = Message.objects.with_payload().filter(channel=channel).pinned()
    return {"messages": [message_payload(message) for message in pinned]}
