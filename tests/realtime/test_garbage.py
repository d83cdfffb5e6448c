import asyncio
import gc
import signal
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from meshsite.lifespan import Lifespan


@pytest.fixture(autouse=True)
def process_as_it_was() -> Iterator[None]:
    threshold = gc.get_threshold()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)
    for number, handler in handlers.items():
        signal.signal(number, handler)


class Cycle:
    def __init__(self) -> None:
        self.itself = self


def start_and_stop() -> None:
    async def serve() -> None:
        asked = iter(["lifespan.startup", "lifespan.shutdown"])
        said: list[str] = []

        async def receive() -> Any:
            return {"type": next(asked)}

        async def send(message: Any) -> None:
            said.append(message["type"])

        await Lifespan().serve(receive, send)
        assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

    asyncio.run(serve())


@pytest.mark.django_db(transaction=True)
def test_a_started_server_does_not_look_again_at_what_the_start_left_behind() -> None:
    left = Cycle()
    start_and_stop()
    assert gc.get_freeze_count() > 10_000
    assert not any(one is left for one in gc.get_objects())


@pytest.mark.django_db(transaction=True)
def test_a_started_server_still_collects_what_comes_later() -> None:
    start_and_stop()
    later = weakref.ref(Cycle())
    gc.collect()
    assert later() is None
