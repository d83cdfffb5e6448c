"""Who asked to be told of whom, for PRESENCE_WATCH_SECONDS: in Redis or, without it, in the memory of the one process.

Keys in Redis, all in one hash slot so that one script may touch them:
  ms:{watch}:by:<watcher>  set         the ids that they watch
  ms:{watch}:of:<watched>  sorted set  the ids of their watchers, by the Unix milliseconds until which each watches
"""

from collections.abc import Collection, Iterable
from threading import Lock
from typing import Any, cast

from django.conf import settings

from realtime import clock
from realtime.backends import redis

# ARGV: the watcher, milliseconds, then whom they watch.
REPLACE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local mine = 'ms:{watch}:by:' .. ARGV[1]
for _, watched in ipairs(redis.call('SMEMBERS', mine)) do
  redis.call('ZREM', 'ms:{watch}:of:' .. watched, ARGV[1])
end
redis.call('DEL', mine)
for i = 3, #ARGV do
  local theirs = 'ms:{watch}:of:' .. ARGV[i]
  redis.call('SADD', mine, ARGV[i])
  redis.call('ZREMRANGEBYSCORE', theirs, '-inf', now)
  redis.call('ZADD', theirs, now + ARGV[2], ARGV[1])
  redis.call('PEXPIRE', theirs, ARGV[2])
end
redis.call('PEXPIRE', mine, ARGV[2])
"""

# ARGV: whom somebody may watch. For each the ids of their watchers.
WATCHERS = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = {}
for i, watched in ipairs(ARGV) do
  found[i] = redis.call('ZRANGEBYSCORE', 'ms:{watch}:of:' .. watched, '(' .. now, '+inf')
end
return found
"""


def watch(watcher_id: int, watched_ids: Collection[int]) -> None:
    """From now on they watch these and nobody else. Raises Unavailable."""
    connection = redis()
    if connection is None:
        _watches.watch(watcher_id, watched_ids)
    else:
        milliseconds = round(settings.PRESENCE_WATCH_SECONDS * 1000)
        arguments = [str(one) for one in (watcher_id, milliseconds, *watched_ids)]
        connection.run(lambda client: client.eval(REPLACE, 0, *arguments))


def watchers_of(user_ids: Iterable[int]) -> dict[int, set[int]]:
    """For each user the ids of those who watch them. Raises Unavailable."""
    asked = list(user_ids)
    connection = redis()
    if connection is None:
        return _watches.watchers_of(asked)
    found = connection.run(lambda client: cast(list[Any], client.eval(WATCHERS, 0, *map(str, asked))))
    return {user_id: set(map(int, watchers)) for user_id, watchers in zip(asked, found, strict=True)}


def watched_by(user_id: int) -> set[int]:
    """The ids of those whom a user watches. Raises Unavailable."""
    connection = redis()
    if connection is None:
        return _watches.watched_by(user_id)
    return set(map(int, connection.run(lambda client: cast(set[bytes], client.smembers(f"ms:{{watch}}:by:{user_id}")))))


def forget_all() -> None:
    """Start anew; for tests, which share one process."""
    _watches.forget_all()


class _Watches:
    """Those of one process, oldest first."""

    def __init__(self) -> None:
        self._by: dict[int, tuple[float, frozenset[int]]] = {}
        self._of: dict[int, set[int]] = {}
        self._lock = Lock()

    def watch(self, watcher_id: int, watched_ids: Collection[int]) -> None:
        with self._lock:
            self._forget_old()
            self._forget(watcher_id)
            if watched_ids:
                self._by[watcher_id] = (clock.monotonic() + settings.PRESENCE_WATCH_SECONDS, frozenset(watched_ids))
            for watched_id in watched_ids:
                self._of.setdefault(watched_id, set()).add(watcher_id)

    def watchers_of(self, user_ids: Collection[int]) -> dict[int, set[int]]:
        with self._lock:
            self._forget_old()
            return {user_id: set(self._of.get(user_id, ())) for user_id in user_ids}

    def watched_by(self, user_id: int) -> set[int]:
        with self._lock:
            self._forget_old()
            return set(self._by.get(user_id, (0.0, ()))[1])

    def forget_all(self) -> None:
        with self._lock:
            self._by.clear()
            self._of.clear()

    def _forget_old(self) -> None:
        # All last equally long, so the oldest end first.
        while self._by and next(iter(self._by.values()))[0] <= clock.monotonic():
            self._forget(next(iter(self._by)))

    def _forget(self, watcher_id: int) -> None:
        for watched_id in self._by.pop(watcher_id, (0.0, frozenset[int]()))[1]:
            self._of[watched_id].discard(watcher_id)
            if not self._of[watched_id]:
                del self._of[watched_id]


_watches = _Watches()
