"""Two nodes of a classroom share a variable and an event: an example of a program that misses nothing.

MESHSITE_URL=https://chat.example.org MESHSITE_KEY=... python classroom.py
"""

import asyncio
import os
from uuid import uuid4

from meshsite_client import Client, Event, Group, Json, Position, Resync

URL, KEY = os.environ["MESHSITE_URL"], os.environ["MESHSITE_KEY"]


async def teach(place: Json) -> None:
    """Report a value, then fire an event. With its order key it is told once, however often it must be sent."""
    async with Client(URL, key=KEY, group=Group(**place, node_id="teacher")) as teacher:
        values = [{"key": "speed", "value": "7"}]
        await teacher.call("mesh.report", {**place, "node_id": "teacher", "values": values})
        events = [{"name": "go", "payload": "left", "order_key": "1"}]
        await teacher.call("mesh.fire", {**place, "node_id": "teacher", "events": events})


async def learn(place: Json, joined: Json) -> None:
    """Follow from the moment of joining on, until the event comes."""
    group = Group(**place, node_id="pupil")
    async with Client(URL, key=KEY, group=group, position=Position(joined["epoch"], joined["seq"])) as pupil:
        async for item in pupil.events():
            match item:
                case Event(name="mesh.status_reported", data={"node_id": node_id, "values": values}):
                    print(node_id, "has", ", ".join(f"{value['key']} = {value['value']}" for value in values))
                case Event(name="mesh.events_fired", data={"node_id": node_id, "events": events}):
                    print(node_id, "fires", ", ".join(f"{event['name']} {event['payload']}" for event in events))
                    return
                case Resync():
                    # More is missing than the server has: what is, is in the statuses.
                    print(await pupil.call("mesh.statuses", place))


async def main() -> None:
    host = str(uuid4())
    office = Client(URL, key=KEY)  # only calls
    domain = (await office.call("mesh.domain"))["domain"]
    made = await office.call("mesh.create_group", {"domain": domain, "name": "Robots", "host_id": host})
    place = {"group_id": made["group"]["group_id"], "domain": domain}
    try:
        joined = [await office.call("mesh.join", {**place, "node_id": name}) for name in ("pupil", "teacher")]
        await asyncio.gather(teach(place), learn(place, joined[0]))
    finally:
        await office.call("mesh.dissolve", {**place, "host_id": host})
        await office.close()


if __name__ == "__main__":
    asyncio.run(main())
