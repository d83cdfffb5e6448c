"""What people do with what was said: react, pin, follow threads, mute, and look where they may not."""

from tests.history.journal import Message, now
from tests.history.people import Person
from tests.history.world import PUBLIC

EMOJI = ("👍", "🎉", "❤️", "👀")


async def react(person: Person) -> None:
    await _set_reaction(person, given=True)


async def unreact(person: Person) -> None:
    await _set_reaction(person, given=False)


async def _set_reaction(person: Person, *, given: bool) -> None:
    if (message := person.some_message()) is None:
        return
    method, emoji = "message.react" if given else "message.unreact", person.rng.choice(EMOJI)
    answer, _ = await person.sure(method, {"message_id": message.id, "emoji": emoji})
    if person.ok(method, answer, place=person.world.places[message.channel_id], allowed=_gone(message)):
        one = person.id, emoji
        (message.reactions.add if given else message.reactions.discard)(one)
        person.journal.count("reactions given and taken back")
        if one not in message.unsure and _gave(answer.body["message"], person, emoji) != given:
            person.journal.violation("repeat", f"{person.name}: {method} of {emoji} was answered with {answer.body}")


async def toggle(person: Person) -> None:
    """Each call is a change, so it is tried once. Without an answer nobody knows."""
    if (message := person.some_message()) is None:
        return
    one = _user_id, emoji = person.id, person.rng.choice(EMOJI)
    answer = await person.once("message.toggle_react", {"message_id": message.id, "emoji": emoji})
    if answer is None:
        message.unsure.add(one)
    elif person.ok(
        "message.toggle_react",
        answer,
        place=person.world.places[message.channel_id],
        allowed=_gone(message),
    ):
        person.journal.count("reactions toggled")
        gave = _gave(answer.body["message"], person, emoji)
        if one not in message.unsure and gave == (one in message.reactions):
            person.journal.violation("repeat", f"{person.name} toggled {emoji}, which was answered with {answer.body}")
        (message.reactions.add if gave else message.reactions.discard)(one)


async def pin(person: Person) -> None:
    await _set_pin(person, "message.pin")


async def unpin(person: Person) -> None:
    await _set_pin(person, "message.unpin")


async def _set_pin(person: Person, method: str) -> None:
    if (message := person.some_message()) is None:
        return
    answer, _ = await person.sure(method, {"message_id": message.id})
    allowed = [*_gone(message), (409, "too_many_pins")]
    if person.guest:
        person.refused(method, answer, 403, *(status for status, _code in _gone(message)))
    elif person.ok(method, answer, place=person.world.places[message.channel_id], allowed=allowed):
        person.journal.count("pins set and taken off")


async def follow(person: Person) -> None:
    if (root := person.some_message(roots=True)) is not None:
        answer, _ = await person.sure("thread.follow", {"message_id": root.id})
        if person.ok("thread.follow", answer, allowed=_gone(root)):
            person.journal.count("threads followed and left")


async def unfollow(person: Person) -> None:
    if (root := person.some_message(roots=True)) is not None:
        answer, _ = await person.sure("thread.unfollow", {"message_id": root.id})
        if person.ok("thread.unfollow", answer):
            person.journal.count("threads followed and left")


async def read_thread(person: Person) -> None:
    root = person.some_message(roots=True)
    if root is None or not root.replies:
        return
    last_read_id = person.rng.choice(root.replies)
    params = {"message_id": root.id, "last_read_id": last_read_id}
    answer, _ = await person.sure("thread.mark_read", params)
    if person.ok("thread.mark_read", answer):
        thread = answer.body["thread"]
        person.journal.count("threads read")
        if thread["following"] and thread["last_read_id"] < last_read_id:
            person.journal.violation("repeat", f"{person.name} read up to {last_read_id} and was told {thread}")


async def mute(person: Person) -> None:
    if not person.joined:
        return
    pk, muted = person.rng.choice(sorted(person.joined)), person.rng.random() < 0.3
    asked_at, spells = now(), person.journal.muted
    if not muted:
        spells.ending(person.id, pk)
    params = {"channel_id": pk, "muted": muted, "notify": person.rng.choice(["all", "mentions", "nothing"])}
    answer, _ = await person.sure("channel.mute", params)
    if person.ok("channel.mute", answer):
        person.journal.count("channels muted and heard again")
        if muted and pk not in person.muted:
            spells.began(person.id, pk, asked_at=asked_at)
            person.muted.add(pk)
        elif not muted:
            spells.ended(person.id, pk)
            person.muted.discard(pk)


async def peek(person: Person) -> None:
    """Ask for what is said where they are not."""
    elsewhere = [place for pk, place in sorted(person.world.places.items()) if pk not in person.joined]
    if not elsewhere:
        return
    place = person.rng.choice(elsewhere)
    answer, _ = await person.sure("message.changes", {"channel_id": place.id, "since_rev": 0})
    open_to_them = place.kind == PUBLIC and not person.guest and not place.archived
    person.refused("message.changes", answer, 403 if open_to_them else 404)


async def be_called(person: Person) -> None:
    """Change their display name, as often as they may."""
    person.numbers += 1
    name = f"{person.name.capitalize()} the {person.numbers}."
    answer, _ = await person.sure("user.update", {"display_name": name})
    if person.ok("user.update", answer, allowed=[(429, "rate_limited")]):
        person.shown_name = name
        person.journal.count("display names changed")


def _gone(message: Message) -> list[tuple[int, str]]:
    """What may be answered when it is deleted meanwhile. Ask after the call: then it is known."""
    return [] if message.deletion_asked_at is None else [(404, "not_found")]


def _gave(message: dict[str, object], person: Person, emoji: str) -> bool:
    reactions = message["reactions"]
    assert isinstance(reactions, list)
    return any(one["emoji"] == emoji and person.id in one["user_ids"] for one in reactions)
