"""Both Python clients on real servers, through a network that a test makes worse."""

import asyncio
import gc
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import httpx
import pytest
from meshsite_client import (
    CallError,
    Client,
    Position,
    Refused,
    Resync,
    StateChange,
    SyncClient,
    Timing,
    TransportChoice,
)
from meshsite_client.protocol import CLOSE_FULL, CLOSE_SILENT

from tests.clients.conftest import QUICK, Place, settle
from tests.clients.drive import SOON_SECONDS, Driven, DrivenAsyncio, DrivenBlocking, Kind, read_until, said_in
from tests.clients.gate import Gate, Sockets
from tests.conftest import StartServer

Make = Callable[..., Driven]


@pytest.fixture(params=["asyncio", "blocking"])
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.fixture
def make(kind: Kind) -> Iterator[Make]:
    """Makes clients of one kind; all of them close with the test."""
    made: list[Driven] = []

    def new(url: str, **options: Any) -> Driven:
        options = {"timing": QUICK} | options
        client: Driven = DrivenAsyncio(url, **options) if kind == "asyncio" else DrivenBlocking(url, **options)
        made.append(client)
        return client

    yield new
    for client in made:
        client.end()


@pytest.fixture
def alice(make: Make, place: Place, gate: Gate) -> Driven:
    """Alice, live on a socket through the gate."""
    client = make(gate.url, token=place.alice)
    client.connect()
    assert client.state == "live"
    return client


@pytest.fixture
def bob(place: Place) -> Iterator[SyncClient]:
    """Bob calls over HTTP, and follows nothing."""
    client = SyncClient(place.url, token=place.bob)
    yield client
    client.close()


def test_what_is_said_comes_live_and_in_order(alice: Driven, bob: SyncClient, channel_id: int) -> None:
    for number in range(1, 6):
        (alice if number % 2 else bob).send_message(channel_id, str(number))
    assert read_until(alice, channel_id, "5") == ["1", "2", "3", "4", "5"]


def test_a_poll_alone_brings_the_same(make: Make, place: Place, gate: Gate, bob: SyncClient, channel_id: int) -> None:
    alice = make(gate.url, token=place.alice, transport="poll")
    alice.connect()
    assert alice.state == "polling"
    for number in range(1, 6):
        (alice if number % 2 else bob).send_message(channel_id, str(number))
    assert read_until(alice, channel_id, "5") == ["1", "2", "3", "4", "5"]
    assert gate.socket_attempts == 0


class Unrest:
    """Shuts sockets out whenever the client is live, and lets them in again when it polls, until the plan is done."""

    def __init__(self, gate: Gate, plan: Sequence[Sockets]) -> None:
        self.over = threading.Event()
        self.states: list[str] = []
        self._gate = gate
        self._plan = deque(plan)

    def __call__(self, change: StateChange) -> None:
        self.states.append(change.state)
        if change.state == "polling":
            self._gate.open()
        elif change.state == "live" and self._plan:
            self._gate.shut(self._plan.popleft())
        elif change.state == "live":
            self.over.set()


def test_nothing_is_lost_and_nothing_comes_twice_while_transports_change(
    make: Make, place: Place, gate: Gate, bob: SyncClient, channel_id: int
) -> None:
    plan: list[Sockets] = ["refused", "swallowed", "muted", "refused", "muted", "swallowed"]
    unrest = Unrest(gate, plan)
    timing = replace(QUICK, hello_seconds=0.5)
    alice = make(gate.url, token=place.alice, timing=timing, on_state=unrest)
    sent: list[str] = []

    def talk() -> None:
        while not unrest.over.is_set():
            sent.append(str(len(sent) + 1))
            bob.send_message(channel_id, sent[-1])
        bob.send_message(channel_id, "end")

    talking = threading.Thread(target=talk)
    alice.connect()
    talking.start()
    try:
        said = read_until(alice, channel_id, "end")
    finally:
        unrest.over.set()
        talking.join()
    assert said == [*sent, "end"]
    assert unrest.states.count("live") > len(plan) <= unrest.states.count("polling")


def test_a_socket_alone_waits_until_sockets_get_through(make: Make, place: Place, gate: Gate) -> None:
    states: list[str] = []
    gate.shut("refused")
    alice = make(
        gate.url, token=place.alice, transport="websocket", on_state=lambda change: states.append(change.state)
    )
    alice.connect()
    while gate.socket_attempts < 3:
        assert alice.next_event(0.05) is None
    gate.open()
    while alice.state != "live":
        assert alice.next_event(0.05) is None
    assert set(states) == {"connecting", "reconnecting", "live"}
    assert gate.requests == gate.socket_attempts


def test_a_server_that_forgot_the_stream_causes_one_resync(make: Make, start_server: StartServer) -> None:
    server = start_server()
    place = settle(server)
    channel_id = place.new_channel()
    alice = make(place.url, token=place.alice)
    alice.connect()
    alice.send_message(channel_id, "before")
    assert "before" in read_until(alice, channel_id, "before")
    server.restart()
    resync = alice.next_event(SOON_SECONDS)
    assert resync == Resync("unknown_epoch", None)
    boot = alice.call("client.boot")
    assert alice.position == Position(boot["epoch"], boot["seq"])
    alice.send_message(channel_id, "after")
    assert read_until(alice, channel_id, "after") == ["after"]


