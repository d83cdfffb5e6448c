"""From the leases to the streams: each change of somebody's presence, told once.

A change stays claimed until it is confirmed, and its event has an id made of its version. So whatever fails in between,
it comes again, and is in the streams once.
"""

import asyncio
import logging
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from groups.models import User
from presence.audiences import told_of
from presence.events import PresenceUpdated
from presence.models import Presence, StatusText
from presence.payloads import presence_payload
from realtime import clock, threads
from realtime.backends import leases, streams
from realtime.doorbell import ring
from realtime.errors import Unavailable
from realtime.hub import hub
from realtime.leases import Change
from realtime.relay import LEFT_BEHIND_SECONDS, user_stream
from realtime.streams import Entry

log = logging.getLogger(__name__)

CHANGES_AT_ONCE: Final = 100
"""They share queries, and those who wait for the first of them do not wait for long."""
SWEPT_AT_ONCE: Final = 500


def announce() -> None:
    """Tell everybody of the changes that are there. From any thread; several share the work.

    What comes meanwhile is told soon after, where there is a hub, and else at once: many arrive while a few are told,
    and to tell those few again and again costs as much as to tell a hundred. What fails, as with Unavailable, is told
    by a later one.
    """
    while changes := leases().claim(CHANGES_AT_ONCE):
        _tell({_user_id(change.holder): change for change in changes})
        leases().confirm(changes)
        if len(changes) < CHANGES_AT_ONCE and hub.running:
            soon()
            return


def soon() -> None:
    """Announce within ANNOUNCE_SECONDS, from any thread: changes of the same moment share a round."""
    if hub.loop is not None:
        hub.loop.call_soon_threadsafe(_announcer.wake)
    elif leases().shared:
        announce()


def restore() -> None:
    """Let a store that is new know who was told to be here, before anybody asks it. Raises Unavailable."""
    if leases().begin():
        told = Presence.objects.here()
        leases().restore([Change(user_stream(row.pk), row.told, row.told_version) for row in told])


def sweep() -> None:
    """What each sweep of a worker does: end what is over, and tell what is left. Raises Unavailable."""
    restore()
    while len(leases().sweep(SWEPT_AT_ONCE)) == SWEPT_AT_ONCE:
        pass
    for user_id in [*_end_expired(), *_left_behind()]:
        leases().tell_again(user_stream(user_id))
    announce()


def _user_id(holder: str) -> int:
    """Leases are held under the names of streams: 7 of "user:7"."""
    return int(holder.partition(":")[2])


def _tell(changes: dict[int, Change]) -> None:
    now = clock.now()
    existing = set(User.objects.filter(pk__in=changes).values_list("pk", flat=True))
    audiences = told_of(existing)
    # Written down before it is told: a store that begins anew after a crash has to know whatever anybody has seen.
    rows = _remember({user_id: changes[user_id] for user_id in existing})
    entries = []
    for user_id, row in rows.items():
        entry = _entry(user_id, changes[user_id], row.shown, now)
        entries.append((entry, [user_stream(told_id) for told_id in audiences[user_id]]))
    placed = streams().append(entries)
    ring(placed)
    told = {one.entry.event_id for one in placed}
    _texts_told([row for row in rows.values() if _event_id(row.pk, changes[row.pk]) in told])
    log.debug("presence: told %d changes to %d streams", len(placed), sum(len(one.seqs) for one in placed))


def _event_id(user_id: int, change: Change) -> str:
    return f"presence:{user_id}:{change.version}"


def _entry(user_id: int, change: Change, text: StatusText, now: datetime) -> Entry:
    event = PresenceUpdated(**presence_payload(user_id, change.status, change.version, text))
    return Entry(_event_id(user_id, change), event.name, event.body(now), event.about)


def _remember(changes: dict[int, Change]) -> dict[int, Presence]:
    """Write down what is about to be told; the rows, with the texts to tell."""
    with transaction.atomic():
        rows = {row.pk: row for row in Presence.objects.select_for_update().filter(user__in=changes).order_by("pk")}
        if missing := changes.keys() - rows.keys():
            Presence.objects.bulk_create(
                (Presence(user_id=user_id) for user_id in sorted(missing)), ignore_conflicts=True
            )
            rows |= Presence.objects.select_for_update().in_bulk(missing)
        for user_id, row in rows.items():
            if changes[user_id].version > row.told_version:
                row.told_status, row.told_version = changes[user_id].status, changes[user_id].version
        # They are there, and locked. bulk_update would make an expression of each value, at ten times the cost.
        told = ["told_status", "told_version"]
        Presence.objects.bulk_create(rows.values(), update_conflicts=True, unique_fields=["user"], update_fields=told)
    return rows


def _texts_told(rows: list[Presence]) -> None:
    """Their texts are told, but those that changed since these rows were read."""
    read = [Q(pk=row.pk, untold_since=row.untold_since) for row in rows if row.untold_since]
    if read:
        Presence.objects.filter(reduce(or_, read)).update(untold_since=None)


def _end_expired() -> list[int]:
    """Clear texts that have ended; those that nobody else cleared."""
    now = clock.now()
    due = Presence.objects.expired().values_list("pk", "status_expires_at")[:SWEPT_AT_ONCE]
    empty = {"status_text": "", "status_emoji": "", "status_expires_at": None}
    return [
        user_id
        for user_id, expires_at in due
        if Presence.objects.filter(pk=user_id, status_expires_at=expires_at).update(**empty, untold_since=now)
    ]


def _left_behind() -> list[int]:
    """Whose text should have been told a moment ago, but for a crash or an outage; each to one caller."""
    now = clock.now()
    old = now - timedelta(seconds=LEFT_BEHIND_SECONDS)
    due = Presence.objects.filter(untold_since__lt=old).values_list("pk", "untold_since")[:SWEPT_AT_ONCE]
    return [
        user_id
        for user_id, since in due
        if Presence.objects.filter(pk=user_id, untold_since=since).update(untold_since=now)
    ]


class _Announcer:
    """At most one announcement of this worker at a time, on the hub's loop."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._wanted = False

    def wake(self) -> None:
        self._wanted = True
        if self._task is None or self._task.done() or self._task.get_loop() is not asyncio.get_running_loop():
            self._task = threads.start(self._announce(), name="announce presence")

    async def _announce(self) -> None:
        while self._wanted:
            await asyncio.sleep(settings.ANNOUNCE_SECONDS)
            self._wanted = False
            try:
                await threads.run(announce)
            except Unavailable as error:
                log.debug("presence: %s is away, the sweep tells it", error.store)


_announcer = _Announcer()
