"""Following a group of classrooms with both clients: the examples as a reader would run them, and bad networks."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from meshsite_client import Client, Event, Group, Position, Refused, Resync, SyncClient

from tests.clients.conftest import QUICK
from tests.clients.gate import Gate
from tests.conftest import GENEROUS
from tests.server import ROOT, Databases, Server
from tests.sockets import eventually

KEY = "class-key"
TOLD = "teacher has speed = 7\nteacher fires go left\n"


@pytest.fixture(scope="module")
def school(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    variables = GENEROUS | {"MESH_API_KEYS": KEY, "DATABASE_URL": databases.new(demo=False)}
    server = Server(tmp_path_factory.mktemp("school") / "log", variables=variables)
    server.start()
    yield server
    server.stop()


class Room:
    """A group, and calls of whoever has the key."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.client = SyncClient(server.url, key=KEY)
        self.host_id = f"host {time.monotonic_ns()}"
        asked = {"domain": "school", "name": "Robots", "host_id": self.host_id}
        group = self.client.call("mesh.create_group", asked)["group"]
        self.place = {"group_id": group["group_id"], "domain": "school"}
        self.begun = self.client.call("mesh.join", {**self.place, "node_id": "n2"})
        self.group = Group(**self.place, node_id="n2")
        self.position = Position(self.begun["epoch"], self.begun["seq"])

    def fire(self, name: str) -> None:
        self.client.call("mesh.fire", {**self.place, "node_id": "n1", "events": [{"name": name}]})

    def nodes(self) -> list[str]:
        return [node["node_id"] for node in self.client.call("mesh.nodes", self.place)["nodes"]]

    def dissolve(self) -> None:
        self.client.call("mesh.dissolve", {**self.place, "host_id": self.host_id})


@pytest.fixture
def room(school: Server) -> Iterator[Room]:
    room = Room(school)
    yield room
    room.client.close()


def names_in(item: Any) -> list[str]:
    fired = isinstance(item, Event) and item.name == "mesh.events_fired"
    return [event["name"] for event in item.data["events"]] if fired else []


def run(program: list[str], server: Server) -> subprocess.CompletedProcess[str]:
    ours = {"PYTHONPATH": str(ROOT / "clients" / "python"), "MESHSITE_URL": server.url, "PYTHONWARNINGS": "error"}
    environment = {**os.environ, **ours, "MESHSITE_KEY": KEY, "KEY": KEY}
    return subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_python_example_shares_a_variable_and_an_event(school: Server) -> None:
    done = run([sys.executable, str(ROOT / "clients/python/examples/classroom.py")], school)
    assert (done.returncode, done.stdout, done.stderr) == (0, TOLD, "")


def test_the_javascript_example_shares_a_variable_and_an_event(school: Server) -> None:
    done = run(["node", str(ROOT / "clients/js/examples/classroom.js"), school.url], school)
    assert (done.returncode, done.stdout, done.stderr) == (0, TOLD, "")


def test_a_blocking_client_misses_nothing_where_sockets_are_cut_and_refused(room: Room) -> None:
    with Gate(room.server.url) as gate:
        got: list[str] = []
        client = SyncClient(gate.url, key=KEY, group=room.group, position=room.position, timing=QUICK)
        with client:
            for number, (what, state) in enumerate([("cut", "live"), ("refused", "polling"), ("open", "live")]):
                if what == "cut":
                    gate.cut()
                else:
                    gate.shut("refused" if what == "refused" else "open")
                room.fire(f"event {number}")
                while len(got) <= number or client.state != state:
                    item = client.next_event(0.2)
                    assert not isinstance(item, Resync)
                    got += names_in(item)
    assert got == ["event 0", "event 1", "event 2"]
    eventually(lambda: room.nodes() == [])  # it said goodbye


def test_an_asyncio_client_polls_and_leaves(room: Room) -> None:
    async def follow() -> list[str]:
        async with Client(
            room.server.url, key=KEY, group=room.group, position=room.position, transport="poll", timing=QUICK
        ) as client:
            assert client.state == "polling"
            assert room.nodes() == ["n2"]
            await client.call("mesh.fire", {**room.place, "node_id": "n2", "events": [{"name": "go"}]})
            async for item in client.events():
                if names := names_in(item):
                    return names
        return []

    assert asyncio.run(follow()) == ["go"]
    assert room.nodes() == []


@pytest.mark.parametrize("transport", ["websocket", "poll"])
def test_a_client_is_told_of_the_end_and_stays_away(room: Room, transport: Any) -> None:
    with SyncClient(room.server.url, key=KEY, group=room.group, transport=transport, timing=QUICK) as client:
        room.dissolve()
        item = client.next_event(10)
        assert isinstance(item, Event)
        assert item.name == "mesh.group_dissolved"
        with pytest.raises(Refused) as refused:
            client.next_event(10)
    assert (refused.value.close_code, refused.value.code) == (4404, "mesh_group_not_found")
