"""Subscriptions in AppSync's `graphql-ws` dialect: many on one socket, each a session of its group's stream."""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import orjson

from groups.mesh.graphql.appsync import FAILED, TOO_MANY, Refused
from groups.mesh.graphql.http import address_of
from groups.mesh.graphql.projections import Projection
from groups.mesh.graphql.socket_credentials import secret_of_socket
from groups.mesh.graphql.starting import Wanted, wanted_of
from groups.mesh.keys import key_of
from realtime import threads
from realtime.direct_writer import DIRECT_WRITER
from realtime.errors import Close, RateLimited, Unavailable
from realtime.errors import Refused as SessionRefused
from realtime.hub import hub
from realtime.reading import Cursor, follow, revises
from realtime.runs import Run
from realtime.session import Session
from realtime.socket import Receive, Send, Socket

log = logging.getLogger(__name__)

Scope = Mapping[str, Any]

PROTOCOL: Final = "graphql-ws"
KEEP_ALIVE_SECONDS: Final = 30.0
"""Filters of schools cut what is silent for a minute."""
CONNECTION_TIMEOUT_MS: Final = 300_000
INIT_SECONDS: Final = 30.0
"""Within which a client has to begin; testing clients close at once."""
SUBSCRIPTIONS: Final = 100
"""On one socket."""
CONTROL_FRAMES: Final = 1000
"""That wait for a client which asks and does not read. One more, and it is cut off."""
FRAME_BYTES: Final = 1_048_576
ID_CHARACTERS: Final = 256


@revises("mesh")
def _as_it_was(reader: int, entries: Any) -> Any:
    """Nothing in a group's log is taken back, and all who follow it may read it."""
    return list(entries)


class SubscriptionDoor:
    """`/graphql/realtime`. The upgrade is always accepted: clients test their network without credentials."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        offered = list(scope.get("subprotocols", ()))
        await send({"type": "websocket.accept", "subprotocol": PROTOCOL if PROTOCOL in offered else None})
        direct = scope.get("extensions", {}).get(DIRECT_WRITER, {}).get("writer")
        connection = _Connection(scope, Socket(send, direct))
        try:
            await connection.serve(receive)
        finally:
            connection.end()


class _Connection:
    """One socket: its control frames, and those of its subscriptions, each a text frame of its own."""

    stream = "mesh"

    def __init__(self, scope: Scope, socket: Socket) -> None:
        self.id = f"{scope.get('client')}"
        self._socket = socket
        self._address = address_of(scope)
        self._secret = secret_of_socket(scope)
        self._begun = False
        self._control: deque[bytes] = deque()
        self._ready: dict[_Subscription, None] = {}
        self._subscriptions: dict[str, _Subscription | None] = {}
        """By the client's ids; None of a group that is not there."""
        self._keep_alive: asyncio.TimerHandle | None = None
        self._closed = False

    async def serve(self, receive: Receive) -> None:
        self._socket.start(self)
        try:
            async with asyncio.timeout(INIT_SECONDS) as deadline:
                self._socket.deadline = deadline
                while (frame := await _next(receive)) is not None:
                    if self._closed:
                        continue
                    match frame.get("type"):
                        case "connection_init" if not self._begun:
                            if not await self._begin():
                                return
                            deadline.reschedule(None)
                        case "start" if self._begun:
                            await self._start(frame)
                        case "stop" if self._begun:
                            self._stop(frame.get("id"))
        except TimeoutError:
            if not deadline.expired():
                raise
            self._socket.abort()
        finally:
            self._socket.stop()

    def take(self, most_bytes: int) -> bytes | None:
        """The next frame of all. Each goes alone: these clients know no arrays."""
        if self._control:
            return self._control.popleft()
        while self._ready:
            subscription = next(iter(self._ready))
            if (frame := subscription.take_frame()) is not None:
                return frame
            del self._ready[subscription]
        return None

    def woken(self, subscription: "_Subscription") -> None:
        self._ready[subscription] = None
        self._socket.wake()

    def closed(self, close: Close) -> None:
        """A subscription was cut off, as too slow a reader is: the socket closes, and the client comes back."""
        if not self._closed:
            self._closed = True
            self._socket.close(close)

    def end(self) -> None:
        if self._keep_alive is not None:
            self._keep_alive.cancel()
        for subscription in self._subscriptions.values():
            if subscription is not None:
                hub.remove(subscription)
        self._subscriptions.clear()
        self._ready.clear()

    async def _begin(self) -> bool:
        """Judge the credentials. A connection_error and the end for those that do not hold."""
        if (error := await threads.run(self._judged)) is not None:
            self._tell({"type": "connection_error", "payload": {"errors": [error]}})
            await asyncio.sleep(0)
            await self._socket.say_closed(1000)
            return False
        self._begun = True
        self._tell({"type": "connection_ack", "payload": {"connectionTimeoutMs": CONNECTION_TIMEOUT_MS}})
        self._beat()
        return True

    def _judged(self) -> dict[str, Any] | None:
        """What is wrong with the credentials. Blocks. After another code than 400, 401 and 403 clients come again."""
        if not self._secret:
            return _error_of("UnauthorizedException", "Required headers are missing.", 400)
        try:
            key = key_of(self._secret)
        except Exception:
            log.exception("a key could not be looked up")
            return _error_of("InternalFailure", FAILED, 500)
        told = "You are not authorized to make this call."
        return _error_of("UnauthorizedException", told, 401) if key is None else None

    def _beat(self) -> None:
        self._tell({"type": "ka"})
        self._keep_alive = asyncio.get_running_loop().call_later(KEEP_ALIVE_SECONDS, self._beat)

    async def _start(self, frame: dict[str, Any]) -> None:
        id = frame.get("id")
        if not isinstance(id, str) or not 0 < len(id) <= ID_CHARACTERS:
            return  # an error without an id that the client knows would crash it
        if id in self._subscriptions:
            self._tell({"type": "start_ack", "id": id})
            return
        if len(self._subscriptions) >= SUBSCRIPTIONS:
            self._refuse(id, "MaxSubscriptionsReachedError", f"A socket carries {SUBSCRIPTIONS} subscriptions.")
            return
        try:
            wanted = await threads.run(wanted_of, frame.get("payload"), secret=self._secret, address=self._address)
        except Refused as refused:
            self._refuse(id, "MalformedRequest", refused.errors[0]["message"], refused.errors)
            return
        except RateLimited:
            self._refuse(id, "RateLimited", TOO_MANY)
            return
        except Exception:
            log.exception("a subscription could not be started")
            self._refuse(id, "InternalFailure", FAILED)
            return
        await self._follow(id, wanted)

    async def _follow(self, id: str, wanted: Wanted) -> None:
        if not wanted.stream:
            self._subscriptions[id] = None
            self._tell({"type": "start_ack", "id": id})
            return
        subscription = self._subscriptions[id] = _Subscription(id, wanted, _Wire(self))
        try:
            started = await follow(subscription, Cursor(None, None), leased=False)
        except (SessionRefused, Unavailable) as error:
            del self._subscriptions[id]
            hub.remove(subscription)
            if isinstance(error, SessionRefused) and error.close is Close.NOT_SIGNED_IN:
                self._refuse(id, "UnauthorizedException", "You are not authorized to make this call.")
            else:
                self._refuse(id, "ServiceUnavailable", "Try again in a moment.")
            return
        # The acknowledgement first: what comes live was held back until here.
        self._tell({"type": "start_ack", "id": id})
        subscription.begin(None, started.at, started.replay)

    def _stop(self, id: object) -> None:
        if isinstance(id, str) and len(id) <= ID_CHARACTERS:
            subscription = self._subscriptions.pop(id, None)
            if subscription is not None:
                hub.remove(subscription)
                self._ready.pop(subscription, None)
            self._tell({"type": "complete", "id": id})

    def _refuse(self, id: str, kind: str, message: str, errors: list[dict[str, Any]] | None = None) -> None:
        told = [{"errorType": kind, **error} for error in errors or [{"message": message}]]
        self._tell({"type": "error", "id": id, "payload": {"errors": told}})

    def _tell(self, frame: dict[str, Any]) -> None:
        if len(self._control) < CONTROL_FRAMES:
            self._control.append(orjson.dumps(frame))
            self._socket.wake()
        else:
            self.closed(Close.OVERLOADED)


