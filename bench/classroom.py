"""The load client of classrooms: groups of nodes, half of which poll, as shipped editors do.

`python -m bench.classroom --port P --groups 10 --nodes 40 --polling 0.5 --reports 15 --batches 2 --seconds 60`

Of each group's nodes some subscribe over a socket of their own and the rest poll. In turns they report values and fire
(or record) events, so many a second and group; all beat, and those who subscribe ask for all statuses each 15 s. It
speaks with bench.load as load.c does: "phase NAME", and at the end "result {...}" or "error ...".

Every message bears a number and its moment. Each socket has to get each number of its group exactly once and in order,
each who polls each event, and the last poll the last value of every node; else there is no figure.
"""

import argparse
import asyncio
import gc
import itertools
import struct
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson

Json = dict[str, Any]

KEY: Final = "bench"
HOST: Final = "127.0.0.1"
MARK: Final = b"~"
"""Before the number, of 8 digits, and the moment, of 16 hex digits, in what is told."""
MARK_BYTES: Final = 25
IDLE_SECONDS: Final = 3.0
"""After which a connection is not used again: the server ends those that are silent for five."""
SYNC_SECONDS: Final = 15.0
CONNECTING_AT_ONCE: Final = 20
WARM_UP_SECONDS: Final = 3.0
DRAIN_SECONDS: Final = 15.0
EVENT_FIELDS: Final = "name firedByNodeId groupId domain payload timestamp orderKey __typename"
STATUS_FIELDS: Final = "nodeId groupId domain data { key value __typename } timestamp __typename"
THERE: Final = "groupId: $g, domain: $d"

CREATE: Final = """mutation C($name: String!, $h: ID!, $d: String!) {
  createGroup(name: $name, hostId: $h, domain: $d, useWebSocket: true) { id domain expiresAt __typename } }"""
JOIN: Final = f"""mutation J($g: ID!, $d: String!, $n: ID!, $w: Boolean) {{
  joinGroup({THERE}, nodeId: $n, useWebSocket: $w) {{ id useWebSocket heartbeatIntervalSeconds __typename }} }}"""
REPORT: Final = f"""mutation R($g: ID!, $d: String!, $n: ID!, $v: [SensorDataInput!]!) {{
  reportDataByNode({THERE}, nodeId: $n, data: $v) {{
    groupId domain nodeStatus {{ {STATUS_FIELDS} }} __typename }} }}"""
FIRE: Final = f"""mutation F($g: ID!, $d: String!, $n: ID!, $v: [EventInput!]!) {{
  fireEventsByNode({THERE}, nodeId: $n, events: $v) {{ groupId domain
    batchEvent {{ events {{ {EVENT_FIELDS} }} firedByNodeId groupId domain timestamp __typename }} __typename }} }}"""
RECORD: Final = f"""mutation E($g: ID!, $d: String!, $n: ID!, $v: [EventInput!]!) {{
  recordEventsByNode({THERE}, nodeId: $n, events: $v) {{ groupId domain recordedCount nextSince __typename }} }}"""
RENEW: Final = f"""mutation H($g: ID!, $d: String!, $n: ID!) {{
  renewHeartbeat({THERE}, hostId: $n) {{ groupId domain expiresAt heartbeatIntervalSeconds __typename }} }}"""
BEAT: Final = f"""mutation B($g: ID!, $d: String!, $n: ID!) {{
  sendMemberHeartbeat({THERE}, nodeId: $n) {{ nodeId expiresAt heartbeatIntervalSeconds __typename }} }}"""
STATUSES: Final = f"""query S($g: ID!, $d: String!) {{ listGroupStatuses({THERE}) {{ {STATUS_FIELDS} }} }}"""
POLL: Final = f"""query P($g: ID!, $d: String!, $s: String!) {{ pollGroupData({THERE}, since: $s) {{
  events {{ cursor {EVENT_FIELDS} }} nodeStatuses {{ {STATUS_FIELDS} }} __typename }} }}"""
SUBSCRIBE: Final = f"""subscription M($g: ID!, $d: String!) {{ onMessageInGroup({THERE}) {{ groupId domain
  nodeStatus {{ {STATUS_FIELDS} }}
  batchEvent {{ events {{ {EVENT_FIELDS} }} firedByNodeId groupId domain timestamp __typename }}
  groupDissolve {{ groupId domain message __typename }} __typename }} }}"""


class Failed(Exception):
    """What is measured did not happen as it should."""


@dataclass
class Asked:
    """How large it is."""

    port: int
    groups: int
    nodes: int
    polling: float
    reports: float
    batches: float
    seconds: float


