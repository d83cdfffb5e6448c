"""Who joins a workspace while they are here: its members were not told of them before."""

import logging

import orjson

from presence import announcing
from realtime.backends import leases
from realtime.errors import Unavailable
from realtime.relay import user_stream, when_placed
from realtime.streams import Entry

log = logging.getLogger(__name__)


@when_placed("workspace.member_joined")
def _joined(entry: Entry) -> None:
    user_id = orjson.loads(b"{" + entry.body)["data"]["user"]["id"]
    holder = user_stream(user_id)
    try:
        [(status, _version)] = leases().statuses([holder])
        if status != "offline":
            leases().tell_again(holder)
            announcing.soon()
    except Unavailable:
        log.debug("presence: the leases are away, the others are told of %d with the next change", user_id)
