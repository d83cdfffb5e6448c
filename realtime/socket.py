"""Writing to a WebSocket: what is ready at once shares a turn of the loop, and nobody awaits a slow reader."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

import orjson

from realtime import threads
from realtime.direct_writer import DirectWriter
from realtime.errors import Close, Refused
from realtime.runs import Run

Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

WRITE_BYTES: Final = 64 * 1024
"""Ready frames that share one write: enough to save most of the cost of a write, small enough for slow networks."""
CLOSE_SECONDS: Final = 3.0
"""How long a closing socket may take to write what is left."""


class Source(Protocol):
    """What a socket writes: the frames of a session, or of whatever shares a socket."""

    id: str
    stream: str

    def take(self, most_bytes: int) -> bytes | None:
        """The next text frame, about so long at most; None when nothing waits."""


class Socket:
    """Writes what is ready, and no more while the client does not read. The transport of one session, or of several.

    Where the server offers it, frames are written as soon as the loop has put all ready ones into the outbox, and those
    that come alone at once; else a task awaits ASGI's `send`.
    """

    __slots__ = ("_close", "_direct", "_full", "_ready", "_scheduled", "_send", "_source", "_writer", "deadline")

    def __init__(self, send: Send, direct: DirectWriter | None) -> None:
        self._send = send
        self._direct = direct
        self._source: Source | None = None
        self._scheduled = False
        self._full = False
        self._writer: asyncio.Task[None] | None = None
        self._ready: asyncio.Event | None = None
        self._close: Close | None = None
        self.deadline: asyncio.Timeout | None = None

    def start(self, source: Source) -> None:
        self._source = source
        if self._direct is not None:
            self._direct.on_drained = self._drained
        else:
            self._ready = asyncio.Event()
            self._writer = asyncio.create_task(
                self._write(source, self._ready), name=f"write {source.stream} {source.id}"
            )

    def stop(self) -> None:
        self._source = None
        if self._direct is not None:
            self._direct.on_drained = None
        if self._writer is not None:
            self._writer.cancel()

    def wake(self) -> None:
        if self._direct is None:
            if self._ready is not None:
                self._ready.set()
        elif not (self._scheduled or self._full):
            self._scheduled = True
            if not _to_flush:
                # Later in this turn of the loop: entries that came together share a write.
                asyncio.get_running_loop().call_soon(_flush_all)
            _to_flush.append(self)

    def write(self, run: Run, seq: int) -> bool:
        # What waits in the outbox has scheduled a flush, or the client does not read.
        if self._scheduled or self._full or self._direct is None or self._source is None:
            return False
        self._full = not self._direct.write(run.frame(seq))
        return True

    def close(self, close: Close) -> None:
        self._close = close
        if self.deadline is not None:
            self.deadline.reschedule(asyncio.get_running_loop().time() + CLOSE_SECONDS)
        self.wake()

    def abort(self) -> None:
        if self._direct is not None:
            self._direct.abort()

    async def refuse(self, refused: Refused) -> None:
        frame = orjson.dumps({"type": "error", "code": refused.code, "ref": None})
        await self._send({"type": "websocket.send", "text": frame.decode()})
        await self.say_closed(int(refused.close))

    async def say_closed(self, code: int) -> None:
        # A client that is gone already needs no word; uvicorn raises a ClientDisconnected, which is an OSError.
        with suppress(OSError):
            await self._send({"type": "websocket.close", "code": code})

    def flush(self) -> None:
        self._scheduled = False
        while self._source is not None and (frames := self._source.take(WRITE_BYTES)) is not None:
            if self._direct is not None and not self._direct.write(frames):
                self._full = True
                return
        if self._close is not None and self._source is not None:
            threads.start(self.say_closed(int(self._close)), name=f"close {self._source.id}")
            self._source = None

    def _drained(self) -> None:
        self._full = False
        self.wake()

    async def _write(self, source: Source, ready: asyncio.Event) -> None:
        while True:
            await ready.wait()
            ready.clear()
            while (frames := source.take(WRITE_BYTES)) is not None:
                await self._send({"type": "websocket.send", "text": frames.decode()})
            if self._close is not None:
                await self.say_closed(int(self._close))
                return


_to_flush: list[Socket] = []
"""The sockets of this turn of the loop that have something to write."""


def _flush_all() -> None:
    sockets = _to_flush.copy()
    _to_flush.clear()
    for socket in sockets:
        socket.flush()
