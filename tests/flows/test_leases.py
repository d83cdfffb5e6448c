"""Who is there, as others are told: over real sockets and polls, worker processes that are killed, and time shrunk."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from tests import services
from tests.conftest import GENEROUS, StartServer
from tests.polls import Poll
from tests.server import Databases, Server
from tests.services import RedisServer
from tests.sockets import CAST, PRESENCE, SECONDS, Person, Place, Socket, enrolled, error, found, refused, sign_up

LEASE_SECONDS = 3.0
"""Long enough that a busy machine reconnects within it."""
RESTART_LEASE_SECONDS = 12.0
"""Long enough that a busy machine starts servers anew within it, one after the other, and reconnects."""
TIMES: dict[str, Any] = GENEROUS | {
    "LEASE_SECONDS": LEASE_SECONDS,
    "SWEEP_SECONDS": 0.2,
    "PING_SECONDS": 0.5,
    "PONG_SECONDS": 3,
}
RESTART_TIMES: dict[str, Any] = TIMES | {"LEASE_SECONDS": RESTART_LEASE_SECONDS}


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with services.redis_server() as server:
        yield server


@pytest.fixture
def server(request: pytest.FixtureRequest, start_server: StartServer) -> Server:
    """With Redis in the run on PostgreSQL, with memory in the one on SQLite: as they are installed."""
    more = {"REDIS_URL": request.getfixturevalue("redis").url} if os.environ.get("TEST_POSTGRES_URL") else {}
    return start_server(demo=False, **TIMES, **more)


@pytest.fixture
def place(server: Server) -> Iterator[Place]:
    with enrolled(server, *CAST) as people:
        yield found(people)


def told(watcher: Socket, person: Person) -> list[str]:
    """What a watcher was told of somebody up to now, whose versions have to rise."""
    watcher.settle()
    about = [update for update in watcher.presence if update["user_id"] == person.id]
    versions = [update["version"] for update in about]
    assert versions == sorted(set(versions)), versions
    return [update["status"] for update in about]


def until_told(watcher: Socket, person: Person, status: str, *others: Socket) -> None:
    """Wait until a watcher was told of it; others keep answering meanwhile."""
    deadline = time.monotonic() + SECONDS
    while status not in told(watcher, person):
        assert time.monotonic() < deadline, watcher.frames
        for other in others:
            other.settle()
        time.sleep(0.02)


def listed(watcher: Person, person: Person) -> str:
    """What a fresh list says of somebody, as soon as there is one."""
    deadline = time.monotonic() + SECONDS
    while (answer := watcher.http.get("/api/presence.list", headers=watcher.bearer)).status_code == 503:
        assert time.monotonic() < deadline, answer.text
    found = {one["user_id"]: one["status"] for one in answer.json()["presence"]}
    return str(found.get(person.id, "offline"))


def wait_for_a_lease(*watchers: Socket, lease_seconds: float = LEASE_SECONDS) -> None:
    """Let more than a lease pass; those who watch keep answering."""
    deadline = time.monotonic() + lease_seconds + 1
    while time.monotonic() < deadline:
        for watcher in watchers:
            watcher.settle()
        time.sleep(0.1)


def until_closed(socket: Socket, *watchers: Socket) -> int:
    """The close code of a socket; those who watch keep answering meanwhile."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        for watcher in watchers:
            watcher.settle()
        try:
            socket.read(0.1)
        except TimeoutError:
            continue
        except ConnectionClosed as closed:
            return 1006 if closed.rcvd is None else closed.rcvd.code
    raise AssertionError(f"it stayed open; these came: {socket.frames}")


def back(socket: Socket) -> dict[str, object]:
    """The query with which a client comes back to the session of a socket."""
    return {"session": socket.hello["session"], "epoch": socket.hello["epoch"], "resume_from": socket.seq}


def test_one_tab_of_two_dies_silently(place: Place) -> None:
    with place.bob.socket() as bob, place.ada.socket() as first, place.ada.socket() as second:
        until_told(bob, place.ada, "online")
        second.vanish()
        wait_for_a_lease(bob, first)
        assert told(bob, place.ada) == ["online"]


