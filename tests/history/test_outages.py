"""AnyCable's published test on our own servers: clients lose the network for 2 s again and again, messages flow on.

Source: docs.anycable.io/capabilities, with many more clients: 100 % delivered for AnyCable, 84.6 % for Socket.IO.
"""

import asyncio
import random
from collections.abc import Sequence

import pytest

from tests.history.cluster import NAMES, Cluster
from tests.history.conftest import StartCluster, Tell
from tests.history.journal import Connected, Got, Journal, Log
from tests.history.people import Person
from tests.history.run import gathering, settle
from tests.history.session import Session
from tests.history.world import PUBLIC, World

pytestmark = pytest.mark.postgres

OUTAGES = 4
OFFLINE_SECONDS = 2.0
ONLINE_SECONDS = 1.5
"""On average, so that the outages of two clients are not the same."""
SAY_SECONDS = 0.15
SAYERS = 3


def test_everything_is_delivered_to_clients_that_lose_the_network_again_and_again(
    start_cluster: StartCluster, tell: Tell
) -> None:
    cluster = start_cluster("meshsite.settings", "meshsite.settings")
    journal = asyncio.run(_flicker(cluster, cluster.found(NAMES)))
    logs = {transport: _logs_over(journal, transport) for transport in ("socket", "poll")}
    delivered = {transport: _delivered(journal, logs[transport]) for transport in logs}
    lines = [
        f"  {transport}: {percent:.1f} % of {len(journal.messages)} messages delivered to each of"
        f" {len(logs[transport])} clients"
        for transport, percent in delivered.items()
    ]
    tell("\n".join([f"clients that lost the network {OUTAGES} times for {OFFLINE_SECONDS:g} s", *lines]))
    assert not journal.violations
    assert len(journal.messages) > 100
    assert delivered == {"socket": 100.0, "poll": 100.0}


async def _flicker(cluster: Cluster, world: World) -> Journal:
    journal, rng, over = Journal(), random.Random(84.6), asyncio.Event()
    channel_id = min(pk for pk, place in world.places.items() if place.kind == PUBLIC)
    async with gathering(cluster, world, journal, rng) as people:
        await settle(cluster, people, journal)
        async with asyncio.TaskGroup() as group:
            for person in people[:SAYERS]:
                group.create_task(_say(person, channel_id, over))
            async with asyncio.TaskGroup() as flickering:
                for person in people:
                    for session in person.sessions:
                        flickering.create_task(_lose_the_network(session, rng))
            over.set()
        await settle(cluster, people, journal)
    return journal


async def _say(person: Person, channel_id: int, over: asyncio.Event) -> None:
    while not over.is_set():
        await person.send(channel_id=channel_id)
        await asyncio.sleep(SAY_SECONDS)


async def _lose_the_network(session: Session, rng: random.Random) -> None:
    for _ in range(OUTAGES):
        await asyncio.sleep(rng.uniform(0, 2 * ONLINE_SECONDS))
        session.cable.unplug()
        await asyncio.sleep(OFFLINE_SECONDS)
        session.cable.plug()
        session.cable.cut()  # A device that has a network again notices that its connections are gone.


def _logs_over(journal: Journal, transport: str) -> list[Log]:
    return [
        log
        for log in journal.logs
        if any(isinstance(line, Connected) and line.transport == transport for line in log.lines)
    ]


def _delivered(journal: Journal, logs: Sequence[Log]) -> float:
    """Per cent of all messages and clients. What is only in a fetched state, and was not told, is not delivered."""
    told = sum(len(_created(log) & journal.messages.keys()) for log in logs)
    return 100 * told / (len(logs) * len(journal.messages))


def _created(log: Log) -> set[int]:
    return {
        line.data["message"]["id"] for line in log.lines if isinstance(line, Got) and line.name == "message.created"
    }
