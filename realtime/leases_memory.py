"""Leases of one process. They end with it: the next process has to `restore` what was told."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock

from realtime import clock
from realtime.leases import (
    CLAIM_SECONDS,
    REMEMBER_ENDED_SECONDS,
    Attached,
    Change,
    Connection,
    Held,
    Lapsed,
    State,
    Status,
    TooMany,
)

RESTORED = ""
"""The lease of a holder that has to come back after a loss. The first real one takes its place."""

NEVER = sys.maxsize


@dataclass(slots=True)
class _Lease:
    """Moments are Unix milliseconds, here and everywhere below."""

    ends_at: int
    away_at: int
    """From when it counts as away; 0 when it was declared so."""
    connection: Connection | None
    """The last one; none yet for a holder that has to come back."""
    attached: bool


@dataclass(slots=True)
class _Holder:
    leases: dict[str, _Lease] = field(default_factory=dict)
    told: Status = "offline"
    telling: Status | None = None
    """Was claimed and not confirmed yet."""
    version: int = 0
    again: bool = False
    due_at: int = NEVER
    """Nothing changes by itself before."""

    def status(self, now: int) -> Status:
        if not self.leases:
            return "offline"
        return "online" if any(lease.away_at > now for lease in self.leases.values()) else "away"


class MemoryLeases:
    shared = False

    def __init__(self, *, lease_seconds: float, away_seconds: float, sweep_seconds: float) -> None:
        self._lease = round(lease_seconds * 1000)
        self._away = round(away_seconds * 1000)
        self._two_sweeps = round(2 * sweep_seconds * 1000)
        self._claim = round(CLAIM_SECONDS * 1000)
        self._holders: dict[str, _Holder] = {}
        self._changed: dict[str, int] = {}
        """From when a holder can be claimed; who waits longest comes first."""
        self._ended: dict[Connection, int] = {}
        """Until when connections are known whose leases were dropped."""
        self._lowest_version = 0
        """Above the versions of all holders that were forgotten, should the clock go back."""
        self._swept_at: int | None = None
        self._none_ends_before = 0
        self._restored = False
        self._begin_again_at = 0
        self._lock = Lock()

    def attach(self, held: Held, *, limit: int) -> Attached:
        with self._lock:
            now = _now()
            holder = self._holders.get(held.holder) or _Holder()
            lease = holder.leases.get(held.lease)
            if lease is None:
                _make_room(holder, limit)
                self._open(holder, held, now)
                return Attached(True, None, self._settle(held.holder, now))
            replaced = lease.connection if lease.attached and lease.connection != held.connection else None
            self._hold(lease, held, now)
            return Attached(False, replaced, self._settle(held.holder, now))

    def renew(self, held: Sequence[Held]) -> list[bool]:
        with self._lock:
            now = _now()
            return [self._renew(one, now) for one in held]

    def detach(self, held: Held) -> bool:
        with self._lock:
            lease = self._held(held)
            if lease is None:
                return False
            now = _now()
            lease.attached, lease.ends_at = False, now + self._lease
            self._settle(held.holder, now)
            return True

    def drop(self, held: Held) -> bool:
        with self._lock:
            if self._held(held) is None:
                return False
            self._drop(held.holder, [held.lease])
            return True

    def state(self, held: Held) -> State:
        with self._lock:
            lease = self._lease_of(held)
            if lease is None or lease.connection != held.connection:
                return "other"
            return "attached" if lease.attached else "detached"

    def end(self, holder: str, lease: str | None = None) -> bool:
        with self._lock:
            found = self._holders.get(holder)
            ended = [name for name in (found.leases if found else ()) if lease in (None, name)]
            if ended:
                self._drop(holder, ended)
            return bool(ended)

    def set_away(self, holder: str, lease: str | None, *, away: bool) -> bool:
        with self._lock:
            found = self._holders.get(holder)
            if found is None:
                return False
            now = _now()
            for name, one in found.leases.items():
                if lease is None or name == lease:
                    one.away_at = 0 if away else now + self._away
            return self._settle(holder, now)

    def tell_again(self, holder: str) -> None:
        with self._lock:
            self._holders.setdefault(holder, _Holder()).again = True
            self._settle(holder, _now())

    def statuses(self, holders: Sequence[str]) -> list[tuple[Status, int]]:
        with self._lock:
            unknown = _Holder()
            found = [self._holders.get(name, unknown) for name in holders]
            return [(holder.telling or holder.told, holder.version) for holder in found]

    def sweep(self, limit: int) -> list[Lapsed]:
        with self._lock:
            now = _now()
            self._wait_after_a_pause(now)
            self._ended = {connection: until for connection, until in self._ended.items() if until > now}
            lapsed: list[Lapsed] = []
            for name in [name for name, holder in self._holders.items() if holder.due_at <= now]:
                for lease in self._past(self._holders[name], now):
                    if len(lapsed) == limit:
                        break
                    del self._holders[name].leases[lease]
                    if lease != RESTORED:
                        lapsed.append(Lapsed(name, lease))
                self._settle(name, now)
            return lapsed

    def claim(self, limit: int) -> list[Change]:
        with self._lock:
            now = _now()
            changes: list[Change] = []
            for name in self._claimable(now) if self._restored else ():
                if len(changes) == limit:
                    break
                holder = self._holders[name]
                if holder.telling is None:
                    # Moments may have passed since it was last looked at.
                    if not self._settle(name, now):
                        continue
                    holder.telling, holder.again = holder.status(now), False
                    holder.version = max(holder.version + 1, self._lowest_version, now)
                self._changed.pop(name)
                self._changed[name] = now + self._claim
                changes.append(Change(name, holder.telling, holder.version))
            return changes

    def confirm(self, changes: Sequence[Change]) -> None:
        with self._lock:
            now = _now()
            for change in changes:
                holder = self._holders.get(change.holder)
                if holder is not None and holder.telling is not None and holder.version == change.version:
                    holder.told, holder.telling = holder.telling, None
                    self._settle(change.holder, now)

    def begin(self) -> bool:
        with self._lock:
            now = _now()
            if self._restored or now < self._begin_again_at:
                return False
            self._begin_again_at = now + self._claim
            return True

    def restore(self, known: Sequence[Change]) -> None:
        with self._lock:
            now = _now()
            for change in known if not self._restored else ():
                holder = self._holders.setdefault(change.holder, _Holder())
                if holder.version < change.version:
                    holder.told, holder.version = change.status, change.version
                    if change.status != "offline" and not holder.leases:
                        away_at = 0 if change.status == "away" else now + self._away
                        holder.leases[RESTORED] = _Lease(now + self._lease, away_at, None, attached=False)
                self._settle(change.holder, now)
            self._restored = True

    def _open(self, holder: _Holder, held: Held, now: int) -> None:
        restored = holder.leases.pop(RESTORED, None)
        away_at = restored.away_at if restored else now + self._away
        lease = holder.leases[held.lease] = _Lease(0, away_at, None, attached=False)
        self._hold(lease, held, now)
        self._holders[held.holder] = holder

    def _hold(self, lease: _Lease, held: Held, now: int) -> None:
        lease.connection, lease.attached = held.connection, not held.passing
        lease.ends_at = now + self._lease + self._two_sweeps

    def _renew(self, held: Held, now: int) -> bool:
        holder = self._holders.get(held.holder)
        if holder is None or held.lease not in holder.leases:
            if held.connection in self._ended:
                return False
            self._open(holder or _Holder(), held, now)
            self._settle(held.holder, now)
            return True
        lease = holder.leases[held.lease]
        if not _holds(lease, held) and (lease.attached or lease.connection == held.connection):
            return False
        # The holder may be looked at too early now, never too late.
        self._hold(lease, held, now)
        return True

    def _held(self, held: Held) -> _Lease | None:
        lease = self._lease_of(held)
        return lease if lease and _holds(lease, held) else None

    def _lease_of(self, held: Held) -> _Lease | None:
        holder = self._holders.get(held.holder)
        return holder.leases.get(held.lease) if holder else None

    def _drop(self, name: str, leases: Sequence[str]) -> None:
        now = _now()
        for lease in leases:
            dropped = self._holders[name].leases.pop(lease)
            if dropped.connection:
                self._ended[dropped.connection] = now + round(REMEMBER_ENDED_SECONDS * 1000)
        self._settle(name, now)

    def _wait_after_a_pause(self, now: int) -> None:
        pause = 0 if self._swept_at is None else now - self._swept_at
        if pause > self._two_sweeps:
            self._none_ends_before = max(self._none_ends_before, now + min(pause, self._lease))
        self._swept_at = max(self._swept_at or now, now)

    def _past(self, holder: _Holder, now: int) -> list[str]:
        if now < self._none_ends_before:
            return []
        return [lease for lease, found in holder.leases.items() if found.ends_at <= now]

    def _claimable(self, now: int) -> list[str]:
        return [name for name, since in self._changed.items() if since <= now]

    def _settle(self, name: str, now: int) -> bool:
        """After each change of a holder: when to look again, whether it can be claimed, and forget one that is gone."""
        holder = self._holders[name]
        holder.due_at = min(self._moments(holder, now), default=NEVER)
        if holder.telling is None:
            if holder.again or holder.status(now) != holder.told:
                self._changed[name] = min(now, self._changed.get(name, now))
            else:
                self._changed.pop(name, None)
                if not holder.leases:
                    self._lowest_version = max(self._lowest_version, holder.version + 1)
                    del self._holders[name]
        return self._changed.get(name, now + 1) <= now

    def _moments(self, holder: _Holder, now: int) -> Iterator[int]:
        for lease in holder.leases.values():
            yield max(lease.ends_at, self._none_ends_before)
            if lease.away_at > now:
                yield lease.away_at


def _make_room(holder: _Holder, limit: int) -> None:
    """End the oldest detached leases so that one more fits. Raises TooMany."""
    others = {name: lease for name, lease in holder.leases.items() if name != RESTORED}
    detached = sorted((lease.ends_at, name) for name, lease in others.items() if not lease.attached)
    if len(others) - len(detached) >= limit:
        raise TooMany
    for _, name in detached[: max(0, len(others) + 1 - limit)]:
        del holder.leases[name]


def _holds(lease: _Lease, held: Held) -> bool:
    return lease.connection == held.connection and lease.attached is not held.passing


def _now() -> int:
    return round(clock.now().timestamp() * 1000)
