"""HTTP calls over a cable, by a client so plain that it knows when it does not know what became of a call."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from tests.history.cable import Cable

CALL_SECONDS = 4.0
"""After this a call counts as unanswered. Longer than the server waits for a Redis that is paused."""

GONE_AFTER_SECONDS = 0.05
"""How long somebody who asks and hangs up stays: as long as a call takes, about."""


class Unanswered(Exception):
    """No answer came. The call may have been carried out, or not, or be carried out later."""


class Answer(NamedTuple):
    status: int
    body: Any


class Caller:
    """Somebody's calls, one after the other; it keeps a connection to each worker."""

    def __init__(self, cable: Cable, token: str, *, header: str = "Authorization: Bearer") -> None:
        self._cable = cable
        self._credential = f"{header} {token}"
        self._connections: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}

    async def call(self, worker: int, method: str, params: dict[str, Any]) -> Answer:
        return await self.post(worker, f"/api/{method}", params)

    async def post(self, worker: int, path: str, asked: dict[str, Any]) -> Answer:
        return await self._request(worker, "POST", path, json.dumps(asked).encode(), CALL_SECONDS)

    async def poll(
        self, worker: int, query: Mapping[str, object], *, wait: float, path: str = "/poll/user/me"
    ) -> Answer:
        path = f"{path}?{urlencode({**query, 'wait': wait})}"
        return await self._request(worker, "GET", path, b"", wait + CALL_SECONDS)

    async def post_and_go(self, worker: int, path: str, asked: dict[str, Any]) -> None:
        """Ask and hang up, as a page that is closed does. What became of it nobody knows. Raises Unanswered."""
        content = json.dumps(asked).encode()
        try:
            async with asyncio.timeout(CALL_SECONDS):
                _reader, writer = await self._connection(worker)
                writer.write(self._head("POST", path, len(content)) + content)
                await writer.drain()
                await asyncio.sleep(GONE_AFTER_SECONDS)
        except (OSError, TimeoutError):
            pass
        finally:
            self._drop(worker)
        raise Unanswered(path)

    def hang_up(self) -> None:
        for worker in list(self._connections):
            self._drop(worker)

    async def _request(self, worker: int, verb: str, path: str, content: bytes, seconds: float) -> Answer:
        answered = False
        try:
            async with asyncio.timeout(seconds):
                reader, writer = await self._connection(worker)
                writer.write(self._head(verb, path, len(content)) + content)
                answer = await _answer(reader)
                answered = True
                return answer
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise Unanswered(path) from error
        finally:
            if not answered:
                self._drop(worker)

    async def _connection(self, worker: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if worker not in self._connections:
            self._connections[worker] = await asyncio.open_connection("127.0.0.1", self._cable.ports[worker])
        return self._connections[worker]

    def _drop(self, worker: int) -> None:
        if worker in self._connections:
            _reader, writer = self._connections.pop(worker)
            writer.transport.abort()

    def _head(self, verb: str, path: str, length: int) -> bytes:
        lines = [f"{verb} {path} HTTP/1.1", "Host: 127.0.0.1", self._credential]
        lines += ["Content-Type: application/json", f"Content-Length: {length}"]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _answer(reader: asyncio.StreamReader) -> Answer:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    content = await reader.readexactly(int(headers["content-length"]))
    is_json = headers.get("content-type", "").startswith(("application/json", "application/problem+json"))
    return Answer(int(lines[0].split()[1]), json.loads(content) if is_json else content.decode(errors="replace"))
