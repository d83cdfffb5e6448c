"""Token buckets per key, shared by every door and worker: `per_minute` refills, `burst` at most at once."""

from collections.abc import Sequence
from threading import Lock
from typing import cast

from realtime import clock
from realtime.backends import redis
from realtime.errors import RateLimited, Unavailable

# ARGV: tokens per second, burst. For each key the seconds until a token is there, as text; "0" where one was taken.
SPEND = """
local now = redis.call('TIME')
now = now[1] + now[2] / 1000000
local rate, burst, waits = tonumber(ARGV[1]), tonumber(ARGV[2]), {}
for i, key in ipairs(KEYS) do
  local bucket = redis.call('HMGET', key, 'tokens', 'at')
  local tokens = math.min(burst, (bucket[1] or burst) + math.max(0, now - (bucket[2] or now)) * rate)
  if tokens < 1 then
    waits[i] = tostring((1 - tokens) / rate)
  else
    redis.call('HSET', key, 'tokens', tostring(tokens - 1), 'at', string.format('%.6f', now))
    redis.call('EXPIRE', key, math.ceil(burst / rate) + 1)
    waits[i] = '0'
  end
end
return waits
"""


def spend(key: str, *, per_minute: float, burst: float) -> None:
    """Take one token. Raises RateLimited, which takes none, with the seconds until one is there."""
    [wait] = spend_each([key], per_minute=per_minute, burst=burst)
    if wait > 0:
        raise RateLimited(wait)


def spend_each(keys: Sequence[str], *, per_minute: float, burst: float) -> list[float]:
    """Take one token of each key that has one: for each the seconds until a token is there, 0 where one was taken."""
    rate = per_minute / 60
    connection = redis()
    if connection is not None:
        names = [f"ms:limit:{key}" for key in keys]
        try:
            waits = connection.run(
                lambda client: cast(list[bytes], client.eval(SPEND, len(names), *names, rate, burst))
            )
            return [float(wait) for wait in waits]
        except Unavailable:
            # An outage must not stop people from writing; until it ends each worker counts for itself.
            pass
    return [_buckets.spend(key, rate, burst) for key in keys]


def forget_all() -> None:
    """Start anew; for tests, which share one process."""
    _buckets.forget_all()


class _Buckets:
    """Those of one process. Full ones are forgotten when there are many, as they say nothing."""

    MANY = 10_000

    def __init__(self) -> None:
        self._tokens: dict[str, tuple[float, float]] = {}
        self._lock = Lock()

    def spend(self, key: str, rate: float, burst: float) -> float:
        """The seconds until a token is there; 0 when one was taken."""
        now = clock.monotonic()
        with self._lock:
            tokens, at = self._tokens.get(key, (burst, now))
            tokens = min(burst, tokens + max(0.0, now - at) * rate)
            if tokens < 1:
                return (1 - tokens) / rate
            if len(self._tokens) >= self.MANY:
                self._forget_full(now, burst / rate)
            self._tokens[key] = (tokens - 1, now)
            return 0.0

    def forget_all(self) -> None:
        with self._lock:
            self._tokens.clear()

    def _forget_full(self, now: float, seconds: float) -> None:
        for key in [key for key, (_, at) in self._tokens.items() if now - at > seconds]:
            del self._tokens[key]


_buckets = _Buckets()