def test_a_quiet_socket_lives_and_a_silent_one_is_replaced(make: Make, start_server: StartServer) -> None:
    """More pings than the server forgives when they stay without a pong; then nothing comes from it any more."""
    server = start_server(PING_SECONDS=0.2, PONG_SECONDS=1.5)
    place = settle(server)
    changes: list[StateChange] = []
    with Gate(place.url) as gate:
        timing = Timing(backoff_first_seconds=0.05, silence_seconds=1.5)
        alice = make(gate.url, token=place.alice, timing=timing, on_state=changes.append)
        alice.connect()
        channel_id = place.new_channel()
        while (item := alice.next_event(3)) is not None:
            assert said_in(channel_id, item) is None
        assert [change.state for change in changes] == ["connecting", "live"]
        gate.mute()
        with SyncClient(place.url, token=place.bob) as bob:
            bob.send_message(channel_id, "unheard")
        assert read_until(alice, channel_id, "unheard") == ["unheard"]
    assert [(change.state, change.code) for change in changes[2:]] == [("reconnecting", CLOSE_SILENT), ("live", None)]


def test_a_program_goes_on_from_where_the_last_one_stopped(
    make: Make, place: Place, bob: SyncClient, channel_id: int
) -> None:
    first = make(place.url, token=place.alice)
    first.connect()
    for number in range(1, 5):
        bob.send_message(channel_id, str(number))
    assert read_until(first, channel_id, "2") == ["1", "2"]
    session, position = first.session, first.position
    first.close(bye=False)
    second = make(place.url, token=place.alice, session=session, position=position)
    second.connect()
    assert second.session == session
    assert read_until(second, channel_id, "4") == ["3", "4"]


def test_a_program_that_reads_late_reads_everything(make: Make, place: Place, bob: SyncClient, channel_id: int) -> None:
    changes: list[StateChange] = []
    timing = Timing(inbox_items=10, backoff_first_seconds=0.05)
    alice = make(place.url, token=place.alice, timing=timing, on_state=changes.append)
    alice.connect()
    for number in range(1, 41):
        bob.send_message(channel_id, str(number))
        if number in {15, 30}:
            # Until the answer is there, the client takes in what has come.
            alice.call("user.me")
    assert read_until(alice, channel_id, "40") == [str(number) for number in range(1, 41)]
    assert CLOSE_FULL in [change.code for change in changes]


@pytest.mark.parametrize("transport", ["websocket", "poll"])
def test_a_refused_call_says_why_on_every_way(make: Make, place: Place, transport: str) -> None:
    alice = make(place.url, token=place.alice, transport=transport)
    alice.connect()
    with pytest.raises(CallError) as hidden:
        alice.call("message.list", {"channel_id": 999_999})
    with pytest.raises(CallError) as wrong:
        alice.call("message.send", {"channel_id": "x", "bodi": "hello"})
    assert (hidden.value.code, hidden.value.status, hidden.value.lost) == ("not_found", 404, False)
    assert (wrong.value.code, wrong.value.status, set(wrong.value.errors)) == ("invalid", 400, {"bodi"})


def test_a_call_to_a_server_that_is_away_is_lost(make: Make, place: Place) -> None:
    with Gate(place.url) as gate:
        alice = make(gate.url, token=place.alice)
    with pytest.raises(CallError) as lost:
        alice.call("user.me")
    assert (lost.value.code, lost.value.lost) == ("unreachable", True)


@pytest.mark.parametrize("transport", ["auto", "websocket", "poll"])
def test_a_client_with_a_bad_token_tries_once(make: Make, gate: Gate, transport: str) -> None:
    stranger = make(gate.url, token="wrong", transport=transport)
    stranger.connect()
    for _ in range(2):
        with pytest.raises(Refused) as refused:
            stranger.next_event(SOON_SECONDS)
        assert (refused.value.close_code, refused.value.code) == (4401, "not_signed_in")
    assert (stranger.state, gate.requests) == ("refused", 1)


def test_a_message_whose_answer_was_lost_is_sent_once(make: Make, place: Place, gate: Gate, channel_id: int) -> None:
    def wait(seconds: float) -> None:
        gate.cut()

    timing = Timing(call_seconds=0.5, backoff_first_seconds=0.05)
    alice = make(gate.url, token=place.alice, timing=timing, sleep=wait)
    alice.connect()
    gate.mute()
    message = alice.send_message(channel_id, "once")
    assert [stored["id"] for stored in alice.history(channel_id)] == [message["id"]]


def test_history_is_read_page_by_page(make: Make, place: Place, bob: SyncClient, channel_id: int) -> None:
    alice = make(place.url, token=place.alice)
    ids = [bob.send_message(channel_id, str(number))["id"] for number in range(1, 204)]
    assert [message["id"] for message in alice.history(channel_id)] == ids
    assert [message["id"] for message in alice.history(channel_id, ids[199])] == ids[200:]


