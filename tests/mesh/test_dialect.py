"""Subscriptions in this process: what takes long on a real server, and what is shared between sockets."""

import asyncio
import gc
import json
from typing import Any

import pytest
from django.conf import LazySettings

from groups.mesh.events import MeshEventsFired, MeshNodeJoined
from groups.mesh.graphql import projections, subscriptions
from groups.mesh.graphql.appsync import Refused
from groups.mesh.graphql.starting import Wanted, wanted_of
from groups.mesh.graphql.subscriptions import SubscriptionDoor
from realtime import clock, limits
from realtime.streams import Entry
from tests.conftest import StartServer
from tests.mesh.classroom import SUBSCRIPTION, Place, School
from tests.mesh.conftest import API_KEY, EVERYWHERE, _forget, entries_of, school_of
from tests.mesh.sockets import GraphQLSocket, in_query, school_at
from tests.realtime.conftest import Clock


class InProcess:
    """The door without a server: what it sends is in `sent`."""

    def __init__(self, query: str) -> None:
        self.scope: dict[str, Any] = {
            "type": "websocket",
            "query_string": query.removeprefix("?").encode(),
            "headers": [],
            "subprotocols": ["graphql-ws"],
            "client": ("203.0.113.9", 1),
        }
        self.sent: list[dict[str, Any]] = []
        self.coming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    @property
    def types(self) -> list[str]:
        texts = [json.loads(message["text"]) for message in self.sent if message["type"] == "websocket.send"]
        return [frame["type"] for frame in texts]

    async def serve(self, frames: list[dict[str, Any]], seconds: float) -> None:
        self.coming.put_nowait({"type": "websocket.connect"})
        for frame in frames:
            self.coming.put_nowait({"type": "websocket.receive", "text": json.dumps(frame)})
        served = asyncio.create_task(SubscriptionDoor()(self.scope, self.coming.get, self.send))
        await asyncio.sleep(seconds)
        self.coming.put_nowait({"type": "websocket.disconnect"})
        await asyncio.wait_for(served, 5)


@pytest.fixture
def _one_key(settings: LazySettings) -> None:
    settings.MESH_API_KEYS = [API_KEY]


@pytest.mark.usefixtures("_one_key")
def test_a_sign_of_life_comes_at_once_and_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert subscriptions.KEEP_ALIVE_SECONDS <= 30, "filters of schools cut what is silent for a minute"
    monkeypatch.setattr(subscriptions, "KEEP_ALIVE_SECONDS", 0.05)
    socket = InProcess(in_query())
    asyncio.run(socket.serve([{"type": "connection_init"}], 0.5))
    assert socket.types[:5] == ["connection_ack", "ka", "ka", "ka", "ka"]


@pytest.mark.usefixtures("_one_key")
def test_a_socket_that_never_begins_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "INIT_SECONDS", 0.05)
    socket = InProcess("")

    async def wait_for_the_end() -> None:
        socket.coming.put_nowait({"type": "websocket.connect"})
        await asyncio.wait_for(SubscriptionDoor()(socket.scope, socket.coming.get, socket.send), 5)

    asyncio.run(wait_for_the_end())
    assert socket.types == []


def wanted(place: Place, query: str = SUBSCRIPTION, **more: str) -> Wanted:
    payload = {"data": json.dumps({"query": query, "variables": place.names | more})}
    return wanted_of(payload, secret=API_KEY, address="203.0.113.9")


@pytest.mark.usefixtures("_one_key")
def test_forty_subscribers_cost_one_projection_per_event(school: School) -> None:
    """The payload is one object in memory: it was made once."""
    place = school.host()
    subscribers = [wanted(place) for _ in range(40)]
    place.fire("a")
    [entry] = entries_of(place)
    payloads = [one.projection.payload_of(entry) for one in subscribers]
    assert payloads[0] is not None
    assert len({id(payload) for payload in payloads}) == 1
    written = f'groupId: "{place.id}", domain: "school"'
    other = wanted(place, f"subscription {{ onMessageInGroup({written}) {{ domain }} }}")
    assert other.projection is not subscribers[0].projection
    assert other.projection.payload_of(entry) == b'{"data":{"onMessageInGroup":{"domain":"school"}}}'


@pytest.mark.usefixtures("_one_key")
def test_a_projection_goes_with_its_last_subscriber(school: School) -> None:
    place = school.host()
    subscribers = [wanted(place) for _ in range(3)]
    gc.collect()
    before = len(projections._shared)
    subscribers.clear()
    gc.collect()
    assert len(projections._shared) == before - 1