@dataclass
class Told:
    """What came out, of all groups."""

    frames: int = 0
    frame_bytes: int = 0
    frame_ms: list[float] = field(default_factory=list)
    event_ms: list[float] = field(default_factory=list)
    """From the sending of an event to the answer of the poll that brought it."""
    polls: int = 0
    poll_ms: list[float] = field(default_factory=list)
    calls: int = 0
    call_ms: list[float] = field(default_factory=list)
    polled_events: int = 0
    published: int = 0
    gaps: int = 0


class Http(asyncio.Protocol):
    """One kept connection, a new one after a while of silence. Requests wait for each other."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._used_at = 0.0
        self._connecting: asyncio.Task[Any] | None = None
        self._waiting: deque[tuple[bytes, asyncio.Future[bytes]]] = deque()
        self._current: asyncio.Future[bytes] | None = None
        self._came = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._current is not None and not self._current.done():
            self._current.set_exception(Failed("the server closed a connection that waited for an answer"))

    def data_received(self, data: bytes) -> None:
        self._used_at = time.monotonic()
        self._came += data
        head_end = self._came.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._came[:head_end].lower()
        at = head.index(b"content-length:") + 15
        length = int(head[at:].partition(b"\r\n")[0])
        if len(self._came) < head_end + 4 + length or self._current is None:
            return
        body, self._came = self._came[head_end + 4 : head_end + 4 + length], self._came[head_end + 4 + length :]
        if not self._current.done():
            self._current.set_result(body)
        self._current = None
        self._next()

    async def ask(self, query: str, variables: Json) -> Any:
        """The value of the one field."""
        body = orjson.dumps({"query": query, "variables": variables})
        head = (
            f"POST /graphql HTTP/1.1\r\nhost: {HOST}\r\nx-api-key: {KEY}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append((head.encode() + body, future))
        self._next()
        answer = orjson.loads(await future)
        if answer.get("errors"):
            raise Failed(f"the server refused: {answer['errors'][0]}")
        return next(iter(answer["data"].values()))

    def _next(self) -> None:
        if self._current is None and self._waiting and self._connecting is None:
            if self._transport is None or time.monotonic() - self._used_at > IDLE_SECONDS:
                self._connecting = asyncio.create_task(self._connect())
                return
            request, self._current = self._waiting.popleft()
            self._transport.write(request)

    async def _connect(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        await asyncio.get_running_loop().create_connection(lambda: self, HOST, self._port)
        self._used_at, self._connecting = time.monotonic(), None
        self._next()


class Subscription(asyncio.Protocol):
    """One socket with one subscription."""

    def __init__(self, group: "Group") -> None:
        self._group = group
        self._transport: asyncio.Transport | None = None
        self._came = b""
        self._upgraded = False
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.last = -1
        """The number that came last."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(
            f"GET /graphql/realtime HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: graphql-ws\r\nx-api-key: {KEY}\r\n\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.started.done():
            self.started.set_exception(Failed("the server closed a socket"))

    def data_received(self, data: bytes) -> None:
        came = self._came + data if self._came else data
        if not self._upgraded:
            head, found, came = came.partition(b"\r\n\r\n")
            if not found:
                self._came = head
                return
            if b" 101 " not in head[:16]:
                self.started.set_exception(Failed(f"no socket: {head[:80]!r}"))
                return
            self._upgraded = True
            self._send({"type": "connection_init"})
        at = 0
        while (frame := _frame(came, at)) is not None:
            begin, at = frame
            self._take(came, begin, at)
        self._came = came[at:]

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _take(self, came: bytes, begin: int, end: int) -> None:
        mark = came.find(MARK, begin, end)
        if mark < 0:
            kind = orjson.loads(came[begin:end])["type"]
            if kind == "connection_ack":
                data = orjson.dumps({"query": SUBSCRIBE, "variables": self._group.there}).decode()
                self._send({"id": "s", "type": "start", "payload": {"data": data, "extensions": {}}})
            elif kind == "start_ack":
                self.started.set_result(None)
            elif kind != "ka":
                raise Failed(f"an unexpected frame: {came[begin:end]!r}")
            return
        number, moment = _marked(came, mark)
        told = self._group.told
        told.frames += 1
        told.frame_bytes += end - begin
        told.frame_ms.append((time.monotonic_ns() - moment) / 1e6)
        if number != self.last + 1:
            told.gaps += 1
        self.last = number

    def _send(self, frame: Json) -> None:
        assert self._transport
        body = orjson.dumps(frame)
        # Masked with zeros, which leaves it as it is.
        self._transport.write(b"\x81" + struct.pack("!BH", 0x80 | 126, len(body)) + b"\0\0\0\0" + body)


