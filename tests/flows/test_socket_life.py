"""How long sockets live: heartbeats, readers that are slow or dead, and events that a crash left behind."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest

from tests.conftest import GENEROUS, StartServer
from tests.server import Databases, Server
from tests.sockets import (
    CAST,
    SECONDS,
    Person,
    Place,
    RawSocket,
    Socket,
    connected,
    enrolled,
    eventually,
    found,
    memory_kib,
)

PING_SECONDS = 0.4
PONG_SECONDS = 0.5
SWEEP_SECONDS = 0.5
IDLE_SECONDS = 30.0
CLOSING_SECONDS = 3.0
"""How long the server lets a closing socket live, realtime/consumers.py."""
LEFT_BEHIND_SECONDS = 1.0
"""How old an event has to be before another process sends it, realtime/relay.py."""


@pytest.fixture(scope="module")
def quick(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose heart beats fast."""
    fast = {"PING_SECONDS": PING_SECONDS, "PONG_SECONDS": PONG_SECONDS}
    variables = GENEROUS | fast | {"DATABASE_URL": databases.new(demo=False)}
    server = Server(tmp_path_factory.mktemp("quick") / "log", variables=variables)
    server.start()
    yield server
    server.kill()
    assert "Traceback" not in server.log_text()


@pytest.fixture(scope="module")
def place(quick: Server) -> Iterator[Place]:
    with enrolled(quick, *CAST) as people:
        yield found(people)


