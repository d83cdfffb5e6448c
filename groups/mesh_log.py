"""Reading the log of a group: the events of its `mesh:` stream, from a cursor, in pages.

A cursor is `EVENT#` and a number of 20 digits: the place of the batch in the stream and of the event in the batch. The
empty text and `EVENT#` are the beginning. Anything else is the clock of a client and stands for where the log was when
that client joined, a moment before it asked: clocks of pupils are wrong, and a time is no place in a log.
"""

from collections import OrderedDict
from datetime import timedelta
from threading import Lock
from typing import Final, NamedTuple

import orjson
from django.conf import settings
from django.db import IntegrityError, transaction

from groups.mesh_events import MeshEventPayload, MeshEventsFired
from groups.models import MeshBinding, MeshGroup
from realtime import clock
from realtime.backends import streams
from realtime.streams import Gap, Position

PREFIX: Final = "EVENT#"
DIGITS: Final = 20
PLACES: Final = 10_000
"""Of one batch in the numbers of cursors: more than it may hold."""
PAGE: Final = 100
READ_AT_ONCE: Final = 500
RECENT: Final = timedelta(seconds=60)
"""A client asks first a moment after it joined."""


class Logged(NamedTuple):
    """An event of the log."""

    cursor: str
    node_id: str
    event: MeshEventPayload


def events_since(group: MeshGroup, since: str, *, most: int = PAGE) -> list[Logged]:
    """The first events strictly after a cursor, oldest first. Events that the log keeps no more are left out.

    Raises Unavailable.
    """
    top = streams().open(group.stream)
    after = _number_of(group, since, top.seq)
    if after // PLACES > top.seq:
        after = 0  # the store was lost with what the cursor was of: all that is there is news
    # The rest of the batch that the cursor is in comes first, so the entry before that one is where to begin.
    seq = _scanned.get(top.epoch, after, max(0, after // PLACES - 1))
    found: list[Logged] = []
    while len(found) < most:
        try:
            entries = streams().read(group.stream, Position(top.epoch, seq), READ_AT_ONCE)
        except Gap as gap:
            if gap.reason != "too_old":
                return found
            seq = gap.top.seq - settings.MESH_LOG_ENTRIES
            continue
        for seq, entry in entries:
            if entry.name == MeshEventsFired.name:
                data = orjson.loads(b"{" + entry.body)["data"]
                for index, event in enumerate(data["events"]):
                    number = seq * PLACES + index
                    if number > after:
                        found.append(Logged(f"{PREFIX}{number:0{DIGITS}}", data["node_id"], event))
        if not found:
            _scanned.put(top.epoch, after, seq)
        if len(entries) < READ_AT_ONCE:
            break
    return found[:most]


class _Scanned:
    """Up to where nothing follows a cursor: who polls while nothing is fired need not pass all reports again."""

    MANY = 4096

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, int], int] = OrderedDict()
        self._lock = Lock()

    def get(self, epoch: str, after: int, default: int) -> int:
        with self._lock:
            return self._known.get((epoch, after), default)

    def put(self, epoch: str, after: int, seq: int) -> None:
        with self._lock:
            self._known[epoch, after] = seq
            self._known.move_to_end((epoch, after))
            if len(self._known) > self.MANY:
                self._known.popitem(last=False)


_scanned = _Scanned()


def _number_of(group: MeshGroup, since: str, top: int) -> int:
    """After which number to read on."""
    place = since.removeprefix(PREFIX)
    if not place:
        return 0
    if since.startswith(PREFIX) and place.isascii() and place.isdigit() and len(place) == DIGITS:
        return int(place)
    if len(since) > 256 or "\0" in since:
        return top * PLACES + PLACES - 1
    return _bound(group, since, top) * PLACES + PLACES - 1


def _bound(group: MeshGroup, since: str, top: int) -> int:
    """The place in the stream that a client's time stands for, once and for all of the group's life."""
    known = group.bindings.filter(since=since).first()
    if known is not None:
        return known.after
    now = clock.now()
    wanted = now - timedelta(seconds=settings.MESH_POLLING_INTERVAL_SECONDS)
    taken = group.bindings.all()
    joined = [
        (abs(node.joined_at - wanted), node.joined_after, node)
        for node in group.nodes.filter(joined_at__gt=now - RECENT, use_websocket=False).exclude(
            pk__in=taken.exclude(node=None).values("node")
        )
    ]
    created = (abs(group.created_at - wanted), 0, None)
    if now - group.created_at < RECENT and not taken.filter(node=None, after=0).exists():
        joined.append(created)  # type: ignore[arg-type] # the host's own beginning has no node
    _distance, after, node = min(joined, key=lambda one: one[0]) if joined else (None, top, None)
    try:
        with transaction.atomic():
            MeshBinding.objects.create(group=group, since=since, after=after, node=node)
    except IntegrityError:
        return MeshBinding.objects.get(group=group, since=since).after
    return after
