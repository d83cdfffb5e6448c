"""Streams of one process. They end with it: the next process has other epochs."""

import secrets
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from threading import Lock

from realtime import clock
from realtime.streams import Bounds, Entry, Gap, Placed, Position, kind_of

REMEMBER_IDS_SECONDS = 60.0
"""An event id comes again only while its outbox row lives, which is seconds; a minute is ample."""
DROPPED_AT_ONCE = 64
"""Entries that a stream may hold beyond its newest ones, so that it need not be cut at every event."""


class _Stream:
    __slots__ = ("bounds", "entries", "epoch", "expires_at", "seq")

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.epoch = f"e_{secrets.token_urlsafe(9)}"
        self.seq = 0
        # A list and no deque, which takes 600 bytes when it is empty.
        self.entries: list[Entry] = []
        self.expires_at = 0.0


class MemoryStreams:
    shared = False

    def __init__(self, *, events: int, seconds: float, others: Mapping[str, Bounds] | None = None) -> None:
        """`others`: the bounds of kinds of streams that have their own."""
        self._bounds = Bounds(events, seconds)
        self._others = dict(others or {})
        self._streams: dict[str, _Stream] = {}
        self._seen: OrderedDict[str, float] = OrderedDict()
        self._lock = Lock()
        self._next_sweep_at = 0.0

    def open(self, stream: str) -> Position:
        with self._lock:
            found = self._living(stream)
            if found is None:
                found = self._streams[stream] = _Stream(self._others.get(kind_of(stream), self._bounds))
            found.expires_at = clock.monotonic() + found.bounds.seconds
            return Position(found.epoch, found.seq)

    def keep(self, streams: Sequence[str], *, listener: str) -> list[Position]:
        return [self.open(stream) for stream in streams]

    def append(self, entries: Sequence[tuple[Entry, Iterable[str]]]) -> list[Placed]:
        with self._lock:
            self._sweep()
            return [self._place(entry, names) for entry, names in entries if self._first_time(entry.event_id)]

    def read(self, stream: str, after: Position, most: int | None = None) -> list[tuple[int, Entry]]:
        with self._lock:
            found = self._living(stream)
            if found is None:
                raise Gap("unknown_epoch", Position("", 0))
            top = Position(found.epoch, found.seq)
            if after.epoch != found.epoch:
                raise Gap("unknown_epoch", top)
            if after.seq > found.seq:
                raise Gap("future_seq", top)
            count = found.seq - after.seq
            if count > found.bounds.events:
                raise Gap("too_old", top, (after.seq + 1, found.seq))
            first = len(found.entries) - count
            newest = found.entries[first : None if most is None else first + most]
            return list(enumerate(newest, start=after.seq + 1))

    def _living(self, name: str) -> _Stream | None:
        found = self._streams.get(name)
        if found is not None and found.expires_at <= clock.monotonic():
            del self._streams[name]
            return None
        return found

    def _place(self, entry: Entry, names: Iterable[str]) -> Placed:
        seqs = {}
        for name in names:
            found = self._streams.get(name)
            if found is not None and name not in seqs:
                found.seq += 1
                found.entries.append(entry)
                if len(found.entries) >= found.bounds.events + DROPPED_AT_ONCE:
                    del found.entries[: -found.bounds.events]
                seqs[name] = found.seq
        return Placed(entry, seqs, {})

    def _first_time(self, event_id: str) -> bool:
        if event_id in self._seen:
            return False
        self._seen[event_id] = clock.monotonic() + REMEMBER_IDS_SECONDS
        return True

    def _sweep(self) -> None:
        now = clock.monotonic()
        while self._seen and next(iter(self._seen.values())) <= now:
            self._seen.popitem(last=False)
        if now >= self._next_sweep_at:
            self._next_sweep_at = now + self._bounds.seconds / 10
            for name in [name for name, found in self._streams.items() if found.expires_at <= now]:
                del self._streams[name]
