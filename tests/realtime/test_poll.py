"""The long-poll door in this process: what a client leaves behind that goes away."""

import asyncio
import gc
import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

from realtime.commands import Caller
from realtime.hub import hub
from realtime.poll import PollDoor
from realtime.session import Session

STREAM = "user:70001"


def scope(query: str) -> dict[str, Any]:
    return {"method": "GET", "path": "/poll/user/me", "query_string": query.encode(), "headers": []}


def park_and_leave() -> list[Mapping[str, Any]]:
    """A poll that is answered, and one whose client goes away; what the second one was sent."""
    sent: list[Mapping[str, Any]] = []
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    async def authenticate(_: object) -> Caller:
        return Caller(cast(Any, SimpleNamespace(pk=70001)))

    async def both() -> None:
        door = PollDoor(authenticate=authenticate)
        await door(scope(""), receive, send)
        stands = json.loads(sent[-1]["body"])
        sent.clear()
        parked = asyncio.create_task(door(scope(f"epoch={stands['epoch']}&since={stands['seq']}"), receive, send))
        while not hub.sessions(STREAM):  # noqa: ASYNC110 # the hub has no event for it
            await asyncio.sleep(0)
        gone.set()
        await parked

    asyncio.run(both())
    return sent


def test_a_client_that_goes_away_frees_its_session() -> None:
    assert park_and_leave() == []
    assert hub.sessions(STREAM) == []


def test_the_session_of_a_poll_does_not_wait_for_the_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        park_and_leave()
        left = [one for one in gc.get_objects() if isinstance(one, Session) and one.stream == STREAM]
    finally:
        gc.enable()

    assert left == []
