"""One run: people at work, a nemesis, then peace, and the question whether everything is as it should be."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice

from tests.history import checker, comings, fresh, presences
from tests.history.cable import Cable
from tests.history.classrooms.lessons import Lesson, finish, lessons, teach
from tests.history.cluster import LEASE_SECONDS, SWEEP_SECONDS, Cluster
from tests.history.deeds import DEEDS
from tests.history.journal import Journal, now
from tests.history.nemesis import EVERYTHING, Client, Nemesis
from tests.history.people import Deed, Person
from tests.history.session import Session, Transport
from tests.history.state import Presence
from tests.history.truth import Truth
from tests.history.world import Account, World

SETTLE_SECONDS = 20.0
"""In peace everybody has everything within this: a sweep, a heartbeat and a reconnect take a part of it."""
STILL_SECONDS = 2 * SWEEP_SECONDS + 1
"""In peace every lease that nobody renews ends within LEASE_SECONDS and this."""

MEMBERS_PAUSES = 4
"""A member of a classroom pauses so many times longer than one of the people."""


@dataclass(frozen=True)
class Plan:
    seed: int
    seconds: float
    deck: Sequence[str] = EVERYTHING
    pause_seconds: float = 0.4
    """Of each of the people, on average, between two deeds."""
    classrooms: int = 0
    """How many groups there are beside the chat."""
    deeds: Mapping[Deed, int] = field(default_factory=lambda: DEEDS)
    lease_seconds: float = LEASE_SECONDS
    """Of the servers."""
    agree_seconds: float = 15.0
    """How long it may take then until all agree on who is there: what a dead worker had claimed comes again after 10 s.
    With 0 nobody is asked.
    """


def play(plan: Plan, cluster: Cluster, world: World) -> Journal:
    """Everything that happened, with every violation that was found."""
    return asyncio.run(_play(plan, cluster, world))


async def _play(plan: Plan, cluster: Cluster, world: World) -> Journal:
    journal = Journal()
    async with (
        gathering(cluster, world, journal, random.Random(plan.seed)) as people,
        lessons(cluster, journal, random.Random(plan.seed), count=plan.classrooms) as held,
    ):
        clients: list[Client] = [session for person in people for session in person.sessions]
        clients += [member for lesson in held for member in lesson.clients]
        await _work(plan, people, held, Nemesis(cluster, people, clients, journal, random.Random(plan.seed)))
        for client in clients:
            client.cable.plug()
        await cluster.heal()
        await finish(held, cluster)
        for person in people:
            person.come_back()
        await settle(cluster, people, journal)
        await _compare(people, journal)
        if plan.agree_seconds:
            await comings.all_come_in(people)
            await _agree(plan, people, journal, random.Random(plan.seed))
            await settle(cluster, people, journal)
            await _compare(people, journal)
    if wrong := cluster.verify("verify_counts"):
        journal.violation("counts", wrong)
    if wrong := cluster.verify("verify_audit"):
        journal.violation("audit", wrong)
    with Truth(cluster.servers[0].database_url) as truth:
        checker.check(journal, people, truth, lease_seconds=plan.lease_seconds)
    return journal


@asynccontextmanager
async def gathering(
    cluster: Cluster, world: World, journal: Journal, rng: random.Random
) -> AsyncIterator[list[Person]]:
    """People with running sessions, each on a cable of its own."""
    async with AsyncExitStack() as stack:
        people = [
            await _person(stack, cluster, account, world, journal, rng.getrandbits(32)) for account in world.accounts
        ]
        for person in people:
            person.others = [other for other in people if other is not person]
            for pk in world.places.keys() - person.joined:
                journal.away.never_before(person.id, pk)
        running = [
            asyncio.create_task(session.run(), name=session.name) for person in people for session in person.sessions
        ]
        stack.push_async_callback(_cancel, running)
        yield people
        for task in running:
            if task.done():
                task.result()


async def _person(
    stack: AsyncExitStack, cluster: Cluster, account: Account, world: World, journal: Journal, seed: int
) -> Person:
    """Somebody with one or two sessions: over sockets, over polls, and some that change."""
    rng = random.Random(seed)
    way = await _cable(stack, cluster)
    person = Person(account.name, account.id, account.token, world, set(account.joined), journal, rng, way)
    transports: list[Transport] = ["socket", "poll", "socket"]
    for number, transport in enumerate(islice(cycle(transports), account.id % 3, account.id % 3 + 1 + account.id % 2)):
        session = Session(
            f"{account.name}/{number}",
            user_id=account.id,
            token=account.token,
            cable=await _cable(stack, cluster),
            journal=journal,
            rng=random.Random(rng.getrandbits(32)),
            transport=transport,
        )
        person.sessions.append(session)
    return person


async def _cable(stack: AsyncExitStack, cluster: Cluster) -> Cable:
    cable = Cable(cluster.ports)
    await cable.lay()
    stack.push_async_callback(cable.close)
    return cable


async def _work(plan: Plan, people: Sequence[Person], held: Sequence[Lesson], nemesis: Nemesis) -> None:
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for person in people:
            living = person.live(over, plan.deeds, comings.come_in, pause_seconds=plan.pause_seconds)
            group.create_task(living, name=person.name)
        archiving = comings.archive_now_and_then(people, over, random.Random(plan.seed))
        group.create_task(archiving, name="archiving")
        teaching = teach(held, over, seconds=plan.seconds, pause_seconds=MEMBERS_PAUSES * plan.pause_seconds)
        group.create_task(teaching, name="classrooms")
        group.create_task(nemesis.rage(plan.deck, over), name="nemesis")
        await asyncio.sleep(plan.seconds)
        over.set()


async def settle(cluster: Cluster, people: Sequence[Person], journal: Journal) -> None:
    """Wait until every session stands where its stream does, and nothing waits in the outbox."""
    started_at = now()
    with Truth(cluster.servers[0].database_url) as truth:
        while True:
            waiting = truth.waiting_events()
            behind = await _behind(people)
            if not waiting and not behind:
                break
            if now() - started_at > SETTLE_SECONDS:
                journal.violation("unsettled", f"after {SETTLE_SECONDS} s {waiting} events wait, behind are {behind}")
                break
            await asyncio.sleep(0.2)


async def _behind(people: Sequence[Person]) -> list[str]:
    behind = []
    for person in people:
        boot = (await person.sure("client.boot", {}))[0].body
        top = boot["epoch"], boot["seq"]
        behind += [
            f"{session.name} at {session.epoch} {session.seq} of {top}"
            for session in _here(person)
            if (session.epoch, session.seq) != top or not session.settled
        ]
    return behind


async def _agree(plan: Plan, people: Sequence[Person], journal: Journal, rng: random.Random) -> None:
    """Some leave, the others are there for longer than a lease; then all have to agree on who that is, before long."""
    silent, *polite = rng.sample(people, 3)
    await silent.go(bye=False)
    for person in polite:
        await person.go(bye=True)
    for person in people:
        await person.be_away(rng.random() < 0.3)
    await asyncio.sleep(plan.lease_seconds + STILL_SECONDS)
    started_at = now()
    while differences := list(presences.disagreements(people, {one.id: await _listed(one) for one in people})):
        if now() - started_at > plan.agree_seconds:
            for difference in differences:
                journal.violation("presence end state", difference)
            break
        await asyncio.sleep(0.2)


async def _listed(person: Person) -> dict[int, Presence]:
    listed = (await person.sure("presence.list", {}))[0].body["presence"]
    return {payload["user_id"]: Presence.of(payload) for payload in listed}


async def _compare(people: Sequence[Person], journal: Journal) -> None:
    """What everybody shows, with a fresh login."""
    for person in people:
        facts = await fresh.log_in(person, journal)
        for session in _here(person):
            checker.check_state(session.name, session.state.facts, facts, journal)
        journal.count("fresh logins compared")


def _here(person: Person) -> list[Session]:
    return [session for session in person.sessions if session.here]


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
