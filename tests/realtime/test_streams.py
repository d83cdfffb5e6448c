"""The contract of streams, the same for every backend; see realtime/streams.py."""

import itertools
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realtime import streams_redis
from realtime.errors import Unavailable
from realtime.redis_connection import RedisConnection
from realtime.streams import Bounds, Entry, Gap, Placed, Position, Streams
from realtime.streams_memory import MemoryStreams
from realtime.streams_redis import RedisStreams
from tests import services
from tests.realtime.conftest import MakeStreams

THREADS = 8
APPENDS = 500

_numbers = itertools.count(1)


def entry(name: str = "test.happened") -> Entry:
    number = next(_numbers)
    return Entry(f"id-{number}", name, b'"event":"%b","data":{"number":%d}}' % (name.encode(), number), {"n": number})


def append(streams: Streams, added: Entry, *names: str) -> dict[str, int]:
    """The seqs that an entry got; empty for one that was seen before or that nobody could get."""
    placed = streams.append([(added, names)])
    return placed[0].seqs if placed else {}


def log(streams: Streams, name: str, start: Position) -> list[tuple[int, str]]:
    return [(seq, found.event_id) for seq, found in streams.read(name, start)]


def gap(streams: Streams, name: str, after: Position) -> Gap:
    with pytest.raises(Gap) as raised:
        streams.read(name, after)
    return raised.value


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads that interrupt each other all the time: what needs a lock and has none goes wrong soon."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_a_new_stream_stands_at_zero(make_streams: MakeStreams) -> None:
    top = make_streams().open("user:1")

    assert top.seq == 0
    assert top.epoch.startswith("e_")


def test_seqs_are_1_2_3(make_streams: MakeStreams) -> None:
    streams = make_streams()
    streams.open("user:1")

    assert [append(streams, entry(), "user:1") for _ in range(3)] == [{"user:1": 1}, {"user:1": 2}, {"user:1": 3}]


def test_each_stream_counts_for_itself(make_streams: MakeStreams) -> None:
    streams = make_streams()
    for name in ("user:1", "user:2"):
        streams.open(name)
    append(streams, entry(), "user:1")

    assert append(streams, entry(), "user:1", "user:2") == {"user:1": 2, "user:2": 1}


def test_several_entries_of_one_append_keep_their_order(make_streams: MakeStreams) -> None:
    streams = make_streams()
    start = streams.open("user:1")
    first, second = entry(), entry()

    placed = streams.append([(first, ["user:1"]), (second, ["user:1"])])

    assert [(at.entry.event_id, at.seqs) for at in placed] == [
        (first.event_id, {"user:1": 1}),
        (second.event_id, {"user:1": 2}),
    ]
    assert log(streams, "user:1", start) == [(1, first.event_id), (2, second.event_id)]


def test_opening_again_changes_nothing(make_streams: MakeStreams) -> None:
    streams = make_streams()
    start = streams.open("user:1")
    append(streams, entry(), "user:1")

    assert streams.open("user:1") == Position(start.epoch, 1)


def test_a_stream_that_nobody_opened_gets_nothing(make_streams: MakeStreams) -> None:
    streams = make_streams()
    streams.open("user:1")

    assert append(streams, entry(), "user:1", "user:2") == {"user:1": 1}
    assert streams.open("user:2").seq == 0


def test_a_stream_that_is_named_twice_gets_an_entry_once(make_streams: MakeStreams) -> None:
    streams = make_streams()
    streams.open("user:1")

    assert append(streams, entry(), "user:1", "user:1") == {"user:1": 1}
    assert streams.open("user:1").seq == 1


def test_what_is_read_is_what_was_appended(make_streams: MakeStreams) -> None:
    streams = make_streams()
    start = streams.open("user:1")
    body = '"event":"message.created","data":{"ä\n":"日本"}}'.encode()
    added = Entry("id-x", "message.created", body, {"channel": 3})
    append(streams, added, "user:1")

    assert streams.read("user:1", start) == [(1, added)]


def test_reading_starts_right_after_the_position(make_streams: MakeStreams) -> None:
    streams = make_streams()
    start = streams.open("user:1")
    added = [entry() for _ in range(5)]
    for one in added:
        append(streams, one, "user:1")

    assert log(streams, "user:1", Position(start.epoch, 3)) == [(4, added[3].event_id), (5, added[4].event_id)]


