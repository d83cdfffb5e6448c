"""The socket as its holder sees it: hello, then every event of their channels, once, in one order, at once."""

import itertools
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from tests.conftest import CALM_SECONDS
from tests.sockets import Person, Place, Socket

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_the_hello_has_every_field_of_the_contract(ada: Person) -> None:
    with ada.socket() as socket:
        hello = socket.hello

    assert {name: type(value) for name, value in hello.items()} == {
        "type": str,
        "v": int,
        "session": str,
        "user_id": int,
        "epoch": str,
        "seq": int,
        "mode": str,
        "reason": type(None),
        "missed": type(None),
        "replayed": int,
        "resume_token": str,
        "ping_seconds": float,
        "lease_seconds": float,
        "server_time": str,
    }
    values = {name: hello[name] for name in ("v", "user_id", "mode", "replayed", "ping_seconds", "lease_seconds")}
    assert values == {
        "v": 1,
        "user_id": ada.id,
        "mode": "fresh",
        "replayed": 0,
        "ping_seconds": 25,
        "lease_seconds": CALM_SECONDS,
    }
    assert hello["session"].startswith("s_")
    assert hello["epoch"].startswith("e_")


def test_the_hello_tells_the_time_of_the_server(ada: Person) -> None:
    with ada.socket() as socket:
        told = socket.hello["server_time"]

    assert STAMP.fullmatch(told)
    assert abs((datetime.fromisoformat(told) - datetime.now(UTC)).total_seconds()) < 5


def test_a_second_socket_begins_where_the_stream_stands(place: Place, ada: Person) -> None:
    with ada.socket() as first:
        ada.say(place.channel_id)
        last = first.event("message.created")
        with ada.socket() as second:
            assert second.hello["epoch"] == first.hello["epoch"]
            assert last["seq"] <= second.hello["seq"] <= first.settle().seq
            assert second.hello["session"] != first.hello["session"]


def test_a_client_may_bring_its_session_id(ada: Person) -> None:
    with ada.socket(query={"session": "s_my-own-tab_1"}) as socket:
        assert socket.hello["session"] == "s_my-own-tab_1"


def test_the_hello_comes_first_whatever_the_client_was_quick_to_send(ada: Person) -> None:
    for _ in range(5):
        with Socket(ada.server, headers=ada.bearer) as socket:
            socket.send_raw("nonsense")
            socket.send({"type": "call", "ref": "r0", "method": "user.me"})
            socket.wait(lambda frame: frame.get("ref") == "r0")
            assert socket.frames[0]["type"] == "hello"


def test_the_path_may_name_the_caller_by_id(place: Place, ada: Person) -> None:
    with ada.socket(path=f"/ws/user/{ada.id}") as socket:
        ada.say(place.channel_id, "hello")
        assert socket.event("message.created")["data"]["message"]["body"] == "hello"


def test_another_users_message_arrives_in_under_a_second(place: Place, ada: Person, bob: Person) -> None:
    with bob.socket() as socket:
        sent_at = time.monotonic()
        message = ada.say(place.channel_id, "hello")
        event = socket.event("message.created")
        took = time.monotonic() - sent_at

    assert event["data"] == {"message": message}
    assert took < 1


def test_an_event_has_its_name_its_moment_and_its_data(place: Place, ada: Person) -> None:
    with ada.socket() as socket:
        message = ada.say(place.channel_id)
        event = socket.event("message.created")

    assert STAMP.fullmatch(event.pop("at"))
    # That she came may be told before it.
    before = [frame for frame in socket.frames if frame["type"] == "event"].index(event)
    assert event == {
        "type": "event",
        "seq": socket.hello["seq"] + 1 + before,
        "event": "message.created",
        "data": {"message": message},
    }


def test_two_tabs_of_one_user_see_the_same_and_the_senders_own_message_too(
    place: Place, ada: Person, bob: Person
) -> None:
    with ada.socket() as one, ada.socket() as other:
        for number in range(5):
            ada.say(place.channel_id, f"ada {number}")
            bob.say(place.channel_id, f"bob {number}")
        one.settle()
        other.settle()

    assert one.events == other.events
    assert one.bodies == [f"{name} {number}" for number in range(5) for name in ("ada", "bob")]


