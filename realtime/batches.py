"""Calls of one method that come while others of it run, run together: their cost is shared, their outcomes are not."""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any, Final, NamedTuple

from django.db import InterfaceError, OperationalError

from realtime import commands, threads
from realtime.commands import METHODS, Caller

MOST: Final = 64
"""Calls that share a transaction: enough to share the cost, few enough that the first does not wait for long."""
COLLECT_SECONDS: Final = 0.004
"""For how long after a batch the next one, while it is smaller, waits for those who were just answered: who writes a
lot calls again at once, and eight calls cost half as much as all sixty-four."""


async def call(caller: Caller, name: str, params: Any) -> Any:
    """`commands.call` from the event loop, together with others where the method can."""
    method = METHODS.get(name)
    if method is None or method.together is None:
        return await threads.run(commands.call, caller, name, params)
    return await _batch_of(name).call(caller, params)


class _Waiting(NamedTuple):
    caller: Caller
    params: Any
    answer: asyncio.Future[Any]


class _Batch:
    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: deque[_Waiting] = deque()
        self._running = False
        self._last_count = 0
        self._collect_until = 0.0
        self._as_many = asyncio.Event()
        """As many wait as the last batch had."""

    async def call(self, caller: Caller, params: Any) -> Any:
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(caller, params, answer))
        if len(self._waiting) >= self._last_count:
            self._as_many.set()
        if not self._running:
            self._running = True
            threads.start(self._run(), name=f"batch of {self._name}")
        return await answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._collect()
                self._last_count = min(MOST, len(self._waiting))
                await self._run_some([self._waiting.popleft() for _ in range(self._last_count)])
                self._collect_until = asyncio.get_running_loop().time() + COLLECT_SECONDS
        finally:
            self._running = False

    async def _collect(self) -> None:
        if len(self._waiting) < self._last_count:
            self._as_many.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._collect_until):
                    await self._as_many.wait()

    async def _run_some(self, some: list[_Waiting]) -> None:
        calls = [(one.caller, one.params) for one in some]
        try:
            answers = await threads.run(commands.call_together, self._name, calls)
        except Exception as error:
            if len(some) == 1 or isinstance(error, (OperationalError, InterfaceError)):
                # Of a lost connection nobody knows what was kept: to write again could be to write twice.
                for one in some:
                    _answer(one, error)
                return
            # Nothing of it was kept. One by one, so that a failure stays with the call that caused it.
            for one in some:
                await self._run_some([one])
        else:
            for one, answer in zip(some, answers, strict=True):
                _answer(one, answer)


def _answer(one: _Waiting, answer: Any) -> None:
    if one.answer.done():  # its socket went away meanwhile
        return
    if isinstance(answer, Exception):
        one.answer.set_exception(answer)
    else:
        one.answer.set_result(answer)


_batches: dict[str, _Batch] = {}


def _batch_of(name: str) -> _Batch:
    return _batches.setdefault(name, _Batch(name))
