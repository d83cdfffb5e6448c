"""Which event each action of the API causes, its shape, and who gets it."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.sockets import Person, Place, Socket, make_channel

Told = list[tuple[str, Any]]


@dataclass
class Watched:
    """A place where everybody has a socket open. `told` gives what came since it was last asked."""

    place: Place
    sockets: dict[str, Socket]
    seen: dict[str, int]

    def told(self, person: Person) -> Told:
        socket = self.sockets[person.username].settle()
        events = socket.events[self.seen[person.username] :]
        self.seen[person.username] = len(socket.events)
        return [(event["event"], event["data"]) for event in events]

    def told_all(self) -> list[Told]:
        """To grace, ada, bob and eve."""
        place = self.place
        return [self.told(person) for person in (place.grace, place.ada, place.bob, place.eve)]


@pytest.fixture
def watched(place: Place) -> Iterator[Watched]:
    people = (place.grace, place.ada, place.bob, place.eve)
    with ExitStack() as stack:
        sockets = {person.username: stack.enter_context(person.socket()) for person in people}
        yield Watched(place, sockets, dict.fromkeys(sockets, 0))


def user(person: Person) -> dict[str, Any]:
    return {
        "id": person.id,
        "username": person.username,
        "display_name": person.username.capitalize(),
        "avatar_url": None,
    }


def test_a_message_is_told_to_the_members_of_its_channel(watched: Watched) -> None:
    place = watched.place
    message = place.ada.say(place.channel_id, "hello")

    told = [("message.created", {"message": message})]
    assert watched.told_all() == [told, told, told, []]


def test_a_retry_tells_nobody(watched: Watched) -> None:
    place = watched.place
    call = {"channel_id": place.channel_id, "body": "once", "client_msg_id": "m-1"}
    first = place.ada.call("message.send", **call)
    watched.told_all()

    assert place.ada.call("message.send", **call) == first | {"duplicate": True}
    assert watched.told_all() == [[], [], [], []]


def test_an_edit_is_told_with_the_whole_message_and_the_same_text_is_not_told(watched: Watched) -> None:
    place = watched.place
    message = place.ada.say(place.channel_id, "helo")
    watched.told_all()

    edited = place.ada.call("message.update", message_id=message["id"], body="hello")["message"]
    place.ada.call("message.update", message_id=message["id"], body="hello")

    told = [("message.updated", {"message": edited})]
    assert watched.told_all() == [told, told, told, []]
    assert (edited["id"], edited["body"]) == (message["id"], "hello")


def test_a_deletion_is_told_once_and_without_the_text(watched: Watched) -> None:
    place = watched.place
    message = place.ada.say(place.channel_id, "unspeakable")
    watched.told_all()

    place.ada.call("message.delete", message_id=message["id"])
    place.ada.call("message.delete", message_id=message["id"])

    told = watched.told_all()
    [(name, data)] = told[0]
    assert name == "message.deleted"
    assert data == {
        "message_id": message["id"],
        "channel_id": place.channel_id,
        "author_id": place.ada.id,
        "thread_root_id": None,
        "rev": message["rev"] + 1,
    }
    assert told[1:] == [told[0], told[0], []]


def test_a_reply_is_told_and_then_its_root_with_the_new_count(watched: Watched) -> None:
    place = watched.place
    root = place.ada.say(place.channel_id, "root")
    watched.told_all()

    reply = place.bob.call("message.send", channel_id=place.channel_id, body="reply", thread_root_id=root["id"])

    grace, ada, bob, eve = watched.told_all()
    assert [name for name, _ in grace] == ["message.created", "message.updated"]
    assert grace[0][1] == {"message": reply["message"]}
    assert (grace[1][1]["message"]["id"], grace[1][1]["message"]["reply_count"]) == (root["id"], 1)
    assert (ada[:2], bob[:2], eve) == (grace, grace, [])


def test_each_follower_of_a_thread_is_told_of_a_reply_after_it_with_numbers_of_their_own(watched: Watched) -> None:
    place = watched.place
    root = place.ada.say(place.channel_id, "root")
    watched.told_all()

    place.bob.call("message.send", channel_id=place.channel_id, body="reply", thread_root_id=root["id"])

    grace, ada, bob, _eve = watched.told_all()
    assert [name for name, _ in ada] == ["message.created", "message.updated", "thread.updated"]
    assert ada[2][1]["thread"] == place.ada.call("message.replies", message_id=root["id"])["thread"]
    assert bob[2][1]["thread"] == place.bob.call("message.replies", message_id=root["id"])["thread"]
    assert (ada[2][1]["thread"]["unread_count"], bob[2][1]["thread"]["unread_count"], len(grace)) == (1, 0, 2)


def test_a_thread_is_read_on_all_tabs_of_its_reader_and_on_nobody_elses(watched: Watched) -> None:
    place = watched.place
    root = place.ada.say(place.channel_id, "root")
    reply = place.bob.call("message.send", channel_id=place.channel_id, body="reply", thread_root_id=root["id"])
    watched.told_all()

    with place.ada.socket() as phone:
        read = place.ada.call("thread.mark_read", message_id=root["id"], last_read_id=reply["message"]["id"])
        assert [event["data"] for event in phone.settle().events] == [read]
    assert watched.told_all() == [[], [("thread.updated", read)], [], []]


def test_a_read_cursor_is_told_to_its_owner_alone_and_only_when_it_moves(watched: Watched) -> None:
    place = watched.place
    messages = [place.ada.say(place.channel_id, str(number)) for number in range(3)]
    watched.told_all()

    marked = place.bob.call("read.mark", channel_id=place.channel_id, last_read_id=messages[1]["id"])
    place.bob.call("read.mark", channel_id=place.channel_id, last_read_id=messages[1]["id"])
    place.bob.call("read.mark", channel_id=place.channel_id, last_read_id=messages[0]["id"])

    assert marked == {
        "channel_id": place.channel_id,
        "last_read_id": messages[1]["id"],
        "version": 1,
        "unread_count": 1,
        "mention_count": 0,
        "rev": messages[2]["rev"],
    }
    assert watched.told_all() == [[], [], [("read.updated", marked)], []]


def test_a_read_cursor_is_told_to_all_tabs_of_its_owner(watched: Watched) -> None:
    place = watched.place
    message = place.ada.say(place.channel_id)
    with place.bob.socket() as phone:
        place.bob.call("read.mark", channel_id=place.channel_id, last_read_id=message["id"])
        assert phone.settle().names == ["read.updated"]


def test_a_new_channel_is_told_to_its_creator_alone(watched: Watched) -> None:
    place = watched.place
    made = place.ada.call("channel.create", workspace_id=place.workspace_id, kind="public", name="lounge")

    assert watched.told_all() == [[], [("channel.added", made)], [], []]


def test_a_direct_channel_is_told_to_both_and_asking_again_tells_nobody(watched: Watched) -> None:
    place = watched.place
    asked = {"workspace_id": place.workspace_id, "kind": "direct"}
    made = place.ada.call("channel.create", **asked, peer_ids=[place.bob.id])
    again = place.bob.call("channel.create", **asked, peer_ids=[place.ada.id])

    told = [("channel.added", made)]
    assert again == made
    assert watched.told_all() == [[], told, told, []]


def test_who_joins_is_told_of_the_channel_and_the_members_of_who_joins(watched: Watched) -> None:
    place = watched.place
    channel_id = make_channel(place.grace, place.workspace_id, "lounge")
    watched.told_all()

    joined = place.ada.call("channel.join", channel_id=channel_id)
    place.ada.call("channel.join", channel_id=channel_id)

    ada_now = user(place.ada) | {"active": True, "time_zone": ""}
    told = ("channel.member_joined", {"channel_id": channel_id, "user": ada_now, "member_count": 2})
    grace, ada, *others = watched.told_all()
    assert grace == [told]
    assert ada[0] == ("channel.added", joined)
    assert others == [[], []]


def test_who_joins_is_told_of_the_channel_only_once(watched: Watched) -> None:
    """The audience of `channel.member_joined` is the members from before."""
    place = watched.place
    channel_id = make_channel(place.grace, place.workspace_id, "lounge")
    watched.told_all()

    place.ada.call("channel.join", channel_id=channel_id)

    assert [name for name, _ in watched.told(place.ada)] == ["channel.added"]


def test_the_channel_comes_before_its_first_message(watched: Watched) -> None:
    place = watched.place
    for number in range(5):
        channel_id = make_channel(place.grace, place.workspace_id, f"new {number}")
        place.grace.say(channel_id, "before ada")
        place.ada.call("channel.join", channel_id=channel_id)
        place.grace.say(channel_id, "after ada")

    told = watched.told(place.ada)

    assert [name for name, _ in told] == ["channel.added", "message.created"] * 5
    assert [data["message"]["body"] for name, data in told if name == "message.created"] == ["after ada"] * 5


def test_who_leaves_is_told_so_and_hears_nothing_more_of_the_channel(watched: Watched) -> None:
    place = watched.place
    place.ada.call("channel.leave", channel_id=place.channel_id)
    message = place.bob.say(place.channel_id)

    left = ("channel.member_left", {"channel_id": place.channel_id, "user_id": place.ada.id, "member_count": 2})
    stayed = [left, ("message.created", {"message": message})]
    gone = [("channel.removed", {"channel_id": place.channel_id})]
    assert watched.told_all() == [stayed, gone, stayed, []]


def test_who_comes_back_hears_again(watched: Watched) -> None:
    place = watched.place
    place.ada.call("channel.leave", channel_id=place.channel_id)
    place.bob.say(place.channel_id, "without ada")
    place.ada.call("channel.join", channel_id=place.channel_id)
    place.bob.say(place.channel_id, "with ada")

    names = [name for name, _ in watched.told(place.ada)]
    assert names == ["channel.removed", "channel.added", "message.created"]
    assert watched.sockets["ada"].bodies == ["with ada"]


def test_who_joins_a_workspace_is_told_to_all_its_members_and_to_themselves(watched: Watched) -> None:
    place = watched.place
    place.eve.call("workspace.join", token=place.invite)
    place.eve.call("workspace.join", token=place.invite)

    told = watched.told_all()
    [(name, data)] = told[0]
    assert name == "workspace.member_joined"
    assert data == {
        "workspace": {"id": place.workspace_id, "name": "Engines", "open": False, "member_count": 4},
        "user": user(place.eve),
        "role": "member",
    }
    assert told[1:] == [told[0]] * 3


def test_a_new_workspace_is_told_to_its_creator_alone(watched: Watched) -> None:
    place = watched.place
    made = place.eve.call("workspace.create", name="Elsewhere")["workspace"]

    told = watched.told_all()
    assert told[:3] == [[], [], []]
    [(name, data)] = told[3]
    assert name == "workspace.member_joined"
    assert (data["workspace"]["id"], data["user"], data["role"]) == (made["id"], user(place.eve), "owner")


def test_a_member_of_the_workspace_hears_nothing_of_a_channel_they_did_not_join(watched: Watched) -> None:
    place = watched.place
    public = make_channel(place.grace, place.workspace_id, "lounge")
    private = make_channel(place.grace, place.workspace_id, "secret", kind="private")
    place.grace.say(public)
    place.grace.say(private)

    assert watched.told_all()[1:] == [[], [], []]


def test_what_is_refused_tells_nobody(watched: Watched) -> None:
    place = watched.place
    message = place.ada.say(place.channel_id)
    watched.told_all()

    refusals = [
        place.eve.try_call("message.send", channel_id=place.channel_id, body="hello"),
        place.bob.try_call("message.update", message_id=message["id"], body="not mine"),
        place.bob.try_call("message.delete", message_id=message["id"]),
        place.eve.try_call("channel.join", channel_id=place.channel_id),
        place.ada.try_call("message.send", channel_id=place.channel_id, body=" "),
        place.ada.try_call("read.mark", channel_id=place.channel_id, last_read_id=message["id"] + 10**6),
    ]

    assert [refusal.status for refusal in refusals] == [404, 403, 403, 404, 400, 400]
    assert watched.told_all() == [[], [], [], []]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("client.boot", {}),
        ("workspace.list", {}),
        ("workspace.members", {"workspace_id": "workspace_id"}),
        ("channel.list", {}),
        ("channel.browse", {"workspace_id": "workspace_id"}),
        ("channel.members", {"channel_id": "channel_id"}),
        ("message.list", {"channel_id": "channel_id"}),
        ("message.changes", {"channel_id": "channel_id", "since_rev": 0}),
        ("user.me", {}),
    ],
)
def test_reading_tells_nobody(watched: Watched, method: str, params: dict[str, Any]) -> None:
    place = watched.place
    given = {name: getattr(place, value) if isinstance(value, str) else value for name, value in params.items()}

    place.ada.call(method, **given)

    assert watched.told_all() == [[], [], [], []]
