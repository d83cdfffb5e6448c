"""Answers what begins with "echo " in every channel of its user: an example of a program that misses nothing.

MESHSITE_URL=https://chat.example.org MESHSITE_TOKEN=... python echo.py
"""

import asyncio
import os
from contextlib import suppress

from meshsite_client import Client, Event, Json, Resync

COMMAND = "echo "


class Echo:
    def __init__(self, client: Client, my_id: int) -> None:
        self._client = client
        self._my_id = my_id
        self._read: dict[int, int] = {}
        """The newest message that was looked at, by channel."""

    async def catch_up(self) -> None:
        """Look at what was said meanwhile; the first time, only remember where each channel stands."""
        boot = await self._client.call("client.boot")
        for channel in boot["channels"]:
            since_id = self._read.setdefault(channel["id"], channel["latest_message_id"])
            async for message in self._client.history(channel["id"], since_id):
                await self.answer(message)

    async def answer(self, message: Json) -> None:
        channel_id, body = message["channel_id"], message["body"]
        self._read[channel_id] = max(message["id"], self._read.get(channel_id, 0))
        if message["author"]["id"] != self._my_id and body.startswith(COMMAND):
            # Whoever meets the same message again, after a restart for example, answers with the same key: once.
            key = f"echo-{message['id']}"
            await self._client.send_message(channel_id, body.removeprefix(COMMAND), client_msg_id=key)


async def main() -> None:
    async with Client(os.environ["MESHSITE_URL"], token=os.environ["MESHSITE_TOKEN"]) as client:
        me = (await client.call("user.me"))["user"]
        echo = Echo(client, me["id"])
        await echo.catch_up()
        print(f"listening as {me['username']}", flush=True)
        async for item in client.events():
            match item:
                case Event(name="message.created", data=data):
                    await echo.answer(data["message"])
                case Resync():
                    await echo.catch_up()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
