"""Classrooms in this process, with a clock that tests move, and on a real server.

With the services of tests.services they are in PostgreSQL and their streams in Redis, else in SQLite and in memory.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from django.conf import LazySettings

from groups.mesh import keys
from groups.mesh.graphql.appsync import Refused, document_of, run
from groups.mesh.graphql.resolvers import Roots
from groups.mesh.keys import Key
from groups.models import MeshGroup
from realtime import backends
from realtime.backends import streams
from realtime.hub import hub
from realtime.streams import Entry, Position
from tests import services
from tests.mesh.classroom import Place, School
from tests.realtime.conftest import Clock, still
from tests.server import Databases, Server

__all__ = ["still"]

EVERYWHERE = Key("test", frozenset())
API_KEY = "key-of-the-tests"


@pytest.fixture
def _stores(request: pytest.FixtureRequest, settings: LazySettings) -> Iterator[None]:
    """Empty ones, which events reach: memory is served by this process, whose hub nobody listens to."""
    if os.environ.get("TEST_POSTGRES_URL"):
        settings.REDIS_URL = request.getfixturevalue("redis_url")
    _forget()
    if (connection := backends.redis()) is not None:
        connection.client.flushdb()
    loop = asyncio.new_event_loop()
    hub.start(loop)
    yield
    loop.run_until_complete(asyncio.sleep(0))  # what was rung is heard, else the hub waits for it in later tests
    hub.loop = None
    loop.close()
    if (connection := backends.redis()) is not None:
        connection.client.close()
    _forget()


def _forget() -> None:
    keys.forget_all()
    for remembered in (backends.redis, backends.streams, backends.leases):
        remembered.cache_clear()


@pytest.fixture
def school(transactional_db: None, still: Clock, _stores: None) -> School:
    """Clients with one key and address. What a call publishes is in the streams when it returns."""
    return school_of(EVERYWHERE)


def school_of(key: Key, address: str = "203.0.113.9") -> School:
    def send(document: str, variables: dict[str, Any]) -> dict[str, Any]:
        try:
            return run(document_of(document, None), variables, Roots(key, address))
        except Refused as refused:
            return {"data": None, "errors": refused.errors}

    return School(send)


def entries_of(place: Place) -> list[Entry]:
    """All that the group's stream holds."""
    group = MeshGroup.objects.get(pk=place.id)
    top = streams().open(group.stream)
    return [entry for _seq, entry in streams().read(group.stream, Position(top.epoch, 0))]


@pytest.fixture
def store_is_lost(_stores: None) -> Any:
    """Lose all streams, as a restart does with memory and an outage with Redis."""

    def lose() -> None:
        if (connection := backends.redis()) is not None:
            connection.client.flushdb()
        else:
            streams.cache_clear()

    return lose


@pytest.fixture
def store_is_away(_stores: None, settings: LazySettings) -> Callable[[], AbstractContextManager[None]]:
    """While it lasts, streams take nothing: Redis does not answer; of memory, the process that has it is not there."""

    @contextmanager
    def away() -> Iterator[None]:
        loop, url = hub.loop, settings.REDIS_URL
        if url:
            settings.REDIS_URL = f"redis://127.0.0.1:{services.free_port()}"
            _forget()
        else:
            hub.loop = None
        yield
        settings.REDIS_URL, hub.loop = url, loop
        if url:
            _forget()

    return away


@pytest.fixture(scope="session")
def redis_alone() -> Iterator[str]:
    """A Redis for servers: what tests in this process find in theirs, nobody else may touch."""
    with services.redis() as url:
        yield url


@pytest.fixture(scope="module")
def classrooms(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A real server for the tests of a file; sweeps are quick."""
    variables: dict[str, object] = {
        "MESH_API_KEYS": f"{API_KEY},key-of-one-school=one",
        "SWEEP_SECONDS": 0.3,
        "SIGN_IN_SECONDS": 1,
        "DATABASE_URL": databases.new(demo=True),
    }
    if "TEST_REDIS_URL" in os.environ:
        variables["REDIS_URL"] = request.getfixturevalue("redis_alone")
    server = Server(tmp_path_factory.mktemp("classrooms") / "log", variables=variables)
    server.start()
    yield server
    server.stop()
