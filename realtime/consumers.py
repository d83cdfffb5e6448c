"""The WebSocket door: one socket per tab, device or program, reading the stream of its user."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from enum import Enum, auto
from typing import Any, Final, TypeGuard

import orjson
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from realtime import batches, leasing, threads
from realtime.commands import Caller
from realtime.direct_writer import DIRECT_WRITER, DirectWriter
from realtime.doors import Authenticate, Reader, Scope, open_session, query_of
from realtime.errors import Close, Problem, Refused, Unavailable, known, problem_of
from realtime.hub import hub
from realtime.reading import Cursor, follow, hello_of
from realtime.session import Session

log = logging.getLogger(__name__)

Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

WRITE_BYTES: Final = 64 * 1024
"""Ready frames that share one write: enough to save most of the cost of a write, small enough for slow networks."""
CLOSE_SECONDS: Final = 3.0
"""How long a closing socket may take to write what is left."""
REF_CHARACTERS: Final = 64


NORMAL: Final = 1000


class Ending(Enum):
    """How a client went: without a word, or with one."""

    GONE = auto()
    BYE = auto()


class UserConsumer(AsyncWebsocketConsumer):
    """`/ws/user/me`. Reads its frames in a loop of its own: the dispatch of Channels costs a thread hop per frame, and
    a channel-layer channel per socket would carry what the hub brings already.
    """

    authenticate: Authenticate

    def __init__(self, *, authenticate: Authenticate) -> None:
        super().__init__()
        self.authenticate = authenticate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        await receive()
        await send({"type": "websocket.accept"})
        socket = _Socket(send, scope.get("extensions", {}).get(DIRECT_WRITER, {}).get("writer"))
        session: Session | None = None
        ending = Ending.GONE
        try:
            caller = await threads.run(self.authenticate, scope)
            query = query_of(scope)
            named = scope["url_route"]["kwargs"].get("user")
            session = open_session(Reader.of(caller), named=named, asked_id=query.get("session"), transport=socket)
            cursor = Cursor(query.get("epoch"), query.get("resume_from"))
            ending = await _serve(session, caller, cursor, socket, receive)
        except Unavailable:
            await socket.refuse(Refused(Close.OVERLOADED, "unavailable"))
        except Refused as refused:
            await socket.refuse(refused)
        finally:
            if session is not None:
                hub.remove(session)
                leasing.let_go(session, bye=ending is Ending.BYE)


class _Socket:
    """The transport of one session. Writes what is ready, and no more while the client does not read.

    Where the server offers it, frames are written as soon as the loop has put all ready ones into the outbox; else a
    task awaits ASGI's `send`.
    """

    def __init__(self, send: Send, direct: DirectWriter | None) -> None:
        self._send = send
        self._direct = direct
        self._session: Session | None = None
        self._scheduled = False
        self._full = False
        self._writer: asyncio.Task[None] | None = None
        self._ready: asyncio.Event | None = None
        self._close: Close | None = None
        self.deadline: asyncio.Timeout | None = None

    def start(self, session: Session) -> None:
        self._session = session
        if self._direct is not None:
            self._direct.on_drained = self._drained
        else:
            self._ready = asyncio.Event()
            self._writer = asyncio.create_task(
                self._write(session, self._ready), name=f"write {session.stream} {session.id}"
            )

    def stop(self) -> None:
        self._session = None
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
        while self._session is not None and (frames := self._session.take(WRITE_BYTES)) is not None:
            if self._direct is not None and not self._direct.write(frames):
                self._full = True
                return
        if self._close is not None and self._session is not None:
            threads.start(self.say_closed(int(self._close)), name=f"close {self._session.id}")
            self._session = None

    def _drained(self) -> None:
        self._full = False
        self.wake()

    async def _write(self, session: Session, ready: asyncio.Event) -> None:
        while True:
            await ready.wait()
            ready.clear()
            while (frames := session.take(WRITE_BYTES)) is not None:
                await self._send({"type": "websocket.send", "text": frames.decode()})
            if self._close is not None:
                await self.say_closed(int(self._close))
                return


_to_flush: list[_Socket] = []
"""The sockets of this turn of the loop that have something to write."""


def _flush_all() -> None:
    sockets = _to_flush.copy()
    _to_flush.clear()
    for socket in sockets:
        socket.flush()


async def _serve(session: Session, caller: Caller, cursor: Cursor, socket: _Socket, receive: Receive) -> Ending:
    """Carry a session until its client goes away, and how. A client that does not take the close frame is cut off."""
    beat = _Beat(session)
    socket.start(session)
    try:
        async with asyncio.timeout(None) as deadline:
            socket.deadline = deadline
            started = await follow(session, cursor)
            session.begin(hello_of(session, started), started.at, started.replay)
            beat.next()
            ending = await _read(session, caller, receive)
            if ending is Ending.BYE:
                await socket.say_closed(NORMAL)
            return ending
    except TimeoutError:
        if not deadline.expired():
            raise
        socket.abort()
        return Ending.GONE
    finally:
        beat.cancel()
        socket.stop()


class _Beat:
    """Calls `session.beat` when it wants to be called: one timer per socket, no task."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._timer: asyncio.TimerHandle | None = None

    def next(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._session.beat(), self.next)

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


