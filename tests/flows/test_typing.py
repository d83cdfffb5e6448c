"""Who types, as the others see it: over real sockets and polls, on one worker and on two."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.conftest import GENEROUS, StartServer
from tests.polls import Poll
from tests.server import Databases, Server
from tests.sockets import CAST, SECONDS, Frame, Person, Place, Socket, enrolled, found, make_channel

SOON = 3.0
TYPING_SECONDS = 1.5
HASTY: dict[str, Any] = GENEROUS | {"TYPING_SECONDS": TYPING_SECONDS}


def start(person: Person, place: Place) -> None:
    assert person.call("typing.relay", channel_id=place.channel_id, state="start") == {}


def stop(person: Person, place: Place) -> None:
    assert person.call("typing.relay", channel_id=place.channel_id, state="stop") == {}


def told(reader: Socket | Poll, channel_id: int) -> list[Frame]:
    """What somebody was told of who types in a channel."""
    about = [frame for frame in reader.frames if frame.get("event") == "typing.updated"]
    return [frame for frame in about if frame["data"]["channel_id"] == channel_id]


def typing(reader: Socket | Poll, place: Place) -> list[list[int]]:
    """The sets that somebody was told of the place's channel, in their order."""
    return [frame["data"]["user_ids"] for frame in told(reader, place.channel_id)]


def until_typing(socket: Socket, place: Place, *people: Person) -> Frame:
    """Wait until these and nobody else are told last; the frame."""
    socket.wait(lambda _: typing(socket, place)[-1:] == [sorted(person.id for person in people)])
    return told(socket, place.channel_id)[-1]


@pytest.fixture
def hasty(start_server: StartServer) -> Server:
    """A server where typing ends soon."""
    return start_server(demo=False, **HASTY, TYPING_PER_MINUTE=100_000)


@pytest.fixture
def hasty_place(hasty: Server) -> Iterator[Place]:
    with enrolled(hasty, *CAST) as people:
        yield found(people)


def test_members_see_who_types_and_no_one_sees_themself(place: Place) -> None:
    with (
        place.ada.socket() as ada,
        place.ada.socket() as second_tab,
        place.bob.socket() as bob,
        place.grace.socket() as grace,
        place.eve.socket() as eve,
    ):
        start(place.ada, place)
        frame = until_typing(bob, place, place.ada)
        start(place.bob, place)
        until_typing(grace, place, place.ada, place.bob)
        until_typing(ada, place, place.bob)
        stop(place.bob, place)
        until_typing(grace, place, place.ada)
        for socket in (ada, second_tab, bob, eve):
            socket.settle()

    assert frame == {
        "type": "ephemeral",
        "event": "typing.updated",
        "data": {"channel_id": place.channel_id, "user_ids": [place.ada.id], "expires_in": pytest.approx(6, abs=0.1)},
    }
    assert typing(ada, place) == typing(second_tab, place) == [[place.bob.id], []]
    assert typing(bob, place) == [[place.ada.id], [place.ada.id], [place.ada.id]]
    assert typing(eve, place) == []


def test_it_has_no_seq_and_is_not_replayed(place: Place) -> None:
    with place.bob.socket() as bob:
        start(place.ada, place)
        until_typing(bob, place, place.ada)
        place.ada.say(place.channel_id, "hello")
        until_typing(bob, place)
        bob.settle()
        assert bob.bodies == ["hello"]
        query = {"session": bob.hello["session"], "epoch": bob.hello["epoch"], "resume_from": bob.hello["seq"]}
    with place.bob.socket(query=query) as again:
        again.settle()
        assert (again.bodies, typing(again, place)) == (["hello"], [])


def test_it_comes_by_poll_too_and_wakes_it(place: Place) -> None:
    poll = Poll(place.bob)
    poll.poll()
    timer = threading.Timer(0.3, start, [place.ada, place])
    began_at = time.monotonic()
    timer.start()
    while not typing(poll, place) and time.monotonic() - began_at < SECONDS:
        poll.poll(wait=20)
    assert time.monotonic() - began_at < 0.3 + SOON
    timer.join()

    assert typing(poll, place) == [[place.ada.id]]