@pytest.fixture(scope="module")
def calm(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A place on a server that sweeps often."""
    variables = GENEROUS | {"SWEEP_SECONDS": SWEEP_SECONDS, "DATABASE_URL": databases.new(demo=False)}
    server = Server(tmp_path_factory.mktemp("calm") / "log", variables=variables)
    server.start()
    with enrolled(server, *CAST) as people:
        yield found(people)
    server.kill()
    assert "Traceback" not in server.log_text()


@pytest.fixture(scope="module", autouse=True)
def idle(people: list[Person]) -> Iterator[Future[list[str]]]:
    """A socket of the shared server that does nothing but answer pings while the tests of this file run."""

    def stay() -> list[str]:
        started_at = time.monotonic()
        with people[0].socket() as socket:
            while (left := started_at + IDLE_SECONDS + 1 - time.monotonic()) > 0:
                try:
                    socket.read(left)
                except TimeoutError:
                    break
            socket.settle()
            return [frame["type"] for frame in socket.frames if frame["type"] != "event"]

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(stay)


def count_pings(socket: Socket) -> int:
    return sum(frame["type"] == "ping" for frame in socket.frames)


def test_pings_come_every_ping_seconds_and_answers_keep_the_socket_open(place: Place) -> None:
    with place.ada.socket() as socket:
        started_at = time.monotonic()
        socket.wait(lambda frame: count_pings(socket) == 6)
        took = time.monotonic() - started_at
        socket.settle()

    assert socket.hello["ping_seconds"] == PING_SECONDS
    assert 6 * PING_SECONDS - 0.1 < took < 6 * PING_SECONDS + 1


def test_silence_closes_the_socket_with_4408_after_pong_seconds(place: Place) -> None:
    with place.ada.socket(answers_pings=False) as socket:
        started_at = time.monotonic()
        code = socket.close_code()
        took = time.monotonic() - started_at

    assert code == 4408
    assert [frame["type"] for frame in socket.frames] == ["hello", "ping", "error"]
    assert socket.frames[-1]["code"] == "no_pong"
    assert PING_SECONDS + PONG_SECONDS - 0.1 < took < PING_SECONDS + PONG_SECONDS + 1


@pytest.mark.parametrize(
    "content",
    ['{"type":"call","ref":"r","method":"user.me"}', '{"type":"pong"}', "nonsense", '{"type":"unheard"}', b"x"],
)
def test_any_frame_after_a_ping_keeps_the_socket_open(place: Place, content: str | bytes) -> None:
    with place.ada.socket(answers_pings=False) as socket:
        for number in range(1, 5):
            socket.wait(lambda frame, number=number: count_pings(socket) == number)  # type: ignore[misc]
            socket.send_raw(content)
        socket.settle()

    assert not any(frame.get("code") == "no_pong" for frame in socket.frames)


def test_a_call_that_takes_longer_than_a_pong_may_is_answered(place: Place) -> None:
    """The answers to the pings wait behind the call: the client lives, it is the server that is slow."""
    seconds = PING_SECONDS + PONG_SECONDS + 1
    with place.ada.socket() as socket, blocked_writes(place.ada.server, seconds):
        reply = socket.call("message.send", channel_id=place.channel_id, body="late")
        socket.settle()

    assert reply["type"] == "reply", reply
    assert count_pings(socket) >= 2


def test_what_another_process_left_behind_is_told_with_the_next_sweep(calm: Place) -> None:
    """A process that commits and then dies before it could tell anybody, as with kill -9."""
    with calm.bob.socket() as socket:
        commit_elsewhere(calm, 5)
        committed_at = time.monotonic()
        socket.wait(lambda frame: len(socket.bodies) == 5)
        took = time.monotonic() - committed_at

    assert socket.bodies == [f"elsewhere {number}" for number in range(5)]
    assert took < SWEEP_SECONDS + LEFT_BEHIND_SECONDS + 1
    assert socket.arrays >= 1, "events that are ready at once share a write"


def test_what_was_left_behind_comes_before_what_follows_it(calm: Place) -> None:
    with calm.bob.socket() as socket:
        commit_elsewhere(calm, 3)
        calm.ada.say(calm.channel_id, "here")
        socket.settle()

    assert socket.bodies == ["elsewhere 0", "elsewhere 1", "elsewhere 2", "here"]


def test_a_commit_while_the_server_was_down_is_in_the_history_and_told_to_nobody_twice(calm: Place) -> None:
    server = calm.ada.server
    server.kill()
    commit_elsewhere(calm, 2)
    server.start()
    with calm.bob.socket() as socket:
        calm.ada.say(calm.channel_id, "back")
        socket.settle()
    history = calm.bob.call("message.list", channel_id=calm.channel_id, limit=3)["messages"]

    assert [message["body"] for message in history] == ["elsewhere 0", "elsewhere 1", "back"]
    assert socket.bodies in (["back"], ["elsewhere 0", "elsewhere 1", "back"])


def test_a_client_that_never_reads_delays_nobody_and_is_cut_off(start_server: StartServer) -> None:
    """Of 17 MB that it does not read the server keeps little more than its outbox. Its memory goes up and down by 7 MB
    whatever it does, so that a smaller flood would tell nothing.
    """
    settings: dict[str, Any] = GENEROUS | {"STREAM_EVENTS": 20}
    server = start_server(demo=False, **settings)
    with enrolled(server, *CAST) as people:
        place = found(people)
        with place.grace.socket() as reader:
            # What a first go needs for good, as pools and caches do, is not the client's cost.
            flood(place, reader, 80)
            before_kib = memory_kib(server)
            with RawSocket(server, headers=place.bob.bearer) as stalled:
                eventually(lambda: connected(server, stalled.port))
                slowest = flood(place, reader, 700)
                grown_kib = memory_kib(server) - before_kib
                eventually(lambda: not connected(server, stalled.port), CLOSING_SECONDS + 2)
            reader.settle()
            with place.bob.socket() as again:
                place.ada.say(place.channel_id, "again")
                assert again.event("message.created")["data"]["message"]["body"] == "again"

    assert slowest < 1
    assert grown_kib < 11 * 1024
    assert "Traceback" not in server.log_text()


def test_an_idle_socket_lives(idle: Future[list[str]]) -> None:
    assert idle.result(IDLE_SECONDS + SECONDS) == ["hello", "ping", "reply"]


def flood(place: Place, reader: Socket, events: int) -> float:
    """Events of 24 kB, each read by one who does read; the longest that one of them took, in seconds."""
    slowest, count = 0.0, len(reader.bodies)
    for number in range(events):
        sent_at = time.monotonic()
        place.ada.say(place.channel_id, f"{number:04}" + "語" * 3990)
        reader.wait(lambda frame, number=number: len(reader.bodies) == count + number + 1)  # type: ignore[misc]
        slowest = max(slowest, time.monotonic() - sent_at)
    return slowest


def commit_elsewhere(place: Place, count: int) -> None:
    """Ada sends from a process that serves nobody and ends at once."""
    code = "from groups.actions.sending import send_message\n"
    code += f"ada = User.objects.get(pk={place.ada.id})\n"
    code += f"for number in range({count}):\n"
    code += f"    send_message(author=ada, channel_id={place.channel_id}, body=f'elsewhere {{number}}')\n"
    place.ada.server.manage("shell", "--verbosity=0", f"--command={code}")


@contextmanager
def blocked_writes(server: Server, seconds: float) -> Iterator[None]:
    """Somebody else holds the lock that writing needs, as a long migration does."""
    release = threading.Event()
    locked = threading.Event()

    def hold() -> None:
        if server.database_url.startswith("sqlite"):
            with closing(sqlite3.connect(server.database_url.removeprefix("sqlite:///"))) as database:
                database.execute("BEGIN IMMEDIATE")
                locked.set()
                release.wait(seconds)
        else:
            with psycopg.connect(server.database_url) as database:
                database.execute("LOCK TABLE groups_channel IN ACCESS EXCLUSIVE MODE")
                locked.set()
                release.wait(seconds)

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(hold)
        assert locked.wait(SECONDS)
        try:
            yield
        finally:
            release.set()
        held.result()
