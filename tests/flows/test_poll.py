"""The long-poll through a real server: the same stream, frames and cursors as the socket."""

import socket as tcp
import statistics
import threading
import time
from contextlib import closing
from typing import Any

import httpx
import pytest

from tests.conftest import StartServer
from tests.polls import Poll
from tests.server import Server
from tests.sockets import SECONDS, Person, Place, enrolled


def test_a_first_poll_says_hello_and_answers_at_once(ada: Person) -> None:
    [hello] = Poll(ada).poll(wait=20)
    with ada.socket() as socket:
        assert hello.keys() == socket.hello.keys()
    assert (hello["type"], hello["mode"], hello["user_id"]) == ("hello", "fresh", ada.id)


def test_a_known_session_is_not_greeted_again(ada: Person) -> None:
    poll = Poll(ada).settle()
    assert poll.poll() == []


def test_a_poll_without_a_session_that_has_a_cursor_is_held_and_begins_with_a_hello(place: Place, ada: Person) -> None:
    first = Poll(ada).settle()
    began_at = time.monotonic()
    held = first.get(wait=0.5, epoch=first.epoch, since=first.seq).json()
    assert time.monotonic() - began_at >= 0.5
    assert [frame["type"] for frame in held["frames"]] == ["hello"]
    assert held["frames"][0]["mode"] == "resumed"


def test_an_old_cursor_is_answered_at_once(place: Place, ada: Person, bob: Person) -> None:
    poll = Poll(ada).settle()
    for number in range(3):
        bob.say(place.channel_id, f"message {number}")
    began_at = time.monotonic()
    poll.poll(wait=20)
    assert poll.bodies == ["message 0", "message 1", "message 2"]
    assert time.monotonic() - began_at < 5


def test_reading_takes_nothing_away(place: Place, ada: Person, bob: Person) -> None:
    poll = Poll(ada).settle()
    bob.say(place.channel_id)
    query: dict[str, Any] = {"session": poll.session, "epoch": poll.epoch, "since": poll.seq}
    assert poll.get(**query).json() == poll.get(**query).json() != {"frames": []}


def test_an_empty_answer_carries_the_cursor(ada: Person) -> None:
    poll = Poll(ada).settle()
    answer = poll.get(wait=0.1, session=poll.session, epoch=poll.epoch, since=poll.seq).json()
    assert answer == {"frames": [], "epoch": poll.epoch, "seq": poll.seq}


def test_a_waiting_poll_is_woken_by_the_event(place: Place, ada: Person) -> None:
    """Woken by the append and not by a timer: the median of ten is far below anything that looks now and then."""
    Poll(ada).settle()
    delays = [_seconds_until_woken(place, ada) for _ in range(10)]
    assert statistics.median(delays) < 0.1


def _seconds_until_woken(place: Place, reader: Person) -> float:
    poll = Poll(reader)
    poll.poll()
    answered_at: list[float] = []

    def wait() -> None:
        poll.poll(wait=20)
        answered_at.append(time.monotonic())

    waiting = threading.Thread(target=wait)
    waiting.start()
    _await_parked(reader)
    with httpx.Client(base_url=reader.server.url, trust_env=False) as http:
        http.post("/api/message.send", headers=place.bob.bearer, json={"channel_id": place.channel_id, "body": "wake"})
        told_at = time.monotonic()
    waiting.join(20)
    assert poll.bodies[-1:] == ["wake"]
    return answered_at[0] - told_at


def _await_parked(reader: Person) -> None:
    """Until the presence of the reader shows that their poll waits at the hub."""
    deadline = time.monotonic() + 10
    with httpx.Client(base_url=reader.server.url, trust_env=False) as http:
        while time.monotonic() < deadline:
            boot = http.get("/api/client.boot", headers=reader.bearer).json()
            if any(present["user_id"] == reader.id for present in boot["presence"]):
                return
    raise AssertionError("the poll was never parked")


@pytest.mark.parametrize(
    ("since", "reason"),
    [
        ("-1", "bad_cursor"),
        ("abc", "bad_cursor"),
        ("", "bad_cursor"),
        ("1.5", "bad_cursor"),
        (str(2**70), "bad_cursor"),
        ("\u0663", "bad_cursor"),
        (str(2**62), "future_seq"),
    ],
)
def test_a_hostile_cursor_is_told_what_is_wrong_on_both_transports(ada: Person, since: str, reason: str) -> None:
    poll = Poll(ada)
    [hello] = poll.poll()
    polled = poll.get(wait=20, session=poll.session, epoch=poll.epoch, since=since).json()
    assert [(frame["mode"], frame["reason"]) for frame in polled["frames"]] == [("resume_failed", reason)]
    with ada.socket(query={"epoch": hello["epoch"], "resume_from": since}) as socket:
        assert (socket.hello["mode"], socket.hello["reason"]) == ("resume_failed", reason)


