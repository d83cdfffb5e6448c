"""What runs beside the requests: the hub, and the sweep of the relay, of the followed streams and of presence."""

import asyncio
import logging
import signal
import threading
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

from django.conf import settings

from groups.mesh import hosting, leases
from groups.mesh.leases import Kept
from meshsite.credentials import ended_among
from presence import announcing
from realtime import clock, doorbell, garbage, leasing, threads
from realtime.backends import streams
from realtime.errors import Unavailable
from realtime.hub import hub
from realtime.relay import send_left_behind

log = logging.getLogger(__name__)


SIGN_INS_AT_ONCE = 500


class Lifespan:
    """Starts once per event loop. Servers without a lifespan (daphne) start with their first request."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def ensure_started(self) -> None:
        loop = asyncio.get_running_loop()
        if not self._tasks or self._tasks[0].get_loop() is not loop:
            hub.start(loop)
            self._tasks = [loop.create_task(_sweep(), name="sweep")]
            if streams().shared:
                self._tasks.append(loop.create_task(doorbell.listen(), name="doorbell"))

    def stop(self) -> None:
        hub.stop()
        for task in self._tasks:
            task.cancel()
        self._tasks = []

    async def serve(self, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        """The ASGI lifespan protocol."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await _restore()
                self.ensure_started()
                _on_end(hub.stop)
                garbage.spare_what_stays()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


lifespan = Lifespan()


def _on_end(stop: Callable[[], None]) -> None:
    """Send sessions away as soon as the server is asked to end. Its own shutdown comes too late: it waits for all
    answers first, those of parked polls too, and cuts off what does not come.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)

        def handle(number: int, frame: FrameType | None, before: Any = before) -> None:
            loop.call_soon_threadsafe(stop)
            if callable(before):
                before(number, frame)

        if callable(before):  # the server's own, which ends it
            signal.signal(number, handle)


async def _restore() -> None:
    """Before the first request, which must not be told that nobody is here."""
    try:
        await threads.run(announcing.restore)
    except Exception as error:
        log.warning("it is not known yet who was here before (%r), the sweep tries again", error)


async def _sweep() -> None:
    check_sign_ins_at = clock.monotonic() + settings.SIGN_IN_SECONDS
    while True:
        try:
            # First of all: without it, everybody here is soon told to be gone.
            await leasing.renew(hub.sessions())
            await threads.run(send_left_behind)
            followed = hub.streams()
            tops = await threads.run(streams().keep, followed, listener=hub.worker)
            await hub.check(dict(zip(followed, tops, strict=True)))
            if clock.monotonic() >= check_sign_ins_at:
                check_sign_ins_at = clock.monotonic() + settings.SIGN_IN_SECONDS
                await _check_sign_ins()
            await threads.run(announcing.sweep)
            await _keep_alive()
            await threads.run(hosting.sweep)
        except Unavailable as error:
            log.debug("sweep: %s is away, trying again in %s s", error.store, settings.SWEEP_SECONDS)
        except Exception:
            # An outage of the database ends; the sweep must not end with it.
            log.exception("the sweep failed, the next one follows in %s s", settings.SWEEP_SECONDS)
        await asyncio.sleep(settings.SWEEP_SECONDS)


async def _keep_alive() -> None:
    """Whoever follows a group as a node or as its host lives."""
    if kept := {session.keeps for session in hub.sessions() if isinstance(session.keeps, Kept)}:
        await threads.run(leases.renew, kept)


async def _check_sign_ins() -> None:
    sessions = hub.sessions()
    for start in range(0, len(sessions), SIGN_INS_AT_ONCE):
        for ended in await threads.run(ended_among, sessions[start : start + SIGN_INS_AT_ONCE]):
            hub.end(ended)
