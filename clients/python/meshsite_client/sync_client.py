"""The blocking client: does what the protocol decides, while the program waits in one of its methods.

It has no thread of its own. A program that is busy with something else for longer than the server waits for a pong
loses its connection, and comes back with its cursor when it asks for the next event: late, but nothing is missed.
"""

import random as random_module
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

import httpx
from websockets.exceptions import WebSocketException

from meshsite_client.blocking_socket import BlockingSocket, SocketClosed
from meshsite_client.calls import answer_of, message_in, message_params, retry_waits
from meshsite_client.errors import CallError
from meshsite_client.items import Ephemeral, Item, Json, Position, State, StateChange
from meshsite_client.protocol import (
    ABNORMAL,
    CLOSE_SILENT,
    MESSAGE_BYTES,
    PAGE,
    OpenSocket,
    Poll,
    Protocol,
    Timing,
    TransportChoice,
    Wait,
)
from meshsite_client.site import Group, Site

FOREVER: Final = 3600.0
"""Long enough for one step, short enough for a socket's timeout."""


class SyncClient:
    """Follows the stream of one user, or a `group` of classrooms, and calls.

        with SyncClient("https://chat.example.org", token="...") as client:
            for item in client.events():
                ...

    `key` is an API key of classrooms. `ticket` gives a fresh ticket for each connection, where a program has no other
    credentials.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        cookies: Mapping[str, str] | None = None,
        key: str | None = None,
        group: Group | None = None,
        ticket: Callable[[], str] | None = None,
        transport: TransportChoice = "auto",
        timing: Timing | None = None,
        session: str | None = None,
        position: Position | None = None,
        on_state: Callable[[StateChange], None] | None = None,
        on_ephemeral: Callable[[Ephemeral], None] | None = None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._site = Site(url, token, cookies or {}, key, group)
        self._protocol = Protocol(
            transport=transport, timing=timing, session=session, position=position, now=now, random=random
        )
        self._ticket = ticket
        self._on_state = on_state
        self._on_ephemeral = on_ephemeral
        self._now = now
        self._sleep = sleep
        self._random = random
        self._http: httpx.Client | None = None
        self._socket: BlockingSocket | None = None

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

    def __enter__(self) -> Self:
        try:
            self.connect()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def connect(self) -> None:
        """Follow the stream from now on. Returns after the first attempt, whose outcome `state` tells."""
        self._protocol.connect()
        self._tell()
        while self.state == "connecting":
            self._work(FOREVER)

    def close(self, *, bye: bool = True) -> None:
        """Stop. `bye` ends the session's lease now, or takes the node out of its group; else they last a while."""
        goodbye = self._site.leaving(self.session) if bye and self.state == "polling" else None
        self._protocol.disconnect(bye=bye)
        self._flush()
        self._leave_socket()
        self._tell()
        if goodbye is not None:
            with suppress(CallError):  # then the lease runs out
                self._call_by_http(*goodbye)
        if self._http is not None:
            self._http.close()
            self._http = None

    def events(self) -> Iterator[Item]:
        """The items of the stream, each once and in order, until `close`. Raises Refused when the server says so."""
        while (item := self.next_event()) is not None:
            yield item

    def next_event(self, seconds: float | None = None) -> Item | None:
        """The next item; None after about so many seconds, or once closed."""
        deadline = self._now() + (FOREVER if seconds is None else seconds)
        while not self._protocol.ready:
            if self._protocol.refusal is not None:
                raise self._protocol.refusal
            left = FOREVER if seconds is None else deadline - self._now()
            if self.state == "offline" or left < 0:
                return None
            self._work(left)
        return self._protocol.take()

    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Json:
        """Call a method: over the socket while it lives, else over HTTP. Raises CallError."""
        if not self._protocol.live:
            return self._call_by_http(method, params or {})
        ref = self._protocol.call(method, dict(params or {}))
        deadline = self._now() + self._protocol.timing.call_seconds
        try:
            self._flush()
            while (answer := self._protocol.answers.get(ref)) is None:
                if self._socket is None or self._now() > deadline:
                    raise CallError("timeout", detail=f"No answer to {method}")
                self._read(self._socket, deadline - self._now())
        finally:
            self._protocol.forget(ref)
        if isinstance(answer, CallError):
            raise answer
        return answer

    def send_message(
        self, channel_id: int, body: str, *, client_msg_id: str | None = None, thread_root_id: int | None = None
    ) -> Json:
        """Send a message once, however often it must be tried; the message. Raises CallError."""
        params = message_params(channel_id, body, client_msg_id, thread_root_id)
        for seconds in retry_waits(self._random):
            try:
                return message_in(self.call("message.send", params))
            except CallError as error:
                if not error.lost:
                    raise
                self._sleep(max(seconds, error.retry_after or 0.0))
        return message_in(self.call("message.send", params))

    def history(self, channel_id: int, since_id: int = 0) -> Iterator[Json]:
        """The messages of a channel after `since_id`, oldest first, up to the newest."""
        has_more = True
        while has_more:
            page = self.call("message.list", {"channel_id": channel_id, "since_id": since_id, "limit": PAGE})
            yield from page["messages"]
            since_id, has_more = page["next_since_id"], page["has_more"]

    def _work(self, most_seconds: float) -> None:
        """One step of I/O, of about so many seconds at most."""
        if self._socket is not None:
            self._read(self._socket, most_seconds)
            return
        match self._protocol.next_step(most_seconds):
            case OpenSocket(query):
                self._open_socket(query)
            case Poll(query, timeout_seconds):
                self._poll(query, timeout_seconds)
            case Wait(seconds):
                self._sleep(min(seconds, most_seconds))
        self._tell()

    def _open_socket(self, query: Mapping[str, str]) -> None:
        try:
            url = self._site.socket_url(self._with_ticket(query))
            seconds = self._protocol.patience()
            self._socket = BlockingSocket(url, headers=self._site.headers, most_bytes=MESSAGE_BYTES, seconds=seconds)
        except TimeoutError:
            self._protocol.timed_out()
        except (OSError, WebSocketException):
            self._protocol.closed(ABNORMAL)
        except CallError as error:
            self._protocol.closed(4401 if error.status == 401 else ABNORMAL)

    def _read(self, socket: BlockingSocket, most_seconds: float) -> None:
        patience = self._protocol.patience()
        try:
            text = socket.receive(min(patience, most_seconds))
            if text is not None:
                self._protocol.receive(text)
                self._flush()
            elif patience <= most_seconds:
                self._protocol.timed_out()
        except SocketClosed as closed:
            self._protocol.closed(closed.code)
        if not self._protocol.following:
            self._leave_socket()
        self._tell()

    def _flush(self) -> None:
        try:
            while self._socket is not None and self._protocol.outbox:
                self._socket.send(self._protocol.outbox.popleft(), seconds=self._protocol.timing.silence_seconds)
        except TimeoutError:
            self._protocol.timed_out()
            self._leave_socket()

    def _leave_socket(self) -> None:
        if self._socket is not None:
            code = self._protocol.close_code
            self._socket.close(code, wait=code != CLOSE_SILENT)
            self._socket = None

    def _poll(self, query: Mapping[str, str], timeout_seconds: float) -> None:
        try:
            url = self._site.poll_url(self._with_ticket(query))
            answer = self._client().get(url, timeout=timeout_seconds)
        except (httpx.RequestError, CallError) as error:
            self._protocol.poll_failed(timed_out=isinstance(error, httpx.ReadTimeout))
        else:
            self._protocol.poll_answered(answer.status_code, answer.content)

    def _with_ticket(self, query: Mapping[str, str]) -> dict[str, str]:
        return dict(query) if self._ticket is None else {**query, "ticket": self._ticket()}

    def _call_by_http(self, method: str, params: Mapping[str, Any]) -> Json:
        url, seconds = self._site.call_url(method), self._protocol.timing.call_seconds
        try:
            answer = self._client().post(url, json=params, timeout=seconds)
        except httpx.TimeoutException:
            raise CallError("timeout", detail=f"No answer to {method}") from None
        except httpx.RequestError as error:
            raise CallError("unreachable", detail=str(error)) from error
        return answer_of(answer.status_code, answer.content)

    def _client(self) -> httpx.Client:
        if self._http is None:
            self._http = httpx.Client(headers=self._site.headers)
        return self._http

    def _tell(self) -> None:
        """Hand on what the protocol has to say."""
        while self._protocol.notices:
            notice = self._protocol.notices.popleft()
            if isinstance(notice, StateChange):
                if self._on_state is not None:
                    self._on_state(notice)
            elif self._on_ephemeral is not None:
                self._on_ephemeral(notice)
