"""A member of a classroom: what it does, each thing until its outcome is known, over a network that breaks."""

import asyncio
import json
import random
from collections.abc import Sequence
from typing import Any

from tests.history.cable import Cable
from tests.history.calls import Answer, Caller, Unanswered
from tests.history.classrooms.records import Fired, Log, Room, Value
from tests.history.cluster import CLASSROOM_KEY
from tests.history.journal import Journal, now
from tests.mesh_clients import documents

Json = dict[str, Any]

KEYS = ("score", "level", "てんすう")
MANY = 130
"""Events of a batch that is longer than a page of the log."""
BEAT_SECONDS = 8.0
PATIENCE_SECONDS = 15.0
"""In peace everything is answered sooner."""
GONE = "GroupNotFound"
OUT_OF_ORDER = "ServiceUnavailable"
FIRED_AT = "2026-11-21T09:00:00.000Z"
"""By its own clock, which says what it likes."""


class Refused(Exception):
    """The error of an answer, by its type."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)
        self.kind = kind


class Member:
    """Notes what it saw and never raises for what the server does. Its client shares nothing with the server."""

    way = "fired"

    def __init__(self, room: Room, node_id: str, cable: Cable, journal: Journal, rng: random.Random) -> None:
        self.room = room
        self.node_id = node_id
        self.name = f"{room.label}/{node_id.partition(' ')[0]}"
        self.cable = cable
        self.ended = False
        """Whether it knows that the group is over."""
        self.log = Log(self.name, room)
        self._journal = journal
        self._rng = rng
        self._caller = Caller(cable, CLASSROOM_KEY, header="x-api-key:")
        self._watching = Caller(cable, CLASSROOM_KEY, header="x-api-key:")
        """For what it asks while it does something else."""
        self._numbers = 0
        self._reported: tuple[str, int] | None = None
        self._told: dict[tuple[str, str], int] = {}
        """What has to have come of values, by node and key, as events came that were fired later."""
        self._beat_at = 0.0

    @property
    def hosts(self) -> bool:
        return self.node_id == self.room.host_id

    async def join(self) -> None:
        """In calm, before anything is fired."""
        if not self.hosts:
            await self.ask(documents.JOIN, nodeId=self.node_id, useWebSocket=self.way == "fired")

    async def run(self) -> None:
        """See what is told, until it is cancelled."""
        raise NotImplementedError

    def switch(self) -> None:
        """Go over to another way of seeing it."""

    def leave(self) -> None:
        self._caller.hang_up()
        self._watching.hang_up()

    async def live(self, until: asyncio.Event, *, pause_seconds: float) -> None:
        if self.hosts:
            await self.fire(MANY)
        while not until.is_set() and not self.room.over:
            if now() > self._beat_at + BEAT_SECONDS:
                await self.beat()
            elif self._rng.random() < 0.5:
                await self.report()
            else:
                await self.fire(MANY if self._rng.random() < 0.03 else self._rng.randint(1, 4))
            await asyncio.sleep(self._rng.expovariate(1 / pause_seconds))

    async def fire(self, count: int) -> list[str]:
        """Fire a batch; its names. A lost answer means once more, and so do some others, as pages retry."""
        batch = [self._event() for _ in range(count)]
        names = [event.name for event in batch]
        try:
            unread = self._rng.random() < 0.1
            if unread:
                await self._once(self._tell_and_go(batch))
            await self._surely(batch, first=not unread)
            if self._rng.random() < 0.1:
                await asyncio.sleep(self._rng.uniform(0, 1))
                await self._tell(batch)
                self._journal.count("classroom batches repeated")
        except (Refused, Unanswered) as error:
            self.take_refusal(error)
        return names

    async def report(self) -> None:
        """A value, once: a report that comes late would bring an old value back, so nobody repeats it."""
        self._numbers += 1
        key, text = self._rng.choice(KEYS), f"{self._numbers}"
        value = self.room.values.setdefault((self.node_id, key), Value())
        value.unsure.add(text)
        try:
            await self._report(key, text)
        except (Refused, Unanswered) as error:
            self.take_refusal(error)
        else:
            value.acked, self._reported = text, (key, self._numbers)
            value.unsure.discard(text)
            self._journal.count("classroom values reported")

    async def beat(self) -> None:
        """A sign of life. Who hears then that the group is over knows it."""
        document, role = (documents.RENEW, "hostId") if self.hosts else (documents.BEAT, "nodeId")
        try:
            await self.ask(document, **{role: self.node_id})
            self._beat_at = now()
        except (Refused, Unanswered) as error:
            self.take_refusal(error)

    def take_refusal(self, error: Refused | Unanswered) -> None:
        if isinstance(error, Refused):
            if error.kind == GONE and self.room.over:
                self.ended = True
            else:
                self._journal.violation("classroom end", f"{self.name} of {self.room.place} was told {error}")

    async def ask(self, document: str, **variables: object) -> Any:
        """What the one field of an operation is. Raises Refused and Unanswered."""
        asked = {"query": document, "variables": self.room.place | variables}
        aside = document is documents.DISSOLVE or document.lstrip().startswith("query")
        caller = self._watching if aside else self._caller
        return self._taken(await caller.post(self._worker(), "/graphql", asked))

    def _taken(self, answer: Answer) -> Any:
        """Never is there another status than 200: shipped clients would repeat for minutes, or lose what they said."""
        if answer.status != 200:
            self._journal.violation("error", f"{self.name} was answered with {answer}")
            raise Unanswered("/graphql")
        if "errors" not in answer.body:
            [field] = answer.body["data"].values()
            return field
        [error] = answer.body["errors"]
        kind = error.get("errorType")
        if kind == OUT_OF_ORDER:
            self._journal.count("classroom calls while Redis was away")
            raise Unanswered("/graphql")
        raise Refused(f"{kind}", error["message"])

    def _worker(self) -> int:
        return self._rng.randrange(len(self.cable.ports))

    # What a batch of events looks like over this member's door

    def _asked(self, batch: Sequence[Fired]) -> tuple[str, Json]:
        """Path and content of the request."""
        document = documents.FIRE if self.way == "fired" else documents.RECORD
        events = [
            {"eventName": event.name, "payload": "", "firedAt": FIRED_AT, "orderKey": event.order_key}
            for event in batch
        ]
        if self.way == "recorded" and self._rng.random() < 0.5:
            self._rng.shuffle(events)  # The keys say their order.
        variables = {**self.room.place, "nodeId": self.node_id, "events": events}
        return "/graphql", {"query": document, "variables": variables}

    async def _tell(self, batch: Sequence[Fired]) -> None:
        path, asked = self._asked(batch)
        told = self._taken(await self._caller.post(self._worker(), path, asked))
        if self.way == "recorded":
            right = (told["recordedCount"], told["nextSince"]) == (len(batch), "")
        else:
            right = [event["name"] for event in told["batchEvent"]["events"]] == [event.name for event in batch]
        if not right:
            self._journal.violation("repeat", f"{self.name} sent {[event.name for event in batch]}, answer {told}")

    async def _report(self, key: str, text: str) -> None:
        await self.ask(documents.REPORT, nodeId=self.node_id, data=[{"key": key, "value": text}])

    async def _tell_and_go(self, batch: Sequence[Fired]) -> None:
        path, asked = self._asked(batch)
        self._journal.count("classroom batches whose answer nobody read")
        await self._caller.post_and_go(self._worker(), path, asked)

    async def _surely(self, batch: Sequence[Fired], *, first: bool) -> None:
        """Tell it until it is acknowledged. Raises Refused."""
        acknowledged = await self._once(self._tell(batch))
        at_once = acknowledged and first
        while not acknowledged:
            await asyncio.sleep(self._rng.uniform(0.1, 0.8))
            acknowledged = await self._once(self._tell(batch))
        for event in batch:
            event.acked_at, event.at_once = now(), at_once
        self._journal.count(f"classroom events {self.way}", len(batch))

    async def _once(self, telling: Any) -> bool:
        """Whether there was an answer."""
        try:
            await telling
        except Unanswered:
            self._journal.count("classroom calls without an answer")
            return False
        return True

    def _event(self) -> Fired:
        self._numbers += 1
        fired = Fired(f"{self.name} {self._numbers}", self.node_id, self._numbers, now(), self._reported)
        self.room.fired[fired.name] = fired
        return fired

    # What is seen

    def _check_place(self, told: Json, domain: str) -> None:
        """That it is of this group, as are all things in it."""
        text = json.dumps(told, ensure_ascii=False)
        if (told.get("groupId"), told.get("domain")) != (self.room.id, domain):
            self._journal.violation("classroom leak", f"{self.name} of {self.room.place} was told {text[:300]}")

    def _take_event(self, name: str) -> None:
        fired = self.room.fired.get(name)
        if fired is None:
            self._journal.violation("classroom leak", f"{self.name} was told of {name!r}, which is of no member here")
        elif fired.knows is not None:
            key, number = fired.knows
            self._told[fired.node_id, key] = max(number, self._told.get((fired.node_id, key), 0))

    def _take_value(self, node_id: str, key: str, text: str) -> None:
        """A variable that was set before a broadcast is told before it."""
        value = self.room.values.get((node_id, key))
        if value is None:
            self._journal.violation("classroom leak", f"{self.name} was told {key!r} of {node_id!r}, who has none")
        elif int(text) <= self._told.get((node_id, key), 0) and text not in value.unsure:
            told = f"{key!r} = {text} of {node_id!r} after what was fired later"
            self._journal.violation("classroom order", f"{self.name} was told {told}")
