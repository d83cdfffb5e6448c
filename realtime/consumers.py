"""The WebSocket door: one socket per tab, device or program, reading the stream of its user or of a group."""

import asyncio
import logging
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Final, TypeGuard

import orjson
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from realtime import batches, leasing, threads
from realtime.commands import Caller
from realtime.direct_writer import DIRECT_WRITER
from realtime.doors import Authenticate, Find, Followed, Reader, Scope, open_session, own_stream, query_of
from realtime.errors import Close, Problem, Refused, Unavailable, known, problem_of
from realtime.hub import hub
from realtime.reading import Cursor, follow, hello_of
from realtime.session import Session
from realtime.socket import Receive, Send, Socket

log = logging.getLogger(__name__)

REF_CHARACTERS: Final = 64


NORMAL: Final = 1000


class Ending(Enum):
    """How a client went: without a word, or with one."""

    GONE = auto()
    BYE = auto()


class StreamConsumer(AsyncWebsocketConsumer):
    """`/ws/user/me`, and paths of other streams with a `find` of their own.

    Reads its frames in a loop of its own: the dispatch of Channels costs a thread hop per frame, and a channel-layer
    channel per socket would carry what the hub brings already.
    """

    authenticate: Authenticate
    find: Find

    def __init__(self, *, authenticate: Authenticate, find: Find = own_stream) -> None:
        super().__init__()
        self.authenticate = authenticate
        self.find = find

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        await receive()
        await send({"type": "websocket.accept"})
        socket = Socket(send, scope.get("extensions", {}).get(DIRECT_WRITER, {}).get("writer"))
        session: Session | None = None
        ending = Ending.GONE
        try:
            caller = await self.authenticate(scope)
            query = query_of(scope)
            reader = Reader.of(caller)
            followed = await self.find(reader, scope["url_route"]["kwargs"].get("named"), scope)
            session = open_session(reader, followed, asked_id=query.get("session"), transport=socket)
            cursor = Cursor(query.get("epoch"), query.get("resume_from"))
            ending = await _serve(session, followed, caller, cursor, socket, receive)
        except Unavailable:
            await socket.refuse(Refused(Close.OVERLOADED, "unavailable"))
        except Refused as refused:
            await socket.refuse(refused)
        finally:
            if session is not None:
                hub.remove(session)
                leasing.let_go(session, bye=ending is Ending.BYE)


async def _serve(
    session: Session, followed: Followed, caller: Caller, cursor: Cursor, socket: Socket, receive: Receive
) -> Ending:
    """Carry a session until its client goes away, and how. A client that does not take the close frame is cut off."""
    beat = _Beat(session)
    socket.start(session)
    try:
        async with asyncio.timeout(None) as deadline:
            socket.deadline = deadline
            started = await follow(session, cursor, leased=followed.leased)
            session.begin(hello_of(session, started), started.at, started.replay)
            if followed.over and followed.last is not None:
                session.close(Close.NOT_YOUR_STREAM, followed.last.code)
            beat.next()
            ending = await _read(session, caller, receive)
            if ending is Ending.BYE:
                if followed.on_bye is not None:
                    await threads.run(followed.on_bye)
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
