"""The classrooms of a run: who is in them, and how they begin, settle and end."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from tests.history.cable import Cable
from tests.history.calls import Caller, Unanswered
from tests.history.classrooms import checking
from tests.history.classrooms.members import Member, Refused
from tests.history.classrooms.natives import Native
from tests.history.classrooms.pollers import EVENTS, Poller
from tests.history.classrooms.records import Room
from tests.history.classrooms.subscribers import Subscriber
from tests.history.cluster import CLASSROOM_KEY, STRANGERS_DOMAIN, STRANGERS_KEY, Cluster
from tests.history.journal import Journal, now
from tests.history.truth import Truth
from tests.mesh_clients import documents

ROOMS = (("blue", "school"), ("red", "school"), ("green", STRANGERS_DOMAIN))
"""What groups are called here, and their domains."""
SETTLE_SECONDS = 20.0
MARK_SECONDS = 1.0
STRANGE_SECONDS = 2.0
ENDS_EARLY_AFTER = 0.6
"""Of the time of a run: then the last group is dissolved, while everything fails."""


@dataclass
class Lesson:
    """One group: its host and another subscribe, two poll, one follows over our own doors."""

    room: Room
    host: Subscriber
    subscribers: Sequence[Subscriber]
    pollers: Sequence[Poller]
    native: Native
    stranger: Subscriber
    """It subscribes with the right id and another domain."""
    journal: Journal
    members: list[Member] = field(init=False)

    def __post_init__(self) -> None:
        self.members = [*self.subscribers, *self.pollers, self.native]

    @property
    def clients(self) -> list[Member]:
        return [*self.members, self.stranger]

    async def settle(self) -> None:
        """In peace, until everybody sees what is fired."""
        if self.room.over:
            return
        deadline = now() + SETTLE_SECONDS
        while behind := await self._blind():
            if now() > deadline:
                names = [member.name for member in behind]
                self.journal.violation("unsettled", f"after {SETTLE_SECONDS} s {names} do not see what is fired")
                return

    async def _blind(self) -> list[Member]:
        """Those who do not see something new."""
        [mark] = await self.host.fire(1)
        await asyncio.sleep(MARK_SECONDS)
        return [member for member in self.members if mark not in member.log.names]

    async def compare_values(self, truth: Truth) -> None:
        """What is polled and asked for, with what is stored."""
        stored = truth.reported(self.room.id)
        checking.check_values(self.room, stored, self.journal)
        asked: list[Poller | Native] = [*self.pollers, self.native]
        for member in asked:
            if await self._not_answered(member.learn_statuses()):
                self.journal.violation("unsettled", f"{member.name} does not get what it asks for")
            if member.statuses != stored:
                differing = sorted(member.statuses.items() ^ stored.items())
                self.journal.violation(
                    "classroom state", f"{member.name} is told values unlike those stored: {differing}"
                )
            self.journal.count("classroom values compared", len(stored))

    async def dissolve(self) -> None:
        """Its host ends it, however often it has to be asked."""
        self.room.end_asked_at = now()
        tries = 1
        while await self._not_answered(
            self.host.ask(documents.DISSOLVE, hostId=self.host.node_id), already_gone=tries > 1
        ):
            tries += 1
            await asyncio.sleep(0.2)
        self.journal.count("classroom groups dissolved")

    async def learn_of_the_end(self, *, in_peace: bool) -> None:
        """Everybody does: the subscribed in a frame, the others where they come or call next."""
        deadline = now() + SETTLE_SECONDS
        while True:
            for member in self.members:
                if isinstance(member, Poller) and not member.ended:
                    await member.learn_of_the_end()
                elif not in_peace and isinstance(member, Subscriber) and not member.ended:
                    await member.beat()  # It may have been away when the others were told.
            deceived = [member.name for member in self.members if not member.ended]
            if not deceived:
                return
            if now() > deadline:
                self.journal.violation("classroom end", f"{deceived} do not know that {self.room.place} is over")
                return
            await asyncio.sleep(0.2)

    async def drain(self) -> None:
        """Wait until who polls has all of the log, which lives on behind the end."""
        for poller in self.pollers:
            if await self._not_answered(poller.drain()):
                self.journal.violation("unsettled", f"{poller.name} does not get what it polls for")

    async def intrude(self, until: asyncio.Event, other: Room) -> None:
        """Ask with another domain, and with a key that does not work in this one."""
        worker = 0
        while not until.is_set():
            worker = (worker + 1) % len(self.stranger.cable.ports)
            place = {"groupId": self.room.id, "domain": f"{other.domain}-not", "since": ""}
            for key, variables in ((CLASSROOM_KEY, place), (STRANGERS_KEY, place | {"domain": self.room.domain})):
                caller = Caller(self.stranger.cable, key, header="x-api-key:")
                try:
                    answer = await caller.post(worker, "/graphql", {"query": EVENTS, "variables": variables})
                except Unanswered:
                    continue
                finally:
                    caller.hang_up()
                found = (answer.body.get("data") or {}).get("getEventsSince")
                allowed = key == STRANGERS_KEY and self.room.domain == STRANGERS_DOMAIN
                if found and not allowed:
                    self.journal.violation("classroom leak", f"{variables} with {key} gave {found[:2]}")
                self.journal.count("classroom calls of strangers")
            await asyncio.sleep(STRANGE_SECONDS)

    async def _not_answered(self, asking: object, *, already_gone: bool = False) -> bool:
        try:
            await asking  # type: ignore[misc] # a coroutine
        except Unanswered:
            return True
        except Refused as refused:
            if not already_gone:
                self.journal.violation("classroom end", f"{self.room.place}: {refused}")
        return False


@asynccontextmanager
async def lessons(cluster: Cluster, journal: Journal, rng: random.Random, *, count: int) -> AsyncIterator[list[Lesson]]:
    """Groups that everybody has joined, and where everybody watches."""
    async with AsyncExitStack() as stack:
        held = [await _lesson(stack, cluster, journal, rng, *ROOMS[number]) for number in range(count)]
        watching = [asyncio.create_task(member.run(), name=member.name) for lesson in held for member in lesson.clients]
        stack.push_async_callback(_cancel, watching)
        yield held
        for task in watching:
            if task.done():
                task.result()


async def teach(held: Sequence[Lesson], until: asyncio.Event, *, seconds: float, pause_seconds: float) -> None:
    """Everybody does something now and then. The last group ends early."""
    async with asyncio.TaskGroup() as group:
        for lesson in held:
            for member in lesson.members:
                group.create_task(member.live(until, pause_seconds=pause_seconds), name=f"{member.name} lives")
            group.create_task(lesson.intrude(until, held[0].room), name="a stranger")
        if len(held) == len(ROOMS):
            await asyncio.sleep(seconds * ENDS_EARLY_AFTER)
            await held[-1].dissolve()


async def finish(held: Sequence[Lesson], cluster: Cluster) -> None:
    """In peace: all see all, values are as stored, and then every group ends."""
    with Truth(cluster.servers[0].database_url) as truth:
        await asyncio.gather(*(_finish(lesson, truth) for lesson in held))


async def _finish(lesson: Lesson, truth: Truth) -> None:
    in_peace = not lesson.room.over
    if in_peace:
        await lesson.settle()
        await lesson.compare_values(truth)
        await lesson.settle()  # Whoever subscribes and heard nothing meanwhile may have come anew.
        await lesson.dissolve()
    await lesson.learn_of_the_end(in_peace=in_peace)
    await lesson.drain()
    checking.check([member.log for member in lesson.members], lesson.journal)


async def _lesson(
    stack: AsyncExitStack, cluster: Cluster, journal: Journal, rng: random.Random, label: str, domain: str
) -> Lesson:
    cables = [Cable(cluster.ports) for _ in range(6)]
    for cable in cables:
        await cable.lay()
        stack.push_async_callback(cable.close)
    arguments: Callable[[int], tuple[Cable, Journal, random.Random]] = lambda number: (  # noqa: E731
        cables[number],
        journal,
        random.Random(rng.getrandbits(32)),
    )
    room = Room("", domain, label, f"n1 of {label}")  # Of one host a domain has one group.
    host = Subscriber(room, room.host_id, *arguments(0))
    room.id = await _created(host)
    subscribers = [host, Subscriber(room, "n2", *arguments(1))]
    pollers = [Poller(room, f"n{3 + number}", *arguments(2 + number), with_statuses=number == 0) for number in range(2)]
    native = Native(room, "n5", *arguments(4))
    stranger = Subscriber(room, "nobody", *arguments(5), domain=f"{domain}-not")
    lesson = Lesson(room, host, subscribers, pollers, native, stranger, journal)
    for member in lesson.clients:
        stack.callback(member.leave)
    for member in lesson.members:
        await member.join()
    return lesson


async def _created(host: Subscriber) -> str:
    room = host.room
    variables = {"name": room.label, "hostId": room.host_id, "domain": room.domain, "useWebSocket": True}
    group = await host.ask(documents.CREATE, **variables)
    return str(group["id"])


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
