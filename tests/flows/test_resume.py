"""Coming back through a real server: what was missed, with the rights and the texts of that moment."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import StartServer
from tests.polls import Poll
from tests.sockets import PRESENCE, Frame, Person, Place, enrolled, eventually, found, make_channel

Replay = Callable[[Person, Frame, int], list[Frame]]


def by_socket(person: Person, hello: Frame, seq: int) -> list[Frame]:
    with person.socket(query={"epoch": hello["epoch"], "resume_from": seq}) as socket:
        socket.settle()
        assert socket.hello["mode"] == "resumed"
        return socket.events


def by_poll(person: Person, hello: Frame, seq: int) -> list[Frame]:
    answer = Poll(person).get(epoch=hello["epoch"], since=seq).json()
    events = [frame for frame in answer["frames"] if frame["type"] == "event"]
    assert [event["seq"] for event in events] == list(range(seq + 1, seq + 1 + len(events)))
    return [event for event in events if event["event"] != PRESENCE]


replays = pytest.mark.parametrize("replay", [by_socket, by_poll])


def left(person: Person) -> Frame:
    """Where somebody stood when their connection ended."""
    with person.socket() as socket:
        return socket.hello


@replays
def test_what_was_missed_comes_once_and_in_order(place: Place, ada: Person, bob: Person, replay: Replay) -> None:
    hello = left(bob)
    for number in range(20):
        ada.say(place.channel_id, f"message {number}")
    missed = replay(bob, hello, hello["seq"])
    assert [event["data"]["message"]["body"] for event in missed] == [f"message {number}" for number in range(20)]


@replays
def test_a_deleted_text_does_not_leave_again(place: Place, ada: Person, bob: Person, replay: Replay) -> None:
    hello = left(bob)
    message = ada.say(place.channel_id, "my password is hunter2")
    ada.call("message.delete", message_id=message["id"])
    missed = replay(bob, hello, hello["seq"])
    assert "hunter2" not in json.dumps(missed)
    assert [event["event"] for event in missed] == ["message.created", "message.deleted"]
    assert missed[0]["data"]["message"]["deleted"] is True


@replays
def test_an_edited_text_leaves_as_it_is_now(place: Place, ada: Person, bob: Person, replay: Replay) -> None:
    hello = left(bob)
    message = ada.say(place.channel_id, "the first text")
    ada.call("message.update", message_id=message["id"], body="the second text")
    missed = replay(bob, hello, hello["seq"])
    assert [event["data"]["message"]["body"] for event in missed] == ["the second text", "the second text"]


@replays
def test_a_channel_that_was_lost_meanwhile_is_redacted(place: Place, ada: Person, bob: Person, replay: Replay) -> None:
    hello = left(bob)
    ada.say(place.channel_id, "for members only")
    bob.call("channel.leave", channel_id=place.channel_id)
    ada.say(place.channel_id, "after bob")
    missed = replay(bob, hello, hello["seq"])
    assert missed[0] == {"type": "event", "seq": missed[0]["seq"], "event": "redacted"}
    assert [event["event"] for event in missed] == ["redacted", "channel.removed"]


def test_more_than_the_stream_holds_is_too_old_and_says_what_is_missing(start_server: StartServer) -> None:
    server = start_server(STREAM_EVENTS=5, SEND_BURST=100)
    with enrolled(server, "grace", "ada", "bob", "eve") as people:
        place = found(people)
        hello = left(place.bob)
        for number in range(6):
            place.ada.say(place.channel_id, f"message {number}")
        with place.bob.socket(query={"epoch": hello["epoch"], "resume_from": hello["seq"]}) as socket:
            # Six, and who came to be seen here a moment ago.
            first, last = hello["seq"] + 1, socket.hello["seq"]
            assert last >= hello["seq"] + 6
            assert (socket.hello["mode"], socket.hello["reason"]) == ("resume_failed", "too_old")
            assert socket.hello["missed"] == {"from": first, "to": last}
            socket.settle()
            assert socket.events == []

        def resumed_with_five() -> bool:
            """What is told of who just came moves the stream on, once: then the next try finds it standing."""
            nonlocal last
            with place.bob.socket(query={"epoch": hello["epoch"], "resume_from": last - 5}) as socket:
                last = socket.hello["seq"]
                return (socket.hello["mode"], socket.hello["replayed"]) == ("resumed", 5)

        eventually(resumed_with_five)


def test_a_restarted_server_has_another_epoch_and_the_state_can_be_fetched_whole(start_server: StartServer) -> None:
    server = start_server(SEND_BURST=100)
    with enrolled(server, "grace", "ada", "bob", "eve") as people:
        place = found(people)
        kept = place.ada.say(place.channel_id, "kept")
        edited = place.ada.say(place.channel_id, "to be edited")
        deleted = place.ada.say(place.channel_id, "to be deleted")
        channel = _channel(place.bob.call("client.boot"), place.channel_id)
        hello = left(place.bob)
        server.kill()
        server.start()
        place.ada.call("message.update", message_id=edited["id"], body="edited")
        place.ada.call("message.delete", message_id=deleted["id"])
        with place.bob.socket(query={"epoch": hello["epoch"], "resume_from": hello["seq"]}) as socket:
            assert (socket.hello["mode"], socket.hello["reason"]) == ("resume_failed", "unknown_epoch")
        caught_up = _caught_up({m["id"]: m for m in (kept, edited, deleted)}, place.bob, channel)
        history = place.bob.call("message.list", channel_id=place.channel_id)["messages"]
        assert caught_up == {message["id"]: message for message in history}
        assert [message["body"] for message in history] == ["kept", "edited"]


def _channel(boot: Any, channel_id: int) -> Any:
    return next(channel for channel in boot["channels"] if channel["id"] == channel_id)


def _caught_up(known: dict[int, Any], reader: Person, channel: Any) -> dict[int, Any]:
    """What a client knows after message.changes, a page of one at a time."""
    rev, has_more = channel["rev"], True
    while has_more:
        page = reader.call("message.changes", channel_id=channel["id"], since_rev=rev, limit=1)
        known |= {message["id"]: message for message in page["changes"]}
        rev, has_more = page["rev"], page["has_more"]
    return {message_id: message for message_id, message in known.items() if not message["deleted"]}


def test_changes_are_asked_for_by_members_only(place: Place, ada: Person, bob: Person, place_of_bob: int) -> None:
    answer = ada.try_call("message.changes", channel_id=place_of_bob, since_rev=0)
    assert answer.status == 404


@pytest.fixture
def place_of_bob(place: Place, bob: Person) -> int:
    return make_channel(bob, place.workspace_id, "of-bob", kind="private")
