"""The long-poll door, for networks that block WebSockets: the same sessions, frames and cursors.

An ASGI route in front of Django: while a client waits it holds no thread and no database connection, only a session in
the hub, which the event itself wakes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from math import ceil
from typing import Any, Final

import orjson
from django.conf import settings

from realtime import leasing
from realtime.doors import Authenticate, Remembering, Scope, open_session, query_of
from realtime.errors import Close, Refused, Unavailable
from realtime.hub import hub
from realtime.reading import Cursor, follow, hello_of
from realtime.session import Session

Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

PATH: Final = "/poll/user/"
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
    """`GET /poll/user/me?session=&epoch=&since=&wait=`."""

    def __init__(self, *, authenticate: Authenticate) -> None:
        self._reader_of = Remembering(authenticate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        waiting = _Waiting()
        try:
            seconds = await self._begin(scope, waiting)
            answer = await waiting.answer(receive, seconds)
        except Unavailable:
            await _respond(send, 503, _problem(Refused(Close.OVERLOADED, "unavailable")), "application/problem+json")
        except Refused as refused:
            await _respond(send, _STATUS.get(refused.close, 503), _problem(refused), "application/problem+json")
        else:
            if answer is not None:
                await _respond(send, 200, answer, "application/json")
        finally:
            if waiting.session is not None:
                hub.remove(waiting.session)
                leasing.let_go(waiting.session)
                # They know each other, and would stay together until Python looks for such cycles.
                waiting.session = None

    async def _begin(self, scope: Scope, waiting: "_Waiting") -> float:
        """Open the session; how long to wait for frames. What was asked for is not kept meanwhile."""
        if scope["method"] != "GET":
            raise Refused(Close.BAD_PROTOCOL, "method_not_allowed")
        reader = await self._reader_of(scope)
        query = query_of(scope)
        seconds = _seconds(query.get("wait"))
        named = scope["path"].removeprefix(PATH)
        if isinstance(scope["headers"], list):
            scope["headers"].clear()  # a kilobyte or more, which the server keeps until the answer
        session = open_session(reader, named=named, asked_id=query.get("session"), transport=waiting, passing=True)
        waiting.session = session
        started = await follow(session, Cursor(query.get("epoch"), query.get("since")))
        if started.is_new or started.mode == "resume_failed":
            waiting.hello = orjson.dumps(hello_of(session, started))
        session.begin(None, started.at, started.replay)
        return seconds if started.mode == "resumed" else 0.0


class _Waiting:
    """The transport of one poll. Its task waits for the client to go away, and is woken out of that by frames."""

    __slots__ = ("_ready", "_timeout", "hello", "session")

    def __init__(self) -> None:
        self.session: Session | None = None
        self.hello = b""
        self._ready = False
        self._timeout: asyncio.Timeout | None = None

    def wake(self) -> None:
        self._ready = True
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time())
            self._timeout = None

    def close(self, close: Close) -> None:
        self.wake()

    async def answer(self, receive: Receive, seconds: float) -> bytes | None:
        """The body of the answer, with frames or after so many seconds; None when nobody waits for it any more."""
        if seconds and not self._ready and await self._gone(receive, seconds):
            return None
        session = self.session
        assert session, "it has begun"
        if session.closed is not None:
            raise Refused(session.closed, session.closed_code)
        frames = b",".join(filter(None, [self.hello, session.take_all()]))
        return b'{"frames":[%b],"epoch":%b,"seq":%d}' % (frames, orjson.dumps(session.epoch), session.seq)

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


def _problem(refused: Refused) -> bytes:
    status = _STATUS.get(refused.close, 503)
    title = HTTPStatus(status).phrase
    return orjson.dumps({"type": "about:blank", "title": title, "status": status, "code": refused.code})


async def _respond(send: Send, status: int, body: bytes, content_type: str) -> None:
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    if status == HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b"Bearer"))
    elif status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
