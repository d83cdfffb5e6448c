"""What tests of sessions, streams and limits share: a clock that they move, and streams of every backend."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from realtime import clock
from realtime.redis_connection import RedisConnection
from realtime.streams import Streams
from realtime.streams_memory import MemoryStreams
from realtime.streams_redis import RedisStreams


@dataclass
class Clock:
    """Stands still until it is moved."""

    passed: float = 0.0
    started_at: datetime = field(default_factory=lambda: datetime(2026, 11, 21, 9, tzinfo=UTC))

    def advance(self, seconds: float) -> None:
        self.passed += seconds

    def now(self) -> datetime:
        return self.started_at + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return 1000.0 + self.passed


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> Clock:
    replaced = Clock()
    monkeypatch.setattr(clock, "now", replaced.now)
    monkeypatch.setattr(clock, "monotonic", replaced.monotonic)
    return replaced


class MakeStreams(Protocol):
    def __call__(self, *, events: int = ..., seconds: float = ...) -> Streams: ...


@pytest.fixture(params=["memory", "redis"])
def make_streams(request: pytest.FixtureRequest) -> Iterator[MakeStreams]:
    """Makes empty streams. What a test finds true of one backend has to be true of each."""
    if request.param == "memory":
        yield _make_in_memory
        return
    connection = RedisConnection(request.getfixturevalue("redis_url"))
    connection.client.flushdb()

    def make_in_redis(*, events: int = 100, seconds: float = 60.0) -> Streams:
        return RedisStreams(connection, events=events, seconds=seconds, listen_seconds=15)

    yield make_in_redis
    connection.client.close()


def _make_in_memory(*, events: int = 100, seconds: float = 60.0) -> Streams:
    return MemoryStreams(events=events, seconds=seconds)
