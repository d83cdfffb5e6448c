"""The protocol without I/O: a state machine that decides, and drivers (client.py, sync_client.py) that do.

A driver asks `next_step` what to do, does it, and reports what came of it: `receive`, `closed` and `timed_out` for a
socket, `poll_answered` and `poll_failed` for a poll. After each report it looks at `outbox`, `notices` and `answers`.

The cursor (epoch, seq) is the same on both transports. An event that is not newer is dropped, and a hole makes the
client come back with its cursor: so each event is handed out once and in order, whatever happens to the connections.
Only one connection is tried at a time, as the server gives a session to the newest.
"""

import json
import math
import random as random_module
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from meshsite_client.calls import backoff, error_of, parsed_object
from meshsite_client.errors import CallError, Refused
from meshsite_client.items import Ephemeral, Event, Item, Json, Position, Resync, State, StateChange

TransportChoice = Literal["auto", "websocket", "poll"]

STAY_AWAY: Final = frozenset({4400, 4401, 4403, 4404, 4409})
"""Close codes after which coming back would only be refused again. All others come back."""
COME_BACK: Final = frozenset({1001, 1011, 1012, 1013, 4408})
"""What the server itself says. Any other end before the hello means that something on the way blocks sockets."""
REFUSALS: Final = {400: 4400, 401: 4401, 403: 4403, 404: 4404, 409: 4409}
"""How the long-poll tells the close codes of STAY_AWAY."""

NORMAL: Final = 1000
ABNORMAL: Final = 1006
# The reasons for which this side closes, in the range that RFC 6455 section 7.4.2 leaves to applications.
CLOSE_SILENT: Final = 4900
CLOSE_HOLE: Final = 4901
CLOSE_FULL: Final = 4902
CLOSE_UNREADABLE: Final = 4903

MESSAGE_BYTES: Final = 64 * 1024 * 1024
"""Of one WebSocket message: an answer with a long history is the longest."""
PAGE: Final = 200
"""Messages that `history` asks for at a time."""
STEADY_SECONDS: Final = 10.0
"""A socket that lived this long was a good one: the next attempt starts from the first backoff step."""
POLL_PAUSE_SECONDS: Final = 1.0
"""After an empty answer that came much sooner than asked for: whoever gave it must not be hammered."""
GHOST_SECONDS: Final = 60.0
"""How long a connection that was given up before its hello may still reach a slow server and take the session over."""


@dataclass(frozen=True)
class Timing:
    hello_seconds: float = 5.0
    """How long a socket may take to say hello, its connection included."""
    probe_seconds: float = 60.0
    """While polling: how often the socket is tried again."""
    poll_seconds: float = 25.0
    """How long the server may hold a poll; proxies cut at 60."""
    silence_seconds: float = 10.0
    """How much longer than expected a connection may be silent before it is given up."""
    backoff_first_seconds: float = 1.0
    backoff_last_seconds: float = 30.0
    call_seconds: float = 20.0
    inbox_items: int = 1000
    """More unread items than this end the connection, which comes back when half of them are read. Calls in flight
    are waited for until there are twice as many."""


@dataclass(frozen=True)
class OpenSocket:
    query: dict[str, str]


@dataclass(frozen=True)
class Poll:
    query: dict[str, str]
    timeout_seconds: float


@dataclass(frozen=True)
class Wait:
    seconds: float


@dataclass(frozen=True)
class Drain:
    """Do nothing until items were taken."""


@dataclass(frozen=True)
class Stop:
    """Do nothing until `connect`."""


Step = OpenSocket | Poll | Wait | Drain | Stop


