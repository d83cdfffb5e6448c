"""Telling other workers, over the channel layer: new entries to those that have readers for them, the rest to all.

At most once and in any order: a ring that is lost is healed from the stream, by the next one or by the sweep.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from realtime.backends import streams
from realtime.errors import Close
from realtime.hub import Ended, hub
from realtime.leases import Connection
from realtime.streams import Entry, Placed

log = logging.getLogger(__name__)

ALL: Final = "hubs"
AGAIN_SECONDS: Final = 1.0

Hear = Callable[[Any], None]
_HEARERS: dict[str, Hear] = {}


def hears(kind: str) -> Callable[[Hear], Hear]:
    """Register what each worker does with a broadcast of this kind, on its loop. It must not wait there."""

    def register(hear: Hear) -> Hear:
        _HEARERS[kind] = hear
        return hear

    return register


def broadcast(kind: str, message: Any) -> None:
    """Tell something to every worker, this one too, from any thread. Nothing heals it: what is lost is lost."""
    if hub.loop is not None:
        hub.loop.call_soon_threadsafe(_HEARERS[kind], message)
    if streams().shared:
        from_here = {"type": "broadcast", "from": hub.worker, "kind": kind, "message": message}
        _start(get_channel_layer().group_send(ALL, from_here))


def ring(placed: Sequence[Placed]) -> None:
    """Tell of new entries, from any thread."""
    hub.ring(placed)
    if streams().shared and (messages := _messages(placed)):
        _start(_send(messages))


def tell_all(ended: Ended) -> None:
    """Send sessions away on every worker, from any thread."""
    kind, value, close, code = ended
    broadcast("end", [kind, value, int(close), code])


@hears("end")
def _end(ended: list[Any]) -> None:
    kind, value, close, code = ended
    hub.end(Ended(kind, value, Close(close), code))


def tell_replaced(stream: str, session_id: str, connection: Connection) -> None:
    """Tell the worker of a connection that another one took over its session, from any thread."""
    message = {"type": "replaced", "session": [stream, session_id, connection.id]}
    _start(get_channel_layer().send(_channel(connection.worker), message))


async def listen() -> None:
    """Hear what other workers tell, as long as this one runs: an outage of the layer ends, and so must deafness."""
    while True:
        try:
            await _listen()
        except Exception as error:
            log.warning("doorbell: the channel layer is away (%r), trying again", error)
        await asyncio.sleep(AGAIN_SECONDS)


async def _listen() -> None:
    layer = get_channel_layer()
    channel = _channel(hub.worker)
    heard = asyncio.ensure_future(layer.receive(channel))
    try:
        # The layer knows a channel only once it is received from.
        await asyncio.sleep(0)
        await layer.group_add(ALL, channel)
        while True:
            _obey(await heard)
            heard = asyncio.ensure_future(layer.receive(channel))
    finally:
        heard.cancel()


def _obey(message: dict[str, Any]) -> None:
    match message:
        case {"type": "ring", "entries": entries}:
            hub.ring(
                [
                    Placed(Entry(event_id, name, body, about), seqs, {}, era)
                    for event_id, name, body, about, seqs, era in entries
                ]
            )
        case {"type": "broadcast", "from": worker, "kind": kind, "message": told} if worker != hub.worker:
            _HEARERS[kind](told)
        case {"type": "replaced", "session": [stream, session_id, connection_id]}:
            hub.replace(stream, session_id, connection_id)


def _messages(placed: Sequence[Placed]) -> dict[str, list[Any]]:
    """What each other worker is told: entries, each with the seqs of the streams that are read there."""
    messages: defaultdict[str, list[Any]] = defaultdict(list)
    for entry, seqs, listeners, era in placed:
        there: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for stream, workers in listeners.items():
            for worker in workers:
                there[worker][stream] = seqs[stream]
        for worker, its in there.items():
            if worker != hub.worker:
                messages[worker].append([entry.event_id, entry.name, entry.body, entry.about, its, era])
    return messages


async def _send(messages: dict[str, list[Any]]) -> None:
    layer = get_channel_layer()
    for worker, entries in messages.items():
        await layer.send(_channel(worker), {"type": "ring", "entries": entries})


def _channel(worker: str) -> str:
    return f"hub.{worker}"


def _start(telling: Awaitable[None]) -> None:
    """Start telling on the hub's loop and do not wait; a process without one, as a command is, waits."""
    if hub.loop is not None:
        asyncio.run_coroutine_threadsafe(_told(telling), hub.loop)
    else:
        async_to_sync(_told)(telling)


async def _told(telling: Awaitable[None]) -> None:
    try:
        await telling
    except Exception as error:
        log.warning("doorbell: a ring was lost (%r), the sweep heals it", error)
