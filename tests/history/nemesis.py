"""What goes wrong meanwhile: from a deck that is shuffled by the seed and played through again and again."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tests.history.cable import Cable
from tests.history.cluster import Cluster
from tests.history.comings import remove_from
from tests.history.journal import Journal, now
from tests.history.people import Person, idle
from tests.history.world import DIRECT, PUBLIC

EVERYTHING = (
    "kill_worker",
    "kill_worker",
    "restart_redis",
    "pause_redis",
    "cut",
    "cut",
    "mute",
    "unplug",
    "switch",
    "switch",
    "leave_unheard",
    "leave_unheard",
    "remove_unheard",
    "remove_unheard",
    "regret_unheard",
)
QUIET_SECONDS = (0.2, 1.2)
"""Between one evil and the next."""


class Client(Protocol):
    cable: Cable

    def switch(self) -> None:
        """Go over to another transport, in mid-conversation."""


@dataclass
class Nemesis:
    cluster: Cluster
    people: Sequence[Person]
    clients: Sequence[Client]
    """Whose connections it may break: sessions, and members of classrooms."""
    journal: Journal
    rng: random.Random
    _reviving: asyncio.Task[None] | None = None

    async def rage(self, deck: Sequence[str], until: asyncio.Event) -> None:
        """Worker and Redis come back by themselves, all else is healed by whoever called."""
        async with asyncio.TaskGroup() as group:
            while not until.is_set():
                for evil in self.rng.sample(deck, len(deck)):
                    await asyncio.sleep(self.rng.uniform(*QUIET_SECONDS))
                    if until.is_set():
                        break
                    if evil == "kill_worker":
                        await self._kill_worker(group)
                    else:
                        self.journal.count(f"nemesis: {evil.replace('_', ' ')}")
                        await getattr(self, f"_{evil}")()

    async def _kill_worker(self, group: asyncio.TaskGroup) -> None:
        if self._reviving is None or self._reviving.done():  # One at a time: a start takes seconds.
            await self.cluster.kill(self.rng.randrange(len(self.cluster.servers)))
            self.journal.count("nemesis: kill worker")
            self._reviving = group.create_task(self.cluster.heal(), name="revive a worker")

    async def _restart_redis(self) -> None:
        self.journal.outages.append(await self.cluster.restart_redis(away_seconds=self.rng.uniform(0, 1.5)))

    async def _pause_redis(self) -> None:
        asked_at = now()
        await self.cluster.pause_redis(seconds=self.rng.uniform(0.3, 3))
        self.journal.pauses.append((asked_at, now()))

    async def _cut(self) -> None:
        for client in self._some():
            client.cable.cut()

    async def _mute(self) -> None:
        for client in self._some():
            client.cable.mute()

    async def _unplug(self) -> None:
        some = self._some()
        for client in some:
            client.cable.unplug()
        await asyncio.sleep(self.rng.uniform(0.5, 2))
        for client in some:
            client.cable.plug()

    async def _switch(self) -> None:
        for client in self._some():
            client.switch()

    async def _leave_unheard(self) -> None:
        """Somebody leaves a channel while none of their sessions hears of it, after things were said there."""
        person = self.rng.choice(self.people)
        places = [person.world.places[pk] for pk in sorted(person.joined)]
        leavable = [place for place in places if place.kind != DIRECT and (place.kind == PUBLIC or not person.manages)]
        if not leavable:
            return
        channel_id = self.rng.choice(leavable).id

        async def leave() -> None:
            async with person.busy:
                if channel_id in person.joined:
                    await person.leave(channel_id)

        await self._unheard(person, channel_id, leave)

    async def _remove_unheard(self) -> None:
        """Somebody is removed from a channel, and does not hear of it."""
        manager = self.rng.choice([person for person in self.people if person.manages])
        deaf = self.rng.choice([person for person in self.people if person is not manager])
        common = [manager.world.places[pk] for pk in sorted(manager.joined & deaf.joined)]
        if not (named := [place for place in common if place.kind != DIRECT]):
            return
        place = self.rng.choice(named)

        async def remove() -> None:
            async with idle(manager, deaf):
                if place.id in manager.joined:
                    await remove_from(manager, deaf, place)

        await self._unheard(deaf, place.id, remove)

    async def _regret_unheard(self) -> None:
        """Things are said and taken back while some do not hear of it."""
        deaf, sayer = self.rng.sample(self.people, 2)
        if common := sorted(deaf.joined & sayer.joined):
            channel_id = self.rng.choice(common)

            async def regret() -> None:
                async with sayer.busy:
                    if channel_id in sayer.joined and (message := await sayer.send(channel_id=channel_id)) is not None:
                        await sayer.delete(message)

            await self._unheard(deaf, channel_id, regret)

    async def _unheard(self, deaf: Person, channel_id: int, deed: Callable[[], Awaitable[None]]) -> None:
        for session in deaf.sessions:
            session.cable.unplug()
        try:
            for other in self.people:
                if other is not deaf:
                    async with other.busy:
                        if channel_id in other.joined:
                            await other.send(channel_id=channel_id)
                            break
            await deed()
        finally:
            for session in deaf.sessions:
                session.cable.plug()

    def _some(self) -> list[Client]:
        return [client for client in self.clients if self.rng.random() < 0.4] or [self.rng.choice(self.clients)]
