"""Events: firing, recording, their order and their times. Source: the specification's 1.6, 1.7, 1.10, W4, W12, W14."""

from typing import Any

import pytest

from groups.mesh import hosting
from groups.models import MeshReceipt
from tests.mesh.classroom import Place, School, event, stamped
from tests.realtime.conftest import Clock


def fire(place: Place, *events: dict[str, Any], by: str = "n2") -> Any:
    return place.ask("fireEventsByNode", nodeId=by, events=list(events))


def record(place: Place, *events: dict[str, Any], by: str = "n2") -> Any:
    return place.ask("recordEventsByNode", nodeId=by, events=list(events))


def test_fired_events_are_answered_with_the_times_of_their_sender(school: School, still: Clock) -> None:
    place = school.host()
    still.advance(2.5)
    batch = fire(place, event("a", at="1999-12-31T23:59:59.9+09:00", payload="", key="k#1"), event("b", payload="p"))
    rest = {**place.names, "firedByNodeId": "n2", "cursor": None, "__typename": "Event"}
    assert batch == {
        **place.names,
        "nodeStatus": None,
        "groupDissolve": None,
        "batchEvent": {
            **place.names,
            "events": [
                rest | {"name": "a", "payload": None, "timestamp": "1999-12-31T23:59:59.9+09:00", "orderKey": "k#1"},
                rest | {"name": "b", "payload": "p", "timestamp": "2026-04-28T00:00:00.000Z", "orderKey": None},
            ],
            "firedByNodeId": "n2",
            "timestamp": "2026-11-21T09:00:02.500Z",
            "__typename": "BatchEvent",
        },
        "__typename": "MeshMessage",
    }


def test_recorded_events_are_counted_and_move_no_cursor(school: School) -> None:
    """W1: a cursor behind the sender's own events would pass over those of others."""
    place = school.host()
    told = {**place.names, "nextSince": "", "__typename": "RecordEventsPayload"}
    assert record(place, event("a"), event("b")) == told | {"recordedCount": 2}
    assert record(place) == told | {"recordedCount": 0}


def test_an_event_of_the_log_tells_all_of_itself(school: School, still: Clock) -> None:
    place = school.host()
    record(place, event("a", payload="", key="k"))
    [logged] = place.events()
    assert logged == {
        **place.names,
        "name": "a",
        "firedByNodeId": "n2",
        "payload": "",
        "timestamp": "2026-11-21T09:00:00.000Z",
        "cursor": logged["cursor"],
        "orderKey": "k",
        "__typename": "Event",
    }
    assert logged["cursor"].startswith("EVENT#")
    assert len(logged["cursor"]) == len("EVENT#") + 20


def test_fired_events_reach_who_polls(school: School) -> None:
    place = school.host()
    fire(place, event("fired"))
    record(place, event("recorded"), by="n3")
    assert [one["name"] for one in place.ask("pollGroupData", since="")["events"]] == ["fired", "recorded"]


def test_a_batch_comes_back_in_the_order_of_its_keys(school: School) -> None:
    place = school.host()
    record(place, *(event(f"e{number}", key=f"20260428000000-{number:07}") for number in (3, 1, 2)))
    assert place.names_since() == ["e1", "e2", "e3"]


def test_events_without_keys_keep_their_places(school: School) -> None:
    place = school.host()
    record(place, event("x"), event("b", key="2"), event("y"), event("a", key="1"), event("z"))
    assert place.names_since() == ["x", "a", "y", "b", "z"]
    assert [one["orderKey"] for one in place.events()] == [None, "1", None, "2", None]


def test_fired_events_keep_the_order_that_they_were_given_in(school: School) -> None:
    place = school.host()
    fire(place, event("b", key="2"), event("a", key="1"))
    assert place.names_since() == ["b", "a"]


@pytest.mark.parametrize("count", [24, 25, 26, 51, 1000])
def test_order_holds_however_long_a_batch_is(school: School, count: int) -> None:
    place = school.host()
    record(place, *(event(f"e{number}", key=f"k-{number:07}") for number in reversed(range(count))))
    got: list[str] = []
    since = ""
    while page := place.events(since):
        assert len(page) <= 100
        got += [one["name"] for one in page]
        since = page[-1]["cursor"]
    assert got == [f"e{number}" for number in range(count)]


@pytest.mark.parametrize("field", ["fireEventsByNode", "recordEventsByNode"])
def test_more_than_a_thousand_are_refused(school: School, field: str) -> None:
    place = school.host()
    events = [event(str(number)) for number in range(1001)]
    told = place.error(field, nodeId="n2", events=events)
    assert told == ("ValidationError", "events must hold 1000 entries or less")
    assert place.events() == []


def test_equal_keys_of_different_nodes_are_different_events(school: School) -> None:
    place = school.host()
    for node in ("n2", "n3"):
        record(place, event("e", key="same#1"), by=node)
    assert [one["firedByNodeId"] for one in place.events()] == ["n2", "n3"]


@pytest.mark.parametrize("field", ["fireEventsByNode", "recordEventsByNode"])
def test_a_retry_is_answered_as_the_first_try_and_told_to_nobody(school: School, still: Clock, field: str) -> None:
    place = school.host()
    place.join("n2")
    events = [event("a", key="k1"), event("b", key="k2")]
    first = place.ask(field, nodeId="n2", events=events)
    assert place.ask(field, nodeId="n2", events=events) == first
    assert place.names_since() == ["a", "b"]


def test_of_a_batch_of_which_a_part_came_before_the_rest_is_told(school: School) -> None:
    place = school.host()
    record(place, event("a", key="k1"))
    assert record(place, event("a", key="k1"), event("b", key="k2"))["recordedCount"] == 2
    assert place.names_since() == ["a", "b"]


