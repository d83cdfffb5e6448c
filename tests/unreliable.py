"""A channel layer that does what channel layers may do, and does it all the time."""

import asyncio
import random
from typing import Any

from channels_redis.pubsub import RedisPubSubChannelLayer


class UnreliableLayer(RedisPubSubChannelLayer):
    """Of three messages it loses one, sends one twice, and one late, after others. Seeded."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._random = random.Random(4711)
        self._late: set[asyncio.Task[None]] = set()

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        send = super().__getattr__("send")
        match self._random.randrange(3):
            case 0:
                return
            case 1:
                await send(channel, message)
                await send(channel, message)
            case 2:
                task = asyncio.create_task(self._send_late(send, channel, message))
                self._late.add(task)
                task.add_done_callback(self._late.discard)

    async def _send_late(self, send: Any, channel: str, message: dict[str, Any]) -> None:
        await asyncio.sleep(self._random.random() / 5)
        await send(channel, message)