class Protocol:
    """`session` and `position` continue an earlier client: everything after the position is handed out."""

    def __init__(
        self,
        *,
        transport: TransportChoice = "auto",
        timing: Timing | None = None,
        session: str | None = None,
        position: Position | None = None,
        now: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self.timing = timing or Timing()
        self.state: State = "offline"
        self.session = session
        self.position = position
        """After the last item that was taken: what a program stores to go on from here."""
        self.refusal: Refused | None = None
        self.outbox: deque[str] = deque()
        """Texts to write to the socket."""
        self.notices: deque[StateChange | Ephemeral] = deque()
        self.answers: dict[str, Json | CallError] = {}
        """By the ref that `call` gave."""
        self.close_code = NORMAL
        """What to close the last socket with."""
        self._choice = transport
        self._now = now
        self._random = random
        self._inbox: deque[tuple[Item, Position]] = deque()
        self._received = position
        self._connection: Literal["socket", "poll"] | None = None
        self._greeted = False
        self._full = False
        self._blocked = False
        self._attempt = 0
        self._retry_at = self._probe_at = self._ghost_until = -math.inf
        self._opened_at = self._heard_at = self._hold = 0.0
        self._ping_seconds = 25.0
        self._error: str | None = None
        self._retry_after = 0.0
        self._refs = 0
        self._pending: set[str] = set()

    @property
    def live(self) -> bool:
        """Whether calls may go over the socket."""
        return self._connection == "socket" and self._greeted

    @property
    def following(self) -> bool:
        """Whether the current socket is still wanted; when not, the driver closes it."""
        return self._connection == "socket"

    @property
    def ready(self) -> bool:
        """Whether there is an item to take."""
        return bool(self._inbox)

    @property
    def draining(self) -> bool:
        """Whether too much is unread to bring more."""
        return self._full and len(self._inbox) > self.timing.inbox_items // 2

    def connect(self) -> None:
        """Want a connection. After a refusal this tries again."""
        if self.state in {"offline", "refused"}:
            self.refusal = None
            self._attempt = 0
            self._retry_at = -math.inf
            self._become("connecting")

    def disconnect(self, *, bye: bool) -> None:
        """Want none. `bye` ends the lease now; without it the user stays online until it runs out."""
        if bye and self.live:
            self._send({"type": "bye"})
        self._drop()
        self._become("offline")

    def next_step(self, within_seconds: float = math.inf) -> Step:
        """What to do now. A poll is held at most `within_seconds`."""
        now = self._now()
        if self.state in {"offline", "refused"}:
            return Stop()
        if self.draining:
            return Drain()
        self._full = False
        if self._retry_at > now:
            return Wait(self._retry_at - now)
        self._greeted = False
        self.outbox.clear()
        self._error, self._retry_after = None, 0.0
        self._opened_at = self._heard_at = now
        if self._choice == "poll" or (self._blocked and now < self._probe_at):
            self._connection = "poll"
            return self._next_poll(within_seconds)
        self._connection = "socket"
        return OpenSocket(self._query("resume_from"))

    def patience(self) -> float:
        """How many seconds the socket may stay silent from now on; then call `timed_out`."""
        if self._greeted:
            return max(0.0, self._heard_at + self._ping_seconds + self.timing.silence_seconds - self._now())
        return max(0.0, self._opened_at + self.timing.hello_seconds - self._now())

    def receive(self, text: str | bytes) -> None:
        """What one WebSocket message says: an object, or an array of them."""
        self._heard_at = self._now()
        try:
            frames = json.loads(text)
            for frame in frames if isinstance(frames, list) else [frames]:
                if self._connection is not None:
                    self._receive(frame)
        except (AttributeError, KeyError, TypeError, ValueError):
            self._lose(CLOSE_UNREADABLE)
        if self.live and self._overflows():
            self._full = True
            self._lose(CLOSE_FULL)

    def closed(self, code: int = ABNORMAL) -> None:
        """The socket ended, or could not be opened."""
        self._lose(code)

    def timed_out(self) -> None:
        """The socket was silent for longer than `patience`, whatever the operating system believes of it."""
        if not self._greeted:
            self._ghost_until = self._now() + GHOST_SECONDS
        self._lose(CLOSE_SILENT)

    def poll_answered(self, status: int, body: bytes) -> None:
        answer = parsed_object(body) or {}
        try:
            if status != 200:
                self._poll_refused(status, answer)
            else:
                self._poll_brought(answer)
        except (AttributeError, KeyError, TypeError, ValueError):
            self._lose(CLOSE_UNREADABLE)

    def poll_failed(self, *, timed_out: bool = False) -> None:
        """There was no answer."""
        if timed_out:
            self._ghost_until = self._now() + GHOST_SECONDS
        self._lose(ABNORMAL)

    def take(self) -> Item | None:
        """The next item of the stream, None while there is none."""
        if not self._inbox:
            return None
        item, self.position = self._inbox.popleft()
        return item

    def call(self, method: str, params: Json) -> str:
        """Ask over the socket. `answers` has the answer under the returned ref, at the latest when the socket ends."""
        self._refs += 1
        ref = f"r{self._refs}"
        self._pending.add(ref)
        self._send({"type": "call", "ref": ref, "method": method, "params": params})
        return ref

    def forget(self, ref: str) -> None:
        """Nobody waits for this answer any more."""
        self._pending.discard(ref)
        self.answers.pop(ref, None)

    def _next_poll(self, within_seconds: float) -> Poll:
        # The first poll only asks, so that it is known at once whether polling works.
        hold = 0.0 if self.state != "polling" else min(self.timing.poll_seconds, within_seconds)
        if self._choice == "auto":
            hold = min(hold, max(0.0, self._probe_at - self._now()))
        self._hold = hold
        query = self._query("since") if self._received else {}
        return Poll(query | {"wait": f"{hold:.3f}"}, hold + self.timing.silence_seconds)

    def _query(self, seq_name: Literal["resume_from", "since"]) -> dict[str, str]:
        query = {"session": self.session} if self.session else {}
        if self._received:
            query |= {"epoch": self._received.epoch, seq_name: str(self._received.seq)}
        return query

    def _overflows(self) -> bool:
        # Calls that wait for their answer get some room: a program that calls while it reads would lose them.
        room = 2 if self._pending else 1
        return len(self._inbox) > room * self.timing.inbox_items

    def _receive(self, frame: Json) -> None:
        match frame["type"]:
            case "hello":
                self._welcome(frame)
            case "event" if self._received:
                self._advance(frame, self._received)
            case "ephemeral":
                self.notices.append(Ephemeral(frame["event"], frame["data"]))
            case "ping":
                self._send({"type": "pong", "seq": self._received.seq if self._received else 0})
            case "reply" | "error":
                self._answer(frame)
            # Frame types that are added later mean nothing to this version.

    def _welcome(self, hello: Json) -> None:
        before, at = self._received, Position(hello["epoch"], hello["seq"])
        self.session = hello["session"]
        self._ping_seconds = float(hello["ping_seconds"])
        self._greeted = True
        if self._connection == "socket":
            self._blocked = False
            self._become("live")
        if before and hello["mode"] == "resumed" and before.epoch == at.epoch:
            return  # What was missed follows, and moves the cursor.
        self._received = at
        if before is None:
            self.position = self.position or at
        elif before != at or hello["mode"] == "resume_failed":
            missed, reason = hello["missed"], hello["reason"] or hello["mode"]
            gone = (missed["from"], missed["to"]) if missed else None
            self._inbox.append((Resync(reason, gone), at))

    def _advance(self, frame: Json, received: Position) -> None:
        seq = frame["seq"]
        if seq <= received.seq:
            return
        if seq > received.seq + 1:
            self._lose(CLOSE_HOLE)
            return
        at = Position(received.epoch, seq)
        item = _item_of(frame)
        self._received = at
        if item is not None:
            self._inbox.append((item, at))

    def _answer(self, frame: Json) -> None:
        ref = frame.get("ref")
        if ref in self._pending:
            self._pending.discard(ref)
            self.answers[ref] = frame["data"] if frame["type"] == "reply" else error_of(frame)
        elif frame["type"] == "error" and ref is None:
            self._error = frame["code"]
            self._retry_after = float(frame.get("retry_after") or 0.0)

    def _poll_refused(self, status: int, problem: Json) -> None:
        if "code" in problem:
            self._error = problem["code"]
            self._retry_after = float(problem.get("retry_after") or 0.0)
            self._lose(REFUSALS.get(status, ABNORMAL))
        else:
            # Not Meshsite's answer but that of something on the way, which may be better later.
            self._lose(ABNORMAL)

    def _poll_brought(self, answer: Json) -> None:
        for frame in answer["frames"]:
            if self._connection is not None:
                self._receive(frame)
        if self._connection is None:
            return
        if self._received != Position(answer["epoch"], answer["seq"]):
            self._lose(CLOSE_HOLE)
            return
        if not answer["frames"] and self._now() - self._opened_at < self._hold / 2:
            self._retry_at = self._now() + POLL_PAUSE_SECONDS
        self._connection = None
        self._attempt = 0
        self._full = len(self._inbox) > self.timing.inbox_items
        self._become("polling")

    def _send(self, frame: Json) -> None:
        if self._connection == "socket":
            self.outbox.append(json.dumps(frame, ensure_ascii=False, separators=(",", ":")))

    def _lose(self, code: int) -> None:
        """The connection is over, by whichever side."""
        if self._connection is None:
            return
        by_socket, greeted = self._connection == "socket", self._greeted
        if by_socket and greeted and self._now() - self._opened_at >= STEADY_SECONDS:
            self._attempt = 0
        self._drop(code)
        if code in STAY_AWAY and not self._was_replaced_by_itself(code):
            self.refusal = Refused(code, self._error)
            self._become("refused", StateChange("refused", code, self._error))
        elif by_socket and not greeted and self._choice == "auto" and code not in COME_BACK | STAY_AWAY:
            self._blocked = True
            self._probe_at = self._now() + self.timing.probe_seconds
        elif code == CLOSE_FULL:
            self._become("reconnecting", StateChange("reconnecting", code))
        else:
            self._come_back(code)

    def _drop(self, code: int = NORMAL) -> None:
        self._connection = None
        self._greeted = False
        self.close_code = code if code >= CLOSE_SILENT else NORMAL
        for ref in self._pending:
            self.answers[ref] = CallError("unreachable", detail="The connection was lost")
        self._pending.clear()

    def _was_replaced_by_itself(self, code: int) -> bool:
        """An attempt that this client gave up may be served late, and then takes the session from its successor."""
        own = code == 4409 and self._error == "replaced" and self._now() < self._ghost_until
        if own:
            self._ghost_until = -math.inf
        return own

    def _come_back(self, code: int) -> None:
        wait = backoff(
            self._attempt,
            first_seconds=self.timing.backoff_first_seconds,
            last_seconds=self.timing.backoff_last_seconds,
            random=self._random,
        )
        self._attempt += 1
        wait = max(wait, self._retry_after)
        self._retry_at = self._now() + wait
        # Much may have changed meanwhile: the socket is tried first again.
        self._probe_at = self._retry_at
        self._become("reconnecting", StateChange("reconnecting", code, self._error, wait))

    def _become(self, state: State, change: StateChange | None = None) -> None:
        if state != self.state or change is not None:
            self.state = state
            self.notices.append(change or StateChange(state))


def _item_of(frame: Json) -> Item | None:
    """None for something that this user may no longer read: it only keeps the numbers whole."""
    name = frame["event"]
    if name == "redacted":
        return None
    if name == "sync.reset":
        return Resync(frame["data"].get("reason", name), None)
    return Event(frame["seq"], name, datetime.fromisoformat(frame["at"]), frame["data"])