def test_a_short_drop_is_silent_and_loses_nothing(place: Place) -> None:
    with place.bob.socket() as bob, place.ada.socket() as ada:
        until_told(bob, place.ada, "online")
        ada.vanish()
        place.bob.say(place.channel_id, "while you were away")
        with place.ada.socket(query=back(ada)) as again:
            again.settle()
            assert again.hello["mode"] == "resumed"
            assert again.bodies == ["while you were away"]
            wait_for_a_lease(bob, again)
            assert told(bob, place.ada) == ["online"]


def test_a_long_drop_is_told_once_and_the_return_once(place: Place) -> None:
    with place.bob.socket() as bob:
        with place.ada.socket() as ada:
            until_told(bob, place.ada, "online")
            ada.vanish()
            until_told(bob, place.ada, "offline")
        assert listed(place.bob, place.ada) == "offline"
        with place.ada.socket(query=back(ada)) as again:
            wait_for_a_lease(bob, again)
            assert told(bob, place.ada) == ["online", "offline", "online"]
            assert listed(place.bob, place.ada) == "online"


def test_a_frozen_client_is_noticed_and_gone_once_after_its_lease(place: Place) -> None:
    with place.bob.socket() as bob, place.ada.socket(answers_pings=False) as ada:
        until_told(bob, place.ada, "online")
        assert until_closed(ada, bob) == 4408
        assert told(bob, place.ada) == ["online"]
        until_told(bob, place.ada, "offline")
        wait_for_a_lease(bob)
        assert told(bob, place.ada) == ["online", "offline"]


def test_the_late_close_of_an_old_socket_does_nothing(place: Place) -> None:
    with place.bob.socket() as bob, place.ada.socket(answers_pings=False) as old:
        until_told(bob, place.ada, "online")
        with place.ada.socket(query=back(old)) as new:
            assert old.close_code() == 4409
            old.vanish()
            wait_for_a_lease(bob, new)
            assert told(bob, place.ada) == ["online"]
            assert listed(place.bob, place.ada) == "online"


def test_a_goodbye_is_told_at_once(place: Place) -> None:
    with place.bob.socket() as bob, place.ada.socket() as ada:
        until_told(bob, place.ada, "online")
        said_at = time.monotonic()
        ada.send({"type": "bye"})
        until_told(bob, place.ada, "offline")
        assert time.monotonic() - said_at < LEASE_SECONDS


def test_a_program_that_polls_says_goodbye_with_a_call(place: Place) -> None:
    poll = Poll(place.ada)
    with place.bob.socket() as bob, place.grace.socket() as grace:
        poll.poll()
        until_told(bob, place.ada, "online", grace)
        left_at = time.monotonic()
        # Of another user it ends nothing, even if the id were known.
        assert place.bob.call("presence.leave", session=grace.hello["session"]) == {}
        assert place.ada.call("presence.leave", session=poll.session) == {}
        until_told(bob, place.ada, "offline", grace)
        assert time.monotonic() - left_at < LEASE_SECONDS
        assert told(bob, place.grace) == ["online"]


def test_a_sign_out_ends_the_lease_at_once(place: Place, server: Server) -> None:
    cookie = sign_up(server, "carl")
    with httpx.Client(base_url=server.url, trust_env=False, headers={"Cookie": cookie}) as browser:
        page = browser.get("/")
        carl_id = browser.get("/api/user.me").json()["user"]["id"]
        csrf = str(browser.cookies.get("csrftoken"))
        assert page.status_code == 200
        join = {"Cookie": f"{cookie}; csrftoken={csrf}", "X-CSRFToken": csrf, "Content-Type": "application/json"}
        assert browser.post("/api/workspace.join", headers=join, json={"token": place.invite}).status_code == 200
        carl = replace(place.eve, id=carl_id, username="carl")
        with place.bob.socket() as bob, Socket(server, headers={"Cookie": cookie}) as tab:
            until_told(bob, carl, "online")
            out_at = time.monotonic()
            left = browser.post(
                "/accounts/logout/", headers=join | {"Content-Type": "application/x-www-form-urlencoded"}
            )
            assert left.status_code == 302
            assert until_closed(tab, bob) == 4401
            until_told(bob, carl, "offline")
            assert time.monotonic() - out_at < LEASE_SECONDS


def test_a_polling_user_is_online_and_does_not_flap(place: Place) -> None:
    poll = Poll(place.ada)
    with place.bob.socket() as bob:
        poll.poll()
        until_told(bob, place.ada, "online")
        deadline = time.monotonic() + LEASE_SECONDS + 1
        while time.monotonic() < deadline:
            poll.poll(wait=0.5)
            time.sleep(0.3)
            bob.settle()
        assert told(bob, place.ada) == ["online"]
        until_told(bob, place.ada, "offline")
        assert told(bob, place.ada) == ["online", "offline"]


