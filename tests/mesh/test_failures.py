"""A database that fails: clients are told so that they go on, and never with a 5xx, which they repeat for minutes."""

import pytest

from tests.conftest import StartServer
from tests.mesh.classroom import DOCUMENTS
from tests.mesh.sockets import API_KEY, GraphQLSocket, in_query, school_at
from tests.mesh.test_graphql_http import WORDS, assert_readable_by_pages, post
from tests.server import Server


@pytest.fixture
def server(start_server: StartServer) -> Server:
    return start_server(MESH_API_KEYS=API_KEY)


def lose(server: Server, table: str) -> None:
    sql = f"ALTER TABLE {table} RENAME TO lost"
    code = f"from django.db import connection; connection.cursor().execute({sql!r})"
    server.manage("shell", "--verbosity=0", f"--command={code}")


@pytest.mark.parametrize(
    ("table", "key"), [("groups_meshgroup", API_KEY), ("groups_meshkey", "unknown")], ids=["groups", "keys"]
)
def test_a_call_that_fails_here_is_answered_so_that_clients_go_on(server: Server, table: str, key: str) -> None:
    lose(server, table)
    body = {"query": DOCUMENTS["listGroupsByDomain"], "variables": {"domain": "school"}}
    answer = post(server, body, key)
    assert answer.status_code == 200
    assert_readable_by_pages(answer)
    assert answer.json()["data"] is None
    [error] = answer.json()["errors"]
    assert error["errorType"] == "InternalFailure"
    assert not any(word in answer.text.lower() for word in WORDS)
    assert "Traceback" in server.log_text()  # whoever runs it finds what it was


def test_a_start_that_fails_here_leaves_the_socket_and_its_neighbours(server: Server) -> None:
    place = school_at(server).host()
    with GraphQLSocket(server) as socket:
        socket.subscribe(place)
        lose(server, "groups_meshgroup")
        socket.start(place.names, id="late")
        frame = socket.read()
        assert (frame["type"], frame["id"]) == ("error", "late")
        assert [error["errorType"] for error in frame["payload"]["errors"]] == ["InternalFailure"]
        socket.send(type="stop", id="late")
        assert socket.read() == {"type": "complete", "id": "late"}


def test_a_socket_whose_key_cannot_be_looked_up_may_come_again(server: Server) -> None:
    lose(server, "groups_meshkey")
    with GraphQLSocket(server, query=in_query("unknown"), begin=False) as socket:
        socket.send(type="connection_init")
        frame = socket.read()
        assert frame["type"] == "connection_error"
        assert frame["payload"]["errors"][0]["errorCode"] not in {400, 401, 403}
        assert socket.closed() == 1000
