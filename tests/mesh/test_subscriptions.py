"""Subscriptions in AppSync's dialect, on a real server. Source: the specification's 1.8, 2.2 to 2.5."""

import base64
import json
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.conftest import StartServer
from tests.mesh.classroom import SUBSCRIPTION, Place, School, event
from tests.mesh.sockets import API_KEY, GraphQLSocket, header_of, in_query, in_subprotocol, school_at
from tests.server import Server
from tests.sockets import RawSocket, connected, eventually, memory_kib

UNAUTHORIZED = {
    "errorType": "UnauthorizedException",
    "message": "You are not authorized to make this call.",
    "errorCode": 401,
}


@pytest.fixture
def school(classrooms: Server) -> School:
    return school_at(classrooms)


@pytest.fixture
def place(school: School) -> Place:
    """A group of its own, which ends with the test."""
    place = school.host("n1", "subscriptions")
    school.ask("dissolveGroup", **place.names, hostId="n1")
    return school.host("n1", "subscriptions")


@pytest.fixture
def socket(classrooms: Server) -> Iterator[GraphQLSocket]:
    with GraphQLSocket(classrooms) as socket:
        yield socket


@pytest.mark.parametrize("path", ["/graphql/realtime", "/graphql", "/graphql/connect"])
def test_a_socket_is_served_where_clients_look_for_it(classrooms: Server, path: str) -> None:
    with GraphQLSocket(classrooms, path=path) as socket:
        assert socket.connection.subprotocol == "graphql-ws"


@pytest.mark.parametrize(
    ("query", "offered"),
    [
        (in_query(), ("graphql-ws",)),
        (in_query(padded=False), ("graphql-ws",)),
        ("?header=" + quote(in_query()[8:].split("&")[0], safe="") + "&payload=e30=", ("graphql-ws",)),
        ("", ("graphql-ws", in_subprotocol())),
        ("?x-custom=1&payload=zzz", ("graphql-ws", in_subprotocol())),
    ],
    ids=["query", "query without padding", "query percent-encoded", "subprotocol", "subprotocol and headers"],
)
def test_each_way_to_bring_a_key_is_taken(classrooms: Server, query: str, offered: tuple[str, ...]) -> None:
    with GraphQLSocket(classrooms, query=query, offered=offered) as socket:
        assert socket.connection.subprotocol == "graphql-ws"


def test_a_plus_that_arrives_as_a_space_is_a_plus(classrooms: Server) -> None:
    headers = json.dumps({"x-api-key": API_KEY, "pad": "~~~>>>???"}, separators=(",", ":")).encode()
    header = next(found for spaces in range(3) if "+" in (found := base64.b64encode(b" " * spaces + headers).decode()))
    for written in (header, header.replace("+", "%20")):
        with GraphQLSocket(classrooms, query=f"?header={written}&payload=e30="):
            pass


@pytest.mark.parametrize(
    ("query", "told"),
    [
        (in_query("wrong"), UNAUTHORIZED),
        ("", UNAUTHORIZED | {"errorCode": 400, "message": "Required headers are missing."}),
        ("?header=!!!&payload=e30=", UNAUTHORIZED | {"errorCode": 400, "message": "Required headers are missing."}),
        (in_query(None), UNAUTHORIZED | {"errorCode": 400, "message": "Required headers are missing."}),
    ],
    ids=["wrong", "none", "nonsense", "no key"],
)
def test_bad_credentials_are_judged_after_the_upgrade(classrooms: Server, query: str, told: dict[str, Any]) -> None:
    """A refused upgrade would make every production host fall back to polling."""
    with GraphQLSocket(classrooms, query=query, begin=False) as socket:
        socket.send(type="connection_init")
        assert socket.read() == {"type": "connection_error", "payload": {"errors": [told]}}
        assert socket.closed() == 1000


