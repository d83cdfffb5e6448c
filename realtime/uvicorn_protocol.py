"""The seam to uvicorn: classes that it takes as `--ws` and `--http`, as scripts/serve does.

SocketProtocol lets the hub write frames without a task hop: an extension of the ASGI scope that an application may use
or not. Without it, with `--ws websockets-sansio` or another server, frames go through ASGI's `send`: the same, only
slower. Both classes take less memory than uvicorn's own while nothing happens.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from realtime.direct_writer import DIRECT_WRITER


class SocketProtocol(WebSocketsSansIOProtocol):
    # Also those of uvicorn that are enough: past 30 attributes Python takes 1.5 kB for the dictionary of each object.
    __slots__ = (
        *("queue", "writable", "on_drained", "request", "response", "scope"),
        *("ping_interval", "ping_timeout", "ping_timer", "pong_timer", "pending_ping_payload"),
        *("ping_sent_at", "last_ping_rtt"),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Those of asyncio take 3 kB where nothing waits. Typed as theirs, of which these have what uvicorn calls.
        self.queue = _Queue()  # type: ignore[assignment]
        self.writable = _Gate()  # type: ignore[assignment]
        self.on_drained: Callable[[], None] | None = None

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        # Its parser keeps the request as long as the socket lives. The application has the headers in its scope.
        event.headers.clear()

    def start_keepalive(self) -> None:
        """Called when the handshake is over; its answer is not needed any more."""
        super().start_keepalive()
        self.response.headers.clear()

    async def run_asgi(self) -> None:
        self.scope.setdefault("extensions", {})[DIRECT_WRITER] = {"writer": self}
        await super().run_asgi()

    def send_receive_event_to_app(self) -> None:
        """Text that is no UTF-8 is the client's matter; uvicorn would log a traceback of it."""
        if self.curr_msg_data_type == "text" and not _is_utf_8(b"".join(self.frames)):
            self.frames = []
            self.conn.send_close(1007)
            self.handle_parser_exception()
        else:
            super().send_receive_event_to_app()

    def write(self, payload: bytes) -> bool:
        """Send a text frame. False when no more should come before `on_drained` is called."""
        if not (self.disconnected or self.close_sent or self.transport.is_closing()):
            self.transport.write(_framed(payload))
        return self.writable.is_set()

    def abort(self) -> None:
        """Drop the connection with all that waits to be sent."""
        self.transport.abort()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.on_drained is not None:
            self.on_drained()


class HttpProtocol(HttpToolsProtocol):
    """For parked polls: nothing of uvicorn's changes but how much memory it takes meanwhile."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.pipeline = _Pipeline()  # type: ignore[assignment]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow._is_writable_event = _Gate()  # type: ignore[assignment]

    def on_headers_complete(self) -> None:
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            self.cycle.message_event = _Bell()  # type: ignore[assignment]


def _is_utf_8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _framed(payload: bytes) -> bytes:
    """A whole, unmasked text frame. Source: RFC 6455, section 5.2."""
    length = len(payload)
    if length < 126:
        return b"\x81%c%b" % (length, payload)
    if length < 65_536:
        return b"\x81\x7e%c%c%b" % (length >> 8, length & 255, payload)
    return b"\x81\x7f%b%b" % (length.to_bytes(8, "big"), payload)


class _Queue:
    """What uvicorn needs of an asyncio.Queue: it has one reader, and holds a frame or two."""

    __slots__ = ("_items", "_reader")

    def __init__(self) -> None:
        self._items: list[Any] = []
        self._reader: asyncio.Future[None] | None = None

    def put_nowait(self, item: Any) -> None:
        self._items.append(item)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def empty(self) -> bool:
        return not self._items

    async def get(self) -> Any:
        while not self._items:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self._items.pop(0)


class _Gate:
    """What uvicorn needs of an asyncio.Event: it is open at first, and nearly always."""

    __slots__ = ("_closed",)

    def __init__(self) -> None:
        self._closed: asyncio.Event | None = None

    def is_set(self) -> bool:
        return self._closed is None

    def set(self) -> None:
        if self._closed is not None:
            self._closed.set()
            self._closed = None

    def clear(self) -> None:
        if self._closed is None:
            self._closed = asyncio.Event()

    async def wait(self) -> None:
        if self._closed is not None:
            await self._closed.wait()


class _Bell:
    """What uvicorn needs of an asyncio.Event that one task waits for."""

    __slots__ = ("_rung", "_waiter")

    def __init__(self) -> None:
        self._rung = False
        self._waiter: asyncio.Future[None] | None = None

    def set(self) -> None:
        self._rung = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def clear(self) -> None:
        self._rung = False

    async def wait(self) -> None:
        if not self._rung:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter


class _Pipeline(list[Any]):
    """What uvicorn needs of a deque of requests, which is nearly always empty."""

    def appendleft(self, item: Any) -> None:
        self.insert(0, item)
