"""Reading the log: cursors, clocks of clients, pages, losses. Source: the specification's 1.7, W1, W2, W3, W8."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from django.conf import LazySettings

from groups.mesh import event_log, members
from groups.models import MeshBinding, MeshGroup
from realtime.backends import streams
from realtime.relay import LEFT_BEHIND_SECONDS, send_left_behind
from realtime.streams import Position
from tests.mesh.classroom import Place, School, event
from tests.realtime.conftest import Clock

SLOW = "2026-11-21T08:58:00.000Z"
FAST = "2026-11-21T09:30:00.000Z"


def cursors(place: Place, since: str = "") -> list[str]:
    return [one["cursor"] for one in place.events(since)]


@pytest.mark.parametrize("since", ["", "EVENT#"])
def test_the_empty_cursor_is_the_beginning(school: School, since: str) -> None:
    place = school.host()
    place.fire("a", "b")
    place.report(x="1")
    place.record("c")
    assert place.names_since(since) == ["a", "b", "c"]


def test_each_cursor_is_followed_by_what_came_later(school: School) -> None:
    place = school.host()
    place.fire("a", "b", "c")
    place.record("d")
    for number, cursor in enumerate(cursors(place), start=1):
        assert place.names_since(cursor) == ["a", "b", "c", "d"][number:]
    assert cursors(place) == sorted(set(cursors(place)))


def test_nothing_is_skipped_however_events_and_reports_alternate(school: School) -> None:
    place = school.host()
    since, got = "", []
    for number in range(30):
        for _ in range(number % 4):
            place.report(x=str(number))
        place.fire(f"e{number}", f"f{number}")
        if number % 3 == 0:
            page = place.events(since)
            got += [one["name"] for one in page]
            since = page[-1]["cursor"]
            assert place.events(since) == []
    got += place.names_since(since)
    assert got == [f"{letter}{number}" for number in range(30) for letter in "ef"]


def test_a_page_is_a_hundred_events(school: School) -> None:
    place = school.host()
    place.record(*map(str, range(250)))
    pages = []
    since = ""
    while page := place.ask("pollGroupData", since=since)["events"]:
        pages.append(len(page))
        since = page[-1]["cursor"]
    assert pages == [100, 100, 50]


def test_a_page_of_long_events_is_shorter(school: School) -> None:
    place = school.host()
    for number in range(40):
        place.fire(str(number), payload="x" * 60_000)
    page = place.events()
    assert 16 <= len(page) < 20
    assert place.names_since(page[-1]["cursor"])[0] == str(len(page))


def test_a_cursor_past_the_end_is_followed_by_nothing(school: School) -> None:
    place = school.host()
    place.fire("a")
    for digits in ("9" * 20, "0" * 8 + "9" * 12):
        assert place.events("EVENT#" + digits) == []


@pytest.mark.parametrize("since", ["EVENT#1", "EVENT#x", "EVENT#" + "１" * 20, "\0", "x" * 300, "EVENT#-" + "1" * 19])
def test_nonsense_is_no_error(school: School, since: str) -> None:
    place = school.host()
    assert place.events(since) == []


@pytest.mark.parametrize("clock_of_client", [SLOW, FAST, "2026-11-21T09:00:12.000Z"])
def test_a_polling_member_hears_what_came_since_it_joined_whatever_its_clock_says(
    school: School, still: Clock, clock_of_client: str
) -> None:
    place = school.host(useWebSocket=False)
    place.record("before")
    still.advance(10)
    place.join("n2")
    place.record("at once", by="n1")
    still.advance(2)
    place.record("later", by="n1")
    assert place.names_since(clock_of_client) == ["at once", "later"]


def test_a_host_that_polls_hears_all(school: School, still: Clock) -> None:
    place = school.host(useWebSocket=False)
    place.join("n2")
    place.record("a")
    still.advance(2)
    assert place.names_since(SLOW) == ["a"]


def test_a_time_means_the_same_for_the_life_of_the_group(school: School, still: Clock) -> None:
    place = school.host(useWebSocket=False)
    place.join("n2")
    still.advance(2)
    assert place.events(SLOW) == []
    for number in range(3):
        place.record(str(number))
        still.advance(100)
        place.ask("renewHeartbeat", hostId="n1")
    assert place.names_since(SLOW) == ["0", "1", "2"]


def test_each_of_two_members_hears_what_came_since_it_joined(school: School, still: Clock) -> None:
    place = school.host(useWebSocket=False)
    still.advance(100)
    place.join("n2")
    place.record("a", by="n1")
    still.advance(0.5)
    place.join("n3")
    place.record("b", by="n1")
    still.advance(1.5)
    assert place.names_since("2026-11-21T09:01:41.000Z") == ["a", "b"]
    still.advance(0.5)
    assert place.names_since("2026-11-21T09:01:41.500Z") == ["b"]


def test_a_beginning_that_was_asked_for_is_nobody_elses(school: School, still: Clock) -> None:
    """The second one asks early, when the first one's joining would suit its time better."""
    place = school.host(useWebSocket=False)
    still.advance(100)
    place.join("n2")
    place.record("a", by="n1")
    still.advance(0.5)
    place.join("n3")
    place.record("b", by="n1")
    still.advance(1.5)
    assert place.names_since("2026-11-21T09:01:42.000Z") == ["a", "b"]
    still.advance(0.1)
    assert place.names_since("2026-11-21T09:01:42.100Z") == ["b"]


