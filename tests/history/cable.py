"""One client's network: a way to each worker, which can be cut, go dead without a word, or be unplugged for a while."""

import asyncio
from collections.abc import Sequence


class Cable:
    """A TCP proxy with a port per worker, on the loop of the test.

    A link that went dead stays dead, so nothing that it held comes out later: a frame arrives about when it was sent.
    """

    def __init__(self, worker_ports: Sequence[int]) -> None:
        self.plugged = True
        self.ports: list[int] = []
        self._worker_ports = worker_ports
        self._servers: list[asyncio.Server] = []
        self._links: set[_Link] = set()

    async def lay(self) -> None:
        loop = asyncio.get_running_loop()
        for port in self._worker_ports:
            server = await loop.create_server(lambda port=port: _Link(self, port).near, "127.0.0.1", 0)  # type: ignore[misc] # mypy cannot infer a lambda with a default
            self._servers.append(server)
            self.ports.append(server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        """End every connection, as a router does that restarts: both sides know at once."""
        for link in list(self._links):
            link.cut()

    def mute(self) -> None:
        """Let every connection of now carry nothing more, and tell nobody."""
        for link in self._links:
            link.dead = True

    def unplug(self) -> None:
        """No network: what is connected goes dead, what is tried meets silence."""
        self.plugged = False
        self.mute()

    def plug(self) -> None:
        self.plugged = True

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        self.cut()
        for link in list(self._links):
            await link.ended.wait()

    def know(self, link: "_Link") -> None:
        self._links.add(link)

    def forget(self, link: "_Link") -> None:
        self._links.discard(link)


class _Link:
    """One connection of the client, and the one to the worker that stands for it."""

    def __init__(self, cable: Cable, port: int) -> None:
        self.dead = not cable.plugged
        self.ended = asyncio.Event()
        self.near = _End(self)
        self.far = _End(self)
        self._cable = cable
        self._port = port
        self._dial: asyncio.Task[None] | None = None

    def opened(self, end: "_End") -> None:
        if end is self.near:
            self._cable.know(self)
            if not self.dead:
                self._dial = asyncio.create_task(self._dialled(), name=f"dial {self._port}")
        elif self.near.lost:
            end.drop()

    def carry(self, end: "_End", data: bytes) -> None:
        if not self.dead:
            (self.far if end is self.near else self.near).write(data)

    def lost(self, end: "_End") -> None:
        if not self.dead:
            (self.far if end is self.near else self.near).finish()
        if self.near.lost:
            self.far.drop()
            self._cable.forget(self)
            self.ended.set()

    def cut(self) -> None:
        self.near.drop()
        self.far.drop()

    async def _dialled(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self.far, "127.0.0.1", self._port)
        except OSError:
            self.near.drop()


class _End(asyncio.Protocol):
    def __init__(self, link: _Link) -> None:
        self.lost = False
        self._link = link
        self._transport: asyncio.Transport | None = None
        self._waiting: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        for data in self._waiting:
            transport.write(data)
        self._link.opened(self)

    def data_received(self, data: bytes) -> None:
        self._link.carry(self, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._link.lost(self)

    def write(self, data: bytes) -> None:
        if self._transport is None:
            self._waiting.append(data)
        else:
            self._transport.write(data)

    def finish(self) -> None:
        """Deliver what was written, then end."""
        if self._transport is not None:
            self._transport.close()

    def drop(self) -> None:
        if self._transport is not None:
            self._transport.abort()
