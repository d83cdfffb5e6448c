"""The hub: who follows what in this process, and the way from an append in a thread to the sessions of the loop."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

import pytest

from realtime import backends
from realtime.errors import Close, Refused
from realtime.hub import Ended, Hub, hub
from realtime.reading import CatchUp, Cursor, follow, revises
from realtime.runs import Run
from realtime.session import Session
from realtime.streams import Entry, Placed, Position, Streams

STREAM = "hubtest:7"
DEADLINE_SECONDS = 10


@revises("hubtest")
def _as_stored(user_id: int, entries: Any) -> list[tuple[int, Entry]]:
    return list(entries)


@dataclass
class Tab:
    """A session with a transport that writes at once, and what it wrote."""

    id: str = "s_00000001"
    user_id: int = 7
    credential: str = "token:1"
    stream: str = STREAM
    frames: list[dict[str, Any]] = field(default_factory=list)
    close_code: int | None = None
    session: Session = field(init=False)

    def __post_init__(self) -> None:
        self.session = Session(
            id=self.id, user_id=self.user_id, stream=self.stream, credential=self.credential, transport=self
        )

    def wake(self) -> None:
        while (taken := self.session.take(1 << 16)) is not None:
            got = json.loads(taken)
            self.frames.extend(got if isinstance(got, list) else [got])

    def write(self, run: Run, seq: int) -> bool:
        return False

    def close(self, close: Close) -> None:
        self.wake()
        self.close_code = int(close)

    def begin(self, started: CatchUp | None = None) -> "Tab":
        started = started or CatchUp("fresh", Position("e_1", 0))
        self.session.begin({"type": "hello"}, started.at, started.replay)
        return self

    @property
    def seqs(self) -> list[int]:
        return [frame["seq"] for frame in self.frames if frame["type"] == "event"]

    @property
    def numbers(self) -> list[int]:
        return [frame["data"] for frame in self.frames if frame["type"] == "event"]

    @property
    def codes(self) -> list[str]:
        return [frame["code"] for frame in self.frames if frame["type"] == "error"]


def entry(number: int) -> Entry:
    return Entry(f"id-{number}", "test.happened", b'"event":"test.happened","data":%d}' % number)


def placed(seq: int, stream: str = STREAM) -> Placed:
    return Placed(entry(seq), {stream: seq}, {})


def test_a_session_hears_of_its_stream_and_no_other() -> None:
    async def ring() -> None:
        ours.start(asyncio.get_running_loop())
        ours.add(mine.session)
        ours.add(other.session)
        ours.ring([placed(1)])
        await asyncio.sleep(0)

    ours, mine, other = Hub(), Tab().begin(), Tab(stream="hubtest:8").begin()
    asyncio.run(ring())

    assert (mine.seqs, other.seqs) == ([1], [])


def test_all_sessions_of_a_stream_hear_the_same() -> None:
    async def ring() -> None:
        ours.start(asyncio.get_running_loop())
        for tab in tabs:
            ours.add(tab.session)
        ours.ring([placed(1), placed(2)])
        ours.ring([placed(3)])
        await asyncio.sleep(0)

    ours, tabs = Hub(), [Tab(f"s_0000000{n}").begin() for n in range(3)]
    asyncio.run(ring())

    assert [tab.seqs for tab in tabs] == [[1, 2, 3]] * 3


def test_entries_of_another_era_are_not_taken_for_the_next_ones() -> None:
    """Its Redis came back empty, and another worker has begun the stream again."""

    async def ring() -> None:
        ours.start(asyncio.get_running_loop())
        ours.add(tab.session)
        ours.ring([placed(1)._replace(era="e_1")])
        ours.ring([placed(2)._replace(era="e_2")])
        await asyncio.sleep(0)

    ours, tab = Hub(), Tab().begin()
    assert tab.session.epoch.startswith("e_1")
    asyncio.run(ring())

    assert tab.seqs == [1]


def test_what_is_kept_nowhere_goes_to_the_streams_that_it_is_for_and_never_before_a_hello() -> None:
    ours, mine, other, new = Hub(), Tab().begin(), Tab(stream="hubtest:8").begin(), Tab(id="s_00000002")
    for tab in (mine, other, new):
        ours.add(tab.session)
    ours.tell([STREAM, "hubtest:9"], {"type": "ephemeral"})
    new.begin()

    told = [[frame["type"] for frame in tab.frames] for tab in (mine, other, new)]
    assert told == [["hello", "ephemeral"], ["hello"], ["hello"]]


def test_a_session_that_was_removed_hears_nothing() -> None:
    async def ring() -> None:
        ours.start(asyncio.get_running_loop())
        ours.add(tab.session)
        ours.remove(tab.session)
        ours.ring([placed(1)])
        await asyncio.sleep(0)

    ours, tab = Hub(), Tab().begin()
    asyncio.run(ring())

    assert tab.seqs == []
    assert (ours.sessions(), ours.streams()) == ([], [])


def test_a_new_session_with_the_same_id_replaces_the_old_one() -> None:
    ours, old, new = Hub(), Tab().begin(), Tab().begin()
    ours.add(old.session)

    ours.add(new.session)

    assert (old.close_code, old.codes, new.close_code) == (Close.REPLACED, ["replaced"], None)
    assert ours.sessions(STREAM) == [new.session]


def test_the_late_end_of_a_replaced_session_does_nothing_to_the_new_one() -> None:
    ours, old, new = Hub(), Tab().begin(), Tab().begin()
    ours.add(old.session)
    ours.add(new.session)

    ours.remove(old.session)

    assert ours.sessions(STREAM) == [new.session]


def test_the_same_session_id_of_another_user_replaces_nothing() -> None:
    ours, mine, theirs = Hub(), Tab().begin(), Tab(user_id=8, stream="hubtest:8").begin()
    ours.add(mine.session)
    ours.add(theirs.session)

    assert mine.close_code is None
    assert len(ours.sessions()) == 2


def test_another_users_sessions_do_not_count() -> None:
    ours, mine, theirs = Hub(), Tab().begin(), Tab(user_id=8, stream="hubtest:8").begin()
    ours.add(mine.session)

    ours.add(theirs.session)

    assert len(ours.sessions()) == 2


def test_a_hub_that_stops_sends_everybody_away_to_come_back() -> None:
    ours, tabs = Hub(), [Tab(f"s_0000000{n}").begin() for n in range(2)]
    for tab in tabs:
        ours.add(tab.session)

    ours.stop()

    assert [(tab.close_code, tab.codes) for tab in tabs] == [(Close.RESTART, ["restart"])] * 2
    assert not ours.running


def test_what_ends_closes_its_sessions_and_no_others() -> None:
    async def end() -> None:
        ours.start(asyncio.get_running_loop())
        for tab in (mine, phone, theirs):
            ours.add(tab.session)
        ours.end(Ended("credential", "token:1", Close.NOT_SIGNED_IN, "signed_out"))
        await asyncio.sleep(0)

    ours = Hub()
    mine, phone = Tab().begin(), Tab("s_00000002", credential="token:2").begin()
    theirs = Tab(user_id=8, stream="hubtest:8", credential="token:3").begin()
    asyncio.run(end())

    assert [tab.close_code for tab in (mine, phone, theirs)] == [Close.NOT_SIGNED_IN, None, None]


def test_a_session_that_was_let_in_just_before_its_sign_in_ended_is_refused() -> None:
    async def end() -> None:
        ours.start(asyncio.get_running_loop())
        ours.end(Ended("user", "7", Close.FORBIDDEN, "deactivated"))
        await asyncio.sleep(0)
        ours.add(Tab(user_id=8, stream="hubtest:8").session)
        with pytest.raises(Refused) as refused:
            ours.add(Tab().session)
        assert refused.value.code == "deactivated"

    ours = Hub()
    asyncio.run(end())

    assert ours.streams() == ["hubtest:8"]


def test_rings_from_many_threads_all_arrive(memory: Streams) -> None:
    """In any order: a session puts them into theirs, or reads the stream where it sees a hole."""

    async def ring_all() -> None:
        async with serving():
            tab.begin(await follow(tab.session, Cursor(None, None)))
            await asyncio.gather(*(asyncio.to_thread(append_and_ring, thread) for thread in range(8)))
            await until(lambda: len(tab.seqs) == 400)

    def append_and_ring(thread: int) -> None:
        for number in range(50):
            hub.ring(memory.append([(entry(1000 * thread + number), [STREAM])]))

    tab = Tab()
    asyncio.run(ring_all())

    assert tab.seqs == list(range(1, 401))
    assert len(set(tab.numbers)) == 400


def test_rings_that_are_lost_repeated_and_shuffled_leave_the_log_whole(memory: Streams) -> None:
    async def ring_badly() -> None:
        async with serving():
            tab.begin(await follow(tab.session, Cursor(None, None)))
            rings = [memory.append([(entry(number), [STREAM])]) for number in range(1, 101)]
            kept = [ring for at, ring in enumerate(rings) if at % 3]
            for ring in [*reversed(kept), *kept]:
                hub.ring(ring)
                await asyncio.sleep(0)
            await hub.check({STREAM: memory.open(STREAM)})
            await until(lambda: len(tab.seqs) == 100)

    tab = Tab()
    asyncio.run(ring_badly())

    assert tab.numbers == list(range(1, 101))


def test_a_ring_that_is_on_its_way_is_waited_for(memory: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check_before_the_ring() -> None:
        async with serving():
            tab.begin(await follow(tab.session, Cursor(None, None)))
            placed = memory.append([(entry(1), [STREAM])])
            monkeypatch.setattr(memory, "read", _never)
            checking = asyncio.create_task(hub.check({STREAM: memory.open(STREAM)}))
            await asyncio.sleep(0)
            hub.ring(placed)
            await checking
            await until(lambda: len(tab.seqs) == 1)

    tab = Tab()
    asyncio.run(check_before_the_ring())

    assert tab.numbers == [1]


def _never(*_: object) -> NoReturn:
    raise AssertionError("nothing was missing")


@pytest.mark.parametrize("step", ["before keep", "after keep", "before read", "after read"])
def test_an_event_between_following_and_reading_arrives_exactly_once(
    memory: Streams, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """D9: it is either read or held back, whichever comes first, and never both or none."""
    paused, resumed = _pause(memory, monkeypatch, step)

    async def follow_while_publishing() -> None:
        async with serving():
            top = memory.open(STREAM)
            hub.ring(memory.append([(entry(1), [STREAM])]))
            following = asyncio.create_task(follow(tab.session, Cursor(top.epoch, "0")))
            await asyncio.to_thread(paused.wait, DEADLINE_SECONDS)
            await asyncio.to_thread(publish_one)
            await asyncio.sleep(0)
            resumed.set()
            tab.begin(await following)
            # Without a later event, at which a session would notice that it lost one.
            await until(lambda: len(tab.seqs) == 2)
            hub.ring(memory.append([(entry(3), [STREAM])]))
            await until(lambda: len(tab.seqs) == 3)

    def publish_one() -> None:
        hub.ring(memory.append([(entry(2), [STREAM])]))

    tab = Tab()
    asyncio.run(follow_while_publishing())

    assert tab.seqs == [1, 2, 3]
    assert tab.numbers == [1, 2, 3]


def test_an_event_while_a_hole_is_being_read_arrives_exactly_once(
    memory: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def heal_while_publishing() -> None:
        async with serving():
            tab.begin(await follow(tab.session, Cursor(None, None)))
            paused, resumed = _pause(memory, monkeypatch, "after read")
            memory.append([(entry(1), [STREAM])])
            hub.ring(memory.append([(entry(2), [STREAM])]))
            await asyncio.to_thread(paused.wait, DEADLINE_SECONDS)
            hub.ring(memory.append([(entry(3), [STREAM])]))
            await asyncio.sleep(0)
            resumed.set()
            await until(lambda: len(tab.seqs) == 3)

    tab = Tab()
    asyncio.run(heal_while_publishing())

    assert tab.numbers == [1, 2, 3]


def test_a_hole_that_the_stream_no_longer_holds_sends_the_client_back(
    settings: Any, fresh_streams: Callable[[], Streams]
) -> None:
    settings.STREAM_EVENTS = 5
    memory = fresh_streams()

    async def lose_much() -> None:
        async with serving():
            tab.begin(await follow(tab.session, Cursor(None, None)))
            last = [memory.append([(entry(number), [STREAM])]) for number in range(1, 11)][-1]
            hub.ring(last)
            await until(lambda: tab.close_code is not None)

    tab = Tab()
    asyncio.run(lose_much())

    assert (tab.close_code, tab.codes, tab.seqs) == (Close.RESTART, ["hole"], [])


@pytest.fixture
def fresh_streams() -> Iterator[Callable[[], Streams]]:
    """The streams of this process, made anew with the settings of the moment."""

    def make() -> Streams:
        backends.streams.cache_clear()
        return backends.streams()

    yield make
    backends.streams.cache_clear()


@pytest.fixture
def memory(fresh_streams: Callable[[], Streams]) -> Streams:
    return fresh_streams()


@asynccontextmanager
async def serving() -> AsyncIterator[None]:
    """The hub of this process on the running loop, as a server has it."""
    hub.start(asyncio.get_running_loop())
    try:
        yield
    finally:
        hub.stop()
        for session in hub.sessions():
            hub.remove(session)


async def until(holds: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
    for _ in iter(holds, True):
        assert asyncio.get_running_loop().time() < deadline, f"still not so after {DEADLINE_SECONDS} s"
        await asyncio.sleep(0.005)


def _pause(memory: Streams, monkeypatch: pytest.MonkeyPatch, step: str) -> tuple[threading.Event, threading.Event]:
    """A store that is slow at one step, once: the first event tells that it waits there, the second lets it go on."""
    paused, resumed = threading.Event(), threading.Event()
    when, name = step.split()
    quick = getattr(memory, name)

    def slow(*args: Any, **kwargs: Any) -> Any:
        if paused.is_set():
            return quick(*args, **kwargs)
        found = quick(*args, **kwargs) if when == "after" else None
        paused.set()
        assert resumed.wait(DEADLINE_SECONDS)
        return quick(*args, **kwargs) if when == "before" else found

    monkeypatch.setattr(memory, name, slow)
    # What others share is asked in a thread, which may be slow; the loop goes on.
    monkeypatch.setattr(memory, "shared", True)
    return paused, resumed
