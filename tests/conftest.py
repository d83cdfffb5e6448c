"""Fixtures of every test: the services, and real servers. The cast is in tests/cast.py."""

import itertools
import logging
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from django.db import connections

from tests import audit, services
from tests.server import Databases, Kind, Server, manage

pytest_plugins = ["tests.cast"]

# A line for each of a thousand requests hides what failed.
logging.getLogger("httpx").setLevel(logging.WARNING)

# A test that does not try the limits must not meet them.
GENEROUS = {
    "SEND_PER_MINUTE": 100_000,
    "SEND_BURST": 1000,
    "SIGNUPS_PER_MINUTE": 1000,
    "AWAY_PER_MINUTE": 100_000,
    "REACT_PER_MINUTE": 100_000,
}
CALM_SECONDS = 36_000
"""Nobody leaves the shared server, and nobody falls asleep there, which would be told in the middle of another test."""
STARTED = pytest.StashKey[list[Server]]()


class StartServer(Protocol):
    def __call__(
        self, *, kind: Kind = "uvicorn", demo: bool = True, database_url: str | None = None, **variables: object
    ) -> Server: ...


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """SQLite in a file, as it is served: in memory, threads would lock each other out at once instead of waiting."""
    database = connections["default"].settings_dict
    if database["ENGINE"] == "django.db.backends.sqlite3":
        database["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "test.sqlite3")


@pytest.fixture(scope="session", autouse=True)
def _audit_log_is_emptied_with_the_rest() -> Iterator[None]:
    with audit.flushable():
        yield


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """The PostgreSQL that this run is on. Only tests marked `postgres` may ask for it."""
    return os.environ["TEST_POSTGRES_URL"]


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis of this run alone."""
    if url := os.environ.get("TEST_REDIS_URL"):
        yield url
    else:
        with services.redis() as url:
            yield url


@pytest.fixture(scope="session", autouse=True)
def collected_static_files() -> None:
    """Production pages name static files by their hash, so they must have been collected."""
    manage("collectstatic", "--noinput", "--verbosity=0", DATABASE_URL="sqlite://:memory:")


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Databases:
    return Databases(tmp_path_factory.mktemp("databases"), os.environ.get("TEST_POSTGRES_URL"))


@pytest.fixture(scope="session")
def server(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server that tests share: with the demo, so a test makes its own workspace when it counts things."""
    calm = {"LEASE_SECONDS": CALM_SECONDS, "AWAY_SECONDS": CALM_SECONDS, "DATABASE_URL": databases.new(demo=True)}
    server = Server(tmp_path_factory.mktemp("server") / "log", variables=GENEROUS | calm)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def start_server(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> Iterator[StartServer]:
    """Starts servers with environment variables of their own; all of them end with the test."""
    started: list[Server] = request.node.stash.setdefault(STARTED, [])
    numbers = itertools.count(1)

    def start(
        *, kind: Kind = "uvicorn", demo: bool = True, database_url: str | None = None, **variables: object
    ) -> Server:
        variables["DATABASE_URL"] = database_url or databases.new(demo=demo)
        server = Server(tmp_path / f"server-{next(numbers)}.log", kind=kind, variables=variables)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.kill()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what its servers logged."""
    report = yield
    if report.failed:
        for server in _servers_of(item):
            report.sections.append((f"log of {server.url}", server.log_text()[-20_000:]))
    return report


def _servers_of(item: pytest.Item) -> list[Server]:
    fixtures: dict[str, object] = getattr(item, "funcargs", {})
    shared = [value for value in fixtures.values() if isinstance(value, Server)]
    return shared + item.stash.get(STARTED, [])
