"""Which stores this installation uses: those of REDIS_URL, else the memory of the one process."""

from functools import cache

from django.conf import settings

from realtime.streams import Streams
from realtime.streams_memory import MemoryStreams
from realtime.streams_redis import RedisStreams


@cache
def streams() -> Streams:
    events, seconds = settings.STREAM_EVENTS, settings.STREAM_SECONDS
    if not settings.REDIS_URL:
        return MemoryStreams(events=events, seconds=seconds)
    # Three sweeps: a worker that misses one is still told.
    return RedisStreams(settings.REDIS_URL, events=events, seconds=seconds, listen_seconds=3 * settings.SWEEP_SECONDS)
