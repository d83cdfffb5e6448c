"""One client's reading of one stream: what it has, what waits for it, whether it is alive. Knows no transport.

All methods run on the event loop and none awaits, so no two of them interleave.
"""

import secrets
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import orjson
from django.conf import settings

from realtime import clock
from realtime.errors import Close, known
from realtime.leases import Connection, Held
from realtime.runs import Run
from realtime.streams import Entry, Position

Mode = Literal["fresh", "resumed", "resume_failed"]


class Last(NamedTuple):
    """The event that ends a stream, and the code with which those who follow it are sent away then."""

    event: str
    code: str


class Transport(Protocol):
    """What a session asks of the door that carries it."""

    def wake(self) -> None:
        """There are frames to take."""

    def write(self, run: Run, seq: int) -> bool:
        """Write it now, its first entry with this seq. False, and nothing done, when it can't or something waits."""

    def close(self, close: Close) -> None:
        """Write what is in the outbox, as far as it goes at once, then close with this code."""


class Session:
    """Follows `stream` for `user_id`. Until `begin` all live entries are held back, so nothing falls in between."""

    __slots__ = (
        *("id", "user_id", "stream", "credential", "session_key", "epoch", "closed", "closed_code", "on_hole"),
        *("lease", "leased", "over", "last", "keeps"),
        *("_transport", "_seq", "_held", "_outbox", "_outbox_frames", "_outbox_bytes"),
        *("_heard_at", "_next_ping_at", "_pinged_at", "answering"),
    )

    def __init__(
        self,
        *,
        id: str,
        user_id: int,
        stream: str,
        credential: str,
        transport: Transport,
        worker: str = "",
        passing: bool = False,
    ) -> None:
        self.id = id
        self.lease = Held(stream, id, Connection(secrets.token_urlsafe(9), worker), passing)
        self.leased = False
        self.over = False
        """Its transport ended."""
        self.last: Last | None = None
        self.keeps: object = None
        """What lives as long as it, for whoever renews that."""
        self.user_id = user_id
        self.stream = stream
        self.credential = credential
        self.session_key = ""
        self.epoch = ""
        self.closed: Close | None = None
        self.closed_code = ""
        self.on_hole: Callable[[Session], None] | None = None
        self._transport = transport
        self._seq = 0
        self._held: list[tuple[int, Run]] | None = []
        # A list and no deque, which takes 600 bytes when it is empty. It is bounded, so its front is never far away.
        self._outbox: list[_Waiting] = []
        self._outbox_frames = 0
        self._outbox_bytes = 0
        self._heard_at = self._next_ping_at = clock.monotonic()
        self._next_ping_at += settings.PING_SECONDS
        self._pinged_at: float | None = None
        self.answering = False
        """While a call runs, nothing that the client sends is read, its answers to pings neither."""

    @property
    def seq(self) -> int:
        """The last seq that went into the outbox."""
        return self._seq

    def begin(self, hello: dict[str, Any] | None, at: Position, replay: Sequence[tuple[int, Entry]]) -> None:
        """Say hello, replay what was missed up to `at`, let go what was held back, then live."""
        self.epoch = at.epoch
        if hello is not None:
            self.send(hello)
        self.heal(at.seq, replay)

    def heal(self, up_to: int, replay: Sequence[tuple[int, Entry]]) -> None:
        """Go on after what was read from the stream: it, then what was held back meanwhile."""
        for seq, entry in replay:
            # Not counted: who resumes with large events would overflow, come back and overflow again, for ever.
            self._push(seq, Run([entry]), 0, 0)
        self._seq = up_to
        held, self._held = self._held or [], None
        for seq, run in held:
            self.deliver(seq, run)

    def deliver(self, seq: int, run: Run, alone: bool = False) -> None:
        """Live entries from a seq on. Those that it has are dropped; at a hole it holds back and asks for the rest.

        `alone` says that nothing comes with them that could share their write, so they need not wait for it.
        """
        if self._held is not None:
            self._held.append((seq, run))
        elif run.era and not self.epoch.startswith(run.era):
            pass  # the store lost its streams in between; the sweep ends whoever follows one of before
        elif seq == self._seq + 1:
            self._seq += run.count
            if alone and self.last is None and self._transport.write(run, seq):
                return
            if run.erased is not None:
                self._erase(run.erased)
            self._push(seq, run, run.count, run.size)
        elif seq > self._seq:
            if self.on_hole is not None:
                self._held = [(seq, run)]
                self.on_hole(self)
        elif seq + run.count > self._seq + 1:
            self.deliver(self._seq + 1, run.after(self._seq + 1 - seq))

    def check(self, top: Position) -> bool:
        """Compare with where the stream stands: start anew in another epoch. Whether the stream has more than this."""
        if self._held is not None or self.closed is not None:
            return False
        if top.epoch != self.epoch:
            self.close(Close.RESTART, "new_epoch")
            return False
        return top.seq > self._seq

    def reach(self, top: Position) -> None:
        """Read what the ring should have brought long ago."""
        if self.check(top) and self.on_hole is not None:
            self._held = []
            self.on_hole(self)

    def send(self, frame: dict[str, Any]) -> None:
        """A frame without a seq: reply, error, ping, ephemeral."""
        body = orjson.dumps(frame)
        self._push(0, body, 1, len(body))

    def take(self, most_bytes: int) -> bytes | None:
        """What to write next: an object, or an array of events that are ready at once. None when nothing waits.

        An array is at most about `most_bytes` long. Frames without a seq go alone, the hello above all.
        """
        if not self._outbox:
            return None
        seq, first = self._pop()
        if isinstance(first, bytes):
            return first
        if first.count == 1 and not self._outbox:
            return first.frames(seq)
        taken, count, size = [first.frames(seq)], first.count, first.size
        while self._outbox and isinstance(run := self._outbox[0][1], Run) and size + run.size <= most_bytes:
            taken.append(run.frames(self._pop()[0]))
            count += run.count
            size += run.size
        return taken[0] if count == 1 else b"[%b]" % b",".join(taken)

    def take_all(self) -> bytes:
        """Every waiting frame, with commas between them."""
        waiting = [self._pop() for _ in range(len(self._outbox))]
        return b",".join(what if isinstance(what, bytes) else what.frames(seq) for seq, what in waiting)

    def heard(self) -> None:
        """Any frame from the client shows that it lives."""
        self._heard_at = clock.monotonic()

    def beat(self) -> float:
        """Ping when it is due; close when the last ping stayed without a sign of life. Seconds until the next call."""
        now = clock.monotonic()
        if self._pinged_at is not None:
            answer_due_at = self._pinged_at + settings.PONG_SECONDS
            if self.answering or self._heard_at >= self._pinged_at:
                self._pinged_at = None
            elif now >= answer_due_at:
                self.close(Close.NO_PONG, "no_pong")
                return settings.PING_SECONDS
            else:
                return answer_due_at - now
        if now >= self._next_ping_at:
            self._pinged_at = now
            self._next_ping_at = now + settings.PING_SECONDS
            self.send({"type": "ping", "at": clock.stamp(clock.now())})
            return min(settings.PONG_SECONDS, settings.PING_SECONDS)
        return self._next_ping_at - now

    def close(self, close: Close, code: str) -> None:
        """End this session's use of its transport; what it told the client last is an `error` frame with `code`."""
        if self.closed is None:
            self.closed, self.closed_code = close, known(code)
            if close is Close.OVERLOADED:
                self._outbox.clear()
            frame = orjson.dumps({"type": "error", "code": code, "ref": None})
            self._outbox.append((0, frame, 0, 0))
            self._transport.close(close)

    def _erase(self, message_id: int) -> None:
        """A text that was deleted while it waited for a slow reader does not leave any more."""
        for index, (seq, what, frames, size) in enumerate(self._outbox):
            if isinstance(what, Run):
                self._outbox[index] = (seq, what.without(message_id), frames, size)

    def _push(self, seq: int, what: Run | bytes, frames: int, size: int) -> None:
        if self.closed is not None:
            return
        self._outbox.append((seq, what, frames, size))
        self._outbox_frames += frames
        self._outbox_bytes += size
        # One frame alone may be larger, as an answer can be: whoever asks for it again would be cut off again.
        if self._outbox_frames > 1 and self._is_too_slow():
            # The client resumes with its cursor, so dropping what it did not read loses nothing.
            self.close(Close.OVERLOADED, "too_slow")
        else:
            self._transport.wake()
        if self.last is not None and isinstance(what, Run) and what.holds(self.last.event):
            self.close(Close.NOT_YOUR_STREAM, self.last.code)

    def _is_too_slow(self) -> bool:
        return self._outbox_bytes > settings.OUTBOX_BYTES or self._outbox_frames > settings.OUTBOX_FRAMES

    def _pop(self) -> tuple[int, Run | bytes]:
        seq, what, frames, size = self._outbox.pop(0)
        self._outbox_frames -= frames
        self._outbox_bytes -= size
        return seq, what


_Waiting = tuple[int, Run | bytes, int, int]
"""The seq of the first entry of a run, or 0 with a whole frame without one; and the frames and bytes that count."""
