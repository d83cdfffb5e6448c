"""A TCP proxy between a client and a server that lets sockets through, or does to them what bad networks do."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Literal, Self
from urllib.parse import urlsplit

Sockets = Literal["open", "refused", "swallowed", "muted"]
"""`refused`: an HTTP error. `swallowed`: no answer. `muted`: the server is reached, but its answer never comes back."""
HEAD_BYTES = 64 * 1024
REFUSAL = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Gate:
    """Runs in a thread of its own while the `with` block lasts."""

    def __init__(self, server_url: str) -> None:
        self.sockets: Sockets = "open"
        self.url = ""
        self.socket_attempts = 0
        self.requests = 0
        self._port = urlsplit(server_url).port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gate")
        self._server: asyncio.Server | None = None
        self._open_sockets: set[asyncio.StreamWriter] = set()
        self._to_server: set[asyncio.StreamWriter] = set()
        self._muted: set[asyncio.StreamWriter] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """End every socket without a word."""
        self._run(self._cut())

    def mute(self) -> None:
        """Let nothing more come back from the server on the sockets of now."""
        self._muted |= self._open_sockets

    def deafen(self) -> None:
        """Let nothing more reach the server on the sockets of now."""
        self._muted |= self._to_server

    def shut(self, how: Sockets) -> None:
        """From now on no socket gets through, and those that did end."""
        self.sockets = how
        self.cut()

    def open(self) -> None:
        self.sockets = "open"

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0, limit=HEAD_BYTES)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _stop(self) -> None:
        assert self._server
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _cut(self) -> None:
        while self._open_sockets:
            self._open_sockets.pop().transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            await self._carry_one(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # Either side went away, as they do.
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _carry_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        is_socket, how = head.startswith(b"GET /ws/"), self.sockets
        self.requests += 1
        if is_socket:
            self.socket_attempts += 1
            self._open_sockets.add(writer)
        if is_socket and how == "refused":
            writer.write(REFUSAL)
            await writer.drain()
            return
        if is_socket and how == "swallowed":
            await reader.read()
            return
        back, forth = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            forth.write(head)
            if is_socket:
                self._to_server.add(forth)
            if is_socket and how == "muted":
                self._muted.add(writer)
            pumps = [self._pump(reader, forth), self._pump(back, writer)]
            await _first_of([asyncio.ensure_future(pump) for pump in pumps])
        finally:
            self._to_server.discard(forth)
            forth.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(HEAD_BYTES):
            if writer not in self._muted:
                writer.write(data)
                await writer.drain()


async def _first_of(tasks: list[asyncio.Future[None]]) -> None:
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
