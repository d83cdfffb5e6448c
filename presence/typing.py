"""Who is typing where: told at once to the members who are there, by whatever door it came, and kept by nobody.

A lost word heals: what is told is the whole set, and ends by itself.
"""

import asyncio
import logging
from typing import Any, Final

import orjson
from django.conf import settings
from django.db.models import OuterRef

from groups.actions.locks import check_answerable, check_writable, refusal_of
from groups.actions.silence import check_silence, silenced_until
from groups.audiences import everybody_in
from groups.models import Channel, User
from presence import typing_here, typists
from presence.typing_here import Heard
from presence.typists import Typists
from realtime import clock, doorbell, limits, threads
from realtime.errors import Unavailable
from realtime.hub import hub
from realtime.relay import when_placed
from realtime.streams import Entry

log = logging.getLogger(__name__)

LATER_SECONDS: Final = 0.05
"""After somebody's typing has ended, so that the look finds it over."""


def start_typing(*, typist: User, channel_id: int) -> None:
    """Tell the others that somebody types; a repeat in time only keeps it so.

    Raises as sending there would, and RateLimited past TYPING_PER_MINUTE.
    """
    channel = _writable(typist, channel_id)
    step = typists.start(channel.pk, typist.pk)
    _tell(channel, step, by=typist.pk)
    if hub.loop is not None:
        hub.loop.call_soon_threadsafe(_looks.later, channel.pk, step.next_ends_in)


def stop_typing(*, typist: User, channel_id: int) -> None:
    """Tell the others that somebody types no more. Raises as `start_typing`."""
    channel = _writable(typist, channel_id)
    _tell(channel, typists.stop(channel.pk, typist.pk), by=typist.pk)


def _writable(typist: User, channel_id: int) -> Channel:
    until = silenced_until(workspace=OuterRef("workspace"), user=typist)
    found: Any = Channel.objects.open_to(typist).filter(pk=channel_id).annotate(silenced_until=until).first()
    if found is None:
        raise refusal_of(typist, channel_id)
    channel: Channel = found
    check_writable(channel)
    check_answerable(channel)
    check_silence(found.silenced_until, clock.now())
    per_minute = settings.TYPING_PER_MINUTE
    limits.spend(f"typing:{typist.pk}", per_minute=per_minute, burst=max(1, per_minute))
    return channel


@when_placed("message.created")
def _sent(entry: Entry) -> None:
    """Whoever sent their message types it no more."""
    channel_id = entry.about["channel"]
    if typing_here.may_type_in(channel_id):
        _clear(channel_id, _data_of(entry)["message"]["author"]["id"])


@when_placed("channel.member_left")
def _left(entry: Entry) -> None:
    channel_id = entry.about["channel"]
    if typing_here.may_type_in(channel_id):
        _clear(channel_id, _data_of(entry)["user_id"])


def _data_of(entry: Entry) -> Any:
    return orjson.loads(b"{" + entry.body)["data"]


def _clear(channel_id: int, user_id: int) -> None:
    try:
        _tell_in(channel_id, typists.stop(channel_id, user_id), by=user_id)
    except Unavailable:
        log.debug("typing: the store is away, what %d types in channel %d ends by itself", user_id, channel_id)


def _look(channel_id: int) -> float | None:
    """Tell who has ended by themself. Seconds until the next one may; None when nobody types."""
    step = typists.look(channel_id)
    _tell_in(channel_id, step)
    return step.next_ends_in if step.user_ids else None


def _tell_in(channel_id: int, step: Typists, *, by: int = 0) -> None:
    if step.to_tell and (channel := Channel.objects.filter(pk=channel_id).first()) is not None:
        _tell(channel, step, by=by)


def _tell(channel: Channel, step: Typists, *, by: int) -> None:
    if step.to_tell:
        to = everybody_in(channel)
        heard = Heard(channel.pk, step.user_ids, step.ends_in, step.at, by, {"kind": to.kind, **to.of})
        doorbell.broadcast(typing_here.KIND, list(heard))


class _Looks:
    """When this worker looks who has ended by themself, of those who began here. All on the hub's loop."""

    def __init__(self) -> None:
        self._timers: dict[int, asyncio.TimerHandle] = {}

    def later(self, channel_id: int, seconds: float) -> None:
        if channel_id not in self._timers:
            loop = asyncio.get_running_loop()
            self._timers[channel_id] = loop.call_later(seconds + LATER_SECONDS, self._now, channel_id)

    def _now(self, channel_id: int) -> None:
        del self._timers[channel_id]
        threads.start(self._look(channel_id), name=f"typing in {channel_id}")

    async def _look(self, channel_id: int) -> None:
        try:
            seconds = await threads.run(_look, channel_id)
        except Unavailable:
            log.debug("typing: the store is away, clients know when it ends in channel %d", channel_id)
        else:
            if seconds is not None:
                self.later(channel_id, seconds)


_looks = _Looks()