def test_tickets_open_connections_for_a_program_without_credentials(
    make: Make, place: Place, gate: Gate, bob: SyncClient, channel_id: int
) -> None:
    """Bob's own program asks for them, each time anew."""
    client = make(gate.url, ticket=lambda: str(bob.call("realtime.ticket")["ticket"]))
    client.connect()
    gate.cut()
    bob.send_message(channel_id, "hello")
    assert read_until(client, channel_id, "hello") == ["hello"]
    assert gate.socket_attempts == 2


@pytest.mark.parametrize("transport", ["websocket", "poll"])
def test_the_cookies_of_a_browser_are_credentials_too(make: Make, place: Place, kind: Kind, transport: str) -> None:
    username = f"cookie-{kind}-{transport}"
    client = make(place.url, cookies=_signed_up(place.url, username), transport=transport)
    client.connect()
    assert client.call("user.me")["user"]["username"] == username
    client.call("workspace.create", {"name": "Kitchen"})
    assert client.next_event(SOON_SECONDS) is not None


def _signed_up(url: str, username: str) -> dict[str, str]:
    with httpx.Client(base_url=url) as browser:
        browser.get("/accounts/signup/")
        password = "correct horse battery staple"
        form = {"username": username, "password1": password, "password2": password}
        answer = browser.post("/accounts/signup/", data=form | {"csrfmiddlewaretoken": browser.cookies["csrftoken"]})
        assert answer.status_code == 302, answer.text
        return dict(browser.cookies)


def test_after_close_there_are_no_more_events(alice: Driven) -> None:
    alice.close()
    assert (alice.state, alice.next_event(SOON_SECONDS)) == ("offline", None)


@pytest.mark.parametrize("transport", ["websocket", "poll"])
def test_who_closes_with_a_goodbye_is_gone_at_once(make: Make, place: Place, kind: Kind, transport: str) -> None:
    cookies = _signed_up(place.url, f"leaves-{kind}-{transport}")
    with httpx.Client(base_url=place.url, cookies=cookies) as browser:

        def status() -> str:
            return str(browser.get("/api/presence.list").json()["presence"][0]["status"])

        client = make(place.url, cookies=cookies, transport=transport)
        client.connect()
        settle_until(lambda: status() == "online")
        client.close()
        settle_until(lambda: status() == "offline")


def settle_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_blocking_client_starts_no_thread(place: Place, channel_id: int) -> None:
    before = threading.active_count()
    with SyncClient(place.url, token=place.alice) as alice:
        alice.send_message(channel_id, "alone")
        assert threading.active_count() == before


def test_calls_at_once_each_get_their_own_answer(place: Place, channel_id: int) -> None:
    async def send_all() -> list[str]:
        async with Client(place.url, token=place.alice) as alice:
            sends = [alice.send_message(channel_id, str(number)) for number in range(20)]
            return [message["body"] for message in await asyncio.gather(*sends)]

    assert asyncio.run(send_all()) == [str(number) for number in range(20)]


class Mistake(Exception):
    pass


def raise_at(state: str) -> Callable[[StateChange], None]:
    def on_state(change: StateChange) -> None:
        if change.state == state:
            raise Mistake

    return on_state


@pytest.mark.parametrize("state", ["connecting", "live", "polling"])
def test_what_a_callback_raises_while_connecting_leaves_nothing_open(place: Place, kind: Kind, state: str) -> None:
    transport: TransportChoice = "poll" if state == "polling" else "websocket"

    def follow_blocking() -> None:
        with SyncClient(place.url, token=place.alice, transport=transport, on_state=raise_at(state)):
            pass

    async def follow() -> None:
        async with Client(place.url, token=place.alice, transport=transport, on_state=raise_at(state)):
            pass

    with pytest.raises(Mistake):
        asyncio.run(follow()) if kind == "asyncio" else follow_blocking()


def test_a_close_that_breaks_in_on_another_leaves_nothing_open(
    place: Place, gate: Gate, bob: SyncClient, channel_id: int
) -> None:
    """The client is full and says goodbye to a server that does not answer; then the program ends."""

    async def read_none() -> None:
        full = asyncio.Event()

        def on_state(change: StateChange) -> None:
            if change.code == CLOSE_FULL:
                full.set()

        timing = Timing(inbox_items=2)
        alice = Client(gate.url, token=place.alice, timing=timing, on_state=on_state)
        await alice.connect()
        gate.deafen()
        for number in range(4):
            await asyncio.to_thread(bob.send_message, channel_id, str(number))
        async with asyncio.timeout(SOON_SECONDS):
            await full.wait()
        await alice.close()

    with warnings.catch_warnings(record=True) as left_open:
        warnings.simplefilter("always")
        asyncio.run(read_none())
        gc.collect()
    assert [str(warning.message) for warning in left_open] == []


def test_what_a_callback_raises_later_ends_the_events(place: Place, gate: Gate) -> None:
    async def follow() -> None:
        async with Client(gate.url, token=place.alice, on_state=raise_at("reconnecting")) as alice:
            gate.cut()
            async for _item in alice.events():
                pass

    with pytest.raises(Mistake):
        asyncio.run(follow())