async def _read(session: Session, caller: Caller, receive: Receive) -> Ending:
    """Answer the client's frames, one after the other, until it goes away."""
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return Ending.GONE
        if session.closed is not None:
            continue
        session.heard()
        frame = _parsed(message, session)
        if frame is None:
            continue
        match frame.get("type"):
            case "pong":
                pass
            case "call":
                session.answering = True
                await _answer(session, caller, frame)
                session.answering = False
                session.heard()
            case "bye":
                return Ending.BYE
            case _:
                _complain(session, "unknown_type", frame.get("ref"))


def _parsed(message: Mapping[str, Any], session: Session) -> dict[str, Any] | None:
    text = message.get("text")
    raw = message.get("bytes") if text is None else text.encode()
    if raw is None or len(raw) > settings.JSON_BYTES:
        _complain(session, "too_large")
        return None
    try:
        frame = orjson.loads(raw)
    except orjson.JSONDecodeError:
        _complain(session, "bad_json")
        return None
    if isinstance(frame, dict):
        return frame
    _complain(session, "bad_frame")
    return None


def _complain(session: Session, code: str, ref: object = None) -> None:
    session.send({"type": "error", "code": known(code), "ref": ref if _is_ref(ref) else None})


def _is_ref(ref: object) -> TypeGuard[str]:
    return isinstance(ref, str) and len(ref) <= REF_CHARACTERS


async def _answer(session: Session, caller: Caller, frame: dict[str, Any]) -> None:
    ref, name, params = frame.get("ref"), frame.get("method"), frame.get("params", {})
    if not _is_ref(ref) or not isinstance(name, str) or set(frame) - _CALL_KEYS:
        _complain(session, "bad_frame", ref)
        return
    try:
        data = await batches.call(caller, name, params)
    except Exception as error:
        problem = problem_of(error)
        if problem is None:
            log.exception("%s over a socket failed", name)
            problem = Problem(500, "internal_error", "")
        session.send(_error_frame(ref, problem))
    else:
        session.send({"type": "reply", "ref": ref, "ok": True, "data": data})


_CALL_KEYS = {"type", "ref", "method", "params"}


def _error_frame(ref: str, problem: Problem) -> dict[str, Any]:
    frame: dict[str, Any] = {"type": "error", "ref": ref, "code": problem.code, "status": problem.status}
    frame |= {"detail": problem.detail or problem.title}
    if problem.errors:
        frame["errors"] = dict(problem.errors)
    if problem.retry_after is not None:
        frame["retry_after"] = problem.retry_after
    return frame