@pytest.mark.parametrize("same_session", [True, False])
def test_a_socket_and_a_poll_at_once_are_one_presence(place: Place, *, same_session: bool) -> None:
    poll = Poll(place.ada)
    with place.bob.socket() as bob, place.ada.socket() as ada:
        until_told(bob, place.ada, "online")
        if same_session:
            poll.session, poll.epoch, poll.seq = ada.hello["session"], ada.hello["epoch"], ada.seq
        poll.poll()
        ada.vanish()
        deadline = time.monotonic() + LEASE_SECONDS + 1
        while time.monotonic() < deadline:
            poll.poll(wait=0.5)
            bob.settle()
        assert told(bob, place.ada) == ["online"]


def test_away_is_when_each_session_says_so(place: Place) -> None:
    with place.bob.socket() as bob, place.ada.socket() as first, place.ada.socket() as second:
        until_told(bob, place.ada, "online")
        assert first.call("presence.set_away", away=True, session=first.hello["session"])["ok"]
        wait_for_a_lease(bob, first, second)
        assert told(bob, place.ada) == ["online"]
        assert second.call("presence.set_away", away=True, session=second.hello["session"])["ok"]
        until_told(bob, place.ada, "away")
        assert first.call("presence.set_away", away=False, session=first.hello["session"])["ok"]
        until_told(bob, place.ada, "online")
        assert told(bob, place.ada) == ["online", "away", "online"]


def test_a_session_without_activity_is_away(start_server: StartServer) -> None:
    server = start_server(demo=False, **TIMES, AWAY_SECONDS=1.5)
    with enrolled(server, *CAST) as people:
        place = found(people)
        with place.bob.socket() as bob, place.ada.socket() as ada:
            until_told(bob, place.ada, "away")
            assert ada.call("presence.set_away", away=False)["ok"]
            bob.wait(lambda frame: told_of(frame, place.ada) == "online" and frame["seq"] > seq_of(bob, "away"))
            assert told(bob, place.ada)[:3] == ["online", "away", "online"]


def told_of(frame: dict[str, Any], person: Person) -> str | None:
    if frame.get("event") == PRESENCE and frame["data"]["user_id"] == person.id:
        return str(frame["data"]["status"])
    return None


def seq_of(watcher: Socket, status: str) -> int:
    return int(
        next(
            event["seq"]
            for event in watcher.frames
            if event.get("event") == PRESENCE and event["data"]["status"] == status
        )
    )


@pytest.mark.parametrize("how", [Server.stop, Server.kill])
def test_a_server_that_restarts_with_memory_tells_nobody_anything_before_a_lease_has_passed(
    start_server: StartServer, how: Callable[[Server], int]
) -> None:
    server = start_server(demo=False, **RESTART_TIMES)
    with enrolled(server, *CAST) as people:
        place = found(people)
        with place.bob.socket() as bob, place.ada.socket() as ada, place.grace.socket():
            until_told(bob, place.ada, "online")
            until_told(bob, place.grace, "online")
            how(server)
            server.start()
        with place.bob.socket() as bob:
            assert listed(place.bob, place.ada) == listed(place.bob, place.grace) == "online"
            with place.ada.socket(query=back(ada)) as again:
                wait_for_a_lease(bob, again, lease_seconds=RESTART_LEASE_SECONDS)
                assert told(bob, place.ada) == []
                assert told(bob, place.grace) == ["offline"]
                assert listed(place.bob, place.grace) == "offline"


