"""The long-poll door, for networks that block WebSockets: the same sessions, frames and cursors.

An ASGI route in front of Django: while a client waits it holds no thread and no database connection, and no task where
the server can park it, only a session in the hub, which the event itself wakes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from math import ceil
from typing import Any, Final, NamedTuple

import orjson
from django.conf import settings

from realtime import leasing
from realtime.doors import Authenticate, Find, Remembering, Scope, open_session, own_stream, query_of
from realtime.errors import Close, Refused, Unavailable
from realtime.hub import hub
from realtime.parking import PARKING, Parked, Parking
from realtime.reading import Cursor, follow, hello_of
from realtime.runs import Run
from realtime.session import Session

Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

Headers = Iterable[tuple[bytes, bytes]]

MOST_SECONDS: Final = 50.0
"""Proxies cut a silent request at 60 s."""
TICK_SECONDS: Final = 0.25
"""A poll without frames may be answered so much late."""

_STATUS = {
    Close.NOT_SIGNED_IN: 401,
    Close.FORBIDDEN: 403,
    Close.NOT_YOUR_STREAM: 404,
    Close.REPLACED: 409,
    Close.BAD_PROTOCOL: 400,
}
"""How a refusal is told over HTTP; the rest is 503, come back."""


class PollDoor:
    """`GET /poll/user/me?session=&epoch=&since=&wait=`, and paths of other streams with a `find` of their own.

    `headers` go with every answer; where there are some, a browser that asks with OPTIONS is answered, too.
    """

    def __init__(
        self,
        *,
        authenticate: Authenticate,
        path: str = "/poll/user/",
        find: Find = own_stream,
        headers: Headers = (),
    ) -> None:
        self.path = path
        self._reader_of = Remembering(authenticate)
        self._find = find
        self._headers = tuple(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "OPTIONS" and self._headers:
            await _respond(send, _Answer(204, b"", ""), self._headers)
            return
        waiting = _Waiting(self._headers)
        try:
            seconds = await self._begin(scope, waiting)
            parking = scope.get("extensions", {}).get(PARKING)
            if parking is not None and waiting.park(parking, seconds):
                return
            answer = await waiting.answer(receive, seconds)
        except (Refused, Unavailable) as error:
            waiting.free()
            await _respond(send, _refusal(error), self._headers)
        except BaseException:
            waiting.free()
            raise
        else:
            waiting.free()
            if answer is not None:
                await _respond(send, answer, self._headers)

    async def _begin(self, scope: Scope, waiting: "_Waiting") -> float:
        """Open the session; how long to wait for frames. What was asked for is not kept meanwhile."""
        if scope["method"] != "GET":
            raise Refused(Close.BAD_PROTOCOL, "method_not_allowed")
        reader = await self._reader_of(scope)
        query = query_of(scope)
        seconds = _seconds(query.get("wait"))
        followed = await self._find(reader, scope["path"].removeprefix(self.path), scope)
        if isinstance(scope["headers"], list):
            scope["headers"].clear()  # a kilobyte or more, which the server keeps until the answer
        session = open_session(reader, followed, asked_id=query.get("session"), transport=waiting, passing=True)
        waiting.session = session
        started = await follow(session, Cursor(query.get("epoch"), query.get("since")), leased=followed.leased)
        if followed.over and followed.last is not None and not started.replay:
            raise Refused(Close.NOT_YOUR_STREAM, followed.last.code)
        if started.is_new or started.mode == "resume_failed":
            waiting.hello = orjson.dumps(hello_of(session, started))
        session.begin(None, started.at, started.replay)
        return seconds if started.mode == "resumed" else 0.0


class _Answer(NamedTuple):
    status: int
    body: bytes
    content_type: str


class _Waiting:
    """The transport of one poll. Frames wake it, or its time does.

    Where the server offers it, the request is parked: nothing of it is left but this. Else its task waits for the
    client to go away, and is woken out of that.
    """

    __slots__ = ("_headers", "_parked", "_ready", "_tick", "_timeout", "hello", "session")

    def __init__(self, headers: Headers = ()) -> None:
        self._headers = headers
        self.session: Session | None = None
        self.hello = b""
        self._ready = False
        self._timeout: asyncio.Timeout | None = None
        self._parked: Parked | None = None
        self._tick = 0

    def wake(self) -> None:
        if self._parked is not None and not self._ready:
            # Later in this turn of the loop: what comes together goes together.
            asyncio.get_running_loop().call_soon(self._end)
        self._ready = True
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time())
            self._timeout = None

    def write(self, run: Run, seq: int) -> bool:
        """An answer is more than its events."""
        return False

    def close(self, close: Close) -> None:
        self.wake()

    def park(self, parking: Parking, seconds: float) -> bool:
        """Wait without a task, if there is anything to wait for."""
        if not seconds or self._ready:
            return False
        self._tick = _deadlines.add(self, seconds)
        self._parked = parking.park(self.free)
        return True

    async def answer(self, receive: Receive, seconds: float) -> _Answer | None:
        """The answer, with frames or after so many seconds; None when nobody waits for it any more."""
        if seconds and not self._ready and await self._gone(receive, seconds):
            return None
        return self._answer()

    def free(self) -> None:
        """Nobody waits any more. The session goes; its lease lasts."""
        session, self.session = self.session, None  # they know each other, which only the collector would end
        if self._parked is not None:
            self._parked = None
            _deadlines.discard(self, self._tick)
        if session is not None:
            hub.remove(session)
            leasing.let_go(session)

    def _end(self) -> None:
        """Answer a parked request, if its client is still there."""
        parked = self._parked
        if parked is not None:
            try:
                answer = self._answer()
            except Refused as refused:
                answer = _refusal(refused)
            self.free()
            parked.respond(answer.status, _headers(answer, self._headers), answer.body)

    def _answer(self) -> _Answer:
        session = self.session
        assert session, "it has begun"
        if session.closed is not None:
            raise Refused(session.closed, session.closed_code)
        frames = b",".join(filter(None, [self.hello, session.take_all()]))
        body = b'{"frames":[%b],"epoch":%b,"seq":%d}' % (frames, orjson.dumps(session.epoch), session.seq)
        return _Answer(200, body, "application/json")

    async def _gone(self, receive: Receive, seconds: float) -> bool:
        """Wait, no longer than that; whether the client went away meanwhile."""
        tick = _deadlines.add(self, seconds)
        try:
            async with asyncio.timeout(None) as self._timeout:
                while (await receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            return False
        finally:
            self._timeout = None
            _deadlines.discard(self, tick)
        return True


class _Deadlines:
    """When parked polls have waited long enough: one timer for all whose time is up within the same tick."""

    def __init__(self) -> None:
        self._waiting: dict[int, set[_Waiting]] = {}

    def add(self, waiting: _Waiting, seconds: float) -> int:
        loop = asyncio.get_running_loop()
        tick = ceil((loop.time() + seconds) / TICK_SECONDS)
        if tick not in self._waiting:
            self._waiting[tick] = set()
            loop.call_at(tick * TICK_SECONDS, self._end, tick)
        self._waiting[tick].add(waiting)
        return tick

    def discard(self, waiting: _Waiting, tick: int) -> None:
        self._waiting.get(tick, set()).discard(waiting)

    def _end(self, tick: int) -> None:
        for waiting in self._waiting.pop(tick):
            waiting.wake()


_deadlines = _Deadlines()


def _seconds(wait: str | None) -> float:
    """How long a client wants to be held; more than is good for proxies is cut."""
    if wait is None:
        return float(settings.POLL_SECONDS)
    try:
        seconds = float(wait)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise Refused(Close.BAD_PROTOCOL, "bad_wait")
    return min(seconds, MOST_SECONDS)


def _refusal(error: Refused | Unavailable) -> _Answer:
    refused = error if isinstance(error, Refused) else Refused(Close.OVERLOADED, "unavailable")
    status = _STATUS.get(refused.close, 503)
    title = HTTPStatus(status).phrase
    problem = {"type": "about:blank", "title": title, "status": status, "code": refused.code}
    return _Answer(status, orjson.dumps(problem), "application/problem+json")


def _headers(answer: _Answer, of_door: Headers) -> list[tuple[bytes, bytes]]:
    headers = [*of_door, (b"content-length", b"%d" % len(answer.body)), (b"cache-control", b"no-store")]
    if answer.content_type:
        headers.append((b"content-type", answer.content_type.encode()))
    if answer.status == HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b"Bearer"))
    elif answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", b"1"))
    return headers


async def _respond(send: Send, answer: _Answer, of_door: Headers) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": _headers(answer, of_door)})
    await send({"type": "http.response.body", "body": answer.body})
