"""Two real workers that share a database and a Redis: one stream per user, whichever worker one comes to."""

import json
import threading
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
from tests.sockets import CAST, SECONDS, Person, Place, Socket, enrolled, found, make_channel

SOON = 1.0
"""Seconds within which an end of sign-in has to be told everywhere."""


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with services.redis_server() as server:
        yield server


class Workers:
    """Two workers, and the cast as seen from each."""

    def __init__(self, servers: list[Server], place: Place, https: list[httpx.Client]) -> None:
        self.one, self.two = servers
        self.place = place
        self._https = https

    def at_two(self, person: Person) -> Person:
        """The same person at the second worker."""
        return replace(person, server=self.two, http=self._https[1])


@pytest.fixture
def workers(start_server: StartServer, databases: Databases, redis: RedisServer) -> Iterator[Workers]:
    settings: dict[str, Any] = GENEROUS | {"REDIS_URL": redis.url, "SWEEP_SECONDS": 0.5}
    database_url = databases.new(demo=False)
    servers = [start_server(database_url=database_url, **settings) for _ in range(2)]
    with ExitStack() as stack:
        https = [
            stack.enter_context(httpx.Client(base_url=one.url, timeout=SECONDS, trust_env=False)) for one in servers
        ]
        people = stack.enter_context(enrolled(servers[0], *CAST))
        yield Workers(servers, found(people), https)


def test_two_tabs_on_two_workers_have_the_same_log(workers: Workers) -> None:
    place, channel_id = workers.place, workers.place.channel_id
    with place.bob.socket() as one, workers.at_two(place.bob).socket() as two:
        for number in range(10):
            sender = place.ada if number % 2 else workers.at_two(place.ada)
            sender.say(channel_id, f"message {number}")
        # The ring to the other worker may still be on its way.
        for tab in (one, two):
            while tab.bodies[-1:] != ["message 9"]:
                tab.read()
        assert one.bodies == [f"message {number}" for number in range(10)]
        assert one.events == two.events
        assert one.hello["epoch"] == two.hello["epoch"]


def test_workers_behind_one_port_share_everything(start_server: StartServer, redis: RedisServer) -> None:
    settings: dict[str, Any] = GENEROUS | {"REDIS_URL": redis.url}
    server = start_server(kind="two workers", demo=False, **settings)
    try:
        with enrolled(server, *CAST) as people, ExitStack() as stack:
            place = found(people)
            tabs = [stack.enter_context(place.bob.socket()) for _ in range(6)]
            for number in range(10):
                place.ada.say(place.channel_id, f"message {number}")
            for tab in tabs:
                tab.wait(lambda _, tab=tab: len(tab.bodies) == 10)  # type: ignore[misc]
                assert tab.bodies == [f"message {number}" for number in range(10)]
    finally:
        assert server.stop() == 0


def test_a_socket_and_a_poll_on_another_worker_have_the_same_log(workers: Workers) -> None:
    place, channel_id = workers.place, workers.place.channel_id
    poll = Poll(workers.at_two(place.bob))
    poll.poll()
    with place.bob.socket() as socket:
        for number in range(30):
            place.ada.say(channel_id, f"message {number}")
        poll.until(30)
        socket.settle()
        assert socket.bodies == [f"message {number}" for number in range(30)]
        assert poll.events == socket.events


def test_a_poll_on_another_worker_is_woken_by_the_event(workers: Workers) -> None:
    place = workers.place
    poll = Poll(workers.at_two(place.bob)).settle()
    said_at: list[float] = []

    def say() -> None:
        place.ada.say(place.channel_id)
        said_at.append(time.monotonic())

    timer = threading.Timer(0.5, say)
    timer.start()
    assert [frame["event"] for frame in poll.poll(wait=20)] == ["message.created"]
    woken_at = time.monotonic()
    timer.join()
    assert woken_at - said_at[0] < SOON


def test_a_client_whose_worker_is_killed_goes_on_at_the_other(workers: Workers) -> None:
    place, channel_id = workers.place, workers.place.channel_id
    with place.bob.socket() as socket:
        place.ada.say(channel_id, "before")
        socket.settle()
        before, hello = socket.events, socket.hello
        workers.one.kill()
    ada, bob = workers.at_two(place.ada), workers.at_two(place.bob)
    ada.say(channel_id, "meanwhile")
    query = {"session": hello["session"], "epoch": hello["epoch"], "resume_from": before[-1]["seq"]}
    with bob.socket(query=query) as socket:
        assert socket.hello["mode"] == "resumed"
        ada.say(channel_id, "after")
        socket.settle()
        assert socket.bodies == ["meanwhile", "after"]