class _Subscription(Session):
    """One `start`: a session of the group's stream, whose frames are what the subscription's document asks for."""

    __slots__ = ("_asked_id", "_left", "_projection")

    def __init__(self, asked_id: str, wanted: Wanted, wire: "_Wire") -> None:
        super().__init__(
            id=f"g_{secrets.token_urlsafe(9)}",
            user_id=0,
            stream=wanted.stream,
            credential=wanted.key.credential,
            transport=wire,
            worker=hub.worker,
        )
        wire.subscription = self
        self._asked_id = orjson.dumps(asked_id)
        self._projection: Projection = wanted.projection
        self._left: deque[bytes] = deque()

    def take_frame(self) -> bytes | None:
        while not self._left:
            if not self._outbox:
                return None
            _seq, what = self._pop()
            if isinstance(what, Run):
                for payload in map(self._projection.payload_of, what.entries):
                    if payload is not None:
                        self._left.append(b'{"type":"data","id":%b,"payload":%b}' % (self._asked_id, payload))
        return self._left.popleft()


class _Wire:
    """The transport of one subscription: its share of the connection."""

    __slots__ = ("_connection", "subscription")

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self.subscription: _Subscription | None = None

    def wake(self) -> None:
        if self.subscription is not None:
            self._connection.woken(self.subscription)

    def write(self, run: Run, seq: int) -> bool:
        """Its frames are not those of the session: see `take_frame`."""
        return False

    def close(self, close: Close) -> None:
        self._connection.closed(close)


def _error_of(kind: str, message: str, code: int) -> dict[str, Any]:
    return {"errorType": kind, "message": message, "errorCode": code}


async def _next(receive: Receive) -> dict[str, Any] | None:
    """The next frame that is an object; None when the client went away. What is no frame is passed over."""
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return None
        text = message.get("text")
        if text is not None and len(text) <= FRAME_BYTES:
            with suppress(orjson.JSONDecodeError):
                frame = orjson.loads(text)
                if isinstance(frame, dict):
                    return frame
