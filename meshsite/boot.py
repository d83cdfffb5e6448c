"""`client.boot`: everything that a client needs to draw itself. Here, because it is of all packages."""

from typing import Any, TypedDict

from django.conf import settings

from groups.api.callers import user_of
from groups.api.channels import own_channels
from groups.api.workspaces import joinable_workspaces, own_workspaces
from groups.payloads import MePayload, OwnChannelPayload, OwnWorkspacePayload, WorkspacePayload, me_payload
from presence.queries import PresencePayload, seen_by
from realtime import clock
from realtime.backends import streams
from realtime.commands import Caller, Params, method
from realtime.relay import user_stream


class LimitsPayload(TypedDict):
    message_characters: int
    json_bytes: int
    send_per_minute: float


class BootAnswer(TypedDict):
    epoch: str
    seq: int
    me: MePayload
    workspaces: list[OwnWorkspacePayload]
    open_workspaces: list[WorkspacePayload]
    channels: list[OwnChannelPayload]
    presence: list[PresencePayload]
    limits: LimitsPayload
    server_time: str


class BootParams(Params):
    pass


@method("client.boot", params=BootParams, answer=BootAnswer, scope="read")
def boot(caller: Caller, params: dict[str, Any]) -> BootAnswer:
    """Everything a client needs to draw itself, and the position in my stream from which to go on.

    The position is read before the rest: an event after it may be in the state already, never the other way round.
    """
    user = user_of(caller)
    epoch, seq = streams().open(user_stream(user.pk))
    return {
        "epoch": epoch,
        "seq": seq,
        "me": me_payload(user),
        "workspaces": own_workspaces(user),
        "open_workspaces": joinable_workspaces(user),
        "channels": own_channels(user),
        "presence": seen_by(user),
        "limits": {
            "message_characters": settings.MESSAGE_CHARACTERS,
            "json_bytes": settings.JSON_BYTES,
            "send_per_minute": settings.SEND_PER_MINUTE,
        },
        "server_time": clock.stamp(clock.now()),
    }
