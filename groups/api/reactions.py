from typing import Any

from groups.actions import reactions
from groups.api.callers import user_of
from groups.api.fields import Text, id_field
from groups.api.messages import MessageAnswer
from groups.payloads import message_payload
from realtime.commands import Caller, Params, method


class ReactionParams(Params):
    message_id = id_field()
    emoji = Text()


@method("message.react", params=ReactionParams, answer=MessageAnswer, scope="write")
def react(caller: Caller, params: dict[str, Any]) -> MessageAnswer:
    """Give a message an emoji, with or without a skin tone. The same one again changes nothing."""
    return {"message": message_payload(reactions.react(reactor=user_of(caller), **params))}


@method("message.unreact", params=ReactionParams, answer=MessageAnswer, scope="write")
def unreact(caller: Caller, params: dict[str, Any]) -> MessageAnswer:
    """Take back an emoji that I gave. One that I did not give changes nothing."""
    return {"message": message_payload(reactions.unreact(reactor=user_of(caller), **params))}


@method("message.toggle_react", params=ReactionParams, answer=MessageAnswer, scope="write")
def toggle_react(caller: Caller, params: dict[str, Any]) -> MessageAnswer:
    """Give an emoji, or take it back where I gave it.

    Each call is a change: when the answer is lost, look before you retry, or use message.react and message.unreact.
    """
    return {"message": message_payload(reactions.toggle_react(reactor=user_of(caller), **params))}
