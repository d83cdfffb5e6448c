"""A server with a classroom's key and TLS in front of it, and clients for it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.mesh_clients import tls
from tests.mesh_clients.clients import AppSyncClient, Kind, client_of
from tests.server import Databases, Server

KEY = "a-key-of-the-tests"
SETTINGS = {"MESH_API_KEYS": KEY, "MESH_POLLING_HEARTBEAT_SECONDS": 1, "MESH_POLLING_INTERVAL_SECONDS": 1}


@dataclass(frozen=True)
class School:
    """Where a school's editors point to."""

    server: Server
    endpoint: str
    certificate: Path

    def client(self, kind: Kind, *, key: str = KEY) -> AppSyncClient:
        return client_of(kind, endpoint=self.endpoint, key=key, certificate=self.certificate)


@pytest.fixture(scope="package")
def school(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[School]:
    place = tmp_path_factory.mktemp("school")
    certificate, key = tls.make_certificate(place)
    server = Server(place / "log", variables={**SETTINGS, "DATABASE_URL": databases.new(demo=False)})
    server.start()
    try:
        with tls.in_front_of(server.port, certificate, key) as port:
            yield School(server, f"https://{tls.ADDRESS}:{port}/graphql", certificate)
    finally:
        server.stop()


@pytest.fixture
def domain(request: pytest.FixtureRequest) -> str:
    """Each test meets its own groups only."""
    return f"{request.node.name}"[:200]
