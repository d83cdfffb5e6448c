"""From the outbox to the streams: right after commit, and again by the sweep for what a crash or an outage left."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction

from realtime import clock
from realtime.backends import streams
from realtime.doorbell import ring
from realtime.errors import Unavailable
from realtime.hub import hub
from realtime.models import OutboxEvent
from realtime.streams import Entry, Placed, kind_of

log = logging.getLogger(__name__)

Resolve = Callable[..., Iterable[Any]]
RESOLVERS: dict[str, Resolve] = {}
KINDS_OF_STREAMS: dict[str, str] = {}
"""Of audiences that are no users, what kind of stream their ids are of."""
Refresh = Callable[[Sequence[Entry]], list[Entry]]
_REFRESHERS: list[Refresh] = []
Follow = Callable[[Entry], None]
_FOLLOWERS: defaultdict[str, list[Follow]] = defaultdict(list)

LEFT_BEHIND_SECONDS = 1.0
"""A younger row is most likely on its way by the process that wrote it."""
QUICKEST_LOSS_SECONDS = 0.05
"""No store ends and comes back with nothing in it sooner than that."""
ROWS_AT_ONCE = 500
AUDIENCES_KEPT = 512
"""Whose names of streams are kept in memory."""


def refreshes(refresh: Refresh) -> Refresh:
    """Register what brings the texts of events up to date that an outage or a crash held up."""
    _REFRESHERS.append(refresh)
    return refresh


def when_placed(name: str) -> Callable[[Follow], Follow]:
    """Register what follows, in the worker that sends it, when an event of this name is in the streams.

    It runs once, in a thread that somebody waits for, and is lost in a crash. It must not raise.
    """

    def register(follow: Follow) -> Follow:
        _FOLLOWERS[name].append(follow)
        return follow

    return register


def user_stream(user_id: int) -> str:
    return f"user:{user_id}"


def send(newest: Mapping[str, int]) -> None:
    """Append the pending events of some orders, each up to a row, oldest first. Repeats change nothing.

    Rows of an earlier commit go first although another worker wrote them: whoever is first sends both, so that no later
    event of a channel ever gets a lower place. A process that does not serve streams leaves its rows to one that does,
    and an outage leaves them to the sweep.
    """
    if not (streams().shared or hub.running):
        return
    try:
        _send_together(newest)
    except Unavailable:
        log.debug("relay: the streams are away, events of %s wait in the outbox", ", ".join(newest))


def send_left_behind() -> int:
    """Send what is in the outbox for more than a moment. The number of orders that had something.

    Raises Unavailable when the streams are away.
    """
    old = OutboxEvent.objects.filter(created_at__lt=clock.now() - timedelta(seconds=LEFT_BEHIND_SECONDS))
    newest = dict(old.order_by("pk").values_list("order_key", "pk"))
    if newest:
        _send_together(newest)
        log.info("relay: sent the events of %d orders that were left behind", len(newest))
    return len(newest)


def _send_together(newest: Mapping[str, int]) -> None:
    """An order that cannot be sent, as after a return to an older version, waits and keeps no other waiting."""
    try:
        _send(newest, max(newest.values()))
    except Unavailable:
        raise
    except Exception:
        for order, up_to in newest.items():
            _send_alone(order, up_to)


def _send_alone(order: str, up_to: int) -> None:
    try:
        _send([order], up_to)
    except Unavailable:
        raise
    except Exception:
        log.exception("relay: events of %s cannot be sent and wait in the outbox", order)


class _Row(NamedTuple):
    """What is read of a row of the outbox."""

    pk: int
    event_id: UUID
    name: str
    body: str
    about: dict[str, int]
    audience: dict[str, Any]
    created_at: datetime


def _send(orders: Iterable[str], up_to: int) -> None:
    # Who sees a row of an order sees all earlier ones, so the rows of several orders may be read as one list.
    pending = OutboxEvent.objects.filter(order_key__in=list(orders), pk__lte=up_to).order_by("pk")
    while True:
        rows = list(map(_Row._make, pending.values_list(*_Row._fields)[:ROWS_AT_ONCE]))
        if not rows:
            return
        to = [streams_of(row.audience) for row in rows]
        if _waited(rows, QUICKEST_LOSS_SECONDS):
            _open_logs(to)
        placed = streams().append(list(zip(_entries(rows), to, strict=True)))
        # Deleted before the ring, which may fail: what is in the streams is safe.
        with _unsynced():
            OutboxEvent.objects.filter(pk__in=[row.pk for row in rows]).delete()
        ring(placed)
        _follow(placed)
        if len(rows) < ROWS_AT_ONCE:
            return


@contextmanager
def _unsynced() -> Iterator[None]:
    """A transaction that does not wait for the disk. After a power cut the rows may be there again, for nothing.

    Source: PostgreSQL, synchronous_commit; SQLite, PRAGMA synchronous, which is set outside of transactions only.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with transaction.atomic():
                cursor.execute("SET LOCAL synchronous_commit = off")
                yield
        else:
            cursor.execute("PRAGMA synchronous = NORMAL")
            try:
                with transaction.atomic():
                    yield
            finally:
                cursor.execute("PRAGMA synchronous = FULL")


def _entries(rows: Sequence[_Row]) -> list[Entry]:
    entries = [Entry(str(row.event_id), row.name, row.body.encode(), row.about) for row in rows]
    if _waited(rows, LEFT_BEHIND_SECONDS):
        # Their texts may have been deleted or edited while they waited.
        for refresh in _REFRESHERS:
            entries = refresh(entries)
    return entries


def _waited(rows: Sequence[_Row], seconds: float) -> bool:
    """Whether something, an outage or a crash perhaps, kept one of them for longer than that."""
    return min(row.created_at for row in rows) < clock.now() - timedelta(seconds=seconds)


def _open_logs(to: Iterable[Sequence[str]]) -> None:
    """Open those that are no user's: a store that lost its streams drops what comes for them, and of these nobody
    fetches the state. A user's that is not open has no reader.
    """
    kinds = set(KINDS_OF_STREAMS.values())
    if logs := sorted({name for names in to for name in names if kind_of(name) in kinds}):
        streams().keep(logs, listener="")


def _follow(placed: Iterable[Placed]) -> None:
    for one in placed:
        if one.entry.name in _FOLLOWERS:
            for follow in _FOLLOWERS[one.entry.name]:
                follow(one.entry)


def streams_of(audience: Mapping[str, Any]) -> Sequence[str]:
    """The streams of an audience, as it is stored beside an event: {"kind": ..., ...}."""
    of = dict(audience)
    kind = of.pop("kind")
    return _names(KINDS_OF_STREAMS.get(kind, "user"), tuple(RESOLVERS[kind](**of)))


@lru_cache(AUDIENCES_KEPT)
def _names(kind: str, ids: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(f"{kind}:{id}" for id in ids)
