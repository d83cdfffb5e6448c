"""Subscriptions in AppSync's `graphql-ws` dialect: many on one socket, each a session of its group's stream."""

import asyncio
import base64
import binascii
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Lock
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

import orjson
from graphql import FieldNode, execute_sync
from graphql.execution import get_argument_values, get_variable_values

from groups.actions import mesh
from groups.graphql.appsync import SCHEMA, Document, Refused, answer_of, document_of
from groups.graphql.http import address_of, secret_of
from groups.graphql.keys import Key, key_of
from groups.graphql.resolvers import message_of
from groups.mesh_events import MeshEventsFired, MeshGroupDissolved, MeshStatusReported
from realtime import threads
from realtime.direct_writer import DIRECT_WRITER
from realtime.errors import Close, Unavailable
from realtime.errors import Refused as SessionRefused
from realtime.hub import hub
from realtime.reading import Cursor, follow, revises
from realtime.runs import Run
from realtime.session import Session
from realtime.socket import Receive, Send, Socket
from realtime.streams import Entry

Scope = Mapping[str, Any]

PROTOCOL: Final = "graphql-ws"
KEEP_ALIVE_SECONDS: Final = 30.0
"""Filters of schools cut what is silent for a minute."""
CONNECTION_TIMEOUT_MS: Final = 300_000
INIT_SECONDS: Final = 30.0
"""Within which a client has to begin; testing clients close at once."""
SUBSCRIPTIONS: Final = 100
"""On one socket."""
FRAME_BYTES: Final = 1_048_576
ID_CHARACTERS: Final = 256
_EVENTS: Final = {event.name: event for event in (MeshStatusReported, MeshEventsFired, MeshGroupDissolved)}


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
        self._offered = _credentials(scope)
        self._key: Key | None = None
        self._control: deque[bytes] = deque()
        self._ready: dict[_Subscription, None] = {}
        self._subscriptions: dict[str, _Subscription] = {}
        self._keep_alive: asyncio.TimerHandle | None = None
        self._closed = False

    async def serve(self, receive: Receive) -> None:
        self._socket.start(self)
        try:
            async with asyncio.timeout(INIT_SECONDS) as deadline:
                self._socket.deadline = deadline
                while (frame := await _next(receive)) is not None:
                    match frame.get("type"):
                        case "connection_init":
                            if self._key is None and not await self._begin():
                                return
                            deadline.reschedule(None)
                        case "start":
                            await self._start(frame)
                        case "stop":
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
            hub.remove(subscription)
        self._subscriptions.clear()
        self._ready.clear()

    async def _begin(self) -> bool:
        """Judge the credentials. A connection_error and the end for those that do not hold."""
        self._key = await threads.run(key_of, self._offered)
        if self._key is None:
            code, told = (
                (401, "You are not authorized to make this call.")
                if self._offered
                else (400, "Required headers are missing.")
            )
            error = {"errorType": "UnauthorizedException", "message": told, "errorCode": code}
            self._tell({"type": "connection_error", "payload": {"errors": [error]}})
            await asyncio.sleep(0)
            await self._socket.say_closed(1000)
            return False
        self._tell({"type": "connection_ack", "payload": {"connectionTimeoutMs": CONNECTION_TIMEOUT_MS}})
        self._beat()
        return True

    def _beat(self) -> None:
        self._tell({"type": "ka"})
        self._keep_alive = asyncio.get_running_loop().call_later(KEEP_ALIVE_SECONDS, self._beat)

    async def _start(self, frame: dict[str, Any]) -> None:
        id = frame.get("id")
        if self._key is None or not isinstance(id, str) or not 0 < len(id) <= ID_CHARACTERS:
            return  # an error without an id that the client knows would crash it
        if id in self._subscriptions:
            self._tell({"type": "start_ack", "id": id})
            return
        if len(self._subscriptions) >= SUBSCRIPTIONS:
            self._refuse(id, "MaxSubscriptionsReachedError", f"A socket carries {SUBSCRIPTIONS} subscriptions.")
            return
        try:
            key, wanted = await threads.run(_wanted, self._key, frame.get("payload"), self._address)
        except Refused as refused:
            self._refuse(id, "MalformedRequest", refused.errors[0]["message"], refused.errors)
            return
        if key is None:
            self._refuse(id, "UnauthorizedException", "You are not authorized to make this call.")
            return
        if wanted.stream:
            subscription = _Subscription(id, wanted, _Wire(self), key)
            self._subscriptions[id] = subscription
            try:
                started = await follow(subscription, Cursor(None, None), leased=False)
            except (SessionRefused, Unavailable):
                del self._subscriptions[id]
                hub.remove(subscription)
                self._refuse(id, "ServiceUnavailable", "Try again in a moment.")
                return
            # The acknowledgement first: what comes live was held back until here.
            self._tell({"type": "start_ack", "id": id})
            subscription.begin(None, started.at, started.replay)
        else:
            self._tell({"type": "start_ack", "id": id})

    def _stop(self, id: object) -> None:
        if isinstance(id, str):
            subscription = self._subscriptions.pop(id, None)
            if subscription is not None:
                hub.remove(subscription)
                self._ready.pop(subscription, None)
            self._tell({"type": "complete", "id": id})

    def _refuse(self, id: str, kind: str, message: str, errors: list[dict[str, Any]] | None = None) -> None:
        told = [{"errorType": kind, **error} for error in errors or [{"message": message}]]
        self._tell({"type": "error", "id": id, "payload": {"errors": told}})

    def _tell(self, frame: dict[str, Any]) -> None:
        self._control.append(orjson.dumps(frame))
        self._socket.wake()


