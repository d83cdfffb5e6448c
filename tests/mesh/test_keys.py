"""What MESH_API_KEYS may hold, on a real server: the keys, and where each works."""

from collections.abc import Iterator

import httpx
import pytest

from tests.mesh.sockets import GraphQLSocket, in_query, in_subprotocol
from tests.server import Databases, Server

CONFIGURED = {
    "plain": [],
    "of-one": ["one"],
    "of-two": ["one", "two"],
    "cGFkZGVk==": [],
    "b25lIHBhZA=": [],
    "bGltaXRlZA==": ["one", "two"],
    "+/+/": ["one"],
    "k=in-the-middle": ["one"],
}
"""Keys, and the domains in which they work; everywhere without."""


@pytest.fixture(scope="module")
def server(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    lines = [f"{key}={'|'.join(domains)}" if domains else key for key, domains in CONFIGURED.items()]
    variables = {"MESH_API_KEYS": " , ".join(lines), "DATABASE_URL": databases.new(demo=False)}
    server = Server(tmp_path_factory.mktemp("keys") / "log", variables=variables)
    server.start()
    yield server
    server.stop()


def may_list(server: Server, key: str, domain: str) -> bool | None:
    """Whether a key works in a domain; None when it is none."""
    answer = httpx.post(
        f"{server.url}/graphql",
        json={"query": f'{{ listGroupsByDomain(domain: "{domain}") {{ id }} }}'},
        headers={"x-api-key": key},
    )
    return None if answer.status_code == 401 else "errors" not in answer.json()


@pytest.mark.parametrize("key", CONFIGURED)
def test_a_key_works_in_its_domains_whatever_it_is_made_of(server: Server, key: str) -> None:
    works_in = {domain for domain in ("one", "two", "three") if may_list(server, key, domain)}
    assert works_in == set(CONFIGURED[key] or ("one", "two", "three"))


@pytest.mark.parametrize("key", ["cGFkZGVk", "cGFkZGVk=", "b25lIHBhZA", "k", "of-one=one", "one", "plain,of-one"])
def test_what_only_looks_like_a_key_is_none(server: Server, key: str) -> None:
    assert may_list(server, key, "one") is None


@pytest.mark.parametrize("key", CONFIGURED)
def test_a_socket_takes_each_of_them_in_each_way(server: Server, key: str) -> None:
    with (
        GraphQLSocket(server, query=in_query(key)),
        GraphQLSocket(server, query="", offered=("graphql-ws", in_subprotocol(key))),
    ):
        pass
