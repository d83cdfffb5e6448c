"""Both Python clients under one face, so that each test runs on both."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Literal, Protocol, TypeVar

from meshsite_client import Client, Event, Item, Json, Position, State, SyncClient

T = TypeVar("T")
Kind = Literal["asyncio", "blocking"]
SOON_SECONDS = 10.0
"""Far more than anything takes here, for the slowest machine that runs the tests."""


class Driven(Protocol):
    """What both have in common; a test waits in one of these methods, and the client gets on meanwhile."""

    @property
    def state(self) -> State: ...
    @property
    def session(self) -> str | None: ...
    @property
    def position(self) -> Position | None: ...
    def connect(self) -> None: ...
    def close(self, *, bye: bool = True) -> None: ...
    def end(self) -> None: ...
    def next_event(self, seconds: float | None = None) -> Item | None: ...
    def call(self, method: str, params: Json | None = None) -> Json: ...
    def send_message(self, channel_id: int, body: str) -> Json: ...
    def history(self, channel_id: int, since_id: int = 0) -> list[Json]: ...


class DrivenAsyncio:
    """The asyncio client on a loop of its own, which runs while the test waits for something."""

    def __init__(self, url: str, **options: Any) -> None:
        self._runner = asyncio.Runner()
        ticket: Callable[[], str] | None = options.pop("ticket", None)
        sleep: Callable[[float], None] | None = options.pop("sleep", None)
        if ticket is not None:
            options["ticket"] = _as_coroutine(ticket)
        if sleep is not None:
            options["sleep"] = _as_coroutine(sleep)
        self._client = Client(url, **options)

    @property
    def state(self) -> State:
        return self._client.state

    @property
    def session(self) -> str | None:
        return self._client.session

    @property
    def position(self) -> Position | None:
        return self._client.position

    def connect(self) -> None:
        self._runner.run(self._client.connect())

    def close(self, *, bye: bool = True) -> None:
        self._runner.run(self._client.close(bye=bye))

    def end(self) -> None:
        self.close()
        self._runner.close()

    def next_event(self, seconds: float | None = None) -> Item | None:
        return self._runner.run(self._client.next_event(seconds))

    def call(self, method: str, params: Json | None = None) -> Json:
        return self._runner.run(self._client.call(method, params))

    def send_message(self, channel_id: int, body: str) -> Json:
        return self._runner.run(self._client.send_message(channel_id, body))

    def history(self, channel_id: int, since_id: int = 0) -> list[Json]:
        async def read() -> list[Json]:
            return [message async for message in self._client.history(channel_id, since_id)]

        return self._runner.run(read())


class DrivenBlocking(SyncClient):
    def history(self, channel_id: int, since_id: int = 0) -> list[Json]:  # type: ignore[override] # read at once
        return list(super().history(channel_id, since_id))

    def end(self) -> None:
        self.close()


def said_in(channel_id: int, item: object) -> str | None:
    """The text that an item brings to a channel."""
    if isinstance(item, Event) and item.name == "message.created":
        message = item.data["message"]
        if message["channel_id"] == channel_id:
            return str(message["body"])
    return None


def read_until(client: Driven, channel_id: int, last: str) -> list[str]:
    """What is said in a channel, up to and with the text `last`."""
    said: list[str] = []
    while last not in said:
        item = client.next_event(SOON_SECONDS)
        assert item is not None, f"nothing more after {said[-3:]}, {client.state}"
        if (body := said_in(channel_id, item)) is not None:
            said.append(body)
    return said


def _as_coroutine(function: Callable[..., T]) -> Callable[..., Coroutine[Any, Any, T]]:
    async def run(*arguments: Any) -> T:
        return function(*arguments)

    return run