class _Subscription(Session):
    """One `start`: a session of the group's stream, whose frames are what the subscription's document asks for."""

    __slots__ = ("_asked_id", "_left", "_projection")

    def __init__(self, asked_id: str, wanted: "_Wanted", wire: "_Wire", key: Key) -> None:
        super().__init__(
            id=f"g_{secrets.token_urlsafe(9)}",
            user_id=0,
            stream=wanted.stream,
            credential=f"mesh:{key.id}",
            transport=wire,
            worker=hub.worker,
        )
        wire.subscription = self
        self._asked_id = orjson.dumps(asked_id)
        self._projection = wanted.projection
        self._left: deque[bytes] = deque()

    def take_frame(self) -> bytes | None:
        while not self._left:
            if not self._outbox:
                return None
            _seq, what = self._pop()
            if isinstance(what, Run):
                for payload in map(self._projection.of, what.entries):
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

    def close(self, close: Close) -> None:
        self._connection.closed(close)


class _Projection:
    """What one document makes of events: worked out once for all sockets that sent it."""

    KEPT = 64
    """Events whose frames are remembered: those that are on their way to the sockets."""

    def __init__(self, document: Document, variables: dict[str, Any]) -> None:
        self._document = document
        self._variables = variables
        self._made: OrderedDict[str, bytes | None] = OrderedDict()

    def of(self, entry: Entry) -> bytes | None:
        """The payload of a data frame; None for what this protocol does not tell."""
        if entry.event_id not in self._made:
            self._made[entry.event_id] = self._make(entry)
            if len(self._made) > self.KEPT:
                self._made.popitem(last=False)
        return self._made[entry.event_id]

    def _make(self, entry: Entry) -> bytes | None:
        event = _EVENTS.get(entry.name)
        if event is None:
            return None
        message = message_of(event(**orjson.loads(b"{" + entry.body)["data"]))
        result = execute_sync(SCHEMA, self._document.parsed, {_FIELD: message}, variable_values=self._variables)
        return None if result.data is None else orjson.dumps(answer_of(result))


class _Wanted(NamedTuple):
    """What a `start` asks for."""

    stream: str
    """Empty for a group that is not there: nothing ever comes, and nobody is told."""
    projection: _Projection