class Group:
    """A group, its connections, and what each of its nodes was told."""

    def __init__(self, asked: Asked, told: Told, number: int) -> None:
        self.told = told
        self.there: Json = {}
        self._asked = asked
        self._name = f"host{number}"
        self._count = 0
        """Of messages sent; each has the number before it."""
        self._polling = round(asked.nodes * asked.polling)
        self._nodes: list[Http] = []
        self._subscriptions: list[Subscription] = []
        self._event_numbers: list[int] = []
        self._seen: list[list[int]] = []
        """The numbers of events, by those who poll."""
        self._statuses: list[dict[str, str]] = []
        self._reported: dict[str, str] = {}
        self._beat_seconds: list[float] = []

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        port = self._asked.port
        self._host = Http(port)
        group = await self._host.ask(CREATE, {"name": self._name, "h": self._name, "d": "bench"})
        self.there = {"g": group["id"], "d": "bench"}
        for number in range(self._asked.nodes):
            node = Http(port)
            polls = number < self._polling
            joined = await node.ask(JOIN, {**self.there, "n": f"node{number}", "w": not polls})
            if joined["useWebSocket"] is polls:
                raise Failed("a node was told another mode than it asked for")
            self._nodes.append(node)
            self._beat_seconds.append(joined["heartbeatIntervalSeconds"])
            if not polls:
                subscription = (await loop.create_connection(lambda: Subscription(self), HOST, port))[1]
                await asyncio.wait_for(subscription.started, 20)
                self._subscriptions.append(subscription)
        self._seen = [[] for _ in range(self._polling)]
        self._statuses = [{} for _ in range(self._polling)]

    def background(self) -> list[Awaitable[None]]:
        """What goes on without anybody doing anything."""
        nodes = range(self._asked.nodes)
        return [
            *(self._poll(number) for number in nodes[: self._polling]),
            *(self._sync(number) for number in nodes[self._polling :]),
            *(self._beat(number) for number in nodes),
            self._renew(),
        ]

    async def publish(self, seconds: float) -> None:
        """Reports and batches of events, each at its time and each from the next node."""
        senders = itertools.cycle(range(self._asked.nodes))
        begin = time.monotonic()
        plan = sorted(
            [(count / self._asked.reports, "report") for count in range(round(seconds * self._asked.reports))]
            + [((count + 0.5) / self._asked.batches, "fire") for count in range(round(seconds * self._asked.batches))]
        )
        for at, what in plan:
            await asyncio.sleep(max(0.0, begin + at - time.monotonic()))
            # One after the other: so the order in which they are sent is that in which they have to come.
            await self._send(next(senders), what, round(1e9 * (begin + at)))

    def complete(self) -> str | None:
        """What is missing yet."""
        top = self._count
        for subscription in self._subscriptions:
            if subscription.last != top - 1:
                return f"a socket got {subscription.last + 1} of {top} messages"
        for seen in self._seen:
            if seen != self._event_numbers:
                return f"who polls got {len(seen)} of {len(self._event_numbers)} events, or not in order"
        for statuses in self._statuses:
            if statuses != self._reported:
                return "who polls does not know all values that were reported last"
        return None

    async def close(self) -> None:
        for subscription in self._subscriptions:
            subscription.close()

    async def _send(self, sender: int, what: str, moment: int) -> None:
        """`moment` is when it had to be sent, so that what waits for the one before it counts as late."""
        node, number = f"node{sender}", self._count
        self._count += 1
        mark = f"{MARK.decode()}{number:08}{moment:016x}"
        variables = {**self.there, "n": node}
        if what == "report":
            self._reported[node] = mark
            await self._call(sender, REPORT, variables | {"v": [{"key": "score", "value": mark}]}, moment)
        else:
            self._event_numbers.append(number)
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            event = {"eventName": "go", "payload": mark, "firedAt": now, "orderKey": f"{number:08}"}
            document = RECORD if sender < self._polling else FIRE
            await self._call(sender, document, variables | {"v": [event]}, moment)
        self.told.published += 1

    async def _call(self, sender: int, document: str, variables: Json, moment: int) -> None:
        await self._nodes[sender].ask(document, variables)
        self.told.calls += 1
        self.told.call_ms.append((time.monotonic_ns() - moment) / 1e6)

    async def _poll(self, number: int) -> None:
        """As the editor: every 2 s, from its own clock on at first."""
        await asyncio.sleep(2 * number / self._polling)
        since = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", f"{number:03}Z")
        while True:
            began = time.monotonic_ns()
            polled = await self._nodes[number].ask(POLL, {**self.there, "s": since})
            now = time.monotonic_ns()
            self.told.polls += 1
            self.told.poll_ms.append((now - began) / 1e6)
            for event in polled["events"]:
                since = event["cursor"]
                event_number, moment = _marked(event["payload"].encode(), 0)
                self._seen[number].append(event_number)
                self.told.polled_events += 1
                self.told.event_ms.append((now - moment) / 1e6)
            self._statuses[number] = {
                status["nodeId"]: datum["value"] for status in polled["nodeStatuses"] for datum in status["data"]
            }
            await asyncio.sleep(max(0.0, 2 - (now - began) / 1e9))

    async def _sync(self, number: int) -> None:
        await asyncio.sleep(SYNC_SECONDS * number / self._asked.nodes)
        while True:
            await self._nodes[number].ask(STATUSES, self.there)
            await asyncio.sleep(SYNC_SECONDS)

    async def _beat(self, number: int) -> None:
        interval = self._beat_seconds[number]
        await asyncio.sleep(interval * number / self._asked.nodes)
        while True:
            await self._nodes[number].ask(BEAT, {**self.there, "n": f"node{number}"})
            await asyncio.sleep(interval)

    async def _renew(self) -> None:
        while True:
            await self._host.ask(RENEW, {**self.there, "n": self._name})
            await asyncio.sleep(60)


