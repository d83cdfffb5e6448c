"""One client's reading of one stream: what it has, what waits for it, whether it is alive. Knows no transport.

All methods run on the event loop and none awaits, so no two of them interleave.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import orjson
from django.conf import settings
from django.core import signing

from realtime import clock
from realtime.errors import Close, known
from realtime.streams import ERASED, MESSAGE, REDACTED, Entry, Position

RESUME_SALT = "realtime.resume"

Mode = Literal["fresh", "resumed", "resume_failed"]


class Transport(Protocol):
    """What a session asks of the door that carries it."""

    def wake(self) -> None:
        """There are frames to take."""

    def close(self, close: Close) -> None:
        """Write what is in the outbox, as far as it goes at once, then close with this code."""


class Session:
    """Follows `stream` for `user_id`. Until `begin` all live entries are held back, so nothing falls in between."""

    __slots__ = (
        *("id", "user_id", "stream", "credential", "session_key", "epoch", "closed", "closed_code", "on_hole"),
        *("_transport", "_seq", "_held", "_outbox", "_outbox_frames", "_outbox_bytes"),
        *("_heard_at", "_next_ping_at", "_pinged_at", "answering"),
    )

    def __init__(self, *, id: str, user_id: int, stream: str, credential: str, transport: Transport) -> None:
        self.id = id
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
        self._held: list[tuple[int, Entry]] | None = []
        self._outbox: deque[_Waiting] = deque()
        self._outbox_frames = 0
        self._outbox_bytes = 0
        self._heard_at = self._next_ping_at = clock.monotonic()
        self._next_ping_at += settings.PING_SECONDS
        self._pinged_at: float | None = None
        self.answering = False
        """While a call runs, nothing that the client sends is read, its answers to pings neither."""

    @property
    def resume_token(self) -> str:
        """Shows later that a client is this session; bound to user and session."""
        return signing.dumps({"user_id": self.user_id, "session": self.id}, salt=RESUME_SALT)

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
            self._push(seq, entry.body, entry.about.get(MESSAGE), counted=False)
        self._seq = up_to
        held, self._held = self._held or [], None
        for seq, entry in held:
            self.deliver(seq, entry)

    def deliver(self, seq: int, entry: Entry) -> None:
        """A live entry. One that it has is dropped; at a hole it holds back and asks for what is missing."""
        if self._held is not None:
            self._held.append((seq, entry))
        elif seq == self._seq + 1:
            self._seq = seq
            if ERASED in entry.about:
                self._erase(entry.about[ERASED])
            self._push(seq, entry.body, entry.about.get(MESSAGE))
        elif seq > self._seq and self.on_hole is not None:
            self._held = [(seq, entry)]
            self.on_hole(self)

    def check(self, top: Position) -> None:
        """Compare with where the stream stands: read what a lost ring left out; start anew in another epoch."""
        if self._held is not None:
            return
        if top.epoch != self.epoch:
            self.close(Close.RESTART, "new_epoch")
        elif top.seq > self._seq and self.on_hole is not None:
            self._held = []
            self.on_hole(self)

    def send(self, frame: dict[str, Any]) -> None:
        """A frame without a seq: reply, error, ping, ephemeral."""
        self._push(0, orjson.dumps(frame))

    def take(self, most_bytes: int) -> bytes | None:
        """What to write next: an object, or an array of events that are ready at once. None when nothing waits.

        An array is at most about `most_bytes` long. Frames without a seq go alone, the hello above all.
        """
        if not self._outbox:
            return None
        alone = self._outbox[0].seq == 0
        first = self._pop()
        if alone or not self._outbox:
            return first
        taken = [first]
        size = len(first)
        while self._outbox and self._outbox[0].seq and size + len(self._outbox[0].body) <= most_bytes:
            taken.append(self._pop())
            size += len(taken[-1])
        return first if len(taken) == 1 else b"[" + b",".join(taken) + b"]"

    def take_all(self) -> list[bytes]:
        """Every waiting frame."""
        return [self._pop() for _ in range(len(self._outbox))]

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
            self._outbox.append(_Waiting(0, frame, None, 0))
            self._transport.close(close)

    def _erase(self, message_id: int) -> None:
        """A text that was deleted while it waited for a slow reader does not leave any more."""
        for index, waiting in enumerate(self._outbox):
            if waiting.message_id == message_id:
                self._outbox[index] = waiting._replace(body=REDACTED)

    def _push(self, seq: int, body: bytes, message_id: int | None = None, *, counted: bool = True) -> None:
        if self.closed is not None:
            return
        if counted:
            self._outbox.append(_Waiting(seq, body, message_id, len(body)))
            self._outbox_frames += 1
            self._outbox_bytes += len(body)
        else:
            self._outbox.append(_Waiting(seq, body, message_id, 0))
        # One frame alone may be larger, as an answer can be: whoever asks for it again would be cut off again.
        too_large = self._outbox_bytes > settings.OUTBOX_BYTES and self._outbox_frames > 1
        if too_large or self._outbox_frames > settings.OUTBOX_FRAMES:
            # The client resumes with its cursor, so dropping what it did not read loses nothing.
            self.close(Close.OVERLOADED, "too_slow")
        else:
            self._transport.wake()

    def _pop(self) -> bytes:
        seq, body, _message_id, size = self._outbox.popleft()
        if size:
            self._outbox_frames -= 1
            self._outbox_bytes -= size
        return b'{"type":"event","seq":%d,%b' % (seq, body) if seq else body


class _Waiting(NamedTuple):
    """An entry's body is shared by all sessions that wait with it; the frame around it is made when it is written."""

    seq: int
    """0 for a frame without one, which is whole already."""
    body: bytes
    message_id: int | None
    size: int
    """What it counts in the outbox."""
