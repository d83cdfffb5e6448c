"""Who comes while they are here: those who see them from now on were not told of them before."""

import logging
from typing import Any

import orjson
from django.db.models import F

from groups.models import ChannelMember
from groups.models.workspace import Role
from presence import announcing
from realtime.backends import leases
from realtime.errors import Unavailable
from realtime.relay import user_stream, when_placed
from realtime.streams import Entry

log = logging.getLogger(__name__)


@when_placed("workspace.member_joined")
def _joined(entry: Entry) -> None:
    _tell_of(_data_of(entry)["user"]["id"])


@when_placed("channel.member_joined")
def _joined_channel(entry: Entry) -> None:
    """Members of the workspace see each other anyway; guests see whom they share a channel with."""
    user_id = _data_of(entry)["user"]["id"]
    guests = ChannelMember.objects.filter(
        channel=entry.about["channel"],
        user__workspace_memberships__workspace=F("channel__workspace"),
        user__workspace_memberships__role=Role.GUEST,
    )
    if guests.exclude(user=user_id).exists():
        _tell_of(user_id)


def _data_of(entry: Entry) -> Any:
    return orjson.loads(b"{" + entry.body)["data"]


def _tell_of(user_id: int) -> None:
    holder = user_stream(user_id)
    try:
        [(status, _version)] = leases().statuses([holder])
        if status != "offline":
            leases().tell_again(holder)
            announcing.soon()
    except Unavailable:
        log.debug("presence: the leases are away, the others are told of %d with the next change", user_id)
