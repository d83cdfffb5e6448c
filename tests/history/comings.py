"""Who is where, and as what: people add and remove others, open direct channels, and come back into the workspace."""

import asyncio
import random
from collections.abc import Sequence

from tests.history.calls import Answer
from tests.history.journal import Said, now
from tests.history.people import Person, idle
from tests.history.world import DIRECT, PRIVATE, PUBLIC, Place

ROLES = ("member", "guest", "moderator")
ARCHIVED_SECONDS = (1.5, 4.0)
BETWEEN_ARCHIVINGS_SECONDS = (6.0, 12.0)


async def add(person: Person) -> None:
    """Put somebody into a channel."""
    place = person.some_place()
    if place is None or person.guest or place.kind == DIRECT or place.archived:
        return
    out = [other for other in person.others if place.id not in other.joined and other.role]
    async with person.alone_with(out) as other:
        if other is None or place.id in other.joined or not other.role:
            return
        other.asks_to_be_in(place.id)
        answer, _ = await person.sure("channel.add_members", {"channel_id": place.id, "user_ids": [other.id]})
        if person.ok("channel.add_members", answer):
            other.is_in(place.id)
            person.journal.count("people added to channels")


async def remove(person: Person) -> None:
    """Take somebody out of a channel. Who may not is refused."""
    place = person.some_place()
    if place is None or place.kind == DIRECT:
        return
    async with person.alone_with([other for other in person.others if place.id in other.joined]) as other:
        if other is not None:
            await remove_from(person, other, place)


async def remove_from(person: Person, other: Person, place: Place) -> None:
    """While the other does nothing."""
    if not person.manages or place.id not in other.joined or (other.manages and place.kind == PRIVATE):
        return
    asked_at = now()
    answer, _ = await person.sure("channel.remove_member", {"channel_id": place.id, "user_id": other.id})
    if person.ok("channel.remove_member", answer):
        other.is_out_of(place.id, asked_at)
        person.journal.count("people removed from channels")


async def open_direct(person: Person) -> None:
    """With a neighbour, so that there are not too many."""
    everybody = sorted([person, *person.others], key=lambda one: one.id)
    place = everybody.index(person)
    async with person.alone_with([everybody[place - 1], everybody[(place + 1) % len(everybody)]]) as other:
        if other is None or not other.role:
            return
        both = frozenset({person.id, other.id})
        person.asked_at = other.asked_at = now()
        for direct in person.world.places.values():
            if direct.peers == both:
                person.asks_to_be_in(direct.id)
                other.asks_to_be_in(direct.id)
        params = {"workspace_id": person.world.workspace_id, "kind": DIRECT, "peer_ids": [other.id]}
        seen = not person.guest or bool(person.joined & other.joined)
        answer, _ = await person.sure("channel.create", params)
        if not seen:
            person.refused("channel.create", answer, 400)
        elif person.ok("channel.create", answer):
            pk = answer.body["channel"]["id"]
            if pk not in person.world.places:
                person.world.places[pk] = Place(pk, DIRECT, both)
                for one in [one for one in person.others if one is not other]:
                    person.journal.away.never_before(one.id, pk)
            for one in (person, other):
                one.is_in(pk)
            person.journal.count("direct channels opened")


async def rename(person: Person) -> None:
    """Rename a channel or change its topic."""
    place = person.some_place()
    if place is None or place.kind == DIRECT or not person.manages:
        return
    person.numbers += 1
    change = person.rng.choice(
        [{"name": f"{person.name} {person.numbers}"}, {"topic": f"as {person.name} says, {person.numbers}"}]
    )
    answer, _ = await person.sure("channel.update", {"channel_id": place.id, **change})
    if person.ok("channel.update", answer, place=place):
        person.journal.count("channels renamed, and topics")


async def moderate(person: Person) -> None:
    """Delete what somebody else said."""
    if not person.manages and person.role != "moderator":
        return
    message = person.some_message()
    if message is None:
        return
    author = next((other for other in person.others if other.id == message.author_id), None)
    async with person.alone_with([] if author is None else [author]) as idle_author:
        if idle_author is None or message.deletion_asked_at is not None:
            return
        message.deletion_asked_at = now()
        answer, _ = await person.sure("message.delete", {"message_id": message.id, "reason": "It was loud."})
        if person.ok("message.delete", answer):
            person.is_gone(message)
            person.journal.count("messages of others deleted")
            person.journal.audited += 1


