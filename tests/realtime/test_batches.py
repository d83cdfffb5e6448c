"""Calls that share a transaction: who waits for whom, and what a failure does to the others."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from django.db import OperationalError

from groups.models import User
from realtime import batches, threads
from realtime.batches import Batch
from realtime.commands import METHODS, Call, Caller, Params, method

NAME = "test.note"
CALLER = Caller(User())

Ran = list[list[str]]


class NoteParams(Params):
    def to_internal_value(self, data: Any) -> dict[str, Any]:
        return {"text": data}


@pytest.fixture
def ran() -> Iterator[Ran]:
    """What `test.note` ran together, batch by batch."""
    ran: Ran = []

    def together(calls: Sequence[Call]) -> list[Any]:
        ran.append([call.params["text"] for call in calls])
        return ran[-1]

    @method(NAME, params=NoteParams, answer=None, scope="write", together=together)
    def note(caller: Caller, params: dict[str, Any]) -> Any:
        raise AssertionError("it always runs together")

    yield ran
    del METHODS[NAME]
    batches._batches.pop(NAME, None)


def fail(when: Callable[[list[str]], bool], error: Exception) -> None:
    """Let a batch fail before anything of it is noted."""
    works = METHODS[NAME].together
    assert works

    def together(calls: Sequence[Call]) -> Sequence[Any]:
        if when([call.params["text"] for call in calls]):
            raise error
        return works(calls)

    METHODS[NAME] = replace(METHODS[NAME], together=together)


async def note(*texts: str) -> list[Any]:
    """One caller's calls, each soon after the one before was answered: "a2" two turns of the loop later."""
    answers: list[Any] = []
    for text in texts:
        for _ in range(int(text[1:]) if answers else 0):
            await asyncio.sleep(0)
        answers.append(await batches.call(CALLER, NAME, text))
    return answers


def at_once(*callers: Sequence[str]) -> list[Any]:
    async def all_of_them() -> list[Any]:
        calls = asyncio.gather(*(note(*texts) for texts in callers), return_exceptions=True)
        return list(await asyncio.wait_for(calls, 10))

    return asyncio.run(all_of_them())


def test_who_was_just_answered_gets_into_the_next_batch(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "COLLECT_SECONDS", 3600.0)
    at_once(["a1", "a2"], ["b1", "b20"], ["c1", "c40"])
    assert ran == [["a1", "b1", "c1"], ["a2", "b20", "c40"]]


def test_those_who_do_not_come_back_are_not_waited_for(ran: Ran) -> None:
    at_once(["a1"], ["b1"], ["c1", "c2"])
    assert ran[-1] == ["c2"]


def test_who_calls_alone_never_waits(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "COLLECT_SECONDS", 3600.0)
    assert at_once(["a1", "a2", "a3"]) == [["a1", "a2", "a3"]]


def test_a_batch_has_a_limit_and_the_rest_keep_their_order(ran: Ran) -> None:
    texts = [f"a{number}" for number in range(3 * batches.MOST)]
    assert at_once(*([text] for text in texts)) == [[text] for text in texts]
    assert max(map(len, ran)) == batches.MOST
    # Two may run at once, on PostgreSQL, and note what they do in any order.
    in_order = sorted(ran, key=lambda batch: texts.index(batch[0]))
    assert [text for batch in in_order for text in batch] == texts


@pytest.mark.parametrize(("two_at_once", "most"), [(True, 2), (False, 1)])
def test_a_second_batch_runs_beside_the_first_when_it_is_full(two_at_once: bool, most: int) -> None:
    running, counts, together = 0, [], Barrier(2)

    def run(texts: list[int]) -> list[int]:
        nonlocal running
        running += 1
        counts.append((running, len(texts)))
        with suppress(BrokenBarrierError):
            together.wait(0.2)  # for the other, if there may be one
        running -= 1
        return texts

    async def calls() -> list[int]:
        batch = Batch("full", run, collect_seconds=0.0, two_at_once=two_at_once)
        first = asyncio.create_task(batch.call(0))
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # it runs
        rest = (batch.call(number) for number in range(1, 2 * batches.MOST + 1))
        return list(await asyncio.wait_for(asyncio.gather(first, *rest), 10))

    assert asyncio.run(calls()) == list(range(2 * batches.MOST + 1))
    assert max(running for running, _ in counts) == most
    assert all(size == batches.MOST for running, size in counts if running == 2)


def test_the_second_batch_may_take_all_that_the_next_one_collects(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[asyncio.Future[None]] = []
    sizes: list[int] = []

    async def run_in_thread(run: Any, calls: list[int]) -> list[int]:
        sizes.append(len(calls))
        begun.append(asyncio.get_running_loop().create_future())
        await begun[-1]
        return calls

    async def some_turns() -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def calls() -> None:
        batch = Batch("full", list, collect_seconds=60.0, two_at_once=True)

        def call(count: int) -> list[asyncio.Task[int]]:
            return [asyncio.create_task(batch.call(number)) for number in range(count)]

        first = call(batches.MOST)
        await some_turns()
        second = call(batches.MOST)
        await some_turns()
        begun[0].set_result(None)
        await asyncio.gather(*first)
        collected = call(batches.MOST - 1)
        await some_turns()
        collected += call(1)
        begun[1].set_result(None)
        await some_turns()
        begun[2].set_result(None)
        await asyncio.wait_for(asyncio.gather(*second, *collected), 10)

    monkeypatch.setattr(threads, "run", run_in_thread)
    asyncio.run(calls())
    assert sizes == [batches.MOST] * 3


def test_a_failure_stays_with_the_call_that_caused_it(ran: Ran) -> None:
    fail(lambda texts: "bad" in texts, ValueError("bad"))
    first, *others = at_once(["bad"], ["b"], ["c"])
    assert isinstance(first, ValueError)
    assert others == [["b"], ["c"]]
    assert ran == [["b"], ["c"]]


def test_what_was_on_a_connection_that_was_lost_is_not_written_again(ran: Ran) -> None:
    fail(lambda texts: "a" in texts, OperationalError("lost"))
    assert all(isinstance(answer, OperationalError) for answer in at_once(["a"], ["b"], ["c"]))
    assert ran == []


def test_a_paced_batch_waits_for_whoever_comes_until_its_time_is_over() -> None:
    ran: Ran = []

    def together(texts: list[str]) -> list[str]:
        ran.append(texts)
        return texts

    async def calls() -> None:
        batch = Batch("paced", together, collect_seconds=0.05, paced=True)
        await batch.call("alone")
        soon = [asyncio.create_task(batch.call("a"))]
        await asyncio.sleep(0.01)
        await asyncio.gather(batch.call("b"), *soon)

    asyncio.run(calls())
    assert ran == [["alone"], ["a", "b"]]
