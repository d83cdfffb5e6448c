"""This process: which sessions follow which stream, and the way from an append to their outboxes.

Appends happen in threads, sessions live on the event loop; `ring` is the only crossing. A ring may come late, twice or
never: sessions look at `seq` and read the stream when they see a hole.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from threading import Lock
from typing import Any, Literal, NamedTuple

from realtime import clock
from realtime.errors import Close, Refused
from realtime.runs import runs_of
from realtime.session import Session
from realtime.streams import Placed, Position

REMEMBER_ENDED_SECONDS = 10.0
"""A session that was let in just before its sign-in ended may come to the hub just after."""
RING_SECONDS = 0.5
"""As long as a ring may take from the append to the sessions, before it counts as lost."""


class Ended(NamedTuple):
    """What ended, by the session's `user` id or `credential`, and how its sessions are told."""

    kind: Literal["user", "credential"]
    value: str
    close: Close
    code: str

    def concerns(self, user_id: int, credential: str) -> bool:
        return self.value == (str(user_id) if self.kind == "user" else credential)


class Hub:
    def __init__(self) -> None:
        self.worker = f"w{secrets.token_hex(6)}"
        self.loop: asyncio.AbstractEventLoop | None = None
        self._ended: deque[tuple[float, Ended]] = deque()
        # Tuples, as each event goes through one and they hardly ever change: most have one session, few have many.
        self._sessions: dict[str, tuple[Session, ...]] = {}
        self._rung: deque[Placed] = deque()
        self._draining = False
        self._lock = Lock()

    @property
    def running(self) -> bool:
        """Whether this process serves sessions."""
        return self.loop is not None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop

    def stop(self) -> None:
        """Send every session away with 1012: they come back, here or elsewhere, with their cursor."""
        for session in self.sessions():
            session.close(Close.RESTART, "restart")
        self.loop = None

    def sessions(self, stream: str | None = None) -> list[Session]:
        """The sessions that follow a stream here, or all of them."""
        if stream is not None:
            return list(self._sessions.get(stream, ()))
        return [session for followers in self._sessions.values() for session in followers]

    def streams(self) -> list[str]:
        """The streams that somebody follows here."""
        return list(self._sessions)

    def add(self, session: Session) -> None:
        """Let a session hear of its stream. One with the same id is replaced."""
        if (ended := self.has_ended(session.user_id, session.credential)) is not None:
            raise Refused(ended.close, ended.code)
        replaced = self._find(session.stream, session.id)
        self._sessions[session.stream] = (*self._others(session.stream, replaced), session)
        if replaced is not None:
            replaced.close(Close.REPLACED, "replaced")

    def replace(self, stream: str, session_id: str, connection_id: str) -> None:
        """Another worker has a newer connection of a session than this one."""
        session = self._find(stream, session_id)
        if session is not None and session.lease.connection.id == connection_id:
            session.close(Close.REPLACED, "replaced")

    def remove(self, session: Session) -> None:
        """Forget a session. Does nothing to another one that took over its id."""
        if others := self._others(session.stream, session):
            self._sessions[session.stream] = others
        else:
            self._sessions.pop(session.stream, None)

    async def check(self, tops: Mapping[str, Position]) -> None:
        """Compare where sessions stand with their streams: a new epoch ends them, what a lost ring left out is read.

        What was appended just now is on its way to them. To read it would cost each of them a query or two, and on a
        busy server somebody is always behind.
        """
        behind = [
            (session, top) for stream, top in tops.items() for session in self.sessions(stream) if session.check(top)
        ]
        if behind:
            await asyncio.sleep(RING_SECONDS)
        for session, top in behind:
            session.reach(top)

    def tell(self, streams: Iterable[str], frame: dict[str, Any]) -> None:
        """Send a frame without a seq to the sessions here that follow one of these streams. Call it on the loop."""
        for stream in streams:
            for session in self.sessions(stream):
                if session.epoch:  # its hello, which is its first frame, is out
                    session.send(frame)

    def has_ended(self, user_id: int, credential: str) -> Ended | None:
        """What ended a moment ago and let these in, if it did."""
        now = clock.monotonic()
        return next(
            (ended for until, ended in self._ended if until > now and ended.concerns(user_id, credential)), None
        )

    def end(self, ended: Ended) -> None:
        """Send away the sessions of this process that something concerned which ended, from any thread."""
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self._end, ended)

    def ring(self, placed: Sequence[Placed]) -> None:
        """Tell the sessions of this process of new entries, from any thread."""
        if self.loop is None:
            return
        with self._lock:
            self._rung.extend(placed)
            if self._draining:
                return
            self._draining = True
        self.loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        with self._lock:
            rung, self._rung = self._rung, deque()
            self._draining = False
        runs = list(runs_of(rung))
        alone = len(runs) == 1
        for run, seqs in runs:
            for stream, seq in seqs.items():
                for session in self._sessions.get(stream, ()):
                    session.deliver(seq, run, alone)

    def _find(self, stream: str, session_id: str) -> Session | None:
        return next((session for session in self._sessions.get(stream, ()) if session.id == session_id), None)

    def _others(self, stream: str, but: Session | None) -> tuple[Session, ...]:
        return tuple(session for session in self._sessions.get(stream, ()) if session is not but)

    def _end(self, ended: Ended) -> None:
        now = clock.monotonic()
        while self._ended and self._ended[0][0] <= now:
            self._ended.popleft()
        if ended.close is not Close.RESTART:
            self._ended.append((now + REMEMBER_ENDED_SECONDS, ended))
        for session in self.sessions():
            if ended.concerns(session.user_id, session.credential):
                session.close(ended.close, ended.code)


hub = Hub()
"""The hub of this process."""
