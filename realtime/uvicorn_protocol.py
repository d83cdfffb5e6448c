"""The seam to uvicorn: classes that it takes as `--ws` and `--http`, as scripts/serve does.

SocketProtocol lets the hub write frames without a task hop, HttpProtocol lets a request wait without a task: extensions
of the ASGI scope that an application may use or not. Without them, with `--ws websockets-sansio`, `--http httptools` or
another server, everything goes through ASGI's `send` and `receive`: the same, only slower and larger. Both classes take
less memory than uvicorn's own while nothing happens.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from realtime.direct_writer import DIRECT_WRITER
from realtime.parking import PARKING


class SocketProtocol(WebSocketsSansIOProtocol):
    # Also those of uvicorn that are enough: past 30 attributes Python takes 1.5 kB for the dictionary of each object.
    __slots__ = (
        *("queue", "writable", "on_drained", "request", "response", "scope"),
        *("transport", "disconnected", "close_sent"),
        *("ping_interval", "ping_timeout", "ping_timer", "pong_timer", "pending_ping_payload"),
        *("ping_sent_at", "last_ping_rtt"),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Those of asyncio take 3 kB where nothing waits. Typed as theirs, of which these have what uvicorn calls.
        self.queue = _Queue()  # type: ignore[assignment]
        self.writable = _Gate()  # type: ignore[assignment]
        self.on_drained: Callable[[], None] | None = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.handshake_initiated and self.conn.handshake_exc is not None:
            # The parser refused the request, as one that is too long. uvicorn sends nothing then, and waits for ever.
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

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
    """For polls: what waits takes little memory, and less yet where the application parks it."""

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

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        task = self.loop.create_task(self._run(cycle, app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    async def _run(self, cycle: RequestResponseCycle, app: Any) -> None:
        parking = _Parking(self, cycle)
        cycle.scope["extensions"] = {PARKING: parking}  # type: ignore[dict-item] # asgiref knows extensions as dicts only
        try:
            await cycle.run_asgi(app)
        finally:
            # Else the scope and the cycle would keep each other until Python looks for that.
            parking.cycle = None


class _Parking:
    __slots__ = ("_protocol", "cycle")

    def __init__(self, protocol: HttpProtocol, cycle: RequestResponseCycle) -> None:
        self._protocol = protocol
        self.cycle: RequestResponseCycle | None = cycle

    def park(self, on_gone: Callable[[], None]) -> "_Parked":
        """Take the request from its application, which returns then. `on_gone` is called when the client goes away."""
        cycle, protocol = self.cycle, self._protocol
        assert cycle, "its application runs"
        parked = _Parked(protocol, on_gone, keep_alive=cycle.keep_alive)
        if cycle.disconnected:
            parked.disconnected = True
            protocol.loop.call_soon(on_gone)
        # Which uvicorn takes as an application that returned because nobody waits for its answer.
        cycle.disconnected = True
        if protocol.cycle is cycle:
            protocol.cycle = parked  # type: ignore[assignment] # has what the protocol asks of one that waits
        if protocol.scope is cycle.scope:
            # The next request of the connection brings its own.
            protocol.scope = protocol.headers = None  # type: ignore[assignment]
            protocol.url = b""
        return parked


class _Parked:
    """A request that waits, in the place of uvicorn's RequestResponseCycle, whose event it is, too."""

    __slots__ = ("_on_gone", "_protocol", "disconnected", "keep_alive", "more_body", "response_complete")

    def __init__(self, protocol: HttpProtocol, on_gone: Callable[[], None], *, keep_alive: bool) -> None:
        self._protocol = protocol
        self._on_gone = on_gone
        self.keep_alive = keep_alive
        self.disconnected = self.response_complete = self.more_body = False

    @property
    def message_event(self) -> "_Parked":
        return self

    @property
    def body(self) -> bytes:
        """What a client sends with a request that waits is not asked for."""
        return b""

    @body.setter
    def body(self, body: bytes) -> None:
        pass

    def set(self) -> None:
        """Something happened on the connection."""
        if self.disconnected and not self.response_complete:
            self._on_gone()

    def respond(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        """Answer, once. Does nothing when the client has gone away."""
        protocol = self._protocol
        if self.disconnected or protocol.transport.is_closing():
            return
        lines = [STATUS_LINE[status]]
        for name, value in [*protocol.server_state.default_headers, *headers]:
            lines += [name, b": ", value, b"\r\n"]
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        protocol.transport.write(b"".join([*lines, b"\r\n", body]))
        self.response_complete = True
        if not self.keep_alive:
            protocol.transport.close()
        protocol.on_response_complete()


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
