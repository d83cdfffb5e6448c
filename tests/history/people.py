"""People who write, edit, delete, join, leave and read, one thing after the other, each until they know its outcome."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.history.cable import Cable
from tests.history.calls import Answer, Caller, Unanswered
from tests.history.journal import Journal, Message, Said, Text, now
from tests.history.session import Session
from tests.history.world import DIRECT, PUBLIC, Place, World

Deed = Callable[["Person"], Awaitable[object]]
MANAGERS = ("grace", "ada")
"""The owner and an admin of the workspace. They stay that, and they stay in private channels."""
GONE_PAUSES = 10
"""For how many pauses between two deeds somebody is gone who leaves, on average."""


@dataclass
class Person:
    """Somebody and the truth about them: what was acknowledged to them, and whether they are there."""

    name: str
    id: int
    token: str
    world: World
    joined: set[int]
    journal: Journal
    rng: random.Random
    way: Cable
    """A network of their own, besides those of their sessions; nobody cuts it."""
    sessions: list[Session] = field(default_factory=list)
    mine: dict[int, Message] = field(default_factory=dict)
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    numbers: int = 0
    pause_seconds: float = 0.4
    gone_until: float | None = None
    away: bool = False
    text: str = ""
    emoji: str = ""
    others: Sequence["Person"] = ()
    """Everybody else."""
    role: str = "member"
    """In the workspace; "" for who is out of it."""
    shown_name: str = ""
    """How they want to be called, once they said so."""
    asked_at: float = 0.0
    """When they, or somebody for them, last asked that they be in a channel."""
    muted: set[int] = field(default_factory=set)
    cursors: dict[int, int] = field(default_factory=dict)
    """Up to where they have read, as the last answer said; only what one call moved there for certain."""

    @property
    def manages(self) -> bool:
        return self.name in MANAGERS

    @property
    def guest(self) -> bool:
        return self.role == "guest"

    @property
    def status(self) -> str:
        """What others have to be told, once everything has settled."""
        if not any(session.here for session in self.sessions):
            return "offline"
        return "away" if self.away else "online"

    async def live(
        self, until: asyncio.Event, deeds: Mapping[Deed, int], come_in: Deed, *, pause_seconds: float
    ) -> None:
        self.pause_seconds = pause_seconds
        while not until.is_set():
            [deed] = self.rng.choices(list(deeds), list(deeds.values()))
            async with self.busy:
                if self.gone_until is not None and self.gone_until < now():
                    self.come_back()
                await (deed if self.role else come_in)(self)
            await asyncio.sleep(self.rng.expovariate(1 / pause_seconds))

    async def send(self, *, root: Message | None = None, channel_id: int | None = None) -> Message | None:
        place = self.some_place() if channel_id is None else self.world.places[channel_id]
        if place is None:
            return None
        key, text = f"{self.name}-{self._number()}", self._worded(groups=True)
        params: dict[str, Any] = {"channel_id": place.id, "body": text.body, "client_msg_id": key}
        if root is not None:
            params["thread_root_id"] = root.id
        answer, attempts = await self.sure("message.send", params)
        # In a direct channel the others may have gone, and somebody may have deleted the root.
        allowed = [(409, "nobody_there")] if place.kind == DIRECT else []
        if root is not None and root.deletion_asked_at is not None:
            allowed.append((400, "invalid"))
        if not self.ok("message.send", answer, place=place, allowed=allowed):
            return None
        if answer.body["duplicate"] and attempts == 1:
            self.journal.violation("repeat", f"{key} was called a duplicate the first time")
        pk = answer.body["message"]["id"]
        text.since = now()
        message = Message(pk, place.id, self.id, key, [text], None if root is None else root.id)
        self.journal.messages[pk] = self.mine[pk] = message
        place.said.append(message)
        if root is not None:
            root.replies.append(pk)
        self.journal.count("messages sent" if root is None else "replies sent")
        await self._perhaps_again(params, pk)
        return message

    async def reply(self) -> None:
        if (root := self.some_message(roots=True)) is not None:
            await self.send(root=root, channel_id=root.channel_id)

    async def edit(self) -> None:
        if (message := self._one_of_mine()) is None:
            return
        text = self._worded(groups=False)
        answer, _ = await self.sure("message.update", {"message_id": message.id, "body": text.body})
        if self.ok("message.update", answer, place=self.world.places[message.channel_id]):
            message.texts[-1].gone_at = text.since = now()
            message.texts.append(text)
            self.journal.count("messages edited")

    async def delete(self, message: Message | None = None) -> None:
        message = message or self._one_of_mine()
        if message is None:
            return
        message.deletion_asked_at = now()
        for _ in range(2 if self.rng.random() < 0.3 else 1):  # deleting twice changes nothing
            answer, _ = await self.sure("message.delete", {"message_id": message.id})
            if self.ok("message.delete", answer) and message.deleted_at is None:
                self.is_gone(message)
                self.journal.count("messages deleted")

    async def regret(self) -> None:
        """Send something and take it back at once."""
        if (message := await self.send()) is not None:
            await self.delete(message)

    async def leave(self, channel_id: int | None = None) -> None:
        if channel_id is None:
            public = [pk for pk in sorted(self.joined) if self.world.places[pk].kind == PUBLIC]
            if not public:
                return
            channel_id = self.rng.choice(public)
        asked_at = now()
        answer, attempts = await self.sure("channel.leave", {"channel_id": channel_id})
        if attempts > 1 and answer.status in (403, 404):
            answer = Answer(200, {})  # An earlier try was carried out.
        if self.ok("channel.leave", answer):
            self.is_out_of(channel_id, asked_at)
            self.journal.count("channels left")

    async def join(self) -> None:
        elsewhere = [place for pk, place in sorted(self.world.places.items()) if pk not in self.joined]
        elsewhere = [place for place in elsewhere if place.kind == PUBLIC]
        if not elsewhere:
            return
        place = self.rng.choice(elsewhere)
        if self.guest or place.archived:
            answer, _ = await self.sure("channel.join", {"channel_id": place.id})
            self.refused("channel.join", answer, 404)
            return
        self.asks_to_be_in(place.id)
        answer, _ = await self.sure("channel.join", {"channel_id": place.id})
        if self.ok("channel.join", answer):
            self.is_in(place.id)
            self.journal.count("channels joined")

    async def read(self) -> None:
        await self._mark(backwards=False)

    async def unread(self) -> None:
        await self._mark(backwards=True)

    async def _mark(self, *, backwards: bool) -> None:
        state = self.rng.choice(self.sessions).state
        known = [(pk, list(state.channels[pk].messages)) for pk in sorted(self.joined & state.channels.keys())]
        known = [(pk, messages) for pk, messages in known if messages]
        if not known:
            return
        pk, messages = self.rng.choice(known)
        asked = self.rng.choice(messages)
        method, noun = ("read.mark_unread", "message_id") if backwards else ("read.mark", "last_read_id")
        answer, attempts = await self.sure(method, {"channel_id": pk, noun: asked})
        if self.ok(method, answer):
            self.journal.count("read cursors moved back" if backwards else "read cursors moved")
            told = answer.body["last_read_id"]
            if told >= asked if backwards else told < asked:
                self.journal.violation("repeat", f"{self.name}: {method} of {asked} was answered with {answer.body}")
            if attempts == 1:
                self.cursors[pk] = told
            else:
                # An earlier try may be carried out after the next call.
                self.cursors.pop(pk, None)

    async def say(self) -> None:
        """Set a status text, now and then an empty one."""
        text, emoji = (self._text(), self.rng.choice(["", "🙂"])) if self.rng.random() < 0.8 else ("", "")
        asked_at = now()
        answer, _ = await self.sure("presence.set_status_text", {"status_text": text, "status_emoji": emoji})
        if self.ok("presence.set_status_text", answer):
            self.text, self.emoji = text, emoji
            self.journal.said.append(Said(self.id, asked_at, now()))
            self.journal.count("status texts set")

    async def be_away(self, away: bool | None = None) -> None:
        """Declare all sessions away, or active if they were."""
        away = not self.away if away is None else away
        answer, _ = await self.sure("presence.set_away", {"away": away})
        if self.ok("presence.set_away", answer):
            self.away = away
            self.journal.count("declared away or active")

    async def go(self, *, bye: bool | None = None) -> None:
        """Leave for a while with all sessions, mostly with a word."""
        if self.gone_until is None:
            self.gone_until = now() + self.rng.expovariate(1 / (GONE_PAUSES * self.pause_seconds))
            bye = self.rng.random() < 0.7 if bye is None else bye
            for session in self.sessions:
                await session.go(bye=bye)
            self.journal.count("left with a goodbye" if bye else "left without a word")

    def come_back(self) -> None:
        self.gone_until = None
        for session in self.sessions:
            session.come_back()

    async def _perhaps_again(self, params: dict[str, Any], pk: int) -> None:
        """Retries that a client makes whose answer was lost: the same message. With another text: a conflict."""
        dice = self.rng.random()
        if dice < 0.12:
            answer, _ = await self.sure("message.send", params)
            self.journal.count("sends repeated")
            if (answer.status, answer.body.get("duplicate")) != (200, True) or answer.body["message"]["id"] != pk:
                self.journal.violation("repeat", f"message {pk} was sent again, and that gave {answer}")
        elif dice < 0.15:
            answer, _ = await self.sure("message.send", params | {"body": "something else"})
            if (answer.status, answer.body.get("code")) != (409, "idempotency_conflict"):
                self.journal.violation("repeat", f"the key of message {pk} with another text gave {answer}")

    async def sure(self, method: str, params: dict[str, Any]) -> tuple[Answer, int]:
        """The outcome of a call and the number of attempts: at any worker, by any door, again until it is known."""
        caller, attempts = Caller(self.way, self.token), 0
        try:
            while True:
                attempts += 1
                try:
                    answer = await self._by_any_door(caller, method, params)
                except Unanswered:
                    self.journal.count("calls without an answer")
                else:
                    if answer.status < 500:
                        return answer, attempts
                    self.journal.count(f"answers with {answer.status}")
                    if answer.status != 503:
                        self.journal.violation("error", f"{method} was answered with {answer}")
                await asyncio.sleep(0.1)
        finally:
            caller.hang_up()

    async def _by_any_door(self, caller: Caller, method: str, params: dict[str, Any]) -> Answer:
        on_sockets = [session for session in self.sessions if session.on_socket]
        if on_sockets and self.rng.random() < 0.5:
            return await self.rng.choice(on_sockets).call(method, params)
        return await caller.call(self.rng.randrange(len(self.way.ports)), method, params)

    async def once(self, method: str, params: dict[str, Any]) -> Answer | None:
        """The answer to a call that must not be repeated; None when its outcome is not known."""
        caller = Caller(self.way, self.token)
        try:
            answer = await self._by_any_door(caller, method, params)
        except Unanswered:
            self.journal.count("calls without an answer")
            return None
        finally:
            caller.hang_up()
        return None if answer.status >= 500 else answer

    def ok(
        self, method: str, answer: Answer, *, place: Place | None = None, allowed: Collection[tuple[int, str]] = ()
    ) -> bool:
        """Whether it worked. What is refused has to be among what is `allowed`, and in an archived place all is."""
        if place is not None and place.archived:
            allowed = [*allowed, (409, "channel_archived")]
            if answer.status == 200:
                self.journal.violation("refused", f"{self.name}: {method} worked in {place.id}, which is archived")
        if answer.status != 200:
            if (answer.status, answer.body.get("code")) not in allowed:
                self.journal.violation("refused", f"{self.name}: {method} was answered with {answer}")
            self.journal.count("calls refused, as they should be")
        return answer.status == 200

    def refused(self, method: str, answer: Answer, *statuses: int) -> None:
        """It has to be."""
        self.journal.count("calls refused, as they should be")
        if answer.status not in statuses:
            self.journal.violation("refused", f"{self.name} ({self.role}): {method} was answered with {answer}")

    # What becomes true of them

    def asks_to_be_in(self, channel_id: int) -> None:
        """They, or somebody for them."""
        self.asked_at = now()
        self.journal.away.ending(self.id, channel_id)

    def is_in(self, channel_id: int) -> None:
        self.journal.away.ended(self.id, channel_id)
        self.joined.add(channel_id)
        self.journal.came.append(Said(self.id, self.asked_at, now()))

    def is_out_of(self, channel_id: int, asked_at: float) -> None:
        self.journal.away.began(self.id, channel_id, asked_at=asked_at)
        self.journal.muted.ended(self.id, channel_id)
        self.joined.discard(channel_id)
        self.muted.discard(channel_id)
        self.cursors.pop(channel_id, None)

    def is_gone(self, message: Message) -> None:
        message.deleted_at = message.texts[-1].gone_at = now()
        self.world.places[message.channel_id].said.remove(message)

    # What they may choose from

    def some_place(self) -> Place | None:
        """Rarely one that is archived, where they may only read."""
        places = [self.world.places[pk] for pk in sorted(self.joined)]
        if not places:
            return None
        alive = [place for place in places if not place.archived]
        return self.rng.choice(places if self.rng.random() < 0.1 or not alive else alive)

    def some_message(self, *, roots: bool = False) -> Message | None:
        """One of the newest in a place where they are, of anybody."""
        place = self.some_place()
        said = [] if place is None else [one for one in place.said[-30:] if not roots or one.root_id is None]
        return self.rng.choice(said) if said else None

    @asynccontextmanager
    async def alone_with(self, candidates: Sequence["Person"]) -> AsyncIterator["Person | None"]:
        """One of these who is doing nothing, and does nothing meanwhile. Nobody is waited for, so nobody forever."""
        idle = [person for person in candidates if not person.busy.locked()]
        if not idle:
            yield None
            return
        person = self.rng.choice(idle)
        async with person.busy:
            yield person

    def _one_of_mine(self) -> Message | None:
        here = [one for one in self.mine.values() if one.channel_id in self.joined and one.deletion_asked_at is None]
        return self.rng.choice(here[-20:]) if here else None

    def _number(self) -> int:
        self.numbers += 1
        return self.numbers

    def _worded(self, *, groups: bool) -> Text:
        """A text that names somebody now and then, who may not be there."""
        body, names, everybody = self._text(), list[Person](), False
        dice = self.rng.random()
        if dice < 0.3:
            names = self.rng.sample(list(self.others), 1 if dice < 0.2 else 2)
            body = " ".join([body, *(f"@{person.name}" for person in names)])
        elif groups and dice < 0.34:
            body, everybody = f"@channel {body}", not self.guest
        return Text(body, now(), now(), frozenset(person.id for person in names), everybody)

    def _text(self) -> str:
        """Found nowhere else, so that it is known wherever it turns up."""
        return f"{self.name} {self._number()} {self.rng.getrandbits(48):012x}"


@asynccontextmanager
async def idle(*people: Person) -> AsyncIterator[None]:
    """While these do nothing else. Everybody waits in one order, and who holds a later one waits for nobody."""
    async with AsyncExitStack() as stack:
        for person in sorted(people, key=lambda person: person.id):
            await stack.enter_async_context(person.busy)
        yield