def test_events_without_keys_are_never_taken_for_retries(school: School) -> None:
    place = school.host()
    for key in (None, "", None, ""):
        record(place, event("a", key=key))
    assert place.names_since() == ["a"] * 4


def test_equal_keys_in_one_batch_are_two_events(school: School) -> None:
    place = school.host()
    record(place, event("a", key="k"), event("b", key="k"))
    assert place.names_since() == ["a", "b"]


def test_who_joins_again_begins_to_count_anew(school: School) -> None:
    place = school.host()
    for _ in range(2):
        place.join("n2")
        record(place, event("a", key="k1"))
    assert place.names_since() == ["a", "a"]


def test_receipts_are_kept_for_some_minutes(school: School, still: Clock) -> None:
    place = school.host()
    record(place, event("a", key="k1"))
    for _ in range(7):
        still.advance(100)
        place.ask("renewHeartbeat", hostId="n1")
        hosting.sweep()
    assert not MeshReceipt.objects.exists()


def milliseconds(place: Place, since: str = "") -> list[int]:
    """When the events of the log were, after the group was made."""
    return [int(one["timestamp"][17:19]) * 1000 + int(one["timestamp"][20:23]) for one in place.events(since)]


def test_a_recorded_batch_keeps_the_spacing_of_its_sender_and_ends_now(school: School, still: Clock) -> None:
    place = school.host()
    still.advance(5)
    record(place, *(event("e", at=stamped(at), key=str(at)) for at in (100, 400, 900)))
    assert milliseconds(place) == [4200, 4500, 5000]


def test_times_of_a_log_never_decrease_and_batches_that_overlap_keep_their_spacing(
    school: School, still: Clock
) -> None:
    place = school.host()
    still.advance(5)
    for node in ("n2", "n3"):
        record(place, *(event("e", at=stamped(at)) for at in (100, 400, 900)), by=node)
        still.advance(0.3)
    assert milliseconds(place) == [4200, 4500, 5000, 5000, 5300, 5800]


def test_times_do_not_run_away_from_the_clock(school: School, still: Clock) -> None:
    place = school.host()
    still.advance(5)
    for number in range(20):
        record(place, event("e", at=stamped(0)), event("e", at=stamped(999)), by=f"n{number}")
    times = milliseconds(place)
    assert times == sorted(times)
    assert times[-1] <= 6000


def test_a_wrong_clock_or_a_long_gap_moves_no_event_by_more_than_a_second(school: School, still: Clock) -> None:
    place = school.host()
    still.advance(5)
    times = ("2026-04-28T00:00:00Z", "2031-01-01T00:00:00+09:00", "1970-01-01T00:00:00Z")
    record(place, *(event("e", at=at) for at in times))
    assert milliseconds(place) == [4000, 5000, 5000]


@pytest.mark.parametrize("field", ["fireEventsByNode", "recordEventsByNode"])
@pytest.mark.parametrize(
    "at", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-04-28T00:00:00.123456789Z"]
)
def test_any_time_will_do(school: School, field: str, at: str) -> None:
    place = school.host()
    place.ask(field, nodeId="n2", events=[event("a", at=at), event("b"), event("c", at=at)])
    assert place.names_since() == ["a", "b", "c"]


@pytest.mark.parametrize(
    "at", ["", "now", "2026-04-28", "2026-04-28T00:00:00", "2026-13-28T00:00:00Z", 5, None, [], {}]
)
def test_what_is_no_time_with_a_zone_is_refused_before_anything_is_run(school: School, at: Any) -> None:
    place = school.host()
    answer = school.answer("fireEventsByNode", **place.names, nodeId="n2", events=[event("a") | {"firedAt": at}])
    assert answer["data"] is None
    assert answer["errors"][0]["path"] is None
    literal = f'mutation {{ fireEventsByNode(groupId: "{place.id}", domain: "school", nodeId: "n2", events: ['
    answer = school.send(literal + '{eventName: "a", firedAt: "yesterday"}]) { domain } }', {})
    assert answer["data"] is None
    assert place.events() == []


def test_a_time_may_be_written_into_the_document(school: School) -> None:
    place = school.host()
    literal = f'mutation {{ fireEventsByNode(groupId: "{place.id}", domain: "school", nodeId: "n2", events: ['
    answer = school.send(literal + f'{{eventName: "a", firedAt: "{stamped(5)}"}}]) {{ domain }} }}', {})
    assert "errors" not in answer
    assert place.names_since() == ["a"]


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"eventName": "n" * 257}, "eventName must be 256 characters or less"),
        ({"eventName": "\0"}, "eventName holds a character that cannot be stored"),
        ({"payload": "p" * 65_537}, "payload must be 65536 characters or less"),
        ({"payload": "\0"}, "payload holds a character that cannot be stored"),
        ({"orderKey": "k" * 257}, "orderKey must be 256 characters or less"),
        ({"orderKey": "\0"}, "orderKey holds a character that cannot be stored"),
    ],
)
@pytest.mark.parametrize("field", ["fireEventsByNode", "recordEventsByNode"])
def test_what_cannot_be_kept_is_refused_whole(school: School, field: str, wrong: dict[str, str], text: str) -> None:
    place = school.host()
    told = place.error(field, nodeId="n2", events=[event("good"), event("bad") | wrong])
    assert told == ("ValidationError", text)
    assert place.events() == []


def test_hosts_and_strangers_fire_and_record_without_joining(school: School) -> None:
    place = school.host()
    fire(place, event("a"), by="n1")
    record(place, event("b"), by="eve")
    assert place.names_since() == ["a", "b"]