def test_who_types_over_a_socket_or_by_rest_is_the_same(place: Place) -> None:
    with place.bob.socket() as bob, place.ada.socket() as ada:
        assert ada.call("typing.relay", channel_id=place.channel_id, state="start")["data"] == {}
        until_typing(bob, place, place.ada)
        stop(place.ada, place)
        until_typing(bob, place)


@pytest.mark.parametrize("door", ["rest", "socket"])
def test_a_message_ends_it_through_whatever_door(place: Place, door: str) -> None:
    with place.bob.socket() as bob, place.ada.socket() as ada:
        start(place.ada, place)
        until_typing(bob, place, place.ada)
        if door == "rest":
            place.ada.say(place.channel_id)
        else:
            assert ada.call("message.send", channel_id=place.channel_id, body="hello")["ok"]
        until_typing(bob, place)
        assert typing(bob, place) == [[place.ada.id], []]
        assert typing(ada.settle(), place) == []


def test_a_message_of_somebody_else_ends_nothing(place: Place) -> None:
    with place.grace.socket() as grace:
        start(place.ada, place)
        until_typing(grace, place, place.ada)
        place.bob.say(place.channel_id)
        grace.event("message.created")
        grace.settle()
        assert typing(grace, place) == [[place.ada.id]]


def test_a_message_elsewhere_ends_nothing(place: Place) -> None:
    other = make_channel(place.ada, place.workspace_id, "other")
    with place.bob.socket() as bob:
        start(place.ada, place)
        until_typing(bob, place, place.ada)
        place.ada.say(other)
        bob.settle()
        assert typing(bob, place) == [[place.ada.id]]


def test_who_leaves_types_no_more_and_is_told_nothing(place: Place) -> None:
    with place.bob.socket() as bob, place.ada.socket() as ada:
        start(place.ada, place)
        until_typing(bob, place, place.ada)
        place.ada.call("channel.leave", channel_id=place.channel_id)
        until_typing(bob, place)
        start(place.bob, place)
        ada.settle()
        assert typing(ada, place) == []


def test_who_joins_sees_it_at_once(place: Place) -> None:
    lounge = make_channel(place.grace, place.workspace_id, "lounge")
    place.bob.call("channel.join", channel_id=lounge)
    with place.bob.socket() as bob:
        assert place.grace.call("typing.relay", channel_id=lounge, state="start") == {}
        bob.wait(lambda _: bool(told(bob, lounge)))


def test_a_repeat_tells_nobody_until_others_would_forget(hasty: Server, hasty_place: Place) -> None:
    place = hasty_place
    with place.bob.socket() as bob:
        began_at = time.monotonic()
        while time.monotonic() - began_at < 2 * TYPING_SECONDS:
            start(place.ada, place)
            time.sleep(0.02)
        bob.settle()
        times = len(typing(bob, place))
        assert set(map(tuple, typing(bob, place))) == {(place.ada.id,)}
        assert 3 <= times <= 7, times


def test_who_goes_on_now_and_then_is_never_forgotten(hasty: Server, hasty_place: Place) -> None:
    """As the page does: a word at each half of the time."""
    place = hasty_place
    with place.bob.socket() as bob:
        for _ in range(5):
            start(place.ada, place)
            until_typing(bob, place, place.ada)
            time.sleep(TYPING_SECONDS / 2)
        bob.settle()
        assert typing(bob, place) == [[place.ada.id]] * 5


def test_who_vanishes_types_no_more_after_a_while(hasty: Server, hasty_place: Place) -> None:
    place = hasty_place
    with place.grace.socket() as grace:
        start(place.ada, place)
        start(place.bob, place)
        until_typing(grace, place, place.ada, place.bob)
        told_at = time.monotonic()
        for _ in range(4):
            time.sleep(TYPING_SECONDS / 4)
            start(place.bob, place)
        until_typing(grace, place, place.bob)
        assert time.monotonic() - told_at < TYPING_SECONDS + SOON
        until_typing(grace, place)
        assert typing(grace, place)[-2:] == [[place.bob.id], []]