def _frame(came: bytes, at: int) -> tuple[int, int] | None:
    """Where the next whole frame of the server's begins and ends."""
    if len(came) < at + 2:
        return None
    length, begin = came[at + 1], at + 2
    if length == 126:
        if len(came) < at + 4:
            return None
        length, begin = int.from_bytes(came[at + 2 : at + 4]), at + 4
    elif length == 127:
        if len(came) < at + 10:
            return None
        length, begin = int.from_bytes(came[at + 2 : at + 10]), at + 10
    if came[at] & 15 == 8:
        raise Failed("the server closed a socket")
    return (begin, begin + length) if len(came) >= begin + length else None


def _marked(text: bytes, at: int) -> tuple[int, int]:
    return int(text[at + 1 : at + 9]), int(text[at + 9 : at + MARK_BYTES], 16)


def _phase(name: str) -> None:
    sys.stdout.write(f"phase {name}\n")
    sys.stdout.flush()
    sys.stdin.readline()


async def _lesson(asked: Asked) -> Json:
    told = Told()
    groups = [Group(asked, told, number) for number in range(asked.groups)]
    limit = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def within(limited: Callable[[], Awaitable[None]]) -> None:
        async with limit:
            await limited()

    await asyncio.gather(*(within(group.open) for group in groups))
    background = [asyncio.ensure_future(one) for group in groups for one in group.background()]
    await asyncio.gather(*(group.publish(WARM_UP_SECONDS) for group in groups))
    await _complete(groups, background)
    for kept in (told.frame_ms, told.event_ms, told.poll_ms, told.call_ms):
        kept.clear()
    told.frames = told.frame_bytes = told.polls = told.calls = told.polled_events = told.published = 0
    gc.collect()
    gc.freeze()
    _phase("begin")
    began = time.monotonic()
    await asyncio.gather(*(group.publish(asked.seconds) for group in groups))
    took = time.monotonic() - began
    await _complete(groups, background)
    _phase("end")
    for task in background:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*background, return_exceptions=True)
    for group in groups:
        await group.close()
    if told.gaps:
        raise Failed(f"{told.gaps} messages did not come once and in order")
    return {
        "seconds": took,
        "published": told.published,
        "frames": told.frames,
        "frame_bytes": told.frame_bytes / max(1, told.frames),
        "polls": told.polls,
        "polled_events": told.polled_events,
        "calls": told.calls,
        **_shares("frame", told.frame_ms),
        **_shares("poll", told.poll_ms),
        **_shares("event_polled", told.event_ms),
        **_shares("call", told.call_ms),
    }


async def _complete(groups: list[Group], background: Sequence[asyncio.Future[None]]) -> None:
    deadline = time.monotonic() + DRAIN_SECONDS
    while (missing := next(filter(None, (group.complete() for group in groups)), None)) is not None:
        for task in background:
            if task.done():
                task.result()
        if time.monotonic() > deadline:
            raise Failed(missing)
        await asyncio.sleep(0.1)


def _shares(name: str, all_ms: list[float]) -> Json:
    ordered = sorted(all_ms) or [0.0]
    return {
        f"{name}_p{share}_ms": ordered[min(len(ordered) - 1, len(ordered) * share // 100)]
        for share in (50, 95, 99, 100)
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("port", "groups", "nodes"):
        options.add_argument(f"--{name}", type=int, required=True)
    for name in ("polling", "reports", "batches", "seconds"):
        options.add_argument(f"--{name}", type=float, required=True)
    try:
        told = asyncio.run(_lesson(Asked(**vars(options.parse_args()))))
    except (Failed, OSError) as error:
        sys.stdout.write(f"error {error}\n")
        sys.exit(1)
    sys.stdout.write(f"result {orjson.dumps(told).decode()}\n")


if __name__ == "__main__":
    main()
