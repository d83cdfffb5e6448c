"""Servers that end, in the middle of a lesson: what stays, and that clients come back to it."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import StartServer
from tests.mesh.classroom import Place
from tests.mesh.sockets import API_KEY, GraphQLSocket, school_at
from tests.server import Server

VARIABLES: dict[str, Any] = {"MESH_API_KEYS": API_KEY, "SWEEP_SECONDS": 0.3}


@pytest.mark.parametrize(("end", "code"), [(Server.stop, 1012), (Server.kill, 1006)], ids=["stopped", "killed"])
def test_groups_nodes_and_values_outlive_a_server_and_clients_come_back(
    start_server: StartServer, end: Callable[[Server], int], code: int
) -> None:
    server = start_server(**VARIABLES)
    school = school_at(server)
    place = school.host()
    place.join("n2")
    place.join("n3", useWebSocket=False)
    place.report("n2", a="1", b="2")
    place.report("n2", b="3")
    place.report("n1", h="日本語")
    place.record("before", by="n3")
    cursor = place.events()[-1]["cursor"]
    state = place.statuses(), place.ask("listNodesInGroup"), school.host().group

    with GraphQLSocket(server) as socket:
        socket.subscribe(place)
        end(server)
        assert socket.closed() == code
    server.start()

    assert (place.statuses(), place.ask("listNodesInGroup"), school.host().group) == state
    assert place.ask("renewHeartbeat", hostId="n1")["expiresAt"] == place.group["expiresAt"]
    assert place.ask("sendMemberHeartbeat", nodeId="n3")["heartbeatIntervalSeconds"] == 10
    with GraphQLSocket(server) as socket:
        socket.subscribe(place)
        place.record("after", by="n3")
        assert [one["name"] for one in socket.message()["batchEvent"]["events"]] == ["after"]
    assert place.names_since(cursor) == ["after"]


def test_a_retry_of_before_a_crash_is_told_once(start_server: StartServer) -> None:
    server = start_server(**VARIABLES)
    place = school_at(server).host()
    place.record("a", by="n2", key="k1")
    server.kill()
    server.start()
    place.record("a", by="n2", key="k1")
    place.record("b", by="n2", key="k2")
    names = place.names_since()
    assert names[-1] == "b"
    assert names.count("a") <= 1  # a log in memory began anew


def test_in_the_middle_of_crashes_what_was_answered_is_told_once_and_in_order(
    start_server: StartServer, redis_alone: str
) -> None:
    """Senders repeat what was not answered, with the same key, as shipped clients do."""
    server = start_server(**VARIABLES, REDIS_URL=redis_alone)
    place = school_at(server).host()
    over = threading.Event()
    answered: dict[str, list[str]] = {}

    def send(node: str) -> None:
        mine = answered.setdefault(node, [])
        while not over.is_set():
            name = f"{node} {len(mine)}"
            try:
                place.record(name, by=node, key=f"{len(mine):07}")
            except (OSError, ValueError):
                time.sleep(0.05)
            else:
                mine.append(name)

    senders = [threading.Thread(target=send, args=[node]) for node in ("n2", "n3", "n4")]
    for sender in senders:
        sender.start()
    for _ in range(2):
        time.sleep(1)
        server.kill()
        server.start()
    time.sleep(1)
    over.set()
    for sender in senders:
        sender.join()

    heard = all_of(place)
    assert [name for name, times in Counter(heard).items() if times > 1] == []
    for node, names in answered.items():
        assert names
        # The last one may have been taken without an answer.
        assert [name for name in heard if name.startswith(f"{node} ")][: len(names)] == names


def all_of(place: Place) -> list[str]:
    """The names of the log, page by page."""
    heard: list[str] = []
    since = ""
    while page := place.events(since):
        heard += [one["name"] for one in page]
        since = page[-1]["cursor"]
    return heard


def test_two_workers_that_sweep_tell_each_end_once(start_server: StartServer, redis_alone: str) -> None:
    server = start_server(kind="two workers", **VARIABLES | {"SWEEP_SECONDS": 0.05}, REDIS_URL=redis_alone)
    school = school_at(server)
    with GraphQLSocket(server) as socket:
        places = [school.host(f"n{number}", maxConnectionTimeSeconds=1) for number in range(12)]
        ids = [socket.subscribe(place) for place in places]
        told = [socket.next("data")["id"] for _ in ids]
        assert sorted(told) == sorted(ids)
        assert socket.quiet(1)
