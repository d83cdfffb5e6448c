"""People who write, edit, delete, join, leave and read, one thing after the other, each until they know its outcome."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.history.cable import Cable
from tests.history.calls import Answer, Caller, Unanswered
from tests.history.journal import Away, Journal, Message, Said, Text, now
from tests.history.session import Session

PUBLIC = "public"
TALK = {"send": 44, "reply": 6, "edit": 12, "delete": 8, "regret": 4, "leave": 4, "join": 10, "read": 12}
DEEDS = TALK | {"say": 1, "be_away": 3, "go": 4}
"""What they do, and how often."""
COMING_AND_GOING = {"send": 4, "say": 1, "be_away": 2, "go": 5}
"""What they do where presence is looked at above all."""
GONE_PAUSES = 10
"""For how many pauses between two deeds somebody is gone who leaves, on average."""


@dataclass
class Person:
    """Somebody and the truth about them: what was acknowledged to them, and whether they are there."""

    name: str
    id: int
    token: str
    channels: dict[int, str]
    """The kinds of all channels of this run, by id."""
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

    @property
    def status(self) -> str:
        """What others have to be told, once everything has settled."""
        if not any(session.here for session in self.sessions):
            return "offline"
        return "away" if self.away else "online"

    async def live(self, until: asyncio.Event, deeds: Mapping[str, int], *, pause_seconds: float) -> None:
        self.pause_seconds = pause_seconds
        while not until.is_set():
            [deed] = self.rng.choices(list(deeds), list(deeds.values()))
            async with self.busy:
                if self.gone_until is not None and self.gone_until < now():
                    self.come_back()
                await getattr(self, deed)()
            await asyncio.sleep(self.rng.expovariate(1 / pause_seconds))

    async def send(self, *, thread_root_id: int | None = None, channel_id: int | None = None) -> Message | None:
        if channel_id is None:
            if not self.joined:
                return None
            channel_id = self.rng.choice(sorted(self.joined))
        key = f"{self.name}-{self._number()}"
        params = {"channel_id": channel_id, "body": self._text(), "client_msg_id": key}
        if thread_root_id is not None:
            params["thread_root_id"] = thread_root_id
        answer, attempts = await self.sure("message.send", params)
        if answer.status == 400 and thread_root_id is not None:
            return None  # The thread was deleted meanwhile.
        if not self._ok("message.send", answer):
            return None
        if answer.body["duplicate"] and attempts == 1:
            self.journal.violation("repeat", f"{key} was called a duplicate the first time")
        pk = answer.body["message"]["id"]
        message = Message(pk, channel_id, self.id, key, [Text(str(params["body"]))])
        self.journal.messages[pk] = self.mine[pk] = message
        self.journal.count("messages sent")
        await self._perhaps_again(params, pk)
        return message

    async def reply(self) -> None:
        if (message := self._one_of_mine()) is not None:
            await self.send(thread_root_id=message.id, channel_id=message.channel_id)

    async def edit(self) -> None:
        if (message := self._one_of_mine()) is None:
            return
        body = self._text()
        answer, _ = await self.sure("message.update", {"message_id": message.id, "body": body})
        if self._ok("message.update", answer):
            message.texts[-1].gone_at = now()
            message.texts.append(Text(body))
            self.journal.count("messages edited")

    async def delete(self, message: Message | None = None) -> None:
        message = message or self._one_of_mine()
        if message is None:
            return
        for _ in range(2 if self.rng.random() < 0.3 else 1):  # deleting twice changes nothing
            answer, _ = await self.sure("message.delete", {"message_id": message.id})
            if self._ok("message.delete", answer) and message.deleted_at is None:
                message.deleted_at = message.texts[-1].gone_at = now()
                del self.mine[message.id]
                self.journal.count("messages deleted")

    async def regret(self) -> None:
        """Send something and take it back at once."""
        if (message := await self.send()) is not None:
            await self.delete(message)

    async def leave(self, channel_id: int | None = None) -> None:
        if channel_id is None:
            public = [pk for pk in sorted(self.joined) if self.channels[pk] == PUBLIC]
            if not public:
                return
            channel_id = self.rng.choice(public)
        asked_at = now()
        answer, attempts = await self.sure("channel.leave", {"channel_id": channel_id})
        if attempts > 1 and answer.status in (403, 404):
            answer = Answer(200, {})  # An earlier try was carried out.
        if self._ok("channel.leave", answer):
            self.journal.away.append(Away(self.id, channel_id, asked_at, now()))
            self.joined.discard(channel_id)
            self.journal.count("channels left")

    async def join(self) -> None:
        elsewhere = [pk for pk, kind in sorted(self.channels.items()) if kind == PUBLIC and pk not in self.joined]
        if not elsewhere:
            return
        channel_id = self.rng.choice(elsewhere)
        for away in self.journal.away:
            if (away.user_id, away.channel_id) == (self.id, channel_id) and away.until == float("inf"):
                away.until = now()
        answer, _ = await self.sure("channel.join", {"channel_id": channel_id})
        if self._ok("channel.join", answer):
            self.joined.add(channel_id)
            self.journal.count("channels joined")

    async def read(self) -> None:
        state = self.rng.choice(self.sessions).state
        known = [(pk, list(state.channels[pk].messages)) for pk in sorted(self.joined & state.channels.keys())]
        known = [(pk, messages) for pk, messages in known if messages]
        if not known:
            return
        channel_id, messages = self.rng.choice(known)
        last_read_id = self.rng.choice(messages)
        answer, _ = await self.sure("read.mark", {"channel_id": channel_id, "last_read_id": last_read_id})
        if self._ok("read.mark", answer):
            self.journal.count("read cursors moved")
            if answer.body["last_read_id"] < last_read_id:
                self.journal.violation("repeat", f"{self.name} marked {last_read_id} and was told {answer.body}")

    async def say(self) -> None:
        """Set a status text, now and then an empty one."""
        text, emoji = (self._text(), self.rng.choice(["", "🙂"])) if self.rng.random() < 0.8 else ("", "")
        asked_at = now()
        answer, _ = await self.sure("presence.set_status_text", {"status_text": text, "status_emoji": emoji})
        if self._ok("presence.set_status_text", answer):
            self.text, self.emoji = text, emoji
            self.journal.said.append(Said(self.id, asked_at, now()))
            self.journal.count("status texts set")

    async def be_away(self, away: bool | None = None) -> None:
        """Declare all sessions away, or active if they were."""
        away = not self.away if away is None else away
        answer, _ = await self.sure("presence.set_away", {"away": away})
        if self._ok("presence.set_away", answer):
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

    def _ok(self, method: str, answer: Answer) -> bool:
        if answer.status != 200:
            self.journal.violation("refused", f"{self.name}: {method} was answered with {answer}")
        return answer.status == 200

    def _one_of_mine(self) -> Message | None:
        mine = [message for message in self.mine.values() if message.channel_id in self.joined]
        return self.rng.choice(mine[-20:]) if mine else None

    def _number(self) -> int:
        self.numbers += 1
        return self.numbers

    def _text(self) -> str:
        """Found nowhere else, so that it is known wherever it turns up."""
        return f"{self.name} {self._number()} {self.rng.getrandbits(48):012x}"
