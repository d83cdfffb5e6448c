"""Reading the log of a group: the events of its `mesh:` stream, from a cursor, in pages.

A cursor is `EVENT#` and a number of 20 digits: how often the stream began anew, the place of the batch in it and of
the event in the batch. The empty text and `EVENT#` are the beginning. Anything else is the clock of a client and stands
for where the log was when that client joined, a moment before it asked: clocks of pupils are wrong, and a time is no
place in a log.
"""

from collections import OrderedDict
from collections.abc import Iterator
from datetime import datetime, timedelta
from threading import Lock
from typing import Final, NamedTuple

import orjson
from django.conf import settings
from django.db import IntegrityError, transaction

from groups.mesh.events import MeshEventPayload, MeshEventsFired
from groups.models import MeshBinding, MeshGroup, MeshNode
from realtime import clock
from realtime.backends import streams
from realtime.errors import Unavailable
from realtime.streams import Entry, Gap, Position

PREFIX: Final = "EVENT#"
DIGITS: Final = 20
PLACES: Final = 10_000
"""Of one batch in the numbers of cursors: more than it may hold."""
SEQS: Final = 10**9
"""Of one epoch of the stream: a million events a second for longer than a group lives."""
BIGGEST: Final = 2**63 - 1
PAGE: Final = 100
PAGE_BYTES: Final = 1_048_576
"""A page ends with the event that reaches it."""
READ_AT_ONCE: Final = 500
RECENT: Final = timedelta(seconds=60)
"""A client asks first a moment after it joined."""
BINDINGS_KEPT: Final = 1000
"""Of one group. A client gives one time each time that it begins to poll."""


class Logged(NamedTuple):
    """An event of the log."""

    cursor: str
    node_id: str
    event: MeshEventPayload


def top(group: MeshGroup) -> int:
    """Open the group's stream; the number of a cursor after all that is in it. Raises Unavailable."""
    return _after(group, position(group).seq)


def open_stream(group: MeshGroup) -> int:
    """Make sure that the group's stream is there, from its making on and while it lives; where its log stands, as a
    number of cursors.
    """
    try:
        return top(group)
    except Unavailable:
        return 0  # whoever comes next opens it


def open_after_commit(group: MeshGroup) -> None:
    """Open the group's stream before what this transaction publishes is sent: a store that began anew knows it no more,
    and drops what comes for it.
    """

    # A function and no partial: Django names a hook that failed by its __qualname__.
    def open_again() -> None:
        open_stream(group)

    transaction.on_commit(open_again, robust=True)