@pytest.mark.parametrize(
    ("query", "offered", "status"),
    [
        ("?header=" + "A" * 20_000, ("graphql-ws",), 414),
        ("", ("graphql-ws", "header-" + "A" * 20_000), 431),
    ],
    ids=["query", "subprotocol"],
)
def test_credentials_that_are_too_long_are_refused_at_once(
    classrooms: Server, query: str, offered: tuple[str, ...], status: int
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        GraphQLSocket(classrooms, query=query, offered=offered)
    assert refused.value.response.status_code == status


def test_a_client_that_tests_its_network_connects_without_anything(classrooms: Server) -> None:
    with connect(f"{classrooms.ws_url}/graphql/realtime", subprotocols=["graphql-ws"], proxy=None) as probe:  # type: ignore[list-item]
        assert probe.subprotocol == "graphql-ws"


def test_what_comes_before_the_beginning_is_not_answered(classrooms: Server, place: Place) -> None:
    with GraphQLSocket(classrooms, begin=False) as socket:
        socket.start(place.names)
        socket.send(type="stop", id="x")
        socket.send(type="connection_init")
        assert [socket.read()["type"] for _ in range(2)] == ["connection_ack", "ka"]
        socket.send(type="connection_init")
        assert socket.quiet()


def test_a_start_is_acknowledged_without_a_payload(socket: GraphQLSocket, place: Place) -> None:
    id = socket.start(place.names)
    assert socket.read() == {"type": "start_ack", "id": id}


def test_subscribers_get_reports_events_and_the_end_in_their_order(socket: GraphQLSocket, place: Place) -> None:
    id = socket.subscribe(place)
    told = [
        place.report("n2", 点="１"),
        place.fire("合図😀", payload="p", key="k"),
        place.ask("dissolveGroup", hostId="n1"),
    ]
    assert [socket.read() for _ in told] == [
        {"type": "data", "id": id, "payload": {"data": {"onMessageInGroup": message}}} for message in told
    ]


def test_recorded_events_reach_subscribers_in_the_order_of_their_keys(socket: GraphQLSocket, place: Place) -> None:
    socket.subscribe(place)
    place.ask("recordEventsByNode", nodeId="n2", events=[event("b", key="2"), event("a", key="1", payload="")])
    events = socket.message()["batchEvent"]["events"]
    assert [(one["name"], one["payload"]) for one in events] == [("a", ""), ("b", None)]


def test_joining_beating_leaving_and_what_failed_publish_nothing(socket: GraphQLSocket, place: Place) -> None:
    socket.subscribe(place)
    place.join("n2")
    place.ask("sendMemberHeartbeat", nodeId="n2")
    place.ask("renewHeartbeat", hostId="n1")
    place.ask("leaveGroup", nodeId="n2")
    place.error("dissolveGroup", hostId="eve")
    place.error("fireEventsByNode", nodeId="", events=[])
    place.error("reportDataByNode", nodeId="n2", data=[{"key": "\0", "value": ""}])
    assert socket.quiet()


def test_a_retry_is_told_once(socket: GraphQLSocket, place: Place) -> None:
    socket.subscribe(place)
    for _ in range(3):
        place.fire("a", key="k")
    place.fire("b", key="l")
    names = [[one["name"] for one in socket.message()["batchEvent"]["events"]] for _ in range(2)]
    assert names == [["a"], ["b"]]


def test_only_the_pair_of_group_and_domain_is_told(classrooms: Server, school: School, place: Place) -> None:
    other = school.host("n3", "subscriptions")
    with GraphQLSocket(classrooms) as eve:
        for names in ({"groupId": place.id, "domain": "elsewhere"}, other.names, {"groupId": "x", "domain": ""}):
            id = eve.start(names)
            assert eve.read() == {"type": "start_ack", "id": id}
        place.report(a="1")
        assert eve.quiet()


def test_many_subscriptions_of_one_socket_go_their_own_ways(
    socket: GraphQLSocket, school: School, place: Place
) -> None:
    other = school.host("n3", "subscriptions")
    first, second, third = socket.subscribe(place), socket.subscribe(other), socket.subscribe(place)
    place.report(a="1")
    assert {socket.next("data")["id"] for _ in range(2)} == {first, third}
    socket.send(type="stop", id=first)
    assert socket.read() == {"type": "complete", "id": first}
    place.report(a="2")
    other.report(b="1")
    assert {socket.next("data")["id"] for _ in range(2)} == {second, third}
    assert socket.quiet()


def test_an_id_may_be_used_again_after_its_stop(socket: GraphQLSocket, place: Place) -> None:
    for _ in range(2):
        assert socket.start(place.names, id="same")
        assert socket.read() == {"type": "start_ack", "id": "same"}
        place.report(a="1")
        assert socket.message("same")
        socket.send(type="stop", id="same")
        assert socket.read() == {"type": "complete", "id": "same"}


def test_one_id_is_one_subscription(socket: GraphQLSocket, place: Place) -> None:
    for _ in range(2):
        socket.start(place.names, id="same")
        assert socket.read() == {"type": "start_ack", "id": "same"}
    place.report(a="1")
    socket.message()
    assert socket.quiet()


def test_each_gets_what_its_document_asks_for(socket: GraphQLSocket, place: Place) -> None:
    document = """
        subscription ($groupId: ID!, $domain: String!, $no: Boolean = false) {
          it: onMessageInGroup(groupId: $groupId, domain: $domain) {
            ...F  batchEvent @include(if: $no) { timestamp }
          }
        }
        fragment F on MeshMessage { kind: __typename nodeStatus { data { v: value } } }
    """
    id = socket.subscribe(place, query=document)
    place.report(a="1")
    told = {"kind": "MeshMessage", "nodeStatus": {"data": [{"v": "1"}]}}
    assert socket.next("data", id)["payload"] == {"data": {"it": told}}


def test_arguments_may_be_written_into_the_document(socket: GraphQLSocket, place: Place) -> None:
    written = f'groupId: "{place.id}", domain: "{place.domain}"'
    socket.start({}, query=f"subscription {{ onMessageInGroup({written}) {{ domain }} }}", id="x")
    assert socket.read()["type"] == "start_ack"
    place.report(a="1")
    assert socket.message("x") == {"domain": place.domain}


WIDE = " ".join(f"a{n}: domain" for n in range(900)) + " groupDissolve"
BAD: dict[str, dict[str, Any]] = {
    "syntax": {"query": "subscription {"},
    "unknown field": {"query": 'subscription { onMessageInGroup(groupId: "g", domain: "d") { nothing } }'},
    "unknown root": {"query": 'subscription { other(groupId: "g") { domain } }'},
    "a query": {"query": "{ __typename }"},
    "a mutation": {"query": "mutation { createDomain }"},
    "no query": {},
    "a missing variable": {"query": SUBSCRIPTION, "variables": {"groupId": "g"}},
    "wrong variables": {"query": SUBSCRIPTION, "variables": [1]},
    "two roots": {
        "query": 'subscription { a: onMessageInGroup(groupId: "g", domain: "d") { domain } '
        'b: onMessageInGroup(groupId: "g", domain: "d") { domain } }'
    },
    "typename alone": {"query": "subscription { __typename }"},
    "a very long one": {"query": SUBSCRIPTION + "#" + "x" * 30_000},
    "a wide one": {"query": SUBSCRIPTION.replace("groupDissolve", WIDE)},
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_document_is_an_error_of_its_id(socket: GraphQLSocket, place: Place, bad: str) -> None:
    socket.send(type="start", id="bad", payload={"data": json.dumps(BAD[bad])})
    frame = socket.read()
    assert (frame["type"], frame["id"]) == ("error", "bad")
    for error in frame["payload"]["errors"]:
        assert error["errorType"]
        assert not any(word in error["message"].lower() for word in ("not found", "expired", "unauthorized"))
    socket.subscribe(place)


@pytest.mark.parametrize("payload", [None, 5, [], {}, {"data": None}, {"data": {}}, {"data": "["}, {"data": "[]"}])
def test_a_broken_payload_is_an_error_of_its_id(socket: GraphQLSocket, payload: Any) -> None:
    socket.send(type="start", id="bad", payload=payload)
    assert socket.read()["type"] == "error"
    assert socket.frames[-1]["id"] == "bad"


@pytest.mark.parametrize("id", [None, 5, "", [], {}, "x" * 300])
def test_no_error_comes_without_an_id_that_the_client_knows(socket: GraphQLSocket, place: Place, id: Any) -> None:
    """One would crash the client's handler."""
    socket.send(type="start", id=id, payload={"data": "nonsense"})
    socket.send(type="start", payload={"data": "nonsense"})
    socket.send(type="nonsense", id=id)
    socket.send(type=["start"], id=id)
    for raw in ("", "nonsense", "[]", "null", "5", "{", '{"type":"start"}', "[[" * 10_000):
        socket.connection.send(raw)
    socket.connection.send(b"\x00\x01")
    socket.subscribe(place)


def test_stopping_what_was_not_started_is_complete(socket: GraphQLSocket) -> None:
    socket.send(type="stop", id="x")
    assert socket.read() == {"type": "complete", "id": "x"}


def test_a_start_comes_with_its_own_key_or_that_of_its_socket(socket: GraphQLSocket, place: Place) -> None:
    socket.start(place.names, key=None, id="socket's")
    assert socket.read() == {"type": "start_ack", "id": "socket's"}
    socket.start(place.names, key="wrong", id="wrong")
    assert socket.read() == {
        "type": "error",
        "id": "wrong",
        "payload": {"errors": [{k: v for k, v in UNAUTHORIZED.items() if k != "errorCode"}]},
    }
    socket.start(place.names, key="key-of-one-school", id="of another school")
    assert socket.read()["payload"]["errors"][0]["errorType"] == "UnauthorizedException"
    assert header_of(None)


def test_a_socket_carries_a_hundred_subscriptions(socket: GraphQLSocket, place: Place) -> None:
    for _ in range(100):
        socket.subscribe(place)
    socket.start(place.names, id="more")
    assert socket.read()["payload"]["errors"][0]["errorType"] == "MaxSubscriptionsReachedError"
    place.report(a="1")
    assert len({socket.next("data")["id"] for _ in range(100)}) == 100


def test_a_thousand_events_come_in_one_message(socket: GraphQLSocket, place: Place) -> None:
    socket.subscribe(place)
    events = [event(f"e{number}", payload="x" * 500, key=f"{number:04}") for number in range(1000)]
    place.ask("fireEventsByNode", nodeId="n2", events=events)
    got = socket.message()["batchEvent"]["events"]
    assert [one["name"] for one in got] == [f"e{number}" for number in range(1000)]


def test_a_burst_reaches_every_subscriber_whole_and_in_order(classrooms: Server, place: Place) -> None:
    sockets = [GraphQLSocket(classrooms) for _ in range(10)]
    for one in sockets:
        one.subscribe(place)
    for number in range(200):
        place.report(f"n{number % 7}", a=str(number))
    for one in sockets:
        got = [one.message()["nodeStatus"]["data"][0]["value"] for _ in range(200)]
        assert got == [str(number) for number in range(200)]
        one.connection.close()


def test_a_slow_reader_is_cut_off_and_costs_no_memory(start_server: StartServer) -> None:
    server = start_server(MESH_API_KEYS=API_KEY, OUTBOX_BYTES=300_000)
    place = school_at(server).host()
    headers = {"Sec-WebSocket-Protocol": f"graphql-ws, {in_subprotocol()}"}
    with RawSocket(server, headers=headers, path="/graphql/realtime") as slow, GraphQLSocket(server) as quick:
        slow.send(1, b'{"type": "connection_init"}')
        data = json.dumps({"query": SUBSCRIPTION, "variables": place.names})
        slow.send(1, json.dumps({"type": "start", "id": "slow", "payload": {"data": data}}).encode())
        quick.subscribe(place)
        place.report(warm="up")
        quick.message()
        before = memory_kib(server)
        for number in range(400):
            place.report(a=f"{number} " + "x" * 30_000)
            assert quick.message()["nodeStatus"]["data"][0]["value"].startswith(f"{number} ")
        assert memory_kib(server) - before < 40_000
        assert slow.close_code() in {1006, 1013}


def test_who_asks_and_does_not_read_is_cut_off(start_server: StartServer) -> None:
    server = start_server(MESH_API_KEYS=API_KEY)
    headers = {"Sec-WebSocket-Protocol": f"graphql-ws, {in_subprotocol()}"}
    with RawSocket(server, headers=headers, path="/graphql/realtime") as rude:
        rude.send(1, b'{"type": "connection_init"}')
        stop = json.dumps({"type": "stop", "id": "x" * 250}).encode()
        frame = b"\x81\xfe" + struct.pack(">H", len(stop)) + bytes(4) + stop
        before = memory_kib(server)
        rude._socket.settimeout(60)
        with suppress(ConnectionError):
            rude._socket.sendall(frame * 100_000)
        eventually(lambda: not connected(server, rude.port), 20)
        assert memory_kib(server) - before < 40_000


def test_the_end_is_told_when_the_host_is_silent_or_the_time_is_over(start_server: StartServer) -> None:
    server = start_server(
        MESH_API_KEYS=API_KEY, SWEEP_SECONDS=0.2, MESH_HOST_HEARTBEAT_TTL_SECONDS=3, MESH_MAX_CONNECTION_TIME_SECONDS=60
    )
    school = school_at(server)
    silent, short = school.host("n1"), school.host("n2", maxConnectionTimeSeconds=1)
    with GraphQLSocket(server) as socket:
        first, second = socket.subscribe(silent), socket.subscribe(short)
        ends = {
            (frame := socket.next("data"))["id"]: frame["payload"]["data"]["onMessageInGroup"]["groupDissolve"]
            for _ in range(2)
        }
        assert ends[second]["message"] == f"Group {short.id}@school has been dissolved: its time was over."
        assert ends[first]["message"] == f"Group {silent.id}@school has been dissolved: its host was silent."
        assert socket.quiet()


def test_a_key_that_is_revoked_ends_its_sockets_within_seconds(start_server: StartServer) -> None:
    server = start_server(MESH_API_KEYS=API_KEY, SIGN_IN_SECONDS=1, SWEEP_SECONDS=0.3)
    shell = "from groups.mesh.keys import *; from groups.models import User, MeshKey; "
    made = shell + "print('made', create_mesh_key(creator=User.objects.first(), label='class').secret)"
    key = server.manage("shell", "--verbosity=0", f"--command={made}").split()[-1]
    place = school_at(server, key).host()
    with GraphQLSocket(server, query=in_query(key)) as socket, GraphQLSocket(server) as other:
        socket.start(place.names, key=None)
        assert socket.read()["type"] == "start_ack"
        other.subscribe(place)
        revoke = shell + "[revoke_mesh_key(key=key) for key in MeshKey.objects.all()]"
        server.manage("shell", "--verbosity=0", f"--command={revoke}")
        assert socket.closed(8) == 4401
        school_at(server).ask("reportDataByNode", **place.names, nodeId="n2", data=[])
        assert other.message()
    eventually(lambda: _refused(server, key), 8)


def _refused(server: Server, key: str) -> bool:
    with GraphQLSocket(server, query=in_query(key), begin=False) as socket:
        socket.send(type="connection_init")
        return str(socket.read()["type"]) == "connection_error"


def test_a_start_past_the_limit_is_an_error_that_survives(start_server: StartServer) -> None:
    server = start_server(MESH_API_KEYS=API_KEY, MESH_CALLS_PER_MINUTE=1)
    place = school_at(server).host()
    with GraphQLSocket(server) as socket:
        for number in range(8):
            socket.start(place.names, id=str(number))
        errors = [frame for frame in (socket.read() for _ in range(8)) if frame["type"] == "error"]
        assert errors[-1]["payload"]["errors"][0]["errorType"] == "RateLimited"
