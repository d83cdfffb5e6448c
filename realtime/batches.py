"""Calls that come while others run, run together: their cost is shared, their outcomes are not."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, Generic, NamedTuple, TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError

from realtime import commands, threads
from realtime.commands import METHODS, Caller

T = TypeVar("T")

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
    return await _batch_of(name).call((caller, params))


class _Waiting(NamedTuple):
    call: Any
    answer: asyncio.Future[Any]


class Batch(Generic[T]):
    """Calls that `run` can run together: for each its answer, or the exception that it would have raised alone.

    After a batch the next one waits for `collect_seconds` at most. It goes as soon as there are as many as last time,
    or, `paced`, not before: then each who calls may be somebody else, and many small batches cost more than they save.

    With `two_at_once` a second batch does not wait for the one that runs when it is full: the server works while the
    other waits for the disk. Then nothing but the answers tells which of two calls came first.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[list[T]], Sequence[Any]],
        *,
        collect_seconds: float,
        paced: bool = False,
        two_at_once: bool = False,
    ) -> None:
        self._name = name
        self._run_together = run
        self._collect_seconds = collect_seconds
        self._paced = paced
        self._two_at_once = two_at_once
        self._waiting: deque[_Waiting] = deque()
        self._running = self._helped = False
        self._wanted = 0
        self._collect_until = 0.0
        self._enough = asyncio.Event()
        """As many wait as are wanted."""

    async def call(self, call: T) -> Any:
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(call, answer))
        if len(self._waiting) >= self._wanted:
            self._enough.set()
        if not self._running:
            self._running = True
            threads.start(self._run(), name=f"batch of {self._name}")
        elif self._two_at_once and len(self._waiting) >= MOST and not self._helped:
            self._helped = True
            threads.start(self._help(), name=f"second batch of {self._name}")
        return await answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._collect()
                if not self._waiting:  # the second batch took them
                    return
                count = min(MOST, len(self._waiting))
                self._wanted = MOST if self._paced else count
                await self._run_first(count)
                self._collect_until = asyncio.get_running_loop().time() + self._collect_seconds
        finally:
            self._running = False

    async def _help(self) -> None:
        try:
            while len(self._waiting) >= MOST:
                await self._run_first(MOST)
        finally:
            self._helped = False

    async def _run_first(self, count: int) -> None:
        await self._run_some([self._waiting.popleft() for _ in range(count)])

    async def _collect(self) -> None:
        if len(self._waiting) < self._wanted:
            self._enough = asyncio.Event()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._collect_until):
                    await self._enough.wait()

    async def _run_some(self, some: list[_Waiting]) -> None:
        try:
            answers = await threads.run(self._run_together, [one.call for one in some])
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


_batches: dict[str, Batch[tuple[Caller, Any]]] = {}


def _batch_of(name: str) -> Batch[tuple[Caller, Any]]:
    if name not in _batches:
        # SQLite has one writer at a time.
        two = settings.DATABASES["default"]["ENGINE"] != "django.db.backends.sqlite3"
        run = partial(commands.call_together, name)
        _batches[name] = Batch(name, run, collect_seconds=COLLECT_SECONDS, two_at_once=two)
    return _batches[name]
