"""A member that polls, as editors do behind a filter that blocks WebSockets."""

import asyncio
from collections.abc import Callable
from typing import Any

from tests.history.calls import Unanswered
from tests.history.classrooms.members import GONE, PATIENCE_SECONDS, Json, Member, Refused
from tests.history.classrooms.records import Logged
from tests.history.journal import now
from tests.mesh_clients import documents

PAGE = 100
POLL_SECONDS = (0.4, 0.8)
ASLEEP_SECONDS = (2, 4)
EVENTS = f"""
query GetEventsSince({documents.IN_GROUP}, $since: String!) {{
  getEventsSince({documents.THERE}, since: $since) {{ {documents.EVENT} cursor }}
}}"""


class Poller(Member):
    """Goes on behind the last event that it has, wherever that answer came from."""

    way = "recorded"

    def __init__(self, *arguments: Any, with_statuses: bool) -> None:
        super().__init__(*arguments)
        self.statuses: dict[tuple[str, str], str] = {}
        """The last that it was told, by node and key."""
        self.statuses_asked_at = 0.0
        self._with_statuses = with_statuses
        # From the beginning, or from where it joined, which a time stands for, however wrong its clock is.
        self._since = "" if self._rng.random() < 0.5 else f"2026-11-21T0{self._rng.randrange(10)}:30:00.000Z"
        self._moments: dict[tuple[str, str], str] = {}

    def switch(self) -> None:
        self._with_statuses = not self._with_statuses

    async def run(self) -> None:
        while True:
            full = False
            try:
                full = await self.poll()
            except Unanswered:
                self._journal.count("classroom polls without an answer")
            except Refused as refused:
                self._journal.violation("error", f"a poll of {self.name} was answered with {refused}")
            if not full:
                asleep = self._rng.random() < 0.02
                await asyncio.sleep(self._rng.uniform(*(ASLEEP_SECONDS if asleep else POLL_SECONDS)))

    async def poll(self) -> bool:
        """Take a page; whether there may be more. Raises Unanswered and Refused."""
        asked_at = now()
        document = documents.POLL if self._with_statuses else EVENTS
        told = await self.ask(document, since=self._since)
        self._journal.count("classroom polls answered")
        events = told["events"] if document is documents.POLL else told
        for event in events:
            self._check_place(event, self.room.domain)
            self._take_event(event["name"])
            self.log.logged.append(Logged(event["name"], event["cursor"], event["timestamp"]))
        self._journal.count("classroom events polled", len(events))
        if events:
            self._since = events[-1]["cursor"]
        if document is documents.POLL:
            self._take(told["nodeStatuses"], asked_at)
        if len(events) < PAGE:
            self.log.drained.append(asked_at)
        return len(events) == PAGE

    def _take(self, statuses: list[Json], asked_at: float) -> None:
        self.statuses, self.statuses_asked_at = {}, asked_at
        for status in statuses:
            self._check_place(status, self.room.domain)
            for datum in status["data"]:
                at = status["nodeId"], datum["key"]
                self.statuses[at] = datum["value"]
                if status["timestamp"] < self._moments.get(at, ""):
                    told = f"{at} of {status['timestamp']} after {self._moments[at]}"
                    self._journal.violation("classroom state", f"{self.name} was told a value of {told}")
                self._moments[at] = status["timestamp"]
        if not self.room.over:
            self._check_values()

    def _check_values(self) -> None:
        """A variable that was set before a broadcast is there with it."""
        for at, number in self._told.items():
            text = self.statuses.get(at, "0")
            if int(text) < number and text not in self.room.values[at].unsure:
                told = f"{at} is {text} beside events that were fired when it was {number}"
                self._journal.violation("classroom order", f"for {self.name} {told}")

    async def learn_statuses(self) -> None:
        """Wait for those of now. Raises Unanswered."""
        asked_at, self._with_statuses = now(), True
        await self._until(lambda: self.statuses_asked_at > asked_at)

    async def drain(self) -> None:
        """Wait until it has all there is now. Raises Unanswered."""
        asked_at = now()
        await self._until(lambda: bool(self.log.drained) and self.log.drained[-1] > asked_at)

    async def _until(self, done: Callable[[], bool]) -> None:
        deadline = now() + PATIENCE_SECONDS
        while not done():
            if now() > deadline:
                raise Unanswered(f"{self.name} polls in vain")
            await asyncio.sleep(0.1)

    async def learn_of_the_end(self) -> None:
        """By the next heartbeat, and by trying to record."""
        await self.beat()
        try:
            await self._tell([self._event()])
        except Refused as refused:
            self.ended &= refused.kind == GONE
        except Unanswered:
            pass
        else:
            self._journal.violation("classroom end", f"{self.name} recorded in {self.room.place}, which is over")