def test_at_the_top_there_is_nothing_to_read(make_streams: MakeStreams) -> None:
    streams = make_streams()
    start = streams.open("user:1")
    assert streams.read("user:1", start) == []

    append(streams, entry(), "user:1")
    assert streams.read("user:1", Position(start.epoch, 1)) == []


def test_a_stream_keeps_its_newest_events(make_streams: MakeStreams) -> None:
    streams = make_streams(events=5)
    start = streams.open("user:1")
    added = [entry() for _ in range(8)]
    for one in added:
        append(streams, one, "user:1")

    assert log(streams, "user:1", Position(start.epoch, 3)) == [(seq, added[seq - 1].event_id) for seq in range(4, 9)]


def test_what_is_no_longer_kept_is_too_old_and_named(make_streams: MakeStreams) -> None:
    streams = make_streams(events=5)
    start = streams.open("user:1")
    for _ in range(8):
        append(streams, entry(), "user:1")

    found = gap(streams, "user:1", Position(start.epoch, 2))

    assert (found.reason, found.top, found.missed) == ("too_old", Position(start.epoch, 8), (3, 8))


def test_a_position_of_the_future_is_refused(make_streams: MakeStreams) -> None:
    streams = make_streams()
    start = streams.open("user:1")
    append(streams, entry(), "user:1")

    for seq in (2, 2**63 - 1):
        found = gap(streams, "user:1", Position(start.epoch, seq))
        assert (found.reason, found.top) == ("future_seq", Position(start.epoch, 1))


@pytest.mark.parametrize("epoch", ["e_other", "", "\0", "日本"])
def test_a_position_of_another_epoch_is_refused(make_streams: MakeStreams, epoch: str) -> None:
    streams = make_streams()
    start = streams.open("user:1")
    append(streams, entry(), "user:1")

    found = gap(streams, "user:1", Position(epoch, 1))

    assert (found.reason, found.top, found.missed) == ("unknown_epoch", Position(start.epoch, 1), None)


@pytest.mark.parametrize("epoch", ["e_any", ""])
def test_a_stream_that_nobody_opened_has_no_epoch(make_streams: MakeStreams, epoch: str) -> None:
    found = gap(make_streams(), "user:1", Position(epoch, 0))

    assert (found.reason, found.top) == ("unknown_epoch", Position("", 0))


def test_an_event_is_appended_once_however_often_it_is_tried(make_streams: MakeStreams) -> None:
    streams = make_streams()
    start = streams.open("user:1")
    one, other = entry(), entry()
    append(streams, one, "user:1")

    assert append(streams, one, "user:1") == {}
    assert append(streams, other, "user:1") == {"user:1": 2}
    assert append(streams, one, "user:1") == {}
    assert log(streams, "user:1", start) == [(1, one.event_id), (2, other.event_id)]


def test_a_repeat_reaches_nobody_who_opened_in_between(make_streams: MakeStreams) -> None:
    streams = make_streams()
    streams.open("user:1")
    one = entry()
    append(streams, one, "user:1", "user:2")
    streams.open("user:2")

    assert append(streams, one, "user:1", "user:2") == {}
    assert streams.open("user:2").seq == 0


def test_of_concurrent_tries_one_appends(make_streams: MakeStreams, hasty_threads: None) -> None:
    streams = make_streams(events=1000)
    start = streams.open("user:1")
    added = [entry() for _ in range(100)]
    barrier = threading.Barrier(THREADS)

    def try_all() -> int:
        barrier.wait()
        return sum(len(append(streams, one, "user:1")) for one in added)

    with ThreadPoolExecutor(THREADS) as pool:
        appended = sum(future.result() for future in [pool.submit(try_all) for _ in range(THREADS)])

    found = log(streams, "user:1", start)
    assert appended == len(added)
    assert [seq for seq, _ in found] == list(range(1, len(added) + 1))
    assert {event_id for _, event_id in found} == {one.event_id for one in added}


def test_what_is_placed_names_the_era_of_its_epochs(make_streams: MakeStreams) -> None:
    streams = make_streams()
    epochs = {name: streams.open(name).epoch for name in ("user:1", "user:2")}

    for placed in streams.append([(entry(), ["user:1", "user:2"])]):
        assert all(epochs[name].startswith(placed.era) for name in placed.seqs)


