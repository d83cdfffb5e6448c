"""What nodes tell at the same moment shares a transaction; each keeps its outcome, its place and its event."""

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from django.conf import LazySettings
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from groups.mesh import telling
from groups.mesh.events import MeshEventsFired, MeshStatusReported
from groups.mesh.finding import GroupNotFound
from groups.mesh.graphql.http import GraphQLDoor
from groups.mesh.telling import Fired, Firing, Report, Telling, Told, tell_together
from groups.models import MeshNode
from realtime.backends import streams
from realtime.streams import Position
from tests.mesh.classroom import DOCUMENTS, Place, School
from tests.realtime.conftest import Clock

UNKNOWN = "11111111-2222-4333-8444-555555555555"
AT = "2026-04-28T00:00:00.000Z"


def report(place: Place, node_id: str, **values: str) -> Report:
    return Report(place.id, place.domain, node_id, [{"key": key, "value": value} for key, value in values.items()])


def fire(place: Place, node_id: str, *keys: str, recorded: bool = False) -> Firing:
    return Firing(place.id, place.domain, node_id, [Fired(key, AT, order_key=key) for key in keys], recorded)


def told_in(place: Place) -> list[Any]:
    """What the group's stream holds: values as they are, events by their names."""
    name = f"mesh:{place.id}"
    entries = streams().read(name, Position(streams().open(name).epoch, 0))
    data = [orjson.loads(b"{" + entry.body)["data"] for _seq, entry in entries]
    return [one["values"] if "values" in one else [event["name"] for event in one["events"]] for one in data]


def outcomes_of(tellings: Sequence[Telling]) -> list[type[Told | Exception]]:
    return [type(outcome) for outcome in tell_together(tellings)]


def test_each_keeps_its_outcome_and_the_good_ones_are_kept(school: School) -> None:
    one, two = school.host(), school.host("n9", domain="other")
    tellings: list[Telling] = [
        report(one, "a", x="1"),
        Report(one.id, "other", "a", []),
        report(two, "a", x="2"),
        Report(UNKNOWN, "school", "a", []),
        fire(one, "a", "go"),
        report(one, ""),
        Firing(one.id, one.domain, "a", [Fired("e", "yesterday")]),
        fire(two, "b", "stop", recorded=True),
    ]
    assert outcomes_of(tellings) == [
        *(MeshStatusReported, GroupNotFound, MeshStatusReported, GroupNotFound),
        *(MeshEventsFired, ValidationError, ValidationError, MeshEventsFired),
    ]
    assert (one.values(), two.values()) == ({"a": {"x": "1"}}, {"a": {"x": "2"}})
    assert (one.names_since(), two.names_since()) == (["go"], ["stop"])


def test_a_group_is_told_in_the_order_of_the_calls(school: School) -> None:
    place = school.host()
    tell_together([fire(place, "a", "1"), report(place, "b", x="2"), fire(place, "c", "3"), report(place, "b", x="4")])
    values = [[{"key": "x", "value": value}] for value in "24"]
    assert told_in(place) == [["1"], values[0], ["3"], values[1]]
    assert place.values() == {"b": {"x": "4"}}


def test_of_a_name_that_several_nodes_report_the_later_call_has_the_later_time(school: School) -> None:
    place = school.host()
    told = tell_together([report(place, node_id, x=node_id) for node_id in ("b", "c", "a", "b")])
    times = [one.timestamp for one in told if isinstance(one, MeshStatusReported)]
    assert len(times) == 4
    assert times == sorted(set(times))
    assert [(one["nodeId"], one["timestamp"]) for one in place.statuses()] == [*zip("cab", times[1:], strict=True)]


def test_a_retry_beside_its_first_try_is_dropped(school: School) -> None:
    place = school.host()
    first, second, third = tell_together(
        [fire(place, "a", "1", "2"), fire(place, "a", "2", "3"), fire(place, "b", "2")]
    )
    assert [len(one.events) for one in (first, second, third) if isinstance(one, MeshEventsFired)] == [2, 2, 1]
    assert told_in(place) == [["1", "2"], ["3"], ["2"]]


def test_room_is_shared(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "VALUES_PER_GROUP", 3)
    place, other = school.host(), school.host("n9")
    tellings = [report(place, "a", x="1", y="1"), report(place, "b", x="1", y="1"), report(other, "b", x="1", y="1")]
    assert outcomes_of(tellings) == [MeshStatusReported, ValidationError, MeshStatusReported]
    # A full group takes new values for the keys that it has.
    assert outcomes_of([report(place, "a", z="1"), report(place, "a", x="2", y="2")]) == [MeshStatusReported] * 2
    assert outcomes_of([report(place, "a", x="3"), report(place, "a", w="1")]) == [MeshStatusReported, ValidationError]
    assert place.values() == {"a": {"x": "3", "y": "2", "z": "1"}}


def test_long_values_share_their_room(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "LONG_VALUES_CHARACTERS", 5000)
    place = school.host()
    tellings = [report(place, "a", x="l" * 3000), report(place, "b", x="l" * 3000), report(place, "c", x="short")]
    assert outcomes_of(tellings) == [MeshStatusReported, ValidationError, MeshStatusReported]


def test_many_cost_little_more_than_one(school: School) -> None:
    places = [school.host(f"n{number}") for number in range(4)]

    def queries(tellings: Sequence[Telling]) -> int:
        with CaptureQueriesContext(connection) as captured:
            tell_together(tellings)
        return len(captured)

    alone = queries([report(places[0], "a", x="1")])
    assert queries([report(place, f"n{number}", x="2") for place in places for number in range(10)]) == alone


def test_a_node_that_tells_is_seen_and_not_noted_each_time(school: School, still: Clock) -> None:
    place = school.host()
    place.join("n2")
    seen = []
    for seconds in (1, telling.SEEN_SECONDS / 2, telling.SEEN_SECONDS):
        still.advance(seconds)
        place.report(x="1")
        seen.append((still.now() - MeshNode.objects.get(node_id="n2").seen_at).total_seconds())
    assert seen == [0, telling.SEEN_SECONDS / 2, 0]


def test_what_comes_while_others_are_told_is_told_together(
    school: School, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MESH_API_KEYS = ["key-of-the-door"]
    place = school.host()
    sizes: list[int] = []

    def together(some: list[Telling]) -> list[Told | Exception]:
        sizes.append(len(some))
        return tell_together(some)

    monkeypatch.setattr(telling._batch, "_run_together", together)

    async def ask(number: int) -> Any:
        variables = {**place.names, "nodeId": f"n{number}", "data": [{"key": "x", "value": "1"}]}
        query = DOCUMENTS["reportDataByNode"] if number else DOCUMENTS["reportDataByNode"].replace("$data)", "$none)")
        return await asked({"query": query, "variables": variables})

    async def all_of_them() -> list[Any]:
        return list(await asyncio.gather(*map(ask, range(21))))

    refused, *answers = asyncio.run(all_of_them())
    assert refused["data"] is None
    assert [answer["data"]["reportDataByNode"]["nodeStatus"]["nodeId"] for answer in answers] == [
        f"n{number}" for number in range(1, 21)
    ]
    assert sum(sizes) == 20
    assert len(sizes) < 5
    assert len(place.values()) == 20


async def asked(body: dict[str, Any]) -> Any:
    """The answer of the door."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": orjson.dumps(body), "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"x-api-key", b"key-of-the-door")]
    await GraphQLDoor()(
        {"type": "http", "method": "POST", "headers": headers, "client": ("127.0.0.1", 1)}, receive, send
    )
    return orjson.loads(sent[1]["body"])
