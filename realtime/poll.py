"""The long-poll door, for networks that block WebSockets: the same sessions, frames and cursors.

An ASGI route in front of Django: while a client waits it holds no thread and no database connection, only a session in
the hub, which the event itself wakes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from django.conf import settings
from django.core.cache import cache

from realtime import threads
from realtime.backends import streams
from realtime.doors import Authenticate, Remembering, Scope, open_session, query_of
from realtime.errors import Close, Refused, Unavailable
from realtime.hub import hub
from realtime.reading import Cursor, follow, hello_of
from realtime.redis_connection import in_cache
from realtime.session import Session

Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

PATH: Final = "/poll/user/"
MOST_SECONDS: Final = 50.0
"""Proxies cut a silent request at 60 s."""

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
        self._caller_of = Remembering(authenticate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] != "GET":
                raise Refused(Close.BAD_PROTOCOL, "method_not_allowed")
            caller = await self._caller_of(scope)
            query = query_of(scope)
            wait = _seconds(query.get("wait"))
            waiting = _Waiting()
            named = scope["path"].removeprefix(PATH)
            session = open_session(caller, named=named, asked_id=query.get("session"), transport=waiting)
            answer = await _poll(session, waiting, Cursor(query.get("epoch"), query.get("since")), wait, receive)
        except Unavailable:
            await _respond(send, 503, _problem(Refused(Close.OVERLOADED, "unavailable")), "application/problem+json")
        except Refused as refused:
            await _respond(send, _STATUS.get(refused.close, 503), _problem(refused), "application/problem+json")
        else:
            if answer is not None:
                await _respond(send, 200, answer, "application/json")


class _Waiting:
    """The transport of one poll. Its task waits for the client to go away, and is woken out of that by frames."""

    __slots__ = ("_ready", "_timeout")

    def __init__(self) -> None:
        self._ready = False
        self._timeout: asyncio.Timeout | None = None

    def wake(self) -> None:
        self._ready = True
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time())
            self._timeout = None

    def close(self, close: Close) -> None:
        self.wake()

    async def until_ready(self, receive: Receive, seconds: float) -> bool:
        """Wait for frames, no longer than so many seconds; whether the client waits too."""
        if self._ready:  # the replay, or what was held back, is in the outbox
            return True
        try:
            async with asyncio.timeout(seconds) as self._timeout:
                while (await receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            return True
        finally:
            self._timeout = None
        return False


async def _poll(session: Session, waiting: _Waiting, cursor: Cursor, wait: float, receive: Receive) -> bytes | None:
    """The body of the answer; None when nobody waits for it any more."""
    leased = await threads.run(_renew_lease, session) if streams().shared else _renew_lease(session)
    try:
        started = await follow(session, cursor)
        failed = started.mode == "resume_failed"
        hello = None if leased and not failed else hello_of(session, started)
        session.begin(None, started.at, started.replay)
        held = cursor.seq is not None and not failed
        if held and not await waiting.until_ready(receive, wait):
            return None
        if session.closed is not None:
            raise Refused(session.closed, session.closed_code)
        frames = b",".join(filter(None, [b"" if hello is None else orjson.dumps(hello), session.take_all()]))
        return b'{"frames":[%b],"epoch":%b,"seq":%d}' % (frames, orjson.dumps(session.epoch), session.seq)
    finally:
        hub.remove(session)


def _renew_lease(session: Session) -> bool:
    """Renew the lease of the session, or make one; whether it lived."""
    key = f"lease:{session.stream}:{session.id}"
    with in_cache():
        return cache.touch(key, settings.LEASE_SECONDS) or not cache.add(key, 1, settings.LEASE_SECONDS)


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
