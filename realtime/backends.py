"""Which stores this installation uses: those of REDIS_URL, else the memory of the one process."""

from functools import cache

from django.conf import settings

from realtime.leases import Leases
from realtime.leases_memory import MemoryLeases
from realtime.leases_redis import RedisLeases
from realtime.redis_connection import RedisConnection
from realtime.streams import Bounds, Streams
from realtime.streams_memory import MemoryStreams
from realtime.streams_redis import RedisStreams


@cache
def redis() -> RedisConnection | None:
    """The connection to REDIS_URL, if it is set."""
    return RedisConnection(settings.REDIS_URL) if settings.REDIS_URL else None


@cache
def streams() -> Streams:
    events, seconds = settings.STREAM_EVENTS, settings.STREAM_SECONDS
    # A group's log is whole until its end, and can be read for a while after it.
    others = {"mesh": Bounds(settings.MESH_LOG_ENTRIES, settings.MESH_MAX_CONNECTION_TIME_SECONDS + seconds)}
    connection = redis()
    if connection is None:
        return MemoryStreams(events=events, seconds=seconds, others=others)
    # Three sweeps: a worker that misses one is still told.
    listen_seconds = 3 * settings.SWEEP_SECONDS
    return RedisStreams(connection, events=events, seconds=seconds, listen_seconds=listen_seconds, others=others)


@cache
def leases() -> Leases:
    lease, away, sweep = settings.LEASE_SECONDS, settings.AWAY_SECONDS, settings.SWEEP_SECONDS
    connection = redis()
    if connection is None:
        return MemoryLeases(lease_seconds=lease, away_seconds=away, sweep_seconds=sweep)
    return RedisLeases(connection, lease_seconds=lease, away_seconds=away, sweep_seconds=sweep)
