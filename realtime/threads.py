"""The one crossing from the event loop to the ORM: a pool of its own, each job with a clean connection."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from django.db import connection

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 8
"""SQLite has one writer at a time; PostgreSQL's pool has 16 connections, and HTTP needs some of them."""

_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="orm")


async def run(job: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Await a synchronous function that uses the database. Waits in line while all threads are busy."""
    return await asyncio.get_running_loop().run_in_executor(_pool, lambda: _with_connection(job, *args, **kwargs))


_tasks: set[asyncio.Task[Any]] = set()


def start(work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
    """Start a task that is kept until it ends, and whose failure is logged."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    _tasks.add(task)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[Any]) -> None:
    _tasks.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("task %s failed", task.get_name(), exc_info=error)


def _with_connection(job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return job(*args, **kwargs)
    finally:
        # With a pool, closing hands the connection back for the HTTP views. Without one it is kept for the next job of
        # this thread, as opening SQLite costs more than most jobs, unless something went wrong with it.
        if connection.settings_dict["OPTIONS"].get("pool") or connection.errors_occurred:
            connection.close()