async def set_role(person: Person, other: Person | None = None, role: str | None = None) -> None:
    """Make somebody a member, a guest or a moderator."""
    if not person.manages:
        return
    async with person.alone_with([other] if other else [one for one in person.others if not one.manages]) as found:
        if found is not None and found.role:
            await give_role(person, found, role or person.rng.choice(ROLES))


async def give_role(person: Person, other: Person, role: str) -> None:
    """While the other does nothing."""
    asked_at, guests = now(), person.journal.guests
    if role != "guest":
        guests.ending(other.id)
    params = {"workspace_id": person.world.workspace_id, "user_id": other.id, "role": role}
    answer, _ = await person.sure("workspace.set_role", params)
    if person.ok("workspace.set_role", answer):
        if role == "guest" and not other.guest:
            guests.began(other.id, asked_at=asked_at)
        elif role != "guest":
            guests.ended(other.id)
        other.role = role
        person.journal.count("roles given")


async def send_away(person: Person) -> None:
    """Remove somebody from the workspace."""
    if not person.manages:
        return
    async with person.alone_with([one for one in person.others if not one.manages and one.role]) as other:
        if other is None or not other.role:
            return
        asked_at = now()
        params = {"workspace_id": person.world.workspace_id, "user_id": other.id, "reason": "It was loud."}
        answer, _ = await person.sure("workspace.remove_member", params)
        if person.ok("workspace.remove_member", answer):
            _is_outside(other, asked_at)
            person.journal.count("people removed from the workspace")
            person.journal.audited += 1


async def leave_workspace(person: Person) -> None:
    if person.manages:
        return
    asked_at = now()
    answer, attempts = await person.sure("workspace.leave", {"workspace_id": person.world.workspace_id})
    if attempts > 1 and answer.status == 404:
        answer = Answer(200, {})  # An earlier try was carried out.
    if person.ok("workspace.leave", answer):
        _is_outside(person, asked_at)
        person.journal.count("people left the workspace")


def _is_outside(person: Person, asked_at: float) -> None:
    person.journal.outside.began(person.id, asked_at=asked_at)
    person.journal.guests.ended(person.id)
    for pk in list(person.joined):
        person.is_out_of(pk, asked_at)
    person.role = ""


async def come_in(person: Person) -> None:
    """Back into the workspace, by the invite. Before that they may look in at the window."""
    if person.rng.random() < 0.5:
        answer, _ = await person.sure("workspace.members", {"workspace_id": person.world.workspace_id})
        person.refused("workspace.members", answer, 404)
    asked_at = now()
    person.journal.outside.ending(person.id)
    answer, _ = await person.sure("workspace.join", {"token": person.world.invite})
    if person.ok("workspace.join", answer):
        person.journal.outside.ended(person.id)
        person.role = "member"
        # They are told of anew.
        person.journal.said.append(Said(person.id, asked_at, now()))
        person.journal.count("people came back by an invite")


async def all_come_in(people: Sequence[Person]) -> None:
    """So that everybody sees everybody."""
    manager = next(person for person in people if person.manages)
    for person in people:
        if not person.role:
            await come_in(person)
        elif person.guest:
            await give_role(manager, person, "member")


async def archive_now_and_then(people: Sequence[Person], until: asyncio.Event, rng: random.Random) -> None:
    """Archive a channel and bring it back, while nobody does anything else, so that all know how it is."""
    while not await _over(until, rng.uniform(*BETWEEN_ARCHIVINGS_SECONDS)):
        place = rng.choice([place for place in people[0].world.places.values() if place.kind in (PUBLIC, PRIVATE)])
        if await _archive(people, place, archived=True):
            await _over(until, rng.uniform(*ARCHIVED_SECONDS))
            await _archive(people, place, archived=False)


async def _archive(people: Sequence[Person], place: Place, *, archived: bool) -> bool:
    async with idle(*people):
        able = [person for person in people if person.manages and place.id in person.joined]
        if not able:
            return False
        answer, _ = await able[0].sure("channel.archive", {"channel_id": place.id, "archived": archived})
        if able[0].ok("channel.archive", answer):
            place.archived = archived
            able[0].journal.count("channels archived and brought back")
        return place.archived == archived


async def _over(until: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await until.wait()
    except TimeoutError:
        return False
    return True
