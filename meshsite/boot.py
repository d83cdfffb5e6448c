"""`client.boot`: everything that a client needs to draw itself. Here, because it is of all packages."""

from typing import Any, TypedDict

from django.conf import settings

from groups.api.callers import user_of
from groups.api.channels import own_channels
from groups.api.threads import unread_threads
from groups.api.workspaces import joinable_workspaces, own_workspaces
from groups.models import User
from groups.payloads import (
    MePayload,
    OwnChannelPayload,
    OwnThreadPayload,
    OwnWorkspacePayload,
    WorkspacePayload,
    me_payload,
)
from presence.audiences import heard_of_by
from presence.models import Presence, StatusText
from presence.payloads import PresencePayload
from presence.queries import presence_of
from realtime import clock
from realtime.backends import streams
from realtime.commands import Caller, Params, method
from realtime.relay import user_stream

BOOT_THREADS = 200
"""The newest unread ones; thread.list has all."""


class LimitsPayload(TypedDict):
    message_characters: int
    json_bytes: int
    send_per_minute: float
    typing_seconds: float
    away_seconds: float
    presence_members: int
    """In larger workspaces ask for whom you show with presence.watch."""
    watch_seconds: float


class BootMePayload(MePayload):
    status_text: str
    status_emoji: str
    status_expires_at: str | None


class BootAnswer(TypedDict):
    epoch: str
    seq: int
    me: BootMePayload
    workspaces: list[OwnWorkspacePayload]
    open_workspaces: list[WorkspacePayload]
    channels: list[OwnChannelPayload]
    threads: list[OwnThreadPayload]
    """Those that I follow and have not read, with the newest replies first."""
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
        "me": _me(user),
        "workspaces": own_workspaces(user),
        "open_workspaces": joinable_workspaces(user),
        "channels": own_channels(user),
        "threads": unread_threads(user, BOOT_THREADS),
        "presence": presence_of(heard_of_by(user), exact=True),
        "limits": {
            "message_characters": settings.MESSAGE_CHARACTERS,
            "json_bytes": settings.JSON_BYTES,
            "send_per_minute": settings.SEND_PER_MINUTE,
            "typing_seconds": settings.TYPING_SECONDS,
            "away_seconds": settings.AWAY_SECONDS,
            "presence_members": settings.PRESENCE_MEMBERS,
            "watch_seconds": settings.PRESENCE_WATCH_SECONDS,
        },
        "server_time": clock.stamp(clock.now()),
    }


def _me(user: User) -> BootMePayload:
    row = Presence.objects.filter(user=user).first()
    said = row.shown if row else StatusText()
    return {
        **me_payload(user),
        "status_text": said.text,
        "status_emoji": said.emoji,
        "status_expires_at": None if said.expires_at is None else clock.stamp(said.expires_at),
    }