def test_a_redis_that_lost_everything_begins_another_era() -> None:
    epochs: list[str] = []
    with services.redis_server() as server:
        for _ in range(2):
            connection = RedisConnection(server.url)
            streams = RedisStreams(connection, events=10, seconds=60, listen_seconds=15)
            epochs.append(streams.open("user:1").epoch)
            [placed] = streams.append([(entry(), ["user:1"])])
            connection.client.close()
            server.kill()
            server.start()
    before, after = epochs

    assert after.startswith(placed.era)
    assert not before.startswith(placed.era)


def test_threads_that_append_at_once_make_no_hole_and_one_order(make_streams: MakeStreams, hasty_threads: None) -> None:
    """Everybody's stream gets all, the others some; what two streams share stands in the same order in both."""
    streams = make_streams(events=THREADS * APPENDS)
    names = ["user:all", "user:even", "user:odd", "user:third"]
    starts = {name: streams.open(name) for name in names}
    barrier = threading.Barrier(THREADS)

    def append_many(thread: int) -> None:
        barrier.wait()
        for number in range(APPENDS):
            audience = ["user:all", "user:even" if number % 2 == 0 else "user:odd"]
            # The streams are named in another order by each thread: locks of single streams would meet.
            audience += ["user:third"] if number % 3 == 0 else []
            append(streams, entry(), *(audience if thread % 2 else reversed(audience)))

    with ThreadPoolExecutor(THREADS) as pool:
        for future in [pool.submit(append_many, thread) for thread in range(THREADS)]:
            future.result()

    logs = {name: log(streams, name, start) for name, start in starts.items()}
    total = THREADS * APPENDS
    assert [len(logs[name]) for name in names] == [total, total // 2, total // 2, THREADS * 167]
    place = {event_id: seq for seq, event_id in logs["user:all"]}
    assert len(place) == total
    for found in logs.values():
        assert [seq for seq, _ in found] == list(range(1, len(found) + 1))
        places = [place[event_id] for _, event_id in found]
        assert places == sorted(places)


def seqs_of(placed: list[Placed]) -> dict[str, dict[str, int]]:
    """Of each event, in which streams it has which seq. An entry comes once for each shard."""
    found: dict[str, dict[str, int]] = {}
    for one in placed:
        if one.seqs:
            found.setdefault(one.entry.event_id, {}).update(one.seqs)
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    # Nobody opened the stream user:e.
    audiences=st.lists(
        st.lists(st.sampled_from([f"user:{name}" for name in "abcde"]), max_size=5), min_size=8, max_size=8
    ),
    steps=st.lists(st.lists(st.integers(0, 7), max_size=12), max_size=4),
    most=st.integers(1, 8),
    shards=st.sampled_from([1, 3]),
)
def test_many_entries_at_once_get_the_seqs_that_they_would_get_one_by_one(
    redis_url: str, audiences: list[list[str]], steps: list[list[int]], most: int, shards: int
) -> None:
    connection = RedisConnection(redis_url)
    connection.client.flushdb()
    in_redis = RedisStreams(connection, events=100, seconds=60, listen_seconds=15, shards=shards)
    in_memory = MemoryStreams(events=100, seconds=60)
    starts = {name: (in_redis.open(name), in_memory.open(name)) for name in ("user:a", "user:b", "user:c", "user:d")}
    entries = [(entry(), audience) for audience in audiences]
    with pytest.MonkeyPatch.context() as small:
        small.setattr(streams_redis, "PLACES_AT_ONCE", most)
        for step in steps:
            many = in_redis.append([entries[number] for number in step])
            alone = [found for number in step for found in in_memory.append([entries[number]])]
            assert seqs_of(many) == seqs_of(alone)
    for name, (there, here) in starts.items():
        assert log(in_redis, name, there) == log(in_memory, name, here)
    connection.client.close()


