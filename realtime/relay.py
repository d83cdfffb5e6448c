"""From the outbox to the streams: right after commit, and again by the sweep for what a crash or an outage left."""

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from realtime import clock
from realtime.backends import streams
from realtime.doorbell import ring
from realtime.errors import Unavailable
from realtime.hub import hub
from realtime.models import OutboxEvent
from realtime.streams import Entry

log = logging.getLogger(__name__)

Resolve = Callable[..., Iterable[int]]
RESOLVERS: dict[str, Resolve] = {}
Refresh = Callable[[Sequence[Entry]], list[Entry]]
_REFRESHERS: list[Refresh] = []

LEFT_BEHIND_SECONDS = 1.0
"""A younger row is most likely on its way by the process that wrote it."""
ROWS_AT_ONCE = 500


def refreshes(refresh: Refresh) -> Refresh:
    """Register what brings the texts of events up to date that an outage or a crash held up."""
    _REFRESHERS.append(refresh)
    return refresh


def user_stream(user_id: int) -> str:
    return f"user:{user_id}"


def send(order: str, up_to: int) -> None:
    """Append the pending events of one order up to a row, oldest first. Repeats change nothing.

    Rows of an earlier commit go first although another worker wrote them: whoever is first sends both, so that no later
    event of a channel ever gets a lower place. A process that does not serve streams leaves its rows to one that does,
    and an outage leaves them to the sweep.
    """
    if not (streams().shared or hub.running):
        return
    try:
        _send(order, up_to)
    except Unavailable:
        log.debug("relay: the streams are away, events of %s wait in the outbox", order)


def send_left_behind() -> int:
    """Send what is in the outbox for more than a moment. The number of orders that had something.

    An order that cannot be sent, as after a return to an older version, waits and keeps no other waiting. Raises
    Unavailable when the streams are away.
    """
    old = OutboxEvent.objects.filter(created_at__lt=clock.now() - timedelta(seconds=LEFT_BEHIND_SECONDS))
    newest: dict[str, int] = {}
    for order, pk in old.order_by("pk").values_list("order_key", "pk"):
        newest[order] = pk
    for order, pk in newest.items():
        try:
            _send(order, pk)
        except Unavailable:
            raise
        except Exception:
            log.exception("relay: events of %s cannot be sent and wait in the outbox", order)
    if newest:
        log.info("relay: sent the events of %d orders that were left behind", len(newest))
    return len(newest)


def _send(order: str, up_to: int) -> None:
    while True:
        pending = OutboxEvent.objects.filter(order_key=order, pk__lte=up_to).order_by("pk")
        rows = list(pending[:ROWS_AT_ONCE])
        if not rows:
            return
        placed = streams().append(list(zip(_entries(rows), map(_streams_of, rows), strict=True)))
        # Deleted before the ring, which may fail: what is in the streams is safe.
        OutboxEvent.objects.filter(pk__in=[row.pk for row in rows]).delete()
        ring(placed)
        if len(rows) < ROWS_AT_ONCE:
            return


def _entries(rows: Sequence[OutboxEvent]) -> list[Entry]:
    entries = [Entry(str(row.event_id), row.name, row.body.encode(), row.about) for row in rows]
    if rows[0].created_at < clock.now() - timedelta(seconds=LEFT_BEHIND_SECONDS):
        # Their texts may have been deleted or edited while they waited.
        for refresh in _REFRESHERS:
            entries = refresh(entries)
    return entries


def _streams_of(row: OutboxEvent) -> Iterable[str]:
    of = dict(row.audience)
    return map(user_stream, RESOLVERS[of.pop("kind")](**of))
