"""The editor that schools have, as a program: what its extension for Mesh sends when, and what it makes of answers.

Source: smalruby/scratch-vm, extensions/scratch3_mesh_v2. Its timers are shorter here.
"""

import asyncio
import base64
import itertools
import json
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.mesh_clients import documents

Json = dict[str, Any]
SEND_SECONDS: Final = 0.25
"""Between two reports, and between two batches of events; a second in the editor."""
QUEUED: Final = 100
"""Events that wait to be sent; the oldest make room."""
ENDS_IT: Final = {"GroupNotFound", "Unauthorized", "NodeNotFound"}
WORDS_THAT_END_IT: Final = ("not found", "expired", "unauthorized")
SECONDS: Final = 10.0


class Refused(Exception):
    """The first error of an answer."""

    def __init__(self, error: Json) -> None:
        super().__init__(error)
        self.type = error.get("errorType")
        self.message: str = error["message"]

    @property
    def ends_it(self) -> bool:
        return self.type in ENDS_IT or any(word in self.message.lower() for word in WORDS_THAT_END_IT)


class Project:
    """One editor with its project. `clock_ahead` seconds is how wrong its clock is; `polls` is `?mesh_polling=1`."""

    def __init__(self, url: str, key: str, *, domain: str, clock_ahead: float = 0.0, polls: bool = False) -> None:
        self.id = uuid.uuid4().hex
        self.domain = domain
        self.polls = polls
        self.heard: list[str] = []
        """The names of the events of others, in the order in which they would be played."""
        self.ended: str | None = None
        """Why it disconnected."""
        self.group: Json = {}
        self._url = url
        self._key = key
        self._clock_ahead = timedelta(seconds=clock_ahead)
        self._http = httpx.AsyncClient(headers={"x-api-key": key}, timeout=SECONDS)
        self._tasks: list[asyncio.Task[None]] = []
        self._socket: ClientConnection | None = None
        self._cursor: str | None = None
        self._beat_seconds = 0.0
        self._news = asyncio.Event()
        self._order = itertools.count(1)
        self._events: list[Json] = []
        self._values: dict[str, str] = {}
        self._sent_values: dict[str, str] = {}
        self._known: dict[tuple[str, str], tuple[str, str]] = {}
        """By node and name of a variable: its moment and value."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def host(self, *, websocket: bool = True) -> Json:
        """Make a group and be its host."""
        arguments = {"name": self.id, "hostId": self.id, "domain": self.domain}
        websocket = websocket and not self.polls
        self.group = await self._ask(documents.CREATE, **arguments, useWebSocket=websocket)
        self._beat_seconds = self.group["heartbeatIntervalSeconds"]
        await self._connect(self.group, self._renew)
        return self.group

    async def join(self, group: Json) -> Json:
        self.group = group
        joined = await self._ask(documents.JOIN, **self._there, nodeId=self.id, useWebSocket=not self.polls)
        self._beat_seconds = joined["heartbeatIntervalSeconds"]
        await self._connect(joined, self._beat)
        # Once, for who comes late; those who poll get them with each poll.
        self._learn(await self._ask(documents.STATUSES, **self._there))
        return joined  # type: ignore[no-any-return] # as JSON has it

    async def dissolve(self) -> None:
        await self._ask(documents.DISSOLVE, **self._there, hostId=self.id)

    async def close(self) -> None:
        """The page is closed: nobody is told."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()
        await self._http.aclose()

    def broadcast(self, name: str) -> None:
        """An event for the others. One that waits already is not queued twice."""
        if all(event["eventName"] != name for event in self._events):
            order_key = f"{self._clock():%Y%m%d%H%M%S}-{next(self._order):07}"
            event = {"eventName": name, "payload": "", "firedAt": _stamp(self._clock()), "orderKey": order_key}
            self._events = [*self._events[1 - QUEUED :], event]

    def set(self, name: str, value: str) -> None:
        """Change a global variable."""
        if self._sent_values.get(name) != value:
            self._values[name] = value

    def read(self, name: str) -> str | None:
        """A variable of anybody: the value with the newest moment of all nodes."""
        told = [known for (_node, key), known in self._known.items() if key == name]
        return max(told)[1] if told else None

    async def until(self, heard: int, *, seconds: float = SECONDS) -> list[str]:
        """What it heard, as soon as that is so much; or after a time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while len(self.heard) < heard:
                    await self._something_new()
        return self.heard

    async def until_ended(self, *, seconds: float = SECONDS) -> str | None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.ended is None:
                    await self._something_new()
        return self.ended

    async def _something_new(self) -> None:
        self._news.clear()
        await self._news.wait()

    def _end(self, why: str) -> None:
        self.ended = self.ended or why
        self._news.set()

    @property
    def _there(self) -> Json:
        return {"groupId": self.group["id"], "domain": self.group["domain"]}

    async def _connect(self, told: Json, beat: Any) -> None:
        self.polls = self.polls or not told["useWebSocket"]
        if self.polls:
            self._tasks.append(asyncio.create_task(self._poll_always(told["pollingIntervalSeconds"] or 1)))
        else:
            self._socket = await self._subscribed()
            self._tasks.append(asyncio.create_task(self._listen(self._socket)))
        self._tasks.append(asyncio.create_task(self._send_always()))
        self._tasks.append(asyncio.create_task(self._beat_always(beat)))

    async def _send_always(self) -> None:
        while self.ended is None:
            await asyncio.sleep(SEND_SECONDS)
            # The values first: what is set before a broadcast is there before it.
            if self._values:
                values, self._values = self._values, {}
                data = [{"key": key, "value": value} for key, value in values.items()]
                if await self._sends(documents.REPORT, data=data) is not None:
                    self._sent_values |= values
            if self._events:
                events, self._events = self._events, []
                if self.polls:
                    recorded = await self._sends(documents.RECORD, events=events)
                    if recorded is not None and recorded["nextSince"]:
                        self._cursor = recorded["nextSince"]
                else:
                    await self._sends(documents.FIRE, events=events)

    async def _sends(self, document: str, **variables: object) -> Any:
        """The answer; None when it was refused, which loses what was sent."""
        try:
            return await self._ask(document, **self._there, nodeId=self.id, **variables)
        except Refused as refused:
            if refused.ends_it:
                self._end(refused.message)
            return None

    async def _poll_always(self, interval: float) -> None:
        while self.ended is None:
            await asyncio.sleep(interval)
            if self._cursor is None:
                self._cursor = _stamp(self._clock())
            with suppress(Refused):  # it only writes a line into its log
                polled = await self._ask(documents.POLL, **self._there, since=self._cursor)
                self._learn(polled["nodeStatuses"])
                if polled["events"]:
                    self._cursor = polled["events"][-1]["cursor"]
                    self._play(polled["events"])

    async def _beat_always(self, beat: Any) -> None:
        while self.ended is None:
            await asyncio.sleep(self._beat_seconds)
            try:
                await beat()
            except Refused as refused:
                if refused.ends_it:
                    self._end(refused.message)

    async def _renew(self) -> None:
        renewed = await self._ask(documents.RENEW, **self._there, hostId=self.id)
        self._beat_seconds = renewed["heartbeatIntervalSeconds"]

    async def _beat(self) -> None:
        await self._ask(documents.BEAT, **self._there, nodeId=self.id)

    async def _subscribed(self) -> ClientConnection:
        header = {"host": httpx.URL(self._url).host, "x-api-key": self._key}
        encoded = base64.b64encode(json.dumps(header).encode()).decode()
        url = f"{self._url.replace('http', 'ws', 1)}/realtime?header={encoded}&payload=e30="
        socket = await connect(url, subprotocols=[Subprotocol("graphql-ws")], max_size=None)
        await socket.send(json.dumps({"type": "connection_init"}))
        await _frame(socket, "connection_ack")
        data = json.dumps({"query": documents.SUBSCRIBE, "variables": self._there})
        extensions = {"authorization": header}
        payload = {"data": data, "extensions": extensions}
        await socket.send(json.dumps({"type": "start", "id": str(uuid.uuid4()), "payload": payload}))
        await _frame(socket, "start_ack")
        return socket

    async def _listen(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for text in socket:
                frame = json.loads(text)
                if frame["type"] == "data":
                    self._take(frame["payload"]["data"]["onMessageInGroup"])

    def _take(self, message: Json) -> None:
        if message["nodeStatus"]:
            self._learn([message["nodeStatus"]])
        if message["batchEvent"]:
            self._play(message["batchEvent"]["events"])
        if message["groupDissolve"]:
            self._end(message["groupDissolve"]["message"])

    def _play(self, events: list[Json]) -> None:
        for event in sorted(events, key=lambda event: (event["timestamp"], event["orderKey"] or "")):
            if event["firedByNodeId"] != self.id:
                self.heard.append(event["name"])
        self._news.set()

    def _learn(self, statuses: list[Json]) -> None:
        for status in statuses:
            for datum in status["data"]:
                told = (status["timestamp"], datum["value"])
                place = (status["nodeId"], datum["key"])
                self._known[place] = max(told, self._known.get(place, told))

    async def _ask(self, document: str, **variables: object) -> Any:
        answer = await self._http.post(self._url, json={"query": document, "variables": variables})
        told = answer.json()
        if told.get("errors"):
            raise Refused(told["errors"][0])
        return next(iter(told["data"].values()))

    def _clock(self) -> datetime:
        return datetime.now(UTC) + self._clock_ahead


def names(prefix: str, count: int) -> Iterator[str]:
    return (f"{prefix}{number}" for number in range(count))


async def _frame(socket: ClientConnection, kind: str) -> Json:
    async with asyncio.timeout(SECONDS):
        while True:
            frame: Json = json.loads(await socket.recv())
            if frame["type"] == kind:
                return frame


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
