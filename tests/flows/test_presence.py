"""What people say of themselves, as others see it: over real sockets and polls, on one worker and on two."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests import services
from tests.conftest import GENEROUS, StartServer
from tests.polls import Poll
from tests.server import Databases, Server
from tests.services import RedisServer
from tests.sockets import CAST, PRESENCE, SECONDS, Frame, Person, Place, Socket, enrolled, found

SOON = 3.0
SWEEPING: dict[str, Any] = GENEROUS | {"SWEEP_SECONDS": 0.3, "STATUS_TEXT_PER_MINUTE": 10_000}


def say(person: Person, text: str, **more: Any) -> None:
    assert person.call("presence.set_status_text", status_text=text, **more)["presence"]["status_text"] == text


def texts(reader: Socket | Poll, person: Person) -> list[str]:
    """What somebody was told that another one says."""
    return [update["status_text"] for update in reader.presence if update["user_id"] == person.id]


def about(frame: Frame, person: Person) -> bool:
    return frame.get("event") == PRESENCE and frame["data"]["user_id"] == person.id


def until_says(socket: Socket, person: Person, text: str) -> Frame:
    return socket.wait(lambda frame: about(frame, person) and frame["data"]["status_text"] == text)


def until_told(socket: Socket, person: Person, times: int) -> None:
    socket.wait(lambda _: len(texts(socket, person)) == times)


def test_a_text_is_told_soon_to_who_shares_a_workspace_and_to_oneself(place: Place) -> None:
    poll = Poll(place.grace)
    poll.poll()
    with (
        enrolled(place.ada.server, "stranger") as [stranger],
        place.ada.socket() as ada,
        place.bob.socket() as bob,
        stranger.socket() as elsewhere,
    ):
        said_at = time.monotonic()
        say(place.ada, "lunch", status_emoji="🍜")
        until_says(bob, place.ada, "lunch")
        assert time.monotonic() - said_at < SOON
        until_says(ada, place.ada, "lunch")
        deadline = time.monotonic() + SECONDS
        while "lunch" not in texts(poll, place.ada) and time.monotonic() < deadline:
            poll.poll(wait=1)
        elsewhere.settle()

    assert texts(poll, place.ada)[-1:] == ["lunch"]
    assert texts(elsewhere, place.ada) == []


def test_what_was_missed_is_replayed_and_is_in_the_boot(place: Place) -> None:
    with place.bob.socket() as bob:
        query = {"session": bob.hello["session"], "epoch": bob.hello["epoch"], "resume_from": bob.hello["seq"]}
    say(place.ada, "while you were away")
    with place.bob.socket(query=query) as bob:
        event = until_says(bob, place.ada, "while you were away")
        boot = place.bob.call("client.boot")
        [booted] = [one for one in boot["presence"] if one["user_id"] == place.ada.id]
        assert booted == event["data"]


def test_a_text_ends_by_itself_and_that_is_told_once(start_server: StartServer) -> None:
    server = start_server(demo=False, **SWEEPING)
    with enrolled(server, *CAST) as people:
        place = found(people)
        with place.bob.socket() as bob:
            say(place.ada, "back in a second", expires_in=1)
            until_says(bob, place.ada, "")
            time.sleep(1)
            bob.settle()
            assert texts(bob, place.ada) == ["back in a second", ""]


def test_in_a_large_workspace_those_are_told_who_ask(start_server: StartServer) -> None:
    server = start_server(demo=False, **SWEEPING, PRESENCE_MEMBERS=2, PRESENCE_WATCH_SECONDS=2)
    with enrolled(server, *CAST) as people:
        place = found(people)
        with place.bob.socket() as bob, place.grace.socket() as grace, place.ada.socket() as ada:
            say(place.ada, "unheard")
            until_says(ada, place.ada, "unheard")
            answer = place.bob.call("presence.watch", user_ids=[place.ada.id, place.eve.id])["presence"]
            assert [(one["user_id"], one["status_text"]) for one in answer] == [(place.ada.id, "unheard")]
            say(place.ada, "heard")
            until_says(bob, place.ada, "heard")
            time.sleep(2)
            say(place.ada, "unheard again")
            until_says(ada, place.ada, "unheard again")
            bob.settle()
            grace.settle()

        assert (texts(bob, place.ada), texts(grace, place.ada)) == (["heard"], [])


class TestWorkers:
    """Two workers that share a Redis."""

    @pytest.fixture
    def redis(self) -> Iterator[RedisServer]:
        with services.redis_server() as server:
            yield server

    @pytest.fixture
    def servers(self, start_server: StartServer, databases: Databases, redis: RedisServer) -> list[Server]:
        url = databases.new(demo=False)
        return [start_server(database_url=url, **SWEEPING, REDIS_URL=redis.url) for _ in range(2)]

    @pytest.fixture
    def place(self, servers: list[Server]) -> Iterator[Place]:
        """Ada at the first worker, bob at the second."""
        with ExitStack() as stack:
            place = found(stack.enter_context(enrolled(servers[0], *CAST)))
            http = stack.enter_context(httpx.Client(base_url=servers[1].url, timeout=SECONDS, trust_env=False))
            yield replace(place, bob=replace(place.bob, server=servers[1], http=http))

    def test_a_text_is_told_once_at_every_worker(self, place: Place) -> None:
        with place.grace.socket() as grace, place.bob.socket() as bob:
            for number in range(10):
                say(place.ada, f"text {number}")
                until_says(bob, place.ada, f"text {number}")
            until_says(grace, place.ada, "text 9")
            assert texts(bob, place.ada) == texts(grace, place.ada) == [f"text {number}" for number in range(10)]

    def test_the_end_of_a_text_is_told_once_by_whichever_worker(self, place: Place) -> None:
        with place.bob.socket() as bob:
            for number in range(5):
                say(place.ada, f"text {number}", expires_in=1)
                until_told(bob, place.ada, 2 * number + 2)
            time.sleep(1)
            bob.settle()
            assert texts(bob, place.ada)[1::2] == [""] * 5

    def test_while_redis_is_away_a_text_is_kept_and_it_is_told_when_it_is_back(
        self, place: Place, redis: RedisServer
    ) -> None:
        with place.bob.socket() as bob:
            redis.pause()
            say(place.ada, "nobody hears me")
            redis.go_on()
            until_says(bob, place.ada, "nobody hears me")
            bob.settle()
            assert texts(bob, place.ada)[-1:] == ["nobody hears me"]

    def test_a_text_that_a_dead_worker_did_not_tell_is_told_by_the_other(
        self, place: Place, servers: list[Server]
    ) -> None:
        """A process that is killed with -9 in the instant after the commit."""
        code = (
            "import os, signal; from presence import actions; from groups.models import User;"
            "actions._tell_text = lambda *a: os.kill(os.getpid(), signal.SIGKILL);"
            "actions.set_status_text(user=User.objects.get(username='ada'), text='last words')"
        )
        with place.bob.socket() as bob:
            with pytest.raises(RuntimeError, match="failed"):
                servers[0].manage("shell", "--verbosity=0", f"--command={code}")
            until_says(bob, place.ada, "last words")
            time.sleep(1)
            bob.settle()
            assert texts(bob, place.ada) == ["last words"]
