"""Which stores this installation uses: those of REDIS_URL, else the memory of the one process."""

from functools import cache

from django.conf import settings

from realtime.streams import Streams
from realtime.streams_memory import MemoryStreams


@cache
def streams() -> Streams:
    return MemoryStreams(events=settings.STREAM_EVENTS, seconds=settings.STREAM_SECONDS)