def test_what_a_killed_process_committed_but_did_not_append_arrives(workers: Workers) -> None:
    """A process that is killed with -9 in the instant between commit and append."""
    place = workers.place
    code = (
        "import os, signal; from realtime import relay; from groups.actions.sending import send_message;"
        "relay.send = lambda *a: os.kill(os.getpid(), signal.SIGKILL);"
        f"send_message(author=User.objects.get(username='ada'), channel_id={place.channel_id}, body='last words')"
    )
    with place.bob.socket() as one, workers.at_two(place.bob).socket() as two:
        with pytest.raises(RuntimeError, match="failed"):
            workers.one.manage("shell", "--verbosity=0", f"--command={code}")
        assert one.event("message.created")["data"]["message"]["body"] == "last words"
        assert two.event("message.created") == one.events[-1]
    listed = place.bob.call("message.list", channel_id=place.channel_id)["messages"]
    assert [message["body"] for message in listed] == ["last words"]


def test_while_redis_is_away_messages_are_stored_and_told_when_it_is_back(workers: Workers, redis: RedisServer) -> None:
    place, channel_id = workers.place, workers.place.channel_id
    with place.bob.socket() as socket:
        place.ada.say(channel_id, "before")
        socket.settle()
        redis.kill()
        sent = [place.ada.say(channel_id, f"meanwhile {number}") for number in range(3)]
        assert [message["body"] for message in sent] == ["meanwhile 0", "meanwhile 1", "meanwhile 2"]
        last = socket.events[-1]["seq"]
        redis.start()
        assert socket.close_code() == 1012
    query = {"epoch": socket.hello["epoch"], "resume_from": last}
    with place.bob.socket(query=query) as again:
        assert (again.hello["mode"], again.hello["reason"]) == ("resume_failed", "unknown_epoch")
        place.ada.say(channel_id, "after")
        assert again.wait(lambda frame: "after" in json.dumps(frame))
    history = place.bob.call("message.list", channel_id=channel_id)["messages"]
    assert [message["body"] for message in history] == ["before", *(m["body"] for m in sent), "after"]
    assert "Traceback" not in workers.one.log_text()


def test_a_paused_redis_delays_and_loses_nothing(workers: Workers, redis: RedisServer) -> None:
    place, channel_id = workers.place, workers.place.channel_id
    with workers.at_two(place.bob).socket() as socket:
        place.ada.say(channel_id, "before")
        redis.pause()
        place.ada.say(channel_id, "meanwhile")
        redis.go_on()
        place.ada.say(channel_id, "after")
        socket.wait(lambda frame: "after" in json.dumps(frame))
        assert socket.bodies == ["before", "meanwhile", "after"]


@pytest.mark.parametrize("outage", ["kill", "pause"])
def test_while_redis_is_away_whoever_connects_is_told_to_come_back(
    workers: Workers, redis: RedisServer, outage: str
) -> None:
    ada = workers.place.ada
    ticket = ada.call("realtime.ticket")["ticket"]
    getattr(redis, outage)()
    try:
        polled = Poll(ada).get()
        with Socket(workers.one, query={"ticket": ticket}) as socket:
            assert socket.close_code() == 1013
    finally:
        redis.go_on()
    assert (polled.status_code, polled.json()["code"]) == (503, "unavailable")
    assert "Traceback" not in workers.one.log_text()


def test_a_revoked_token_ends_its_sockets_and_polls_on_every_worker(workers: Workers) -> None:
    bob = workers.place.bob
    there = workers.at_two(bob)
    with bob.socket() as one, there.socket() as two:
        poll = Poll(there).settle()
        polled: list[int] = []

        def wait() -> None:
            polled.append(poll.get(wait=20, since=poll.seq, epoch=poll.epoch).status_code)

        waiting = threading.Thread(target=wait)
        waiting.start()
        revoke = (
            "from groups.actions.tokens import revoke_token;"
            "[revoke_token(owner=t.owner, token_id=t.pk) for t in ApiToken.objects.filter(owner__username='bob')]"
        )
        workers.one.manage("shell", "--verbosity=0", f"--command={revoke}")
        ended_at = time.monotonic()
        assert (one.close_code(), two.close_code()) == (4401, 4401)
        waiting.join(SECONDS)
        assert time.monotonic() - ended_at < SOON
    assert polled == [401]
    assert bob.try_call("user.me").status == 401