def events_since(group: MeshGroup, since: str, *, most: int = PAGE, at: Position | None = None) -> list[Logged]:
    """The first events strictly after a cursor, oldest first. Events that the log keeps no more are left out.

    `at` is the group's `position`, for who knows it. Raises Unavailable.
    """
    opened = at or position(group)
    after = _number_of(group, since, opened.seq)
    first = group.log_generation * SEQS
    # The rest of the batch that the cursor is in comes first, so the entry before that one is where to begin. A cursor
    # of an earlier epoch is before all that is there.
    place = _Place(group.stream, opened.epoch, after)
    begin = _passed.get(place, min(max(0, after // PLACES - first - 1), opened.seq))
    found: list[Logged] = []
    size = 0
    for seq, entry in _entries(group.stream, Position(opened.epoch, begin), opened.seq):
        if entry is not None and entry.name == MeshEventsFired.name:
            data = orjson.loads(b"{" + entry.body)["data"]
            for index, event in enumerate(data["events"]):
                number = (first + seq) * PLACES + index
                if number > after:
                    found.append(Logged(f"{PREFIX}{number:0{DIGITS}}", data["node_id"], event))
                    size += len(event["name"]) + len(event["payload"] or "")
                    if len(found) == most or size >= PAGE_BYTES:
                        return found
    if not found:
        _passed.put(place, opened.seq)
    return found


def position(group: MeshGroup) -> Position:
    """Where the group's stream stands, which opens it. A new epoch counts as the next generation of the log.

    Raises Unavailable.
    """
    at = streams().open(group.stream)
    if at.epoch != group.log_epoch:
        with transaction.atomic():
            stored = MeshGroup.objects.select_for_update().filter(pk=group.pk).first()
            if stored is not None and stored.log_epoch != at.epoch:
                stored.log_generation += bool(stored.log_epoch)
                stored.log_epoch = at.epoch
                stored.save(update_fields=["log_epoch", "log_generation"])
        if stored is not None:
            group.log_epoch, group.log_generation = stored.log_epoch, stored.log_generation
    return at


def _after(group: MeshGroup, seq: int) -> int:
    return (group.log_generation * SEQS + seq) * PLACES + PLACES - 1


def _entries(stream: str, after: Position, top: int) -> Iterator[tuple[int, Entry | None]]:
    """What the stream holds between a position and where it stood, oldest first. None in the place of what is lost."""
    epoch, seq = after
    while seq < top:
        try:
            entries = streams().read(stream, Position(epoch, seq), READ_AT_ONCE)
        except Gap as gap:
            if gap.reason != "too_old":
                return  # it began anew at this moment; the next reading sees that
            oldest = gap.top.seq - settings.MESH_LOG_ENTRIES
            # Past that, too, a store may have lost some; how many it does not say.
            seq = oldest if seq < oldest else min(seq + READ_AT_ONCE, top)
            yield seq, None
            continue
        if not entries:
            return
        yield from entries
        seq = entries[-1][0]


class _Place(NamedTuple):
    """A cursor in the log of a group. Streams that a sweep opened together have the same epoch."""

    stream: str
    epoch: str
    after: int


class _Passed:
    """Up to where nothing follows a cursor: who polls while nothing is fired need not pass all reports again."""

    MANY = 4096

    def __init__(self) -> None:
        self._known: OrderedDict[_Place, int] = OrderedDict()
        self._lock = Lock()

    def get(self, place: _Place, default: int) -> int:
        with self._lock:
            return self._known.get(place, default)

    def put(self, place: _Place, seq: int) -> None:
        with self._lock:
            self._known[place] = seq
            self._known.move_to_end(place)
            if len(self._known) > self.MANY:
                self._known.popitem(last=False)


_passed = _Passed()


def _number_of(group: MeshGroup, since: str, seq: int) -> int:
    """After which number to read on."""
    place = since.removeprefix(PREFIX)
    if not place:
        return 0
    if since.startswith(PREFIX) and place.isascii() and place.isdigit() and len(place) == DIGITS:
        return min(int(place), BIGGEST)
    if len(since) > 256 or "\0" in since:
        return _after(group, seq)
    return _bound(group, since, seq)


def _bound(group: MeshGroup, since: str, seq: int) -> int:
    """The number that a client's time stands for, once and for all of the group's life."""
    known = group.bindings.filter(since=since).first()
    if known is not None:
        return known.after
    now = clock.now()
    beginning = _beginning_of(group, now)
    after, node = (_after(group, seq), None) if beginning is None else (beginning.after, beginning.node)
    if group.bindings.count() >= BINDINGS_KEPT:
        return after
    try:
        with transaction.atomic():
            MeshBinding.objects.create(group=group, since=since, after=after, node=node, bound_at=now)
    except IntegrityError:
        return MeshBinding.objects.get(group=group, since=since).after
    return after


class _Beginning(NamedTuple):
    """When somebody became one who may poll the group, and where its log stood."""

    at: datetime
    after: int
    node: MeshNode | None
    """None for the host, whose beginning is the group's."""


def _beginning_of(group: MeshGroup, now: datetime) -> _Beginning | None:
    """Of whom asks now for the first time: who came about a polling interval ago, and did not ask yet if possible."""
    nodes = group.nodes.filter(joined_at__gt=now - RECENT).prefetch_related("bindings")
    taken: list[_Beginning] = []
    free: list[_Beginning] = []
    for node in nodes:
        asked = any(binding.bound_at >= node.joined_at for binding in node.bindings.all())
        polls_or_may = not node.use_websocket or node.subscribed_at is None
        (taken if asked or not polls_or_may else free).append(_Beginning(node.joined_at, node.joined_after, node))
    if now - group.created_at < RECENT:
        created = _Beginning(group.created_at, 0, None)
        (taken if group.bindings.filter(node=None, after=0).exists() else free).append(created)
    wanted = now - timedelta(seconds=settings.MESH_POLLING_INTERVAL_SECONDS)
    return min(free or taken, key=lambda beginning: abs(beginning.at - wanted), default=None)
