"""What runs beside the requests: the hub, the relay's sweep, and keeping the followed streams alive."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings

from realtime import threads
from realtime.backends import streams
from realtime.hub import hub
from realtime.relay import send_left_behind

log = logging.getLogger(__name__)


class Lifespan:
    """Starts once per event loop. Servers without a lifespan (daphne) start with their first request."""

    def __init__(self) -> None:
        self._sweep: asyncio.Task[None] | None = None

    def ensure_started(self) -> None:
        loop = asyncio.get_running_loop()
        if self._sweep is None or self._sweep.get_loop() is not loop:
            hub.start(loop)
            self._sweep = loop.create_task(_sweep(), name="sweep")

    def stop(self) -> None:
        hub.stop()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    async def serve(self, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        """The ASGI lifespan protocol."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.ensure_started()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


lifespan = Lifespan()


async def _sweep() -> None:
    while True:
        try:
            await threads.run(send_left_behind)
            for stream in hub.streams():
                streams().open(stream)
        except Exception:
            # An outage of the database ends; the sweep must not end with it.
            log.exception("the sweep failed, the next one follows in %s s", settings.SWEEP_SECONDS)
        await asyncio.sleep(settings.SWEEP_SECONDS)
