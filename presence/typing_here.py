"""What this worker has heard of who types where, and the way from there to its own sessions.

Each worker hears all of it, from itself too. So it knows without asking where nobody types, which is nearly everywhere
when a message is sent.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from django.conf import settings

from presence.events import TypingUpdated
from realtime import clock, doorbell, threads
from realtime.hub import hub
from realtime.relay import streams_of, user_stream

KIND: Final = "typing"


class Heard(NamedTuple):
    """What workers tell each other."""

    channel_id: int
    user_ids: list[int]
    expires_in: float
    at: float
    """Of two words about one channel the later has the higher."""
    by: int
    """Who started or stopped; 0 for nobody."""
    audience: dict[str, Any]


class _Known(NamedTuple):
    user_ids: list[int]
    at: float
    until: float


class _Here:
    """All but `may_type_in` is on the hub's loop."""

    def __init__(self) -> None:
        self._known: dict[int, _Known] = {}
        """What was heard last of each channel; what ends first comes first."""
        self._to_tell: dict[int, Heard] = {}
        """What the sessions here were not told yet: of each channel the newest."""
        self._task: asyncio.Task[None] | None = None

    def may_type_in(self, channel_id: int) -> bool:
        known = self._known.get(channel_id)
        return known is not None and bool(known.user_ids) and known.until > clock.monotonic()

    def hear(self, heard: Heard) -> None:
        before = self._known.get(heard.channel_id)
        if before is not None and before.at > heard.at:
            return
        self._know(heard)
        waiting = self._to_tell.pop(heard.channel_id, None)
        self._to_tell[heard.channel_id] = heard if waiting is None else heard._replace(by=0)
        if self._task is None or self._task.done() or self._task.get_loop() is not asyncio.get_running_loop():
            self._task = threads.start(self._tell(), name="tell who types")

    def _know(self, heard: Heard) -> None:
        now = clock.monotonic()
        self._known.pop(heard.channel_id, None)
        while self._known and (oldest := next(iter(self._known))) and self._known[oldest].until <= now:
            del self._known[oldest]
        # That nobody types is known, too, for as long as an older word may be late.
        self._known[heard.channel_id] = _Known(heard.user_ids, heard.at, now + settings.TYPING_SECONDS)

    async def _tell(self) -> None:
        while self._to_tell:
            heard = self._to_tell.pop(next(iter(self._to_tell)))
            _tell_sessions(heard, await threads.run(streams_of, heard.audience))


def _tell_sessions(heard: Heard, streams: Sequence[str]) -> None:
    """Each is told of the others. Who did something is not told that nobody else does: they see nothing new."""
    typists = {user_stream(user_id) for user_id in heard.user_ids}
    for user_id in heard.user_ids:
        typist, others = user_stream(user_id), [other for other in heard.user_ids if other != user_id]
        if typist in streams and (others or user_id != heard.by):
            hub.tell([typist], _frame(heard, others))
    silent = typists if typists else {user_stream(heard.by)}
    hub.tell((stream for stream in streams if stream not in silent), _frame(heard, heard.user_ids))


def _frame(heard: Heard, user_ids: list[int]) -> dict[str, Any]:
    return TypingUpdated(heard.channel_id, user_ids, round(heard.expires_in, 3)).frame


_here = _Here()


@doorbell.hears(KIND)
def _hear(message: list[Any]) -> None:
    _here.hear(Heard(*message))


def may_type_in(channel_id: int) -> bool:
    """Whether somebody types there. A process without sessions, as a command is, hears nothing and does not know."""
    return _here.may_type_in(channel_id) if hub.running else True
