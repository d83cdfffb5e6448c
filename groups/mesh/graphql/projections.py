"""What a subscription's document makes of an event: worked out once for all sockets that sent the same document."""

import hashlib
from collections import OrderedDict
from threading import Lock
from typing import Any, Final
from weakref import WeakValueDictionary

import orjson

from groups.mesh.events import MeshEventsFired, MeshGroupDissolved, MeshStatusReported
from groups.mesh.graphql.appsync import Document, run
from groups.mesh.graphql.resolvers import message_of
from realtime.streams import Entry

FIELD: Final = "onMessageInGroup"
_EVENTS: Final = {event.name: event for event in (MeshStatusReported, MeshEventsFired, MeshGroupDissolved)}


class Projection:
    """One document with its variables."""

    KEPT = 64
    """Payloads that are remembered: of events that are on their way to the sockets."""
    KEPT_BYTES = 1_048_576
    """Of all of them. The newest one is remembered however long it is."""

    def __init__(self, document: Document, variables: dict[str, Any]) -> None:
        self._document = document
        self._variables = variables
        self._made: OrderedDict[str, bytes | None] = OrderedDict()
        self._bytes = 0

    def payload_of(self, entry: Entry) -> bytes | None:
        """The payload of a data frame; None for what this protocol does not tell."""
        if entry.event_id not in self._made:
            self._remember(entry.event_id, self._make(entry))
        return self._made[entry.event_id]

    def _make(self, entry: Entry) -> bytes | None:
        event = _EVENTS.get(entry.name)
        if event is None:
            return None
        message = message_of(event(**orjson.loads(b"{" + entry.body)["data"]))
        answer = run(self._document, self._variables, {FIELD: message})
        # A frame whose data is null is dropped by clients.
        return None if answer["data"] is None else orjson.dumps(answer)

    def _remember(self, event_id: str, payload: bytes | None) -> None:
        self._made[event_id] = payload
        self._bytes += len(payload or b"")
        while len(self._made) > self.KEPT or (self._bytes > self.KEPT_BYTES and len(self._made) > 1):
            _event_id, oldest = self._made.popitem(last=False)
            self._bytes -= len(oldest or b"")


def projection_of(document: Document, asked: dict[str, Any], variables: dict[str, Any]) -> Projection:
    """The one of all who sent the same text and variables, which the members of a group do. It goes with the last."""
    text = orjson.dumps([asked["query"], asked.get("operationName"), variables], option=orjson.OPT_SORT_KEYS)
    name = hashlib.blake2b(text, digest_size=16).digest()
    with _lock:
        found = _shared.get(name)
        if found is None:
            found = _shared[name] = Projection(document, variables)
    return found


_shared: WeakValueDictionary[bytes, Projection] = WeakValueDictionary()
_lock = Lock()
