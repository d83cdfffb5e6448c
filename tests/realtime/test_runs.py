"""Runs: entries that went to the same streams, one after the other, and are written alike for all of them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.runs import RUN_BYTES, Run, runs_of
from realtime.streams import Entry, Placed
from realtime.streams_memory import MemoryStreams

STREAMS = ("user:1", "user:2", "user:3")


def entry(number: int, text: str = "", **about: int) -> Entry:
    return Entry(f"id-{number}", "test.happened", b'"data":%b}' % json.dumps([number, text]).encode(), about)


def frames(run: Run, seq: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(b"[" + run.frames(seq) + b"]")
    return found


def placed(number: int, **seqs: int) -> Placed:
    return Placed(entry(number), seqs, {})


def counts(*rung: Placed) -> list[int]:
    return [run.count for run, _seqs in runs_of(rung)]


def test_neighbours_in_the_same_streams_are_one_run_with_a_seq_of_each_stream() -> None:
    [(run, seqs)] = runs_of([placed(1, ada=5, bob=9), placed(2, ada=6, bob=10)])

    assert seqs == {"ada": 5, "bob": 9}
    assert frames(run, 9) == [
        {"type": "event", "seq": 9, "data": [1, ""]},
        {"type": "event", "seq": 10, "data": [2, ""]},
    ]


@pytest.mark.parametrize(
    "next_one",
    [
        placed(2, ada=6),
        placed(2, ada=6, bob=10, eve=1),
        placed(2, ada=6, bob=11),
        placed(2, ada=4, bob=8),
        placed(2, ada=5, bob=9),
        placed(2, bob=6, ada=10),
        placed(2),
    ],
    ids=["somebody less", "somebody more", "something between", "before", "again", "others' seqs", "nobody"],
)
def test_what_does_not_follow_in_each_stream_begins_another_run(next_one: Placed) -> None:
    assert counts(placed(1, ada=5, bob=9), next_one) == [1, 1]


def test_a_run_is_not_longer_than_one_write_unless_a_single_entry_is() -> None:
    sizes = [RUN_BYTES // 2, RUN_BYTES // 4, RUN_BYTES // 2, 2 * RUN_BYTES, 1]
    rung = [Placed(entry(number, "x" * size), {"ada": number}, {}) for number, size in enumerate(sizes, start=1)]

    assert counts(*rung) == [2, 1, 1, 1]


def test_what_erases_a_text_goes_alone() -> None:
    rung = [Placed(entry(1, message=5), {"ada": 1}, {}), Placed(entry(2, erased=5), {"ada": 2}, {}), placed(3, ada=3)]

    assert counts(*rung) == [1, 1, 1]
    assert [run.erased for run, _seqs in runs_of(rung)] == [None, 5, None]


def test_a_text_may_hold_what_looks_like_a_place_for_a_number() -> None:
    run = Run([entry(1, "100 %d of %%s %(x)s%"), entry(2, "%")])

    assert [frame["data"] for frame in frames(run, 7)] == [[1, "100 %d of %%s %(x)s%"], [2, "%"]]
    assert json.loads(Run([entry(1, "%d")]).frames(7))["data"] == [1, "%d"]


@given(st.lists(st.tuples(st.lists(st.sampled_from(STREAMS), unique=True), st.booleans()), max_size=30), st.randoms())
def test_every_stream_gets_out_of_the_runs_what_was_placed_in_it(
    told: list[tuple[list[str], bool]], random: Any
) -> None:
    """Whatever the order is in which the appends of several threads are rung."""
    streams = MemoryStreams(events=100, seconds=60)
    for stream in STREAMS:
        streams.open(stream)
    rings = [
        streams.append([(entry(number, erased=1) if erases else entry(number), names)])
        for number, (names, erases) in enumerate(told)
    ]
    if random.random() < 0.5:
        random.shuffle(rings)
    rung = [one for ring in rings for one in ring]
    wanted = [(stream, seq, one.entry.event_id) for one in rung for stream, seq in one.seqs.items()]

    found = [
        (stream, frame["seq"], f"id-{frame['data'][0]}")
        for run, seqs in runs_of(rung)
        for stream, seq in seqs.items()
        for frame in frames(run, seq)
    ]

    assert sorted(found) == sorted(wanted)
    for stream in STREAMS:
        assert [one for one in found if one[0] == stream] == [one for one in wanted if one[0] == stream]