def test_the_beginning_of_who_subscribed_is_no_pollers(school: School, still: Clock) -> None:
    place = school.host()
    still.advance(100)
    place.join("n2")
    members.subscribed(group=MeshGroup.objects.get(pk=place.id), address="203.0.113.9")
    place.record("a", by="n1")
    still.advance(0.5)
    place.join("n3", useWebSocket=False)
    place.record("b", by="n1")
    still.advance(1.5)
    assert place.names_since("2026-11-21T09:01:42.000Z") == ["b"]


def test_who_joins_again_hears_what_came_since_then(school: School, still: Clock) -> None:
    place = school.host(useWebSocket=False)
    still.advance(100)
    place.ask("renewHeartbeat", hostId="n1")
    place.join("n2")
    still.advance(2)
    place.record("a", by="n1")
    assert place.names_since("2026-11-21T09:01:42.000Z") == ["a"]
    still.advance(100)
    place.join("n2")
    place.record("b", by="n1")
    still.advance(2)
    assert place.names_since("2026-11-21T09:03:24.000Z") == ["b"]


def test_a_time_of_who_did_not_just_come_is_now(school: School, still: Clock) -> None:
    place = school.host(useWebSocket=False)
    place.join("n2")
    place.record("a")
    still.advance(61)
    assert place.events(SLOW) == []
    place.record("b")
    assert place.names_since(SLOW) == ["b"]


def test_times_without_end_are_not_kept(school: School, monkeypatch: pytest.MonkeyPatch, still: Clock) -> None:
    monkeypatch.setattr(event_log, "BINDINGS_KEPT", 3)
    place = school.host()
    place.record("a")
    for second in range(10):
        place.events(f"2026-11-21T09:00:{second:02}.000Z")
    assert MeshBinding.objects.count() == 3


def test_a_log_lives_as_long_as_its_group(school: School, still: Clock) -> None:
    place = school.host()
    place.record("first")
    for _ in range(20):
        still.advance(100)
        place.ask("renewHeartbeat", hostId="n1")
    place.record("last")
    assert place.names_since() == ["first", "last"]


def test_what_came_just_before_the_end_is_read_after_it(school: School) -> None:
    place = school.host()
    place.fire("last words")
    place.ask("dissolveGroup", hostId="n1")
    poll = place.ask("pollGroupData", since="")
    assert ([one["name"] for one in poll["events"]], poll["nodeStatuses"]) == (["last words"], [])


def test_a_log_is_bounded_and_the_newest_stay(school: School, settings: LazySettings) -> None:
    settings.MESH_LOG_ENTRIES = 200
    place = school.host()
    for number in range(400):
        place.fire(f"e{number}")
    page = place.events()
    assert page[0]["name"] == "e200"
    assert place.names_since(page[-1]["cursor"]) == [f"e{number}" for number in range(300, 400)]


def test_cursors_of_before_a_loss_are_before_all_that_came_since(
    school: School, store_is_lost: Callable[[], None]
) -> None:
    place = school.host()
    place.fire("a", "b")
    old = cursors(place)
    store_is_lost()
    place.fire("c", "d")
    place.fire("e")
    place.fire("f")
    assert [place.names_since(cursor) for cursor in old] == [["c", "d", "e", "f"]] * 2
    new = cursors(place, old[-1])
    assert [*old, *new] == sorted({*old, *new})
    assert place.names_since(new[1]) == ["e", "f"]


@pytest.mark.parametrize("away_seconds", [0.2, 5])
def test_what_is_fired_while_the_store_is_away_is_in_the_log_when_it_comes_back_empty(
    school: School,
    still: Clock,
    store_is_away: Callable[[], AbstractContextManager[None]],
    store_is_lost: Callable[[], None],
    away_seconds: float,
) -> None:
    place = school.host()
    with store_is_away():
        place.fire("a")
    store_is_lost()
    still.advance(away_seconds)
    if away_seconds < LEFT_BEHIND_SECONDS:
        place.report(x="1")  # it sends what waits before it
    else:
        send_left_behind()
    assert place.names_since("") == ["a"]


def test_times_of_before_a_loss_stand_for_what_they_stood_for(
    school: School, still: Clock, store_is_lost: Callable[[], None]
) -> None:
    place = school.host(useWebSocket=False)
    place.join("n2")
    place.record("a")
    still.advance(2)
    assert place.names_since(SLOW) == ["a"]
    store_is_lost()
    place.record("b")
    assert place.names_since(SLOW) == ["b"]


def test_what_comes_after_reports_that_were_passed_is_found(school: School) -> None:
    place = school.host()
    place.ask("fireEventsByNode", nodeId="n2", events=[event("a")])
    [cursor] = cursors(place)
    for number in range(10):
        place.report(x=str(number))
    assert place.events(cursor) == []
    place.fire("b")
    assert place.names_since(cursor) == ["b"]


def test_what_one_group_was_passed_over_says_nothing_of_another(
    school: School, store_is_lost: Callable[[], None]
) -> None:
    one, other = school.host("n1"), school.host("n2")
    store_is_lost()
    # As a sweep does for all that somebody follows, which then share an epoch.
    streams().keep([f"mesh:{place.id}" for place in (one, other)], listener="")
    for place in (one, other):
        place.fire("a")
    [cursor] = cursors(one)
    assert cursors(other) == [cursor]
    for number in range(5):
        one.report(x=str(number))
    assert one.events(cursor) == []
    other.fire("b")
    assert other.names_since(cursor) == ["b"]


def test_an_end_is_told_in_a_store_that_lost_everything(school: School, store_is_lost: Callable[[], None]) -> None:
    place = school.host()
    store_is_lost()
    place.ask("dissolveGroup", hostId="n1")
    stream = f"mesh:{place.id}"
    entries = streams().read(stream, Position(streams().open(stream).epoch, 0))
    assert [entry.name for _seq, entry in entries] == ["mesh.group_dissolved"]
