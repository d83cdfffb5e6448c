"""What doors remember of who is who."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from realtime.commands import Caller
from realtime.doors import REMEMBERED_SECONDS, Remembering
from tests.realtime.conftest import Clock


def scope(token: str) -> dict[str, Any]:
    return {"query_string": b"", "headers": [(b"authorization", token.encode())]}


def test_the_same_credentials_are_looked_up_once_for_a_while(still: Clock) -> None:
    asked, remembering = _remembering()

    async def poll() -> None:
        for seconds in (0, REMEMBERED_SECONDS - 1, 2):
            still.advance(seconds)
            await remembering(scope("ada"))

    asyncio.run(poll())

    assert asked == ["ada", "ada"]


def test_who_is_not_heard_of_again_is_forgotten(still: Clock) -> None:
    asked, remembering = _remembering()

    async def poll() -> None:
        for name in ("ada", "bob", "ada"):
            await remembering(scope(name))
        still.advance(REMEMBERED_SECONDS + 1)
        await remembering(scope("eve"))

    asyncio.run(poll())

    assert asked == ["ada", "bob", "eve"]
    assert len(remembering._known) == 1


def _remembering() -> tuple[list[str], Remembering]:
    asked: list[str] = []

    async def authenticate(scope: Any) -> Caller:
        asked.append(scope["headers"][0][1].decode())
        return Caller(cast(Any, SimpleNamespace(pk=len(asked))))

    return asked, Remembering(authenticate)