@pytest.mark.postgres
class TestWorkers:
    """Two workers that share a Redis."""

    @pytest.fixture
    def times(self) -> dict[str, Any]:
        return TIMES

    @pytest.fixture
    def servers(
        self, start_server: StartServer, databases: Databases, redis: RedisServer, times: dict[str, Any]
    ) -> list[Server]:
        url = databases.new(demo=False)
        return [start_server(database_url=url, **times, REDIS_URL=redis.url) for _ in range(2)]

    @pytest.fixture
    def people(self, servers: list[Server]) -> Iterator[tuple[Place, Callable[[Person], Person]]]:
        with ExitStack() as stack:
            place = found(stack.enter_context(enrolled(servers[0], *CAST)))
            at_two = stack.enter_context(httpx.Client(base_url=servers[1].url, timeout=SECONDS, trust_env=False))
            yield place, lambda person: replace(person, server=servers[1], http=at_two)

    def test_the_users_of_a_killed_worker_move_silently_or_go_once(
        self, servers: list[Server], people: tuple[Place, Callable[[Person], Person]]
    ) -> None:
        place, at_two = people
        with at_two(place.bob).socket() as bob:
            with place.ada.socket() as ada, place.grace.socket():
                until_told(bob, place.ada, "online")
                until_told(bob, place.grace, "online")
                servers[0].kill()
            with at_two(place.ada).socket(query=back(ada)) as again:
                until_told(bob, place.grace, "offline", again)
                wait_for_a_lease(bob, again)
                assert told(bob, place.ada) == ["online"]
                assert told(bob, place.grace) == ["online", "offline"]

    @pytest.mark.parametrize("times", [RESTART_TIMES], ids=["with a longer lease"])
    def test_a_restart_of_all_workers_within_the_lease_is_silent(
        self, servers: list[Server], people: tuple[Place, Callable[[Person], Person]]
    ) -> None:
        place, at_two = people
        with place.bob.socket() as bob, at_two(place.ada).socket() as ada:
            until_told(bob, place.ada, "online")
            for server in servers:
                server.kill()
            for server in servers:
                server.start()
        with place.bob.socket(query=back(bob)) as bob_again, at_two(place.ada).socket(query=back(ada)) as ada_again:
            assert bob_again.hello["mode"] == ada_again.hello["mode"] == "resumed"
            wait_for_a_lease(bob_again, ada_again, lease_seconds=RESTART_LEASE_SECONDS)
            assert told(bob_again, place.ada) == []

    def test_a_session_that_moves_to_another_worker_leaves_the_first(
        self, people: tuple[Place, Callable[[Person], Person]]
    ) -> None:
        place, at_two = people
        with at_two(place.bob).socket() as bob, place.ada.socket() as old:
            until_told(bob, place.ada, "online")
            with at_two(place.ada).socket(query=back(old)) as new:
                assert old.close_code() == 4409
                wait_for_a_lease(bob, new)
                assert told(bob, place.ada) == ["online"]

    def test_the_number_of_sessions_is_limited_over_all_workers(
        self, start_server: StartServer, databases: Databases, redis: RedisServer
    ) -> None:
        url = databases.new(demo=False)
        one, two = [start_server(database_url=url, **TIMES, REDIS_URL=redis.url, SESSIONS_PER_USER=2) for _ in range(2)]
        with enrolled(one, "ada") as [ada], enrolled(two, "ada") as [ada_at_two]:
            with ada.socket() as first, ada_at_two.socket() as second:
                assert refused(two, headers=ada_at_two.bearer) == (4409, error("too_many_sessions"))
                # Whoever drops and comes back is not kept out, nor is somebody new in the place of one who dropped.
                second.vanish()
                with ada_at_two.socket(query=back(second)), first:
                    pass
            with ada.socket(), ada_at_two.socket():
                pass

    def test_an_empty_redis_makes_nobody_leave(
        self, redis: RedisServer, people: tuple[Place, Callable[[Person], Person]]
    ) -> None:
        place, at_two = people
        with place.ada.socket() as ada:
            with at_two(place.bob).socket() as bob:
                until_told(bob, place.ada, "online")
                redis.kill()
                redis.start()
                assert bob.close_code() in {1012, 1013}
            with at_two(place.bob).socket() as bob:
                assert listed(place.bob, place.ada) == "online"
                with place.ada.socket(query={"session": ada.hello["session"]}) as again:
                    wait_for_a_lease(bob, again)
                    assert set(told(bob, place.ada)) <= {"online"}
                    assert listed(place.bob, place.ada) == "online"