def test_what_is_appended_after_a_failure_was_not_appended_before_it(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = RedisConnection(redis_url)
    connection.client.flushdb()
    streams = RedisStreams(connection, events=100, seconds=60, listen_seconds=15)
    start = streams.open("user:1")
    monkeypatch.setattr(streams_redis, "PLACES_AT_ONCE", 2)
    entries = [entry() for _ in range(6)]
    run, calls = connection.run, itertools.count()

    def fail_once(work: Any) -> Any:
        if next(calls) == 1:
            raise Unavailable("Redis")
        return run(work)

    monkeypatch.setattr(connection, "run", fail_once)
    with pytest.raises(Unavailable):
        streams.append([(one, ["user:1"]) for one in entries])
    assert [event_id for _, event_id in log(streams, "user:1", start)] == [one.event_id for one in entries[:2]]

    streams.append([(one, ["user:1"]) for one in entries])

    assert [event_id for _, event_id in log(streams, "user:1", start)] == [one.event_id for one in entries]
    connection.client.close()


def test_a_stream_that_nobody_opens_any_more_is_forgotten(make_streams: MakeStreams) -> None:
    streams = make_streams(seconds=0.3)
    start = streams.open("user:1")
    append(streams, entry(), "user:1")

    found = _when_gone(streams, "user:1", Position(start.epoch, 0))

    assert (found.reason, found.top) == ("unknown_epoch", Position("", 0))


def test_a_forgotten_stream_comes_back_with_another_epoch(make_streams: MakeStreams) -> None:
    streams = make_streams(seconds=0.3)
    start = streams.open("user:1")
    append(streams, entry(), "user:1")
    _when_gone(streams, "user:1", start)

    again = streams.open("user:1")

    assert again.seq == 0
    assert again.epoch != start.epoch
    assert gap(streams, "user:1", Position(start.epoch, 0)).reason == "unknown_epoch"


def test_a_forgotten_stream_starts_without_its_old_events(make_streams: MakeStreams) -> None:
    streams = make_streams(seconds=0.3)
    start = streams.open("user:1")
    append(streams, entry(), "user:1")
    _when_gone(streams, "user:1", start)

    again = streams.open("user:1")
    fresh = entry()

    assert append(streams, fresh, "user:1") == {"user:1": 1}
    assert log(streams, "user:1", again) == [(1, fresh.event_id)]


def test_a_stream_that_is_kept_lives_on_with_its_events(make_streams: MakeStreams) -> None:
    streams = make_streams(seconds=0.5)
    start = streams.open("user:1")
    added = entry()
    append(streams, added, "user:1")

    deadline = time.monotonic() + 1.2
    while time.monotonic() < deadline:
        [top] = streams.keep(["user:1"], listener="w1")
        time.sleep(0.05)

    assert top == Position(start.epoch, 1)
    assert append(streams, entry(), "user:1") == {"user:1": 2}


def test_keeping_opens_what_is_not_there_and_gives_the_tops_in_order(make_streams: MakeStreams) -> None:
    streams = make_streams()
    opened = streams.open("user:2")
    append(streams, entry(), "user:2")

    tops = streams.keep(["user:1", "user:2"], listener="w1")

    assert [top.seq for top in tops] == [0, 1]
    assert tops[1].epoch == opened.epoch
    assert streams.keep([], listener="w1") == []


def test_in_memory_all_streams_hold_the_one_entry() -> None:
    streams = MemoryStreams(events=10, seconds=60)
    starts = {name: streams.open(name) for name in ("user:1", "user:2")}
    added = entry()
    append(streams, added, *starts)

    found = [streams.read(name, start)[0][1] for name, start in starts.items()]

    assert all(one is added and one.body is added.body for one in found)


def _when_gone(streams: Streams, name: str, after: Position) -> Gap:
    """The Gap that reading raises as soon as the stream is forgotten."""
    deadline = time.monotonic() + 5
    while True:
        try:
            streams.read(name, after)
        except Gap as found:
            return found
        assert time.monotonic() < deadline, "the stream lives on"
        time.sleep(0.02)


def test_a_kind_of_stream_may_keep_more_than_the_others(redis_url: str) -> None:
    others = {"mesh": Bounds(8, 60)}
    for streams in (
        MemoryStreams(events=2, seconds=60, others=others),
        RedisStreams(RedisConnection(redis_url), events=2, seconds=60, listen_seconds=5, others=others),
    ):
        tops = {name: streams.open(name) for name in ("user:kinds", "mesh:kinds")}
        streams.append([(entry(), [name]) for _ in range(8) for name in tops])

        assert gap(streams, "user:kinds", tops["user:kinds"]).reason == "too_old"
        assert [seq for seq, _ in streams.read("mesh:kinds", tops["mesh:kinds"])] == list(range(1, 9))


def test_a_reader_may_ask_for_the_first_few(make_streams: MakeStreams) -> None:
    streams = make_streams()
    start = streams.open("user:1")
    for _ in range(5):
        append(streams, entry(), "user:1")

    assert [seq for seq, _ in streams.read("user:1", start, 2)] == [1, 2]
    assert [seq for seq, _ in streams.read("user:1", Position(start.epoch, 3), 9)] == [4, 5]
    assert streams.read("user:1", Position(start.epoch, 5), 9) == []