def test_a_message_sent_by_call_reaches_the_senders_tabs_as_an_event_too(place: Place, ada: Person) -> None:
    with ada.socket() as one, ada.socket() as other:
        reply = one.call("message.send", channel_id=place.channel_id, body="hello")
        events = [tab.event("message.created")["data"]["message"] for tab in (one, other)]

    assert events == [reply["data"]["message"]] * 2


def test_a_stranger_sees_nothing_and_may_nevertheless_be_told_of_their_own(
    place: Place, ada: Person, eve: Person
) -> None:
    with eve.socket() as socket:
        ada.say(place.channel_id)
        eve.call("workspace.create", name="Elsewhere")
        socket.settle()

    assert socket.names == ["workspace.member_joined"]


def test_messages_of_many_senders_come_in_one_order_to_everybody(place: Place, ada: Person, bob: Person) -> None:
    def send_many(sender: int) -> None:
        author = (place.grace, ada, bob, ada)[sender]
        for number in range(50):
            author.say(place.channel_id, f"{sender}.{number}")

    watchers = [place.grace, ada, bob, bob]
    sockets = [watcher.socket() for watcher in watchers]
    with ThreadPoolExecutor(4) as pool:
        for sending in [pool.submit(send_many, sender) for sender in range(4)]:
            sending.result()
    for socket in sockets:
        with socket:
            socket.settle()

    stored = _history(ada, place.channel_id)
    assert len(stored) == 200
    for socket in sockets:
        assert [event["data"]["message"] for event in socket.events] == stored
    for sender in range(4):
        own = [body for body in sockets[0].bodies if body.startswith(f"{sender}.")]
        assert own == [f"{sender}.{number}" for number in range(50)]


def test_calls_of_many_sockets_at_once_are_all_answered_and_told_in_one_order(
    place: Place, ada: Person, bob: Person
) -> None:
    """Sends that come together share a transaction; each keeps its own answer and event."""
    sockets = [author.socket() for author in (place.grace, ada, bob, ada)]

    def send_many(sender: int) -> list[int]:
        replies = [
            sockets[sender].call("message.send", channel_id=place.channel_id, body=f"{sender}.{number}")
            for number in range(25)
        ]
        return [reply["data"]["message"]["id"] for reply in replies]

    with ThreadPoolExecutor(4) as pool:
        sent = [sending.result() for sending in [pool.submit(send_many, sender) for sender in range(4)]]
    for socket in sockets:
        with socket:
            socket.settle()

    stored = _history(ada, place.channel_id)
    assert sorted(itertools.chain(*sent)) == [message["id"] for message in stored]
    for socket in sockets:
        assert [event["data"]["message"] for event in socket.events] == stored


def test_a_socket_that_says_bye_is_closed_at_once_and_normally(ada: Person) -> None:
    with ada.socket() as socket:
        socket.send({"type": "bye"})
        assert socket.close_code() == 1000


def test_a_new_socket_takes_its_session_over_from_the_old_one(place: Place, ada: Person) -> None:
    with ada.socket(query={"session": "s_taken-over"}) as old, ada.socket(query={"session": "s_taken-over"}) as new:
        assert old.close_code() == 4409
        assert old.frames[-1] == {"type": "error", "code": "replaced", "ref": None}
        ada.say(place.channel_id, "still here")
        assert new.event("message.created")["data"]["message"]["body"] == "still here"


def test_the_same_session_id_of_two_users_is_two_sessions(ada: Person, bob: Person) -> None:
    query = {"session": "s_the-same-id"}
    with ada.socket(query=query) as hers, bob.socket(query=query) as his:
        assert hers.settle().hello["user_id"] == ada.id
        assert his.settle().hello["user_id"] == bob.id


def _history(reader: Person, channel_id: int) -> list[Any]:
    found: list[Any] = []
    since_id, has_more = 0, True
    while has_more:
        page = reader.call("message.list", channel_id=channel_id, since_id=since_id, limit=200)
        found, since_id, has_more = found + page["messages"], page["next_since_id"], page["has_more"]
    return found
