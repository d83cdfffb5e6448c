"""The WebSocket door: one socket per tab, device or program, reading the stream of its user."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import orjson
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from realtime import commands, threads
from realtime.commands import Caller
from realtime.doors import Authenticate, Scope, open_session, query_of
from realtime.errors import Close, Problem, Refused, known, problem_of
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
        socket = _Socket(send)
        session: Session | None = None
        try:
            caller = await threads.run(self.authenticate, scope)
            query = query_of(scope)
            named = scope["url_route"]["kwargs"].get("user")
            session = open_session(caller, named=named, asked_id=query.get("session"), transport=socket)
            await _serve(session, caller, Cursor(query.get("epoch"), query.get("resume_from")), socket, receive)
        except Refused as refused:
            await socket.refuse(refused)
        finally:
            if session is not None:
                hub.remove(session)


class _Socket:
    """The transport of one session: a writer that sleeps until there is something to write."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._ready = asyncio.Event()
        self._close: Close | None = None
        self._writer: asyncio.Task[None] | None = None

    def wake(self) -> None:
        self._ready.set()

    def close(self, close: Close) -> None:
        self._close = close
        self._ready.set()
        asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._give_up)

    def start(self, session: Session) -> asyncio.Task[None]:
        self._writer = asyncio.create_task(self._write(session), name=f"write {session.stream} {session.id}")
        return self._writer

    def _give_up(self) -> None:
        """A client that does not read keeps the writer waiting for ever: the close frame would never be sent."""
        if self._writer is not None:
            self._writer.cancel()

    async def refuse(self, refused: Refused) -> None:
        frame = orjson.dumps({"type": "error", "code": refused.code, "ref": None})
        await self._send({"type": "websocket.send", "text": frame.decode()})
        await self._send({"type": "websocket.close", "code": int(refused.close)})

    async def _write(self, session: Session) -> None:
        """Write frames until the session is closed. Waits while the client does not read."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            while (frames := session.take(WRITE_BYTES)) is not None:
                await self._send({"type": "websocket.send", "text": frames.decode()})
            if self._close is not None:
                await self._send({"type": "websocket.close", "code": int(self._close)})
                return


async def _serve(session: Session, caller: Caller, cursor: Cursor, socket: _Socket, receive: Receive) -> None:
    hub.start(asyncio.get_running_loop())
    writer = socket.start(session)
    reader = asyncio.create_task(_read(session, caller, receive), name=f"read {session.stream} {session.id}")
    beat = _Beat(session)
    try:
        started = await follow(session, cursor)
        session.begin(hello_of(session, started), started.at, started.replay)
        beat.next()
        await asyncio.wait((writer, reader), return_when=asyncio.FIRST_COMPLETED)
    finally:
        beat.cancel()
        for task in (writer, reader):
            task.cancel()
        await asyncio.gather(writer, reader, return_exceptions=True)


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


async def _read(session: Session, caller: Caller, receive: Receive) -> None:
    """Answer the client's frames, one after the other, until it goes away."""
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        session.heard()
        frame = _parsed(message, session)
        if frame is None:
            continue
        match frame.get("type"):
            case "pong":
                pass
            case "call":
                await _answer(session, caller, frame)
            case "bye":
                return
            case _:
                _complain(session, "unknown_type", frame.get("ref"))


def _parsed(message: Mapping[str, Any], session: Session) -> dict[str, Any] | None:
    text = message.get("text")
    raw = message.get("bytes") if text is None else text
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
    session.send({"type": "error", "code": known(code), "ref": ref if isinstance(ref, str) else None})


async def _answer(session: Session, caller: Caller, frame: dict[str, Any]) -> None:
    ref, name, params = frame.get("ref"), frame.get("method"), frame.get("params", {})
    if not isinstance(ref, str) or len(ref) > 64 or not isinstance(name, str) or set(frame) - _CALL_KEYS:
        _complain(session, "bad_frame", ref)
        return
    try:
        data = await threads.run(commands.call, caller, name, params)
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
