"""Three workers with a Redis of their own and a PostgreSQL, and the report at the end of the run."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import services
from tests.conftest import STARTED
from tests.history.cluster import SETTINGS, Cluster
from tests.server import ROOT, Databases, Server

REPORTS = pytest.StashKey[list[str]]()
REPORT_FILE = ROOT / "build" / "history-report.txt"

StartCluster = Callable[..., Cluster]
Tell = Callable[[str], None]


@pytest.fixture(scope="session")
def postgres_databases(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """In the PostgreSQL of this run, else in one that is started for these tests."""
    if os.environ.get("TEST_POSTGRES_URL"):
        yield databases
    else:
        with services.postgres() as url:
            yield Databases(tmp_path_factory.mktemp("databases"), url)


@pytest.fixture
def start_cluster(
    request: pytest.FixtureRequest, postgres_databases: Databases, tmp_path: Path
) -> Iterator[StartCluster]:
    """Starts workers, one for each settings module that is named."""
    servers: list[Server] = request.node.stash.setdefault(STARTED, [])
    with services.redis_server() as redis:

        def start(*modules: str, **variables: object) -> Cluster:
            shared = SETTINGS | {"DATABASE_URL": postgres_databases.new(demo=False), "REDIS_URL": redis.url}
            servers.extend(
                Server(
                    tmp_path / f"worker-{number}.log", variables=shared | {"DJANGO_SETTINGS_MODULE": module} | variables
                )
                for number, module in enumerate(modules)
            )
            cluster = Cluster(servers, redis)
            cluster.start()
            return cluster

        try:
            yield start
        finally:
            for server in servers:
                server.kill()


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    """Puts something into the report of this run."""
    told = request.config.stash.setdefault(REPORTS, [])

    def tell(report: str) -> None:
        told.append(report)
        REPORT_FILE.parent.mkdir(exist_ok=True)
        REPORT_FILE.write_text("\n\n".join(told) + "\n")

    return tell


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if told := config.stash.get(REPORTS, []):
        terminalreporter.section("history")
        for report in told:
            terminalreporter.write_line(report)
