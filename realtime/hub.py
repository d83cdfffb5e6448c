"""This process: which sessions follow which stream, and the way from an append to their outboxes.

Appends happen in threads, sessions live on the event loop; `ring` is the only crossing. A ring may come late, twice or
never: sessions look at `seq` and read the stream when they see a hole.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from threading import Lock

from realtime.errors import Close, Refused
from realtime.session import Session
from realtime.streams import Placed

log = logging.getLogger(__name__)


class Hub:
    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sessions: dict[str, dict[str, Session]] = {}
        self._rung: deque[Placed] = deque()
        self._draining = False
        self._lock = Lock()

    @property
    def running(self) -> bool:
        """Whether this process serves sessions."""
        return self._loop is not None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def stop(self) -> None:
        """Send every session away with 1012: they come back, here or elsewhere, with their cursor."""
        for session in self.sessions():
            session.close(Close.RESTART, "restart")
        self._loop = None

    def sessions(self, stream: str | None = None) -> list[Session]:
        """The sessions that follow a stream here, or all of them."""
        if stream is not None:
            return list(self._sessions.get(stream, {}).values())
        return [session for followers in self._sessions.values() for session in followers.values()]

    def streams(self) -> list[str]:
        """The streams that somebody follows here."""
        return list(self._sessions)

    def add(self, session: Session, *, limit: int) -> None:
        """Let a session hear of its stream. One with the same id is replaced; past the limit the new one is refused."""
        followers = self._sessions.setdefault(session.stream, {})
        replaced = followers.get(session.id)
        if replaced is None and len(followers) >= limit:
            raise Refused(Close.REPLACED, "too_many_sessions")
        followers[session.id] = session
        if replaced is not None:
            replaced.close(Close.REPLACED, "replaced")

    def remove(self, session: Session) -> None:
        """Forget a session. Does nothing to another one that took over its id."""
        followers = self._sessions.get(session.stream, {})
        if followers.get(session.id) is session:
            del followers[session.id]
            if not followers:
                del self._sessions[session.stream]

    def close_where(self, matches: Callable[[Session], bool], close: Close, code: str) -> None:
        """Send sessions of this process away, from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._close_where, matches, close, code)

    def ring(self, placed: Sequence[Placed]) -> None:
        """Tell the sessions of this process of new entries, from any thread."""
        if self._loop is None:
            return
        with self._lock:
            self._rung.extend(placed)
            if self._draining:
                return
            self._draining = True
        self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        with self._lock:
            rung, self._rung = self._rung, deque()
            self._draining = False
        for entry, seqs in rung:
            for stream, seq in seqs.items():
                for session in list(self._sessions.get(stream, {}).values()):
                    session.deliver(seq, entry)

    def _close_where(self, matches: Callable[[Session], bool], close: Close, code: str) -> None:
        for session in filter(matches, self.sessions()):
            session.close(close, code)


hub = Hub()
"""The hub of this process."""
