"""The stores of presence, people with sessions, and what their streams were told."""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import LazySettings

from groups.models import User
from realtime import backends
from realtime.backends import leases, streams
from realtime.leases import Connection, Held
from realtime.relay import user_stream
from tests.realtime.conftest import Clock, still

__all__ = ["still"]

_connections = itertools.count(1)


@pytest.fixture(params=["memory", "redis"])
def stores(request: pytest.FixtureRequest, settings: LazySettings) -> Iterator[str]:
    """Empty stores of this process, with leases in use. What is true with one backend has to be true with each."""
    if request.param == "redis":
        settings.REDIS_URL = request.getfixturevalue("redis_url")
    yield from _fresh(request.param)


@pytest.fixture
def shared(settings: LazySettings, redis_url: str) -> Iterator[str]:
    """Empty stores of several workers: a process without a hub sends events to those only."""
    settings.REDIS_URL = redis_url
    yield from _fresh("redis")


@pytest.fixture
def memory() -> Iterator[str]:
    """Empty stores in memory, for what no store changes."""
    yield from _fresh("memory")


def _fresh(name: str) -> Iterator[str]:
    _forget()
    if (connection := backends.redis()) is not None:
        connection.client.flushdb()
    assert leases().begin()
    leases().restore([])
    yield name
    if connection is not None:
        connection.client.close()
    _forget()


def _forget() -> None:
    for store in (backends.redis, backends.streams, backends.leases):
        store.cache_clear()


@pytest.fixture
def passes(stores: str, request: pytest.FixtureRequest) -> Callable[[float], None]:
    """Lets seconds pass. Redis has a clock of its own, which nobody moves."""
    if stores == "redis":
        return time.sleep
    clock: Clock = request.getfixturevalue("still")
    return clock.advance


def attach(user: User, session: str = "s_1") -> Held:
    """A session of somebody on some worker."""
    held = Held(user_stream(user.pk), session, Connection(f"c{next(_connections)}", "w1"))
    leases().attach(held, limit=20)
    return held


class Ear:
    """Somebody's open stream."""

    def __init__(self, user: User) -> None:
        self._stream = user_stream(user.pk)
        self._at = streams().open(self._stream)

    @property
    def told(self) -> list[dict[str, Any]]:
        """The data of the presence events since it opened."""
        entries = [entry for _, entry in streams().read(self._stream, self._at)]
        return [json.loads(b"{" + entry.body)["data"] for entry in entries if entry.name == "presence.updated"]

    def of(self, user: User) -> list[str]:
        """The statuses that were told of somebody, whose versions have to rise."""
        about = [data for data in self.told if data["user_id"] == user.pk]
        versions = [data["version"] for data in about]
        assert versions == sorted(set(versions)), versions
        return [data["status"] for data in about]

    def texts_of(self, user: User) -> list[tuple[str, str]]:
        return [(data["status_text"], data["status_emoji"]) for data in self.told if data["user_id"] == user.pk]