@pytest.mark.usefixtures("_one_key")
def test_variables_that_a_document_does_not_know_are_not_kept(school: School) -> None:
    """A frame may hold a megabyte of them, and stays no longer than it takes to read it."""
    place = school.host()
    first, second = (wanted(place, pad="x" * size).projection for size in (1, 100_000))
    assert first is second
    assert first._variables == place.names


def made_entry(number: int, size: int) -> Entry:
    payload = {"name": "e", "payload": "x" * size, "timestamp": "t", "fired_at": "f", "order_key": None}
    fired = MeshEventsFired("g", "school", "n2", [payload], False, "t")  # type: ignore[list-item]
    return Entry(f"event {number}", fired.name, fired.body(clock.now()))


@pytest.mark.usefixtures("_one_key")
@pytest.mark.parametrize(("size", "kept"), [(10, 64), (300_000, 3), (5_000_000, 1)])
def test_a_projection_remembers_a_bounded_number_of_payloads(school: School, size: int, kept: int) -> None:
    projection = wanted(school.host()).projection
    for number in range(70 if size < 1000 else 6):
        assert projection.payload_of(made_entry(number, size))
    assert len(projection._made) == kept


@pytest.mark.usefixtures("_one_key")
def test_what_this_protocol_does_not_tell_makes_no_frame(school: School) -> None:
    place = school.host()
    place.join("n2")
    [entry] = entries_of(place)
    assert entry.name == MeshNodeJoined.name
    assert wanted(place).projection.payload_of(entry) is None


@pytest.mark.usefixtures("_one_key")
def test_a_start_of_a_key_that_is_unknown_is_refused(school: School) -> None:
    place = school.host()
    payload = {"data": json.dumps({"query": SUBSCRIPTION, "variables": place.names})}
    with pytest.raises(Refused):
        wanted_of(payload, secret="wrong", address="")


@pytest.mark.usefixtures("_one_key")
@pytest.mark.parametrize("name", ["x-api-key", "X-Api-Key", "X-API-KEY"])
def test_headers_in_a_frame_are_told_by_their_names_in_any_case(school: School, name: str) -> None:
    data = json.dumps({"query": SUBSCRIPTION, "variables": school.host().names})
    payload = {"data": data, "extensions": {"authorization": {"host": "h", name: API_KEY}}}
    assert wanted_of(payload, secret="wrong", address="").stream


@pytest.mark.usefixtures("_one_key")
def test_who_subscribed_is_told_to_subscribe_when_it_comes_again(school: School, still: Clock) -> None:
    place, other = school.host(), school.host("n3")
    for one in (place, other):
        one.join("n2")
    wanted(place)
    still.advance(6)
    assert [one.join("n2")["useWebSocket"] for one in (place, other)] == [True, False]


@pytest.fixture
def _redis_is_away(settings: LazySettings) -> Any:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    _forget()
    yield
    _forget()
    limits.forget_all()


@pytest.mark.usefixtures("_redis_is_away", "transactional_db")
def test_while_the_streams_are_away_what_can_be_done_is_and_the_rest_survives() -> None:
    school = school_of(EVERYWHERE)
    place = school.host()
    place.join("n2")
    place.report(a="1")
    place.fire("a")
    place.ask("renewHeartbeat", hostId="n1")
    assert place.values() == {"n2": {"a": "1"}}
    kind, text = place.error("pollGroupData", since="")
    assert kind == "ServiceUnavailable"
    assert not any(word in text.lower() for word in ("not found", "expired", "unauthorized"))


def test_workers_tell_each_other(start_server: StartServer, redis_alone: str) -> None:
    """Which worker gets a call and which a socket is chance: of six sockets some are elsewhere."""
    server = start_server(kind="two workers", MESH_API_KEYS=API_KEY, REDIS_URL=redis_alone, SWEEP_SECONDS=0.3)
    place = school_at(server).host()
    sockets = [GraphQLSocket(server) for _ in range(6)]
    for one in sockets:
        one.subscribe(place)
    for number in range(60):
        place.fire(str(number), key=str(number))
    for one in sockets:
        names = [event["name"] for _ in range(60) for event in one.message()["batchEvent"]["events"]]
        assert names == [str(number) for number in range(60)]
        one.connection.close()
    assert len(place.events()) == 60
