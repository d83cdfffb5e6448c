"""What holds when several workers do the same at once, on PostgreSQL."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import close_old_connections, connection

from groups.mesh import hosting, leases, telling
from groups.mesh.events import MeshDatum, MeshStatusReported
from groups.mesh.leases import Kept
from groups.mesh.telling import Report, tell_together
from groups.models import MeshGroup, MeshNode
from realtime import clock
from tests.cast import at_once
from tests.mesh.classroom import Place, School, event
from tests.mesh.conftest import EVERYWHERE, entries_of, school_of

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def place(moving: School) -> Place:
    return moving.host()


@pytest.fixture
def moving(transactional_db: None, _stores: None) -> School:
    """With the real clock, as several threads ask it."""
    return school_of(EVERYWHERE)


def ends_told(place: Place) -> int:
    return sum(entry.name == "mesh.group_dissolved" for entry in entries_of(place))


def pass_time(place: Place, seconds: float) -> None:
    MeshGroup.objects.filter(pk=place.id).update(heartbeat_at=clock.now() - timedelta(seconds=seconds))


@pytest.mark.parametrize("attempt", range(5))
def test_eight_makings_of_one_host_make_one_group(moving: School, attempt: int) -> None:
    groups = at_once(*[lambda: moving.host().group] * 8)
    assert len({group["id"] for group in groups}) == 1
    assert MeshGroup.objects.count() == 1


def test_makings_over_a_dead_group_make_one_and_tell_its_end_once(moving: School, place: Place) -> None:
    pass_time(place, 1000)
    groups = at_once(*[lambda: moving.host().group] * 6)
    assert len({group["id"] for group in groups}) == 1
    assert groups[0]["id"] != place.id
    assert ends_told(place) == 1


def test_two_sweeps_tell_an_end_once(place: Place) -> None:
    pass_time(place, 1000)
    assert sorted(at_once(*[hosting.sweep] * 4)) == [0, 0, 0, 1]
    assert ends_told(place) == 1


def test_two_dissolve_and_one_succeeds(place: Place) -> None:
    answers = at_once(*[lambda: place.school.answer("dissolveGroup", **place.names, hostId="n1")] * 4)
    assert sum("errors" not in answer for answer in answers) == 1
    assert ends_told(place) == 1


@pytest.mark.parametrize("attempt", range(5))
def test_a_beat_that_succeeded_keeps_the_group_alive_whatever_the_sweep_saw(place: Place, attempt: int) -> None:
    """The sweep looks again under the lock; whoever is first wins, and both say the same."""
    pass_time(place, 150.2)  # the very second of the limit, which passes while they run

    def beat() -> Any:
        return place.school.answer("renewHeartbeat", **place.names, hostId="n1")

    answers = [answer for answer in at_once(beat, hosting.sweep, beat, hosting.sweep) if isinstance(answer, dict)]
    group = MeshGroup.objects.get(pk=place.id)
    last = place.school.answer("renewHeartbeat", **place.names, hostId="n1")
    if group.ended is None:
        assert "errors" not in last
        assert ends_told(place) == 0
    else:
        assert all("errors" in answer for answer in [*answers, last])
        assert ends_told(place) == 1


def test_recordings_of_several_nodes_keep_the_order_of_each_and_lose_nothing(place: Place) -> None:
    """A reader that polls meanwhile gets each once: a lower number never becomes visible after a higher one."""

    def recording(node: int) -> None:
        for batch in range(15):
            numbers = range(batch * 3, batch * 3 + 3)
            events = [event(f"{number}", key=f"{number:05}") for number in numbers]
            place.ask("recordEventsByNode" if node % 2 else "fireEventsByNode", nodeId=f"n{node}", events=events)

    got: list[dict[str, Any]] = []
    with ThreadPoolExecutor(5) as threads:
        jobs = [threads.submit(_closing, recording, node) for node in range(4)]
        while not all(job.done() for job in jobs):
            got += place.events(got[-1]["cursor"] if got else "")
        for job in jobs:
            job.result()
    while page := place.events(got[-1]["cursor"] if got else ""):
        got += page
    for node in range(4):
        names = [one["name"] for one in got if one["firedByNodeId"] == f"n{node}"]
        assert names == [str(number) for number in range(45)]
    assert [one["cursor"] for one in got] == sorted({one["cursor"] for one in got})
    assert [one["timestamp"] for one in got] == sorted(one["timestamp"] for one in got)


def test_a_retry_that_overtakes_its_first_try_is_told_once(place: Place) -> None:
    events = [event("a", key="k1"), event("b", key="k2")]
    answers = at_once(*[lambda: place.ask("recordEventsByNode", nodeId="n2", events=events)] * 6)
    assert {answer["recordedCount"] for answer in answers} == {2}
    assert place.names_since() == ["a", "b"]


def test_reports_of_one_node_at_once_lose_no_key(place: Place) -> None:
    at_once(*[lambda key=key: place.report("n2", **{key: "1", "same": key}) for key in "abcdefgh"])
    assert set(place.values()["n2"]) == {*"abcdefgh", "same"}


def test_the_first_polls_with_one_time_mean_one_place(place: Place) -> None:
    place.fire("a")
    pages = at_once(*[lambda: place.names_since("2026-11-21T08:00:00.000Z")] * 6)
    assert pages == [["a"]] * 6


def test_joinings_at_once_are_one_node_and_the_cap_holds(place: Place, settings: Any) -> None:
    settings.MESH_NODES_PER_GROUP = 5
    at_once(*[lambda: place.join("n2")] * 4)
    answers = at_once(
        *[lambda node=node: place.school.answer("joinGroup", **place.names, nodeId=f"m{node}") for node in range(8)]
    )
    assert sum("errors" not in answer for answer in answers) == 4
    assert len(place.ask("listNodesInGroup")) == 5


def test_those_who_hold_several_groups_and_nodes_never_wait_for_each_other(
    moving: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each worker tells for many groups at once, and renews what follows them."""
    monkeypatch.setattr(telling, "SEEN_SECONDS", 0.0)
    monkeypatch.setattr(leases, "RENEWED_AFTER_SECONDS", -1.0)
    places = [moving.host(f"n{number}") for number in range(6)]
    for place in places:
        place.join("a")
        place.join("b")
    kept = [Kept(node=pk) for pk in MeshNode.objects.values_list("pk", flat=True)]
    kept += [Kept(hosted=UUID(place.id)) for place in places]

    def tell(places: Sequence[Place]) -> None:
        for number in range(40):
            data: list[MeshDatum] = [{"key": "x", "value": str(number)}]
            reports = [Report(place.id, place.domain, node, data) for place in places for node in "ab"]
            assert all(isinstance(told, MeshStatusReported) for told in tell_together(reports))

    def renew() -> None:
        for _ in range(80):
            leases.renew(kept)

    at_once(lambda: tell(places), lambda: tell(places[::-1]), renew, renew)


def _closing(job: Any, *arguments: Any) -> None:
    close_old_connections()
    try:
        job(*arguments)
    finally:
        connection.close()