def _wanted(own: Key, payload: object, address: str) -> tuple[Key | None, _Wanted]:
    """The key that is used, None when it does not hold, and what is asked for. Blocks. Raises Refused."""
    payload = payload if isinstance(payload, dict) else {}
    try:
        asked = orjson.loads(payload.get("data") or b"")
    except (orjson.JSONDecodeError, TypeError):
        asked = None
    if not isinstance(asked, dict):
        raise Refused([{"message": "payload.data must be the JSON of an object with a query."}])
    document = document_of(asked.get("query"), asked.get("operationName"))
    if not document.is_subscription:
        raise Refused([{"message": "Only subscriptions can be started."}])
    variables = asked.get("variables") or {}
    group_id, domain = _arguments(document, variables)
    key = _key_of_start(own, payload)
    if key is not None and key.domains and domain not in key.domains:
        key = None
    group = mesh.found_group(group_id, domain)
    if key is not None and group is not None:
        mesh.subscribed(group_id=group_id, domain=domain, address=address)
    return key, _Wanted(group.stream if group is not None else "", _projection(asked, document, variables))


def _key_of_start(own: Key, payload: dict[str, Any]) -> Key | None:
    """The key of the frame; without one that of the socket."""
    given = _at(payload, "extensions", "authorization", "x-api-key")
    return own if not isinstance(given, str) else key_of(given)


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _arguments(document: Document, variables: object) -> tuple[str, str]:
    if not isinstance(variables, dict):
        raise Refused([{"message": "The variables must be an object."}])
    coerced = get_variable_values(SCHEMA, document.operation.variable_definitions or (), variables, max_errors=5)
    if isinstance(coerced, list):
        raise Refused([{"message": error.message} for error in coerced])
    [node] = document.operation.selection_set.selections
    if not isinstance(node, FieldNode) or SCHEMA.subscription_type is None:
        raise Refused([{"message": "Name the field of the subscription itself."}])
    if node.name.value != _FIELD:
        raise Refused([{"message": f"The field of a subscription is {_FIELD}."}])
    given = get_argument_values(SCHEMA.subscription_type.fields[_FIELD], node, coerced)
    return given["groupId"], given["domain"]


def _projection(asked: dict[str, Any], document: Document, variables: dict[str, Any]) -> _Projection:
    """One for all who send the same text and variables, which all members of a group do."""
    name = orjson.dumps([asked["query"], asked.get("operationName"), variables], option=orjson.OPT_SORT_KEYS)
    with _lock:
        found = _projections.get(name)
        if found is None:
            found = _projections[name] = _Projection(document, variables)
            if len(_projections) > PROJECTIONS_KEPT:
                _projections.popitem(last=False)
        else:
            _projections.move_to_end(name)
    return found


_projections: OrderedDict[bytes, _Projection] = OrderedDict()
_lock = Lock()
PROJECTIONS_KEPT: Final = 1024
_FIELD: Final = "onMessageInGroup"


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


def _credentials(scope: Scope) -> str | None:
    """The key that a socket brings: in the query, in a subprotocol, or in a header."""
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    if (header := query.get("header")) and (found := _key_in(header[0].replace(" ", "+"), base64.b64decode)):
        return found
    for offered in scope.get("subprotocols", ()):
        kind, _, header_text = offered.partition("header-")
        if not kind and header_text and (found := _key_in(header_text, base64.urlsafe_b64decode)):
            return found
    return secret_of(dict(scope["headers"]))


def _key_in(text: str, decode: Callable[[str], bytes]) -> str | None:
    """The key in a JSON object in base64, with or without its padding."""
    try:
        headers = orjson.loads(decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)))
    except (binascii.Error, ValueError):
        return None
    found = (
        next((value for name, value in headers.items() if name.lower() == "x-api-key"), None)
        if isinstance(headers, dict)
        else None
    )
    return found if isinstance(found, str) else None
