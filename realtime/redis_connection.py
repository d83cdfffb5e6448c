"""The connections to Redis, and what an outage of it costs: nobody waits long, and not one after the other."""

import logging
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from redis import Redis
from redis.exceptions import RedisError

from realtime.errors import Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

TIMEOUT_SECONDS = 1.0
PAUSE_SECONDS = 1.0
"""After a failure everybody is told so at once for this long, instead of waiting for a timeout of their own."""


def shard_of(name: str, shards: int) -> int:
    """In which hash slot the keys of a user are, their stream and their leases."""
    return zlib.crc32(name.encode()) % shards


class RedisConnection:
    def __init__(self, url: str) -> None:
        self.client = Redis.from_url(
            url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, health_check_interval=15
        )
        self._down_until = 0.0

    def run(self, work: Callable[[Redis], T]) -> T:
        """Do something with Redis. Raises Unavailable for an outage; what was asked may have been done all the same."""
        if time.monotonic() < self._down_until:
            raise Unavailable("Redis")
        try:
            done = work(self.client)
        except RedisError as error:
            if not self._down_until:
                log.warning("Redis is away: %r", error)
            self._down_until = time.monotonic() + PAUSE_SECONDS
            raise Unavailable("Redis") from error
        if self._down_until:
            self._down_until = 0.0
            log.info("Redis is back")
        return done


@contextmanager
def in_cache() -> Iterator[None]:
    """Django's cache has connections of its own: their outage, too, raises Unavailable."""
    try:
        yield
    except RedisError as error:
        raise Unavailable("Redis") from error
