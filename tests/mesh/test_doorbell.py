"""Two workers whose channel layer loses, repeats and shuffles what they ring to each other: nobody misses anything."""

import json
import threading
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.conftest import StartServer
from tests.mesh.classroom import Place, event
from tests.mesh.sockets import API_KEY, GraphQLSocket, school_at
from tests.server import Databases, Server
from tests.sockets import Frame, Socket

Json = dict[str, Any]
TIMES = 40
"""How often each way of telling is used. Of the rings a third is lost."""


class Workers:
    """The one that is called, and the one where everybody listens."""

    def __init__(self, called: Server, heard: Server) -> None:
        self.heard = heard
        self.place = school_at(called).host()

    @property
    def native(self) -> Json:
        """How our own doors name the group."""
        return {"group_id": self.place.id, "domain": self.place.domain}

    def subscriber(self) -> GraphQLSocket:
        socket = GraphQLSocket(self.heard)
        socket.subscribe(self.place)
        return socket

    def follower(self, **query: object) -> Socket:
        path, query = f"/ws/mesh/{self.place.id}", {"domain": self.place.domain, **query}
        return Socket(self.heard, path=path, query=query, headers={"x-api-key": API_KEY})

    def poll(self, **query: object) -> Json:
        answer = httpx.get(
            f"{self.heard.url}/poll/mesh/{self.place.id}",
            params={"domain": self.place.domain} | {name: str(value) for name, value in query.items()},
            headers={"x-api-key": API_KEY},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture
def workers(start_server: StartServer, databases: Databases, redis_alone: str) -> Workers:
    variables: Json = {
        "MESH_API_KEYS": API_KEY,
        "REDIS_URL": redis_alone,
        "SWEEP_SECONDS": 0.5,
        "DJANGO_SETTINGS_MODULE": "tests.unreliable_settings",
    }
    url = databases.new(demo=False)
    return Workers(*(start_server(database_url=url, **variables) for _ in range(2)))


def tell(place: Place) -> list[str]:
    """Reports, fired and recorded events by turns; what each tells, in the order in which they were told."""
    told = []
    for number in range(TIMES):
        place.report("n2", value=f"report {number}")
        place.ask("fireEventsByNode", nodeId="n2", events=[event(f"fire {number}", key=f"f{number:04}")])
        place.ask("recordEventsByNode", nodeId="n3", events=[event(f"record {number}", key=f"r{number:04}")])
        told += [f"report {number}", f"fire {number}", f"record {number}"]
    place.ask("dissolveGroup", hostId="n1")
    return [*told, "the end"]


def subscribed(socket: GraphQLSocket) -> list[str]:
    """What a subscription tells until the end of the group."""
    heard: list[str] = []
    while heard[-1:] != ["the end"]:
        message = socket.message()
        if message["nodeStatus"]:
            heard += [datum["value"] for datum in message["nodeStatus"]["data"]]
        elif message["batchEvent"]:
            heard += [one["name"] for one in message["batchEvent"]["events"]]
        else:
            heard.append("the end")
    return heard


def native(frames: list[Frame]) -> list[str]:
    """The same of our own frames."""
    heard: list[str] = []
    for frame in frames:
        match frame.get("event"):
            case "mesh.status_reported":
                heard += [datum["value"] for datum in frame["data"]["values"]]
            case "mesh.events_fired":
                heard += [one["name"] for one in frame["data"]["events"]]
            case "mesh.group_dissolved":
                heard.append("the end")
    return heard


def test_subscribers_and_followers_get_all_once_and_in_order_over_a_bad_doorbell(workers: Workers) -> None:
    with ExitStack() as stack:
        subscribers = [stack.enter_context(workers.subscriber()) for _ in range(3)]
        follower = stack.enter_context(workers.follower())
        assert follower.hello["mode"] == "fresh"
        told = tell(workers.place)

        for socket in subscribers:
            assert subscribed(socket) == told
            assert socket.quiet()
        assert follower.close_code() == 4404
        assert native(follower.frames) == told


def test_who_drops_and_comes_back_over_a_bad_doorbell_gets_all_once_and_in_order(workers: Workers) -> None:
    told: list[str] = []
    telling = threading.Thread(target=lambda: told.extend(tell(workers.place)))
    heard: list[Frame] = []
    with workers.follower() as follower:
        epoch, seq = follower.hello["epoch"], follower.seq
    telling.start()
    while "the end" not in native(heard):
        with workers.follower(epoch=epoch, resume_from=seq) as follower:
            assert follower.hello["mode"] == "resumed"
            follower.wait(lambda frame: "event" in frame)
            heard += follower.events
            seq = follower.seq
            follower.vanish()
    telling.join()
    assert native(heard) == told


def test_polls_get_all_once_and_in_order_over_a_bad_doorbell(workers: Workers) -> None:
    told: list[str] = []
    stands = workers.poll(wait=0)
    telling = threading.Thread(target=lambda: told.extend(tell(workers.place)))
    telling.start()
    heard: list[Frame] = []
    while "the end" not in native(heard):
        stands = workers.poll(epoch=stands["epoch"], since=stands["seq"], wait=5)
        assert all(frame["type"] == "event" for frame in stands["frames"]), json.dumps(stands)
        heard += stands["frames"]
    telling.join()
    assert native(heard) == told