def test_a_deactivated_user_is_sent_away_on_every_worker_and_seen_to_go_once(workers: Workers) -> None:
    ada, bob = workers.place.ada, workers.place.bob
    with ada.socket() as watching, bob.socket() as one, workers.at_two(bob).socket() as two:
        while "online" not in told_of(bob, watching):
            watching.read()
        workers.one.manage("deactivate_user", "bob")
        ended_at = time.monotonic()
        assert (one.close_code(), two.close_code()) == (4403, 4403)
        assert time.monotonic() - ended_at < SOON
        while "offline" not in told_of(bob, watching) or "user.updated" not in watching.names:
            watching.read()
        watching.settle()
        assert told_of(bob, watching).count("offline") == 1
        assert watching.events[-1]["data"]["user"]["active"] is False
    assert bob.try_call("user.me").status == 401


def told_of(person: Person, socket: Socket) -> list[str]:
    """The statuses of somebody that a socket told."""
    return [data["status"] for data in socket.presence if data["user_id"] == person.id]


def test_a_command_reaches_the_sessions_of_a_server_with_streams_in_memory(start_server: StartServer) -> None:
    settings: dict[str, Any] = GENEROUS | {"SWEEP_SECONDS": 0.2}
    server = start_server(demo=False, **settings)
    with enrolled(server, *CAST) as people:
        bob = found(people).bob
        with bob.socket() as socket:
            server.manage("deactivate_user", "bob")
            ended_at = time.monotonic()
            assert socket.close_code() == 4403
            # Until then the event is left behind: LEFT_BEHIND_SECONDS, and a sweep.
            assert time.monotonic() - ended_at < 2 * SOON


def test_nothing_is_lost_when_the_channel_layer_loses_repeats_and_shuffles(
    start_server: StartServer, databases: Databases, redis: RedisServer
) -> None:
    settings: dict[str, Any] = GENEROUS | {
        "REDIS_URL": redis.url,
        "SWEEP_SECONDS": 0.5,
        "DJANGO_SETTINGS_MODULE": "tests.unreliable_settings",
    }
    database_url = databases.new(demo=False)
    here, there = (start_server(database_url=database_url, **settings) for _ in range(2))
    with enrolled(here, *CAST) as people, httpx.Client(base_url=there.url, trust_env=False) as http:
        place = found(people)
        bob = replace(place.bob, server=there, http=http)
        with bob.socket() as socket:
            said = [f"message {number}" for number in range(100)]
            for body in said:
                place.ada.say(place.channel_id, body)
            socket.wait(lambda frame: "message 99" in json.dumps(frame))
            assert socket.bodies == said


def test_a_text_that_was_deleted_while_its_event_waited_never_leaves(workers: Workers, redis: RedisServer) -> None:
    place = workers.place
    with place.bob.socket() as socket:
        redis.pause()
        regretted, changed = place.ada.say(place.channel_id, "my password"), place.ada.say(place.channel_id, "tpyo")
        place.ada.call("message.delete", message_id=regretted["id"])
        place.ada.call("message.update", message_id=changed["id"], body="typo")
        time.sleep(1.1)  # as long as an outage takes before its events count as left behind
        redis.go_on()
        socket.wait(lambda frame: frame.get("event") == "message.updated")
        assert "typo" in json.dumps(socket.frames)
        assert "my password" not in json.dumps(socket.frames)
        assert "tpyo" not in json.dumps(socket.frames)


def test_what_was_read_after_a_join_is_told_after_it(workers: Workers) -> None:
    """A process joined and sent, and was gone before it told of it; what it sent is read at once at a worker."""
    place = workers.place
    lounge = make_channel(place.grace, place.workspace_id, "lounge")
    code = (
        "from realtime import relay; from groups.actions.membership import join_channel;"
        "from groups.actions.sending import send_message;"
        "relay.send = lambda *a: None;"
        f"join_channel(user=User.objects.get(username='bob'), channel_id={lounge});"
        f"sent = send_message(author=User.objects.get(username='grace'), channel_id={lounge}, body='welcome');"
        "print(sent.message.pk)"
    )
    with place.bob.socket() as socket:
        sent_id = int(workers.one.manage("shell", "--verbosity=0", f"--command={code}"))
        place.bob.call("read.mark", channel_id=lounge, last_read_id=sent_id)
        socket.wait(lambda frame: frame.get("event") == "message.created")
        socket.event("read.updated")
        assert socket.names == ["channel.added", "message.created", "read.updated"]
