"""A member that subscribes in AppSync's dialect, and comes back after each drop as shipped clients do."""

import asyncio
import base64
import json
import uuid
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from tests.history.classrooms.members import OUT_OF_ORDER, Json, Member
from tests.history.classrooms.records import Stay
from tests.history.cluster import CLASSROOM_KEY
from tests.history.journal import now
from tests.mesh_clients import documents

ANSWER_SECONDS = 4.0
"""Shipped clients wait 15 s for an acknowledgement."""
SILENCE_SECONDS = 6.0
"""Without a message. Members do something each second, so a connection that is silent for longer is dead."""
TICK_SECONDS = 0.5
BACKOFF_SECONDS = 0.1
LONGEST_BACKOFF_SECONDS = 1.0
"""Shipped clients double it for ever."""


class Subscriber(Member):
    """`domain` is another than the group's for who has no right to hear anything."""

    def __init__(self, *arguments: Any, domain: str | None = None) -> None:
        super().__init__(*arguments)
        self._domain = self.room.domain if domain is None else domain
        self._told_the_end = False
        self._drops = 0
        self._anew = False

    def switch(self) -> None:
        """End the subscription, and begin another on the same socket."""
        self._anew = True

    async def run(self) -> None:
        while True:
            try:
                await self._connect()
            except (OSError, TimeoutError, WebSocketException):
                self._journal.count("classroom subscriptions lost")
            self._drops += 1
            longest = min(BACKOFF_SECONDS * 2**self._drops, LONGEST_BACKOFF_SECONDS)
            await asyncio.sleep(longest + self._rng.uniform(0, BACKOFF_SECONDS))

    async def _connect(self) -> None:
        shown = base64.b64encode(json.dumps({"host": "127.0.0.1", "x-api-key": CLASSROOM_KEY}).encode()).decode()
        socket = await connect(
            f"ws://127.0.0.1:{self._rng.choice(self.cable.ports)}/graphql/realtime?header={shown}&payload=e30=",
            subprotocols=[Subprotocol("graphql-ws")],
            compression=None,
            max_size=None,
            ping_interval=None,
            open_timeout=ANSWER_SECONDS,
            proxy=None,
        )
        try:
            await socket.send(json.dumps({"type": "connection_init"}))
            await self._until(socket, "connection_ack")
            await self._until(socket, "ka")
            while True:
                await self._subscribe(socket)
        finally:
            socket.transport.abort()

    async def _subscribe(self, socket: ClientConnection) -> None:
        """Until it is to begin anew. Raises TimeoutError when it is silent, and what the socket raises."""
        id = str(uuid.UUID(int=self._rng.getrandbits(128)))
        asked = {"query": documents.SUBSCRIBE, "variables": {"groupId": self.room.id, "domain": self._domain}}
        extensions = {"authorization": {"host": "127.0.0.1", "x-api-key": CLASSROOM_KEY}}
        payload = {"data": json.dumps(asked), "extensions": extensions}
        await socket.send(json.dumps({"id": id, "type": "start", "payload": payload}))
        await self._until(socket, "start_ack", id)
        self._journal.count("classroom subscriptions started")
        stay = Stay(now())
        self.log.stays.append(stay)
        heard_at = now()
        try:
            while not self._anew:
                try:
                    async with asyncio.timeout(TICK_SECONDS):
                        frame = json.loads(await socket.recv())
                except TimeoutError:
                    if now() - heard_at > SILENCE_SECONDS:
                        raise
                    continue
                heard_at = now()
                if frame["type"] == "data" and frame["id"] == id:
                    self._take(frame["payload"]["data"]["onMessageInGroup"], stay)
                elif frame["type"] not in ("ka", "data", "complete"):
                    self._journal.violation("error", f"{self.name} was told {frame}")
            self._anew = False
            await socket.send(json.dumps({"id": id, "type": "stop"}))
        finally:
            stay.until = now()

    def _take(self, message: Json, stay: Stay) -> None:
        self._check_place(message, self.room.domain)
        if self._domain != self.room.domain:
            self._journal.violation("classroom leak", f"{self.name} has no right to {message}")
        parts = {name: message[name] for name in ("nodeStatus", "batchEvent", "groupDissolve") if message[name]}
        if len(parts) != 1:
            self._journal.violation("classroom state", f"{self.name} was told {message}")
        if self._told_the_end:
            self._journal.violation("classroom end", f"{self.name} was told {message} after the end")
        for part in parts.values():
            self._check_place(part, self.room.domain)
        for datum in parts.get("nodeStatus", {}).get("data", ()):
            self._take_value(parts["nodeStatus"]["nodeId"], datum["key"], datum["value"])
        for event in parts.get("batchEvent", {}).get("events", ()):
            self._take_event(event["name"])
            stay.names.append(event["name"])
            self._journal.count("classroom events pushed")
        if "groupDissolve" in parts:
            self.ended = self._told_the_end = True
            if not self.room.over:
                self._journal.violation("classroom end", f"{self.name} was told {message}")

    async def _until(self, socket: ClientConnection, kind: str, id: str | None = None) -> None:
        """Pass over what comes before an answer. Raises ConnectionError when it is a refusal."""
        async with asyncio.timeout(ANSWER_SECONDS):
            while True:
                frame = json.loads(await socket.recv())
                if frame["type"] == kind and frame.get("id") == id:
                    return
                if frame["type"] in ("error", "connection_error"):
                    kinds = {error.get("errorType") for error in frame["payload"]["errors"]}
                    if kinds != {OUT_OF_ORDER}:
                        self._journal.violation("error", f"{self.name} was told {frame}")
                    raise ConnectionError(f"{frame}")
