"""Token buckets per user and kind, shared by every door: `per_minute` refills, `burst` at most at once."""

from threading import Lock

from realtime import clock
from realtime.errors import RateLimited

_buckets: dict[str, tuple[float, float]] = {}
_lock = Lock()
SWEEP_ABOVE = 10_000
"""Buckets kept before full ones are thrown away."""


def spend(key: str, *, per_minute: float, burst: float) -> None:
    """Take one token. Raises RateLimited, which takes none, with the seconds until one is there."""
    now = clock.monotonic()
    with _lock:
        tokens, at = _buckets.get(key, (burst, now))
        tokens = min(burst, tokens + max(0.0, now - at) * per_minute / 60)
        if tokens < 1:
            raise RateLimited((1 - tokens) * 60 / per_minute)
        if len(_buckets) > SWEEP_ABOVE:
            _forget_full(now)
        _buckets[key] = (tokens - 1, now)


def forget_all() -> None:
    """Start anew; for tests, which share one process."""
    with _lock:
        _buckets.clear()


def _forget_full(now: float) -> None:
    for key in [key for key, (_, at) in _buckets.items() if now - at > 60]:
        del _buckets[key]
