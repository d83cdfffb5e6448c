"""What clients call about who is there and who types."""

from typing import Any, Literal, TypedDict

from rest_framework import serializers

from groups.api.callers import user_of
from groups.api.fields import Fact, Text, Whole, id_field, ids_field
from groups.models import User, Workspace
from presence import actions, typing
from presence.audiences import heard_of_by, shared_with
from presence.models import Presence
from presence.payloads import PresencePayload
from presence.queries import presence_of
from realtime import leasing
from realtime.commands import Caller, Params, method
from realtime.relay import user_stream

LONGEST_SECONDS = 366 * 86_400


class PresenceAnswer(TypedDict):
    presence: PresencePayload


class PresencesAnswer(TypedDict):
    presence: list[PresencePayload]


class PresenceListParams(Params):
    workspace_id = id_field(required=False)
    user_ids = ids_field(most=500, required=False)


@method("presence.list", params=PresenceListParams, answer=PresencesAnswer, scope="read")
def list_presence(caller: Caller, params: dict[str, Any]) -> PresencesAnswer:
    """Who is there, of those whose changes I am told; of `user_ids` all who share a workspace with me."""
    user = user_of(caller)
    user_ids = shared_with(user, params["user_ids"]) if "user_ids" in params else heard_of_by(user)
    if "workspace_id" in params:
        workspace = Workspace.objects.open_to(user).get(pk=params["workspace_id"])
        user_ids = set(workspace.members.filter(user__in=user_ids).values_list("user_id", flat=True))
    return {"presence": presence_of(user_ids)}


class StatusTextParams(Params):
    status_text = Text(max_length=Presence._meta.get_field("status_text").max_length, allow_blank=True)
    status_emoji = Text(
        max_length=Presence._meta.get_field("status_emoji").max_length, required=False, allow_blank=True, default=""
    )
    expires_in = Whole(min_value=1, max_value=LONGEST_SECONDS, required=False, allow_null=True, default=None)


@method("presence.set_status_text", params=StatusTextParams, answer=PresenceAnswer, scope="write")
def set_status_text(caller: Caller, params: dict[str, Any]) -> PresenceAnswer:
    """Say something beside my status, for `expires_in` seconds or until I replace it. An empty text clears it."""
    user = user_of(caller)
    actions.set_status_text(
        user=user, text=params["status_text"], emoji=params["status_emoji"], seconds=params["expires_in"]
    )
    return _own(user)


class AwayParams(Params):
    away = Fact()
    session = Text(max_length=64, required=False)


@method("presence.set_away", params=AwayParams, answer=PresenceAnswer, scope="write")
def set_away(caller: Caller, params: dict[str, Any]) -> PresenceAnswer:
    """Say that I am away or active, in one `session` or in all. Who has no session stays offline."""
    user = user_of(caller)
    actions.set_away(user=user, **params)
    return _own(user)


class LeaveAnswer(TypedDict):
    pass


class LeaveParams(Params):
    session = Text(max_length=64)


@method("presence.leave", params=LeaveParams, answer=LeaveAnswer, scope="read", reads=False)
def leave(caller: Caller, params: dict[str, Any]) -> LeaveAnswer:
    """End a session of mine at once, as `bye` does on its socket: for programs that poll. Others stay."""
    leasing.end(user_stream(user_of(caller).pk), params["session"])
    return {}


class WatchParams(Params):
    user_ids = ids_field(most=500)


@method("presence.watch", params=WatchParams, answer=PresencesAnswer, scope="read", reads=False)
def watch(caller: Caller, params: dict[str, Any]) -> PresencesAnswer:
    """Be told of these users too, for a while, instead of those that I named before.

    The answer is their presence now, of those who share a workspace with me. Ask again within `limits.watch_seconds`.
    """
    return {"presence": presence_of(actions.watch(watcher=user_of(caller), **params))}


class TypingAnswer(TypedDict):
    pass


class TypingParams(Params):
    channel_id = id_field()
    state = serializers.ChoiceField(choices=["start", "stop"])


@method("typing.relay", params=TypingParams, answer=TypingAnswer, scope="write")
def relay_typing(caller: Caller, params: dict[str, Any]) -> TypingAnswer:
    """Tell the other members of a channel that I began to type or stopped. Repeat `start` while I go on."""
    state: Literal["start", "stop"] = params["state"]
    tell = typing.start_typing if state == "start" else typing.stop_typing
    tell(typist=user_of(caller), channel_id=params["channel_id"])
    return {}


def _own(user: User) -> PresenceAnswer:
    return {"presence": presence_of([user.pk])[0]}
