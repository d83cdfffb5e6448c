"""Reactions and pins through a real server: what every screen shows, live and after a break."""

import json

from tests.flows.test_resume import Replay, left, replays
from tests.sockets import Frame, Person, Place, Socket

CLICKS = 10


def applied(message: Frame, events: list[Frame]) -> Frame:
    """What a client shows of a message after these events: of two states the one with the higher rev is true."""
    for event in events:
        data = event["data"]
        fields = data.get("message", data)
        if fields["rev"] > message.get("rev", 0):
            message = message | {name: value for name, value in fields.items() if name not in {"message_id", "user_id"}}
    return message


def answer_to(ref: str, socket: Socket) -> Frame:
    return socket.wait(lambda frame: frame.get("ref") == ref)


def test_a_reaction_and_a_pin_are_on_the_screens_of_members_and_of_nobody_else(
    place: Place, ada: Person, bob: Person, eve: Person
) -> None:
    message = ada.say(place.channel_id)
    with ada.socket() as hers, bob.socket() as his, eve.socket() as strange:
        reply = his.call("message.toggle_react", message_id=message["id"], emoji="👍")
        his.call("message.pin", message_id=message["id"])

        events = [socket.settle().events for socket in (hers, his, strange)]

    assert reply["data"]["message"]["reactions"] == [{"emoji": "👍", "user_ids": [bob.id]}]
    assert [[event["event"] for event in told] for told in events] == [["message.reacted", "message.pinned"]] * 2 + [[]]
    assert [event["data"] for event in events[0]] == [event["data"] for event in events[1]]
    now = ada.call("message.get", message_id=message["id"])["message"]
    assert applied(message, events[0]) == now
    assert now["pinned"] is True


def test_fast_clicks_in_two_tabs_are_changes_that_every_screen_shows_alike(
    place: Place, ada: Person, bob: Person
) -> None:
    message = ada.say(place.channel_id)
    click = {"type": "call", "method": "message.toggle_react", "params": {"message_id": message["id"], "emoji": "❤"}}
    with ada.socket() as hers, bob.socket() as tab, bob.socket() as other:
        for number in range(CLICKS):
            for socket in (tab, other):
                socket.send({**click, "ref": f"click{number}"})
        answers = [answer_to(f"click{number}", socket) for number in range(CLICKS) for socket in (tab, other)]
        seen = [socket.settle().events for socket in (hers, tab, other)]

    assert [answer["type"] for answer in answers] == ["reply"] * 2 * CLICKS
    clicks = [[event["data"]["reactions"] for event in told] for told in seen]
    assert clicks == [[[{"emoji": "❤️", "user_ids": [bob.id]}], []] * CLICKS] * 3
    assert ada.call("message.get", message_id=message["id"])["message"]["reactions"] == []


@replays
def test_after_a_break_a_message_shows_the_reactions_and_the_pin_of_now(
    place: Place, ada: Person, bob: Person, replay: Replay
) -> None:
    hello = left(bob)
    message_id = ada.say(place.channel_id, "the first text")["id"]
    for person, emoji in ((ada, "🎉"), (place.grace, "🎉"), (ada, "👍")):
        person.call("message.react", message_id=message_id, emoji=emoji)
    place.grace.call("message.pin", message_id=message_id)
    ada.call("message.update", message_id=message_id, body="the second text")
    ada.call("message.unreact", message_id=message_id, emoji="👍")
    place.grace.call("message.unpin", message_id=message_id)

    missed = replay(bob, hello, hello["seq"])

    assert len(missed) == 8
    assert "the first text" not in json.dumps(missed)
    assert applied({}, missed) == bob.call("message.get", message_id=message_id)["message"]


@replays
def test_after_a_break_of_a_deleted_message_reactions_tell_ids_and_emoji_alone(
    place: Place, ada: Person, bob: Person, replay: Replay
) -> None:
    hello = left(bob)
    message_id = ada.say(place.channel_id, "my password is hunter2")["id"]
    ada.call("message.react", message_id=message_id, emoji="🤐")
    place.grace.call("message.pin", message_id=message_id)
    ada.call("message.delete", message_id=message_id)

    missed = replay(bob, hello, hello["seq"])

    assert "hunter2" not in json.dumps(missed)
    shown = [applied({}, missed[:count]) for count in range(1, len(missed))]
    assert {(message["deleted"], message["pinned"], len(message["reactions"])) for message in shown} == {
        (True, False, 0)
    }
    assert bob.call("message.pins", channel_id=place.channel_id) == {"messages": []}