def test_over_the_limit_nobody_sees_anything(start_server: StartServer) -> None:
    server = start_server(demo=False, **HASTY, TYPING_PER_MINUTE=4)
    with enrolled(server, *CAST) as people:
        place = found(people)
        with place.bob.socket() as bob, place.ada.socket() as ada:
            for _ in range(2):
                start(place.ada, place)
                assert ada.call("typing.relay", channel_id=place.channel_id, state="stop")["ok"]
            until_typing(bob, place)
            refused = ada.call("typing.relay", channel_id=place.channel_id, state="start")
            answer = place.ada.try_call("typing.relay", channel_id=place.channel_id, state="start")
            bob.settle()

    assert (refused["type"], refused["code"], answer.said) == ("error", "rate_limited", (429, "rate_limited"))
    assert 0 < refused["retry_after"] <= 15
    assert 0 < answer.body["retry_after"] <= 15
    assert int(answer.headers["retry-after"]) >= 1
    assert typing(bob, place) == [[place.ada.id], [], [place.ada.id], []]


class TestWorkers:
    """Two workers that share a Redis."""

    @pytest.fixture
    def servers(self, start_server: StartServer, databases: Databases, redis_url: str) -> list[Server]:
        url = databases.new(demo=False)
        return [start_server(database_url=url, **HASTY, REDIS_URL=redis_url) for _ in range(2)]

    @pytest.fixture
    def place(self, servers: list[Server]) -> Iterator[Place]:
        """Ada at the first worker; bob and grace at the second."""
        with ExitStack() as stack:
            place = found(stack.enter_context(enrolled(servers[0], *CAST)))
            http = stack.enter_context(httpx.Client(base_url=servers[1].url, timeout=SECONDS, trust_env=False))
            people = {name: replace(getattr(place, name), server=servers[1], http=http) for name in ("bob", "grace")}
            yield replace(place, **people)

    def test_members_at_every_worker_see_it(self, place: Place, servers: list[Server]) -> None:
        with place.ada.socket() as ada, place.bob.socket() as bob, place.grace.socket() as grace:
            start(place.ada, place)
            until_typing(bob, place, place.ada)
            start(place.bob, place)
            until_typing(ada, place, place.bob)
            until_typing(grace, place, place.ada, place.bob)
            stop(place.ada, place)
            until_typing(grace, place, place.bob)
            until_typing(grace, place)
            for socket in (ada, bob):
                socket.settle()
        assert all(place.ada.id not in user_ids for user_ids in typing(ada, place))
        assert all(place.bob.id not in user_ids for user_ids in typing(bob, place))

    def test_a_message_through_the_other_worker_ends_it(self, place: Place, servers: list[Server]) -> None:
        bob_at_one = replace(place.bob, server=servers[0], http=place.ada.http)
        with place.ada.socket() as ada:
            start(place.bob, place)
            until_typing(ada, place, place.bob)
            bob_at_one.say(place.channel_id)
            until_typing(ada, place)
            time.sleep(0.3)  # until what this worker told all others would have come back to it
            assert typing(ada.settle(), place) == [[place.bob.id], []]

    def test_a_message_of_a_command_ends_it(self, place: Place, servers: list[Server]) -> None:
        code = (
            "from groups.actions.sending import send_message; from presence.typing import start_typing;"
            f"bob = User.objects.get(username='bob'); start_typing(typist=bob, channel_id={place.channel_id});"
            f"send_message(author=bob, channel_id={place.channel_id}, body='hello')"
        )
        with place.ada.socket() as ada:
            servers[0].manage("shell", "--verbosity=0", f"--command={code}", TYPING_SECONDS=60)
            until_typing(ada, place)
            assert typing(ada, place) == [[place.bob.id], []]

    def test_the_limit_counts_at_every_worker(self, place: Place, servers: list[Server]) -> None:
        at_two = replace(place.ada, server=servers[1], http=place.bob.http)
        answers = [
            (place.ada, at_two)[number % 2].try_call("typing.relay", channel_id=place.channel_id, state="start").status
            for number in range(80)
        ]
        assert answers[:60] == [200] * 60
        assert 429 in answers[60:]