class TestResumeTokens:
    """A client that comes back with what its hello gave it, and with nothing else."""

    def test_it_brings_the_session_back_silently(self, place: Place, server: Server) -> None:
        with place.bob.socket() as bob, place.ada.socket() as ada:
            until_told(bob, place.ada, "online")
            ada.vanish()
            place.bob.say(place.channel_id, "missed")
            with Socket(server, query=back(ada) | {"resume_token": ada.hello["resume_token"]}) as again:
                again.settle()
                assert (again.hello["user_id"], again.hello["mode"]) == (place.ada.id, "resumed")
                assert again.bodies == ["missed"]
                wait_for_a_lease(bob, again)
                assert told(bob, place.ada) == ["online"]

    def test_alone_it_does_not_take_over_a_session_that_is_connected(self, place: Place, server: Server) -> None:
        with place.ada.socket(answers_pings=False) as ada:
            query = back(ada) | {"resume_token": ada.hello["resume_token"]}
            assert refused(server, query=query) == (1013, error("session_connected"))
            assert ada.close_code() == 4408
            with Socket(server, query=query) as again:
                assert again.hello["user_id"] == place.ada.id

    def test_one_that_was_used_is_of_no_use_to_whoever_stole_it(self, place: Place, server: Server) -> None:
        with place.ada.socket() as ada:
            stolen = back(ada) | {"resume_token": ada.hello["resume_token"]}
            ada.vanish()
            with place.ada.socket(query=back(ada)) as again:
                assert refused(server, query=stolen) == (4401, error("bad_resume_token"))
                again.settle()

    @pytest.mark.parametrize("token", ["", "forged", "e30:1abc:forged"])
    def test_a_forged_one_opens_nothing(self, place: Place, server: Server, token: str) -> None:
        with place.ada.socket() as ada:
            query = back(ada) | {"resume_token": token}
            assert refused(server, query=query) == (4401, error("bad_resume_token"))
            ada.settle()

    def test_it_is_bound_to_its_session(self, place: Place, server: Server) -> None:
        with place.ada.socket() as ada, place.bob.socket() as bob:
            query = back(bob) | {"resume_token": ada.hello["resume_token"]}
            assert refused(server, query=query) == (4401, error("bad_resume_token"))
            bob.settle()
            ada.settle()

    def test_beside_own_credentials_it_gives_nothing_of_another_user(self, place: Place) -> None:
        with place.ada.socket() as ada:
            query = {"session": ada.hello["session"], "resume_token": ada.hello["resume_token"]}
            with place.eve.socket(query=query) as eve:
                assert eve.hello["user_id"] == place.eve.id
                ada.settle()

    def test_it_ends_with_the_lease(self, place: Place, server: Server) -> None:
        with place.bob.socket() as bob, place.ada.socket() as ada:
            until_told(bob, place.ada, "online")
            ada.vanish()
            until_told(bob, place.ada, "offline")
            query = back(ada) | {"resume_token": ada.hello["resume_token"]}
            assert refused(server, query=query) == (4401, error("bad_resume_token"))

    def test_it_ends_with_what_it_came_from(self, place: Place, server: Server) -> None:
        with place.ada.socket() as ada:
            query = back(ada) | {"resume_token": ada.hello["resume_token"]}
            ada.vanish()
            revoke = f"from groups.models import ApiToken; ApiToken.objects.filter(owner={place.ada.id}).delete()"
            server.manage("shell", "--verbosity=0", f"--command={revoke}")
            assert refused(server, query=query)[0] == 4401

    def test_it_ends_with_the_sign_in_that_it_came_from(self, server: Server) -> None:
        cookie = sign_up(server, "dora")
        with httpx.Client(base_url=server.url, trust_env=False, headers={"Cookie": cookie}) as browser:
            browser.get("/")
            csrf = str(browser.cookies.get("csrftoken"))
            with Socket(server, headers={"Cookie": cookie}) as tab:
                query = back(tab) | {"resume_token": tab.hello["resume_token"]}
                tab.vanish()
            form = {"Cookie": f"{cookie}; csrftoken={csrf}", "X-CSRFToken": csrf}
            assert browser.post("/accounts/logout/", headers=form).status_code == 302
        assert refused(server, query=query) == (4401, error("bad_resume_token"))

    def test_a_poll_takes_it_too(self, place: Place, server: Server) -> None:
        with place.ada.socket() as ada:
            query = {"session": ada.hello["session"], "epoch": ada.hello["epoch"], "since": str(ada.seq), "wait": "0"}
            ada.vanish()
            with httpx.Client(base_url=server.url, trust_env=False) as nobody:
                token = {"resume_token": ada.hello["resume_token"]}
                assert nobody.get("/poll/user/me", params=query | token).status_code == 200
                assert nobody.get("/poll/user/me", params=query).status_code == 401
