"""A member over our own doors: the socket, the long-poll and back, with a cursor."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from tests.history.calls import Answer, Unanswered
from tests.history.classrooms.members import GONE, PATIENCE_SECONDS, Json, Member, Refused
from tests.history.classrooms.records import Fired, Gap, Stay
from tests.history.cluster import CLASSROOM_KEY
from tests.history.journal import now

SILENCE_SECONDS = 4.0
"""A socket that is silent for longer is dead: twice PING_SECONDS of the servers."""
POLL_SECONDS = 2.0
COME_BACK = {1000, 1001, 1006, 1011, 1012, 1013, 4408}
OVER = "mesh_group_not_found"


class Native(Member):
    """Misses nothing but what Redis lost, and then it is told so."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.statuses: dict[tuple[str, str], str] = {}
        """By node and key, as `learn_statuses` found them."""
        self._by_socket = self._rng.random() < 0.5
        self._switching = False
        self._epoch = ""
        self._seq = 0
        self._known_at = 0.0
        """When it was last told where it stands."""

    def switch(self) -> None:
        self._by_socket = not self._by_socket
        self._switching = True

    async def join(self) -> None:
        """It follows from there."""
        joined = await self._call("mesh.join", node_id=self.node_id)
        self._stand(joined["epoch"], joined["seq"], first=True)

    async def run(self) -> None:
        while not self.ended:
            self._switching = False
            try:
                await (self._on_socket() if self._by_socket else self._on_polls())
            except (OSError, TimeoutError, WebSocketException, Unanswered):
                self._journal.count("classroom followers lost")
            await asyncio.sleep(self._rng.uniform(0.05, 0.4))

    async def beat(self) -> None:
        """Whoever follows lives without."""
        self._beat_at = now()

    def take_refusal(self, error: Refused | Unanswered) -> None:
        """That a call is refused is not yet the end of what it follows."""
        ended = self.ended
        super().take_refusal(error)
        self.ended = ended

    async def learn_statuses(self) -> None:
        """Ask for them until they come. Raises Unanswered and Refused."""
        deadline = now() + PATIENCE_SECONDS
        while True:
            try:
                answer = await self._call("mesh.statuses")
                break
            except Unanswered:  # A connection that it kept may be of a worker that was killed.
                if now() > deadline:
                    raise
                await asyncio.sleep(0.1)
        self.statuses = {
            (status["node_id"], datum["key"]): datum["value"]
            for status in answer["statuses"]
            for datum in status["values"]
        }

    # Calls

    async def _call(self, method: str, **params: Any) -> Any:
        path, asked = f"/api/{method}", {"group_id": self.room.id, "domain": self.room.domain, **params}
        return self._taken(await self._caller.post(self._worker(), path, asked))

    def _taken(self, answer: Answer) -> Any:
        if answer.status == 503:
            self._journal.count("classroom calls while Redis was away")
            raise Unanswered("503")
        if answer.status >= 500:
            self._journal.violation("error", f"{self.name} was answered with {answer}")
            raise Unanswered(f"{answer.status}")
        if answer.status != 200:
            code = answer.body.get("code")
            raise Refused(GONE if code == OVER else f"{code}", f"{answer}")
        return answer.body

    def _asked(self, batch: Sequence[Fired]) -> tuple[str, Json]:
        events = [{"name": event.name, "order_key": event.order_key} for event in batch]
        place = {"group_id": self.room.id, "domain": self.room.domain, "node_id": self.node_id}
        return "/api/mesh.fire", {**place, "events": events}

    async def _tell(self, batch: Sequence[Fired]) -> None:
        path, asked = self._asked(batch)
        told = self._taken(await self._caller.post(self._worker(), path, asked))
        if [event["name"] for event in told["events"]] != [event.name for event in batch]:
            self._journal.violation("repeat", f"{self.name} sent {[event.name for event in batch]}, answer {told}")

    async def _report(self, key: str, text: str) -> None:
        await self._call("mesh.report", node_id=self.node_id, values=[{"key": key, "value": text}])

    # The two doors

    def _query(self, seq_name: str) -> dict[str, object]:
        place = {"domain": self.room.domain, "node_id": self.node_id}
        return {**place, "epoch": self._epoch, seq_name: self._seq}

    async def _on_socket(self) -> None:
        port = self._rng.choice(self.cable.ports)
        socket = await connect(
            f"ws://127.0.0.1:{port}/ws/mesh/{self.room.id}?{urlencode(self._query('resume_from'))}",
            additional_headers={"x-api-key": CLASSROOM_KEY},
            compression=None,
            max_size=None,
            ping_interval=None,
            open_timeout=SILENCE_SECONDS,
            proxy=None,
        )
        try:
            while not self._switching:
                async with asyncio.timeout(SILENCE_SECONDS):
                    got = json.loads(await socket.recv())
                for frame in got if isinstance(got, list) else [got]:
                    self._take(frame)
                    if frame["type"] == "ping":
                        await socket.send(json.dumps({"type": "pong", "seq": self._seq}))
        except ConnectionClosed as closed:
            code = 1006 if closed.rcvd is None else closed.rcvd.code
            if code == 4404 and self.room.over:
                self.ended = True
            elif code not in COME_BACK:
                self._journal.violation("refused", f"{self.name}: the socket was closed with {code}")
        finally:
            socket.transport.abort()

    async def _on_polls(self) -> None:
        worker = self._worker()
        while not self._switching:
            query = self._query("since")
            path = f"/poll/mesh/{self.room.id}"
            status, body = await self._watching.poll(worker, query, wait=POLL_SECONDS, path=path)
            if status == 404 and self.room.over and body["code"] == OVER:
                self.ended = True
                return
            if status != 200:
                if status != 503:
                    self._journal.violation("error", f"a poll of {self.name} was answered with {status}: {body}")
                return
            for frame in body["frames"]:
                self._take(frame)
            if (body["epoch"], body["seq"]) != (self._epoch, self._seq):
                at = f"{self._epoch} {self._seq}"
                self._journal.violation("seq", f"{self.name}: a poll said {body['epoch']} {body['seq']} at {at}")

    # What comes through them

    def _take(self, frame: Json) -> None:
        if frame["type"] == "hello":
            self._hello(frame)
        elif frame["type"] == "event":
            self._event_came(frame)

    def _hello(self, frame: Json) -> None:
        self._journal.count(f"classroom hello: {frame['mode']}")
        if frame["mode"] == "resumed":
            if (frame["epoch"], frame["seq"] - frame["replayed"]) != (self._epoch, self._seq):
                self._journal.violation("seq", f"{self.name}: resumed at {frame} from {self._epoch} {self._seq}")
            return
        self.log.gaps.append(Gap(self._known_at, now(), f"{frame['mode']}, {frame['reason']}"))
        self.log.stays[-1].until = now()
        self._stand(frame["epoch"], frame["seq"])

    def _stand(self, epoch: str, seq: int, *, first: bool = False) -> None:
        self._epoch, self._seq, self._known_at = epoch, seq, now()
        self.log.stays.append(Stay(now(), first=first))

    def _event_came(self, frame: Json) -> None:
        seq, name, data = frame["seq"], frame["event"], frame["data"]
        if seq != self._seq + 1:
            self._journal.violation("seq", f"{self.name}: seq {seq} came after {self._seq} of {self._epoch}")
        self._seq, self._known_at = seq, now()
        self._check_place({"groupId": data["group_id"], "domain": data["domain"]}, self.room.domain)
        self.log.places[self._epoch, seq] = f"{name} {json.dumps(data, sort_keys=True)}"
        for datum in data.get("values", ()):
            self._take_value(data["node_id"], datum["key"], datum["value"])
        for event in data.get("events", ()):
            self._take_event(event["name"])
            self.log.stays[-1].names.append(event["name"])
            self._journal.count("classroom events followed")
        if name == "mesh.group_dissolved" and not self.room.over:
            self._journal.violation("classroom end", f"{self.name} was told {data}")
