"""The asyncio client: does what the protocol decides. One task follows the stream; programs read what it brought."""

import asyncio
import random as random_module
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from meshsite_client.calls import answer_of, message_in, message_params, retry_waits
from meshsite_client.errors import CallError
from meshsite_client.items import Ephemeral, Item, Json, Position, State, StateChange
from meshsite_client.protocol import (
    ABNORMAL,
    CLOSE_SILENT,
    MESSAGE_BYTES,
    PAGE,
    Drain,
    OpenSocket,
    Poll,
    Protocol,
    Timing,
    TransportChoice,
    Wait,
)
from meshsite_client.site import Group, Site

CLOSE_SECONDS: Final = 1.0


class Client:
    """Follows the stream of one user, or a `group` of classrooms, and calls.

        async with Client("https://chat.example.org", token="...") as client:
            async for item in client.events():
                ...

    `key` is an API key of classrooms. `ticket` gives a fresh ticket for each connection, where a program has no other
    credentials. `on_state` and `on_ephemeral` are called on the event loop; what they raise ends `events`.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        cookies: Mapping[str, str] | None = None,
        key: str | None = None,
        group: Group | None = None,
        ticket: Callable[[], Awaitable[str]] | None = None,
        transport: TransportChoice = "auto",
        timing: Timing | None = None,
        session: str | None = None,
        position: Position | None = None,
        on_state: Callable[[StateChange], None] | None = None,
        on_ephemeral: Callable[[Ephemeral], None] | None = None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._site = Site(url, token, cookies or {}, key, group)
        self._protocol = Protocol(
            transport=transport, timing=timing, session=session, position=position, now=now, random=random
        )
        self._ticket = ticket
        self._on_state = on_state
        self._on_ephemeral = on_ephemeral
        self._sleep = sleep
        self._random = random
        self._http: httpx.AsyncClient | None = None
        self._socket: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._waiting: dict[str, asyncio.Future[Json]] = {}

    @property
    def state(self) -> State:
        return self._protocol.state

    @property
    def session(self) -> str | None:
        return self._protocol.session

    @property
    def position(self) -> Position | None:
        """After the last item that was handed out. A program that stores it can go on from there."""
        return self._protocol.position

    async def __aenter__(self) -> Self:
        try:
            await self.connect()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def connect(self) -> None:
        """Follow the stream from now on. Returns after the first attempt, whose outcome `state` tells."""
        self._protocol.connect()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow(), name="meshsite client")
        await self._until(lambda: self.state != "connecting")
        self._raise_mistake()

    async def close(self, *, bye: bool = True) -> None:
        """Stop. `bye` ends the session's lease now, or takes the node out of its group; else they last a while."""
        goodbye = self._site.leaving(self.session) if bye and self.state == "polling" else None
        self._protocol.disconnect(bye=bye)
        if self._socket is not None:
            with suppress(ConnectionClosed, TimeoutError):
                await self._flush()
        try:
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait([self._task])
            self._tell()
            if goodbye is not None:
                with suppress(CallError):  # then the lease runs out
                    await self._call_by_http(*goodbye)
        finally:
            if self._http is not None:
                await self._http.aclose()
                self._http = None

    async def events(self) -> AsyncIterator[Item]:
        """The items of the stream, each once and in order, until `close`. Raises Refused when the server says so."""
        while (item := await self.next_event()) is not None:
            yield item

    async def next_event(self, seconds: float | None = None) -> Item | None:
        """The next item; None after so many seconds, or once closed. May be cancelled: no item is lost by that."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._until(self._has_news)
        item = self._protocol.take()
        if item is not None:
            self._notify()
        elif self._protocol.refusal is not None:
            raise self._protocol.refusal
        return item

    async def call(self, method: str, params: Mapping[str, Any] | None = None) -> Json:
        """Call a method: over the socket while it lives, else over HTTP. Raises CallError."""
        if not self._protocol.live:
            return await self._call_by_http(method, params or {})
        ref = self._protocol.call(method, dict(params or {}))
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[ref] = answer
        try:
            async with asyncio.timeout(self._protocol.timing.call_seconds):
                # A socket that ends meanwhile is noticed by its reader, who answers all that wait.
                with suppress(ConnectionClosed):
                    await self._flush()
                return await answer
        except TimeoutError:
            raise CallError("timeout", detail=f"No answer to {method}") from None
        finally:
            del self._waiting[ref]
            self._protocol.forget(ref)

    async def send_message(
        self, channel_id: int, body: str, *, client_msg_id: str | None = None, thread_root_id: int | None = None
    ) -> Json:
        """Send a message once, however often it must be tried; the message. Raises CallError."""
        params = message_params(channel_id, body, client_msg_id, thread_root_id)
        for seconds in retry_waits(self._random):
            try:
                return message_in(await self.call("message.send", params))
            except CallError as error:
                if not error.lost:
                    raise
                await self._sleep(max(seconds, error.retry_after or 0.0))
        return message_in(await self.call("message.send", params))

    async def history(self, channel_id: int, since_id: int = 0) -> AsyncIterator[Json]:
        """The messages of a channel after `since_id`, oldest first, up to the newest."""
        has_more = True
        while has_more:
            page = await self.call("message.list", {"channel_id": channel_id, "since_id": since_id, "limit": PAGE})
            for message in page["messages"]:
                yield message
            since_id, has_more = page["next_since_id"], page["has_more"]

    async def _follow(self) -> None:
        try:
            while True:
                self._tell()
                match self._protocol.next_step():
                    case OpenSocket(query):
                        await self._follow_socket(query)
                    case Poll(query, timeout_seconds):
                        await self._poll(query, timeout_seconds)
                    case Wait(seconds):
                        await self._sleep(seconds)
                    case Drain():
                        await self._until(lambda: not self._protocol.draining)
                    case _:
                        return
        finally:
            asyncio.get_running_loop().call_soon(self._notify)

    async def _follow_socket(self, query: Mapping[str, str]) -> None:
        try:
            async with asyncio.timeout(self._protocol.patience()):
                url = self._site.socket_url(await self._with_ticket(query))
                self._socket = await self._opened(url)
        except TimeoutError:
            self._protocol.timed_out()
            return
        except (OSError, WebSocketException):
            self._protocol.closed(ABNORMAL)
            return
        except CallError as error:
            self._protocol.closed(4401 if error.status == 401 else ABNORMAL)
            return
        try:
            while self._protocol.following:
                await self._read(self._socket)
                self._tell()
        finally:
            socket, self._socket = self._socket, None
            await _shut(socket, self._protocol.close_code)

    async def _opened(self, url: str) -> ClientConnection:
        # The server's pings are frames of the protocol, which has its own watchdog.
        return await connect(
            url,
            additional_headers=self._site.headers,
            open_timeout=None,
            ping_interval=None,
            close_timeout=CLOSE_SECONDS,
            max_size=MESSAGE_BYTES,
        )

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async with asyncio.timeout(self._protocol.patience()):
                text = await socket.recv()
            self._protocol.receive(text)
            async with asyncio.timeout(self._protocol.timing.silence_seconds):
                await self._flush()
        except TimeoutError:
            self._protocol.timed_out()
        except ConnectionClosed as closed:
            self._protocol.closed(closed.rcvd.code if closed.rcvd else ABNORMAL)

    async def _flush(self) -> None:
        while self._socket is not None and self._protocol.outbox:
            await self._socket.send(self._protocol.outbox.popleft())

    async def _poll(self, query: Mapping[str, str], timeout_seconds: float) -> None:
        try:
            url = self._site.poll_url(await self._with_ticket(query))
            answer = await self._client().get(url, timeout=timeout_seconds)
        except (httpx.RequestError, CallError) as error:
            self._protocol.poll_failed(timed_out=isinstance(error, httpx.ReadTimeout))
        else:
            self._protocol.poll_answered(answer.status_code, answer.content)

    async def _with_ticket(self, query: Mapping[str, str]) -> dict[str, str]:
        return dict(query) if self._ticket is None else {**query, "ticket": await self._ticket()}

    async def _call_by_http(self, method: str, params: Mapping[str, Any]) -> Json:
        url, seconds = self._site.call_url(method), self._protocol.timing.call_seconds
        try:
            answer = await self._client().post(url, json=params, timeout=seconds)
        except httpx.TimeoutException:
            raise CallError("timeout", detail=f"No answer to {method}") from None
        except httpx.RequestError as error:
            raise CallError("unreachable", detail=str(error)) from error
        return answer_of(answer.status_code, answer.content)

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            self._http = httpx.AsyncClient(headers=self._site.headers)
        return self._http

    def _has_news(self) -> bool:
        return self._protocol.ready or self.state in {"offline", "refused"}

    async def _until(self, true: Callable[[], bool]) -> None:
        while not true():
            self._raise_mistake()
            await self._changed.wait()

    def _raise_mistake(self) -> None:
        """Raise what a callback raised in the task that follows."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    def _tell(self) -> None:
        """Hand on what the protocol has to say."""
        while self._protocol.notices:
            notice = self._protocol.notices.popleft()
            if isinstance(notice, StateChange):
                if self._on_state is not None:
                    self._on_state(notice)
            elif self._on_ephemeral is not None:
                self._on_ephemeral(notice)
        for ref in self._waiting.keys() & self._protocol.answers.keys():
            _settle(self._waiting[ref], self._protocol.answers.pop(ref))
        self._notify()

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


async def _shut(socket: ClientConnection, code: int) -> None:
    """Close with the handshake, unless the peer is dead and never answers it; cancelled, without waiting for it."""
    try:
        if code != CLOSE_SILENT:
            await socket.close(code)
    finally:
        socket.transport.abort()
        await socket.wait_closed()


def _settle(waiting: asyncio.Future[Json], answer: Json | CallError) -> None:
    if waiting.done():
        return
    if isinstance(answer, CallError):
        waiting.set_exception(answer)
    else:
        waiting.set_result(answer)
