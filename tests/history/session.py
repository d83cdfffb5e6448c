"""A client: one session of somebody, over a socket, by polls, or now so and now so, always with the same cursor."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from typing import Any, Literal
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from tests.history.cable import Cable
from tests.history.calls import CALL_SECONDS, Answer, Caller, Unanswered
from tests.history.journal import Booted, Connected, Contact, Got, Journal, now
from tests.history.state import Channel, State

Frame = dict[str, Any]
Transport = Literal["socket", "poll"]

SILENCE_SECONDS = 4.0
"""A socket that is silent for longer is dead: twice PING_SECONDS of the servers."""
POLL_SECONDS = 2.0
COME_BACK = {1000, 1001, 1006, 1011, 1012, 1013, 4408, 4409}
"""4409: an older connection of this session was replaced by its newer one."""


class Session:
    """Comes back for ever, with its cursor; notes what it is told and never raises for what the server does."""

    def __init__(
        self,
        name: str,
        *,
        user_id: int,
        token: str,
        cable: Cable,
        journal: Journal,
        rng: random.Random,
        transport: Transport,
    ) -> None:
        self.name = name
        self.user_id = user_id
        self.transport: Transport = transport
        self.state = State(user_id)
        self.cable = cable
        self.epoch = ""
        self.seq: int | None = None
        self._id = ""
        self._token = token
        self._journal = journal
        self._log = journal.open_log(name, user_id)
        self._rng = rng
        self._here = asyncio.Event()
        self._here.set()
        self._socket: ClientConnection | None = None
        self._left_at = 0.0
        self._switching = False
        self._refs = 0
        self._replies: dict[str, asyncio.Future[Answer]] = {}
        self._held: list[tuple[str, Frame]] | None = None
        self._fetching: set[asyncio.Task[None]] = set()
        self._unbooted = True
        """Whether its log goes on behind a hole, and the state was not fetched since."""

    @property
    def settled(self) -> bool:
        """Whether it was connected since it came back, and its state is made of everything that it was told."""
        connected = bool(self._log.contacts) and self._log.contacts[-1].since > self._left_at
        return connected and self.seq is not None and self._held is None and not self._fetching

    @property
    def here(self) -> bool:
        """Whether it is connected or tries to be."""
        return self._here.is_set()

    @property
    def on_socket(self) -> bool:
        return self._socket is not None

    async def run(self) -> None:
        """Until it is cancelled."""
        try:
            if self._rng.random() < 0.5:
                await self._boot_first()
            while True:
                while not self.here:  # It may have come and gone again before this task ran.
                    await self._here.wait()
                try:
                    await (self._on_socket() if self.transport == "socket" else self._on_polls())
                except (OSError, TimeoutError, WebSocketException, Unanswered):
                    self._journal.count("connections lost")
                await asyncio.sleep(self._rng.uniform(0.05, 0.4))
        finally:
            self._stop_fetching()

    def switch(self) -> None:
        """Go over to the other transport, in mid-conversation."""
        self.transport = "poll" if self.transport == "socket" else "socket"
        self._switching = True
        if self._socket is not None:
            self._socket.transport.abort()

    async def go(self, *, bye: bool) -> None:
        """Leave, with a word if it is wanted, which may not arrive."""
        self._here.clear()
        self._left_at = now()
        socket, self._socket = self._socket, None
        if bye and self._log.contacts:
            contact = self._log.contacts[-1]
            contact.bye_at = contact.bye_until = now()
            if socket is not None:
                with suppress(ConnectionClosed):
                    await socket.send(json.dumps({"type": "bye"}))
                return  # It is closed by the server.
            self._switching = True
            contact.bye_until = float("inf")
            contact.bye_until = await self._leave()
        self._switching = True
        if socket is not None:
            socket.transport.abort()

    async def _leave(self) -> float:
        """Say goodbye without a socket; until when that may take effect."""
        caller = Caller(self.cable, self._token)
        try:
            answer = await caller.call(
                self._rng.randrange(len(self.cable.ports)), "presence.leave", {"session": self._id}
            )
        except Unanswered:
            return now() + CALL_SECONDS
        finally:
            caller.hang_up()
        if answer.status != 200:
            self._not_ok("presence.leave", answer.status, answer.body, expected=(503,))
            return now() + CALL_SECONDS
        return now()

    def come_back(self) -> None:
        self._here.set()

    async def call(self, method: str, params: Frame) -> Answer:
        """A call over the socket. Raises Unanswered."""
        if self._socket is None:
            raise Unanswered(method)
        self._refs += 1
        ref = f"{self._refs}"
        self._replies[ref] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._socket.send(json.dumps({"type": "call", "ref": ref, "method": method, "params": params}))
                return await self._replies[ref]
        except (TimeoutError, ConnectionClosed) as error:
            raise Unanswered(method) from error
        finally:
            del self._replies[ref]

    # The two doors

    async def _on_socket(self) -> None:
        asked_at, self._switching = now(), False
        cursor = {"session": self._id, "epoch": self.epoch, "resume_from": self.seq}
        port = self._rng.choice(self.cable.ports)
        socket = await connect(
            f"ws://127.0.0.1:{port}/ws/user/me?{urlencode({k: v for k, v in cursor.items() if v not in ('', None)})}",
            additional_headers={"Authorization": f"Bearer {self._token}"},
            compression=None,
            max_size=None,
            ping_interval=None,
            open_timeout=SILENCE_SECONDS,
            proxy=None,
        )
        replayed_to = 0
        contact: Contact | None = None
        try:
            while not self._switching:
                async with asyncio.timeout(SILENCE_SECONDS):
                    got = json.loads(await socket.recv())
                if contact is not None:
                    contact.until = now()
                for frame in got if isinstance(got, list) else [got]:
                    if frame["type"] == "hello":
                        replayed_to = self._hello(frame, asked_at)
                        if asked_at > self._left_at:
                            self._socket = socket
                            contact = self._log.contact()
                    elif frame["type"] == "event":
                        self._event(frame, asked_at, replayed=frame["seq"] <= replayed_to)
                    elif frame["type"] == "ping":
                        await socket.send(json.dumps({"type": "pong", "seq": self.seq}))
                    elif frame.get("ref") in self._replies:
                        self._reply(frame)
        except ConnectionClosed as closed:
            code = 1006 if closed.rcvd is None else closed.rcvd.code
            self._journal.count(f"sockets closed with {code}")
            if code not in COME_BACK:
                self._journal.violation("refused", f"{self.name}: the socket was closed with {code}")
        finally:
            self._socket = None
            socket.transport.abort()
            for reply in self._replies.values():
                if not reply.done():
                    reply.set_exception(Unanswered("the socket ended"))

    async def _on_polls(self) -> None:
        self._switching = False
        caller, worker = Caller(self.cable, self._token), self._rng.randrange(len(self.cable.ports))
        try:
            while not self._switching:
                asked_at = now()
                cursor = {"session": self._id, "epoch": self.epoch, "since": self.seq}
                query = {name: value for name, value in cursor.items() if value not in ("", None)}
                status, body = await caller.poll(worker, query, wait=POLL_SECONDS)
                self._journal.count("polls answered")
                if status != 200:
                    self._not_ok(f"a poll of {self.name}", status, body, expected=(409, 503))
                    return
                if asked_at > self._left_at:
                    self._log.contact()
                for frame in body["frames"]:
                    if frame["type"] == "hello":
                        self._hello(frame, asked_at)
                    elif frame["type"] == "event":
                        self._event(frame, asked_at, replayed=False)
                if (body["epoch"], body["seq"]) != (self.epoch, self.seq):
                    self._journal.violation(
                        "seq", f"{self.name}: a poll said {body['epoch']} {body['seq']} at {self.epoch} {self.seq}"
                    )
        finally:
            caller.hang_up()

    # What comes through them

    def _hello(self, frame: Frame, asked_at: float) -> int:
        """Where the replay ends."""
        mode, top = frame["mode"], int(frame["seq"])
        self._id = frame["session"]
        self._journal.count(f"hello: {mode}" + (f", {frame['reason']}" if frame["reason"] else ""))
        self._log.lines.append(Connected(asked_at, self.transport, mode, frame["epoch"], top))
        if mode == "resumed":
            if (frame["epoch"], top - frame["replayed"]) != (self.epoch, self.seq):
                self._journal.violation("seq", f"{self.name}: resumed at {frame} from {self.epoch} {self.seq}")
            return top
        self.epoch, self.seq = frame["epoch"], top
        self._unbooted = True
        self._begin_anew()
        return 0

    def _event(self, frame: Frame, asked_at: float, *, replayed: bool) -> None:
        seq, name, data = frame["seq"], frame["event"], frame.get("data", {})
        if self.seq is None or seq != self.seq + 1:
            self._journal.violation("seq", f"{self.name}: seq {seq} came after {self.seq} of {self.epoch}")
        self.seq = seq
        self._log.lines.append(Got(now(), asked_at, replayed, self.epoch, seq, name, frame.get("at", ""), data))
        if self._held is not None:
            self._held.append((name, data))
        else:
            self._apply(name, data)

    def _apply(self, name: str, data: Frame) -> None:
        self.state.apply(name, data)
        if name == "channel.added":
            pk = data["channel"]["id"]
            self._fetch(self._fill(pk, self.state.channels[pk]), f"fill {pk} for {self.name}")
            self._fetch(self._fill_mentions(), f"mentions for {self.name}")
        elif name == "sync.reset":
            self._journal.count("told to begin anew")
            self._begin_anew()
        elif name == "workspace.member_joined" and data["user"]["id"] == self.user_id:
            self._fetch(self._fill_presence(), f"presence for {self.name}")
        if name in ("read.updated", "thread.updated") and self._held is None and not self._fetching:
            self._journal.count("counts compared with the messages")
            if wrong := self.state.told_wrong(name, data):
                self._journal.violation("state", f"{self.name}: {wrong}")

    def _reply(self, frame: Frame) -> None:
        answer = Answer(200, frame["data"]) if frame["type"] == "reply" else Answer(frame["status"], frame)
        if not self._replies[frame["ref"]].done():
            self._replies[frame["ref"]].set_result(answer)

    # The state from anew

    async def _boot_first(self) -> None:
        """As a page does: the state first, then the stream from where the state says."""
        boot = await self._sure("client.boot", {})
        self.epoch, self.seq = boot.body["epoch"], boot.body["seq"]
        self._log.lines.append(Connected(now(), "boot", "fresh", self.epoch, boot.body["seq"]))
        self._take_boot(boot.body)

    def _begin_anew(self) -> None:
        self._stop_fetching()
        self._held = []
        self._fetch(self._caught_up(), f"catch up {self.name}")

    async def _caught_up(self) -> None:
        boot = await self._sure("client.boot", {})
        self._take_boot(boot.body)
        held, self._held = self._held or [], None
        for name, data in held:
            self._apply(name, data)

    def _take_boot(self, boot: Frame) -> None:
        self.state.boot(boot)
        latest = {channel["id"]: channel["latest_message_id"] for channel in boot["channels"]}
        self._log.lines.append(Booted(latest, dict(self.state.presence), whole=self._unbooted))
        self._unbooted = False
        filling = [
            self._fetch(self._fill(pk, channel), f"fill {pk} for {self.name}")
            for pk, channel in self.state.channels.items()
        ]
        self._fetch(self._fill_mentions(), f"mentions for {self.name}")
        self._fetch(self._fill_threads(), f"threads for {self.name}")
        self._fetch(self._fill_names(filling), f"names for {self.name}")

    async def _fill(self, pk: int, channel: Channel) -> None:
        """Fetch what changed in a channel since its messages were known to be whole."""
        has_more = True
        while has_more:
            params = {"channel_id": pk, "since_rev": channel.whole_up_to, "limit": 200}
            renamed = self.state.renamed
            status, body = await self._sure("message.changes", params)
            if status != 200 or self.state.channels.get(pk) is not channel:
                return  # left meanwhile
            for message in body["changes"]:
                self.state.take(message, asked_after=renamed)
            channel.whole_up_to, has_more = body["rev"], body["has_more"]

    async def _fill_mentions(self) -> None:
        async for page in self._pages("mention.list"):
            for mention in page["mentions"]:
                self.state.name_me(mention)

    async def _fill_threads(self) -> None:
        async for page in self._pages("thread.list"):
            self.state.follow(one["thread"] for one in page["threads"])

    async def _fill_names(self, filling: list[asyncio.Task[None]]) -> None:
        """Who was renamed meanwhile is in no change of a message."""
        if filling:
            await asyncio.wait(filling)
        while nameless := self.state.nameless():
            renamed, message_id = self.state.renamed, min(nameless.values())
            status, body = await self._sure("message.get", {"message_id": message_id})
            if status == 200:
                self.state.call(body["message"]["author"], renamed)
            else:
                await asyncio.sleep(0.1)  # Its channel was left: an event of that is on its way.

    async def _fill_presence(self) -> None:
        """Who came into a workspace asks who is there."""
        status, body = await self._sure("presence.list", {})
        if status == 200:
            for payload in body["presence"]:
                self.state.see(payload)
            self._log.lines.append(Booted({}, dict(self.state.presence), whole=False))

    async def _pages(self, method: str) -> AsyncIterator[Frame]:
        """The pages of a list that goes back from the newest."""
        params: Frame = {"limit": 200}
        while True:
            status, body = await self._sure(method, params)
            if status != 200:
                self._not_ok(method, status, body, expected=())
                return
            yield body
            if not body["has_more"]:
                return
            params["before_id"] = body["next_before_id"]

    def _fetch(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._fetching.add(task)
        task.add_done_callback(self._fetching.discard)
        return task

    def _stop_fetching(self) -> None:
        for task in self._fetching:
            task.cancel()

    async def _sure(self, method: str, params: Frame) -> Answer:
        """The answer to a reading call, however often it has to be asked."""
        caller = Caller(self.cable, self._token)
        try:
            while True:
                try:
                    answer = await caller.call(self._rng.randrange(len(self.cable.ports)), method, params)
                    if answer.status < 500:
                        return answer
                    self._not_ok(method, answer.status, answer.body, expected=(503,))
                except Unanswered:
                    pass
                await asyncio.sleep(0.1)
        finally:
            caller.hang_up()

    def _not_ok(self, what: str, status: int, body: Any, *, expected: tuple[int, ...]) -> None:
        self._journal.count(f"answers with {status}")
        if status not in expected:
            self._journal.violation("error", f"{what} was answered with {status}: {body}")