@pytest.mark.parametrize("epoch", ["", "e_other", "x" * 1000])
def test_another_epoch_is_told_so_on_both_transports(ada: Person, epoch: str) -> None:
    polled = Poll(ada).get(wait=20, epoch=epoch, since=0).json()
    assert [(frame["mode"], frame["reason"]) for frame in polled["frames"]] == [("resume_failed", "unknown_epoch")]
    with ada.socket(query={"epoch": epoch, "resume_from": 0}) as socket:
        assert (socket.hello["mode"], socket.hello["reason"]) == ("resume_failed", "unknown_epoch")


@pytest.mark.parametrize("wait", ["-1", "abc", "nan", "inf", ""])
def test_a_wait_that_is_no_time_is_refused(ada: Person, wait: str) -> None:
    answer = ada.http.get("/poll/user/me", params={"wait": wait}, headers=ada.bearer)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_wait")


def test_refusals_are_problems_with_the_codes_of_the_socket(place: Place, ada: Person, server: Server) -> None:
    def asked(path: str, **options: Any) -> tuple[int, str, str]:
        answer = ada.http.get(path, **options)
        return answer.status_code, answer.json()["code"], answer.headers["content-type"]

    problem = "application/problem+json"
    assert asked("/poll/user/me") == (401, "not_signed_in", problem)
    assert asked("/poll/user/me", headers={"Authorization": "Bearer msh_wrong"}) == (401, "not_signed_in", problem)
    assert asked(f"/poll/user/{place.bob.id}", headers=ada.bearer) == (404, "not_your_stream", problem)
    posted = ada.http.post("/poll/user/me", headers=ada.bearer)
    assert (posted.status_code, posted.json()["code"]) == (400, "method_not_allowed")


def test_a_client_goes_from_socket_to_poll_and_back_while_messages_flow(place: Place, ada: Person, bob: Person) -> None:
    said = [f"message {number}" for number in range(60)]
    talking = threading.Thread(target=lambda: [bob.say(place.channel_id, body) for body in said])
    poll = Poll(ada)
    bodies: list[str] = []
    query: dict[str, Any] = {}
    talking.start()
    while len(bodies) < len(said):
        with ada.socket(query=query) as socket:
            socket.read()
            bodies += socket.bodies
            hello, last = socket.hello, socket.frames[-1]
        poll.frames, poll.session, poll.epoch = [], hello["session"], hello["epoch"]
        poll.seq = last.get("seq", hello["seq"]) if last["type"] == "event" else hello["seq"]
        poll.poll(wait=1)
        bodies += poll.bodies
        query = {"session": poll.session, "epoch": poll.epoch, "resume_from": poll.seq}
    talking.join()
    assert bodies == said


def test_a_poll_of_a_session_takes_over_from_its_socket(ada: Person) -> None:
    with ada.socket() as socket:
        query = {"session": socket.hello["session"], "epoch": socket.hello["epoch"], "since": socket.hello["seq"]}
        assert Poll(ada).get(**query).status_code == 200
        assert socket.close_code() == 4409


def test_polls_past_the_limit_of_sessions_are_refused(start_server: StartServer) -> None:
    server = start_server(SESSIONS_PER_USER=1)
    with enrolled(server, "ada") as [ada], ada.socket():
        answer = Poll(ada).get()
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_sessions")


def test_a_program_that_forgets_its_session_with_each_poll_is_not_locked_out(start_server: StartServer) -> None:
    server = start_server(SESSIONS_PER_USER=2)
    with enrolled(server, "ada") as [ada]:
        for _ in range(10):
            assert Poll(ada).get().status_code == 200
        with ada.socket():
            pass


def test_a_server_that_stops_sends_parked_polls_away_to_come_back(start_server: StartServer) -> None:
    server = start_server()
    with enrolled(server, "ada") as [ada]:
        ada.call("workspace.create", name="Engines")  # where she sees her own presence
        poll = Poll(ada).settle()
        answers: list[httpx.Response] = []

        def wait() -> None:
            answers.append(poll.get(wait=40, session=poll.session, epoch=poll.epoch, since=poll.seq))

        waiting = threading.Thread(target=wait)
        waiting.start()
        _await_parked(ada)
        server.stop()
        waiting.join(10)
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(503, "restart")]
    assert answers[0].headers["retry-after"] == "1"
    assert "Traceback" not in server.log_text()


def test_polls_on_one_connection_are_answered_one_after_the_other(place: Place, ada: Person, bob: Person) -> None:
    at = Poll(bob).settle()
    asked = f"/poll/user/me?session={at.session}&epoch={at.epoch}&since={at.seq}&wait="
    got = b""
    with closing(tcp.create_connection(("127.0.0.1", bob.server.port), timeout=SECONDS)) as connection:
        for wait in (20, 0):
            lines = [f"GET {asked}{wait} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {bob.token}", "", ""]
            connection.sendall("\r\n".join(lines).encode())
        ada.say(place.channel_id, "for both")
        while got.count(b"HTTP/1.1 200 OK") < 2 or not got.endswith(b"}"):
            got += connection.recv(65536)

    assert got.count(b'"body":"for both"') == 2
