"""A client of `/poll/user/me` for tests of real servers; it fails at once when a `seq` is missing or repeated."""

import json
from typing import Any, Self

import httpx

from tests.sockets import PRESENCE, SECONDS, Person

Frame = dict[str, Any]


class Poll:
    """Somebody's long-poll. `events` holds everything that came with a seq."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.frames: list[Frame] = []
        self.session = ""
        self.epoch = ""
        self.seq: int | None = None

    @property
    def events(self) -> list[Frame]:
        """What came with a seq, but for presence."""
        return [frame for frame in self.frames if frame["type"] == "event" and frame["event"] != PRESENCE]

    @property
    def presence(self) -> list[Frame]:
        """The data of each `presence.updated` that came."""
        return [frame["data"] for frame in self.frames if frame.get("event") == PRESENCE]

    @property
    def bodies(self) -> list[str]:
        return [event["data"]["message"]["body"] for event in self.events if event["event"] == "message.created"]

    def get(self, *, wait: float = 0, **query: object) -> httpx.Response:
        """One poll with exactly this query."""
        return self.person.http.get(
            "/poll/user/me",
            params={"wait": str(wait)} | {name: str(value) for name, value in query.items()},
            headers=self.person.bearer,
            timeout=wait + SECONDS,
        )

    def poll(self, *, wait: float = 0) -> list[Frame]:
        """One poll from where it stands; what it brought."""
        query = {"session": self.session, "epoch": self.epoch, "since": self.seq}
        answer = self.get(wait=wait, **{name: value for name, value in query.items() if value not in ("", None)})
        assert answer.status_code == 200, answer.text
        body = json.loads(answer.content)
        for frame in body["frames"]:
            if frame["type"] == "hello":
                self.session = frame["session"]
                self.seq = frame["seq"] - frame["replayed"]
            elif frame["type"] == "event":
                assert frame["seq"] == (self.seq or 0) + 1, f"seq {frame['seq']} came after {self.seq}"
                self.seq = frame["seq"]
        assert self.seq is None or body["seq"] == self.seq, body
        self.frames += body["frames"]
        self.epoch, self.seq = body["epoch"], body["seq"]
        return list(body["frames"])

    def settle(self) -> Self:
        """Poll until it is quiet, so that who came a moment ago wakes no later poll."""
        while self.poll(wait=0.5):
            pass
        return self

    def until(self, count: int, *, wait: float = 5) -> None:
        """Poll until so many events are there."""
        while len(self.events) < count:
            assert self.poll(wait=wait), f"{len(self.events)} of {count} events came, then none for {wait} s"
