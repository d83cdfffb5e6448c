"""What hosts and nodes tell their group: values and events. Behaviour and texts are those that shipped clients know.

Source: smalruby/mesh-v2; where we differ, docs/mesh-v2.md says why.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import Length

from groups.mesh.event_log import open_stream
from groups.mesh.events import MeshDatum, MeshEventPayload, MeshEventsFired, MeshStatusReported, tell_group
from groups.mesh.finding import lock_live_group
from groups.mesh.texts import TEXT_CHARACTERS, check_id, check_text, moment_of
from groups.models import MeshGroup, MeshReceipt, MeshValue
from groups.models.mesh import ID_CHARACTERS
from realtime import clock

DATA_AT_ONCE = 1000
"""Keys in one report."""
VALUES_PER_GROUP = 10_000
LONG_VALUE_CHARACTERS = 1000
LONG_VALUES_CHARACTERS = 4_000_000
"""Of all values of a group together. It is counted only where there is a long one."""
EVENTS_AT_ONCE = 1000
SPREAD_SECONDS = 1.0
"""Over how long the events of one batch may be spread: what clients collect before they send."""


@dataclass(frozen=True)
class Fired:
    """An event as its sender describes it."""

    name: str
    fired_at: str
    """ISO 8601, told to others as it is."""
    payload: str | None = None
    order_key: str | None = None


def report_data(*, group_id: str, domain: str, node_id: str, data: Sequence[MeshDatum]) -> MeshStatusReported:
    """Tell the group values, and keep the newest of each key. Nobody has to have joined: the host reports, too.

    Raises GroupNotFound and ValidationError.
    """
    check_id("nodeId", node_id)
    if len(data) > DATA_AT_ONCE:
        raise ValidationError(f"data must hold {DATA_AT_ONCE} entries or less")
    for datum in data:
        check_text("key", datum["key"], ID_CHARACTERS)
        check_text("value", datum["value"], TEXT_CHARACTERS)
    newest = {datum["key"]: datum["value"] for datum in data}
    with transaction.atomic():
        group = lock_live_group(group_id, domain)
        now = clock.now()
        _check_room(group, newest)
        MeshValue.objects.bulk_create(
            (
                MeshValue(group=group, node_id=node_id, key=key, value=value, reported_at=now)
                for key, value in newest.items()
            ),
            update_conflicts=True,
            unique_fields=["group", "node_id", "key"],
            update_fields=["value", "reported_at"],
        )
        group.nodes.filter(node_id=node_id).update(seen_at=now)
        reported = MeshStatusReported(str(group.pk), domain, node_id, list(data), clock.stamp(now))
        tell_group(reported, group)
    return reported


def fire_events(*, group_id: str, domain: str, node_id: str, events: Sequence[Fired]) -> MeshEventsFired:
    """Tell the group events, in the order given, with the sender's own times. They are in the log, too.

    Raises GroupNotFound and ValidationError.
    """
    return _fire(group_id, domain, node_id, events, recorded=False)


def record_events(*, group_id: str, domain: str, node_id: str, events: Sequence[Fired]) -> MeshEventsFired:
    """Tell the group events of a member that polls, in the order of their order keys where they have some.

    Raises GroupNotFound and ValidationError.
    """
    slots = [index for index, event in enumerate(events) if event.order_key is not None]
    ordered = list(events)
    by_key = sorted((events[index] for index in slots), key=lambda event: event.order_key or "")
    for index, event in zip(slots, by_key, strict=True):
        ordered[index] = event
    return _fire(group_id, domain, node_id, ordered, recorded=True)


def _fire(group_id: str, domain: str, node_id: str, events: Sequence[Fired], *, recorded: bool) -> MeshEventsFired:
    check_id("nodeId", node_id)
    if len(events) > EVENTS_AT_ONCE:
        raise ValidationError(f"events must hold {EVENTS_AT_ONCE} entries or less")
    for event in events:
        check_text("eventName", event.name, ID_CHARACTERS)
        check_text("payload", event.payload or "", TEXT_CHARACTERS)
        check_text("orderKey", event.order_key or "", ID_CHARACTERS)
    fired_at = [moment_of(event.fired_at) for event in events]
    with transaction.atomic():
        group = lock_live_group(group_id, domain)
        now = clock.now()
        times = _times(fired_at, group, now)
        payloads: list[MeshEventPayload] = [
            {
                "name": event.name,
                "payload": event.payload,
                "timestamp": clock.stamp(time),
                "fired_at": event.fired_at,
                "order_key": event.order_key,
            }
            for event, time in zip(events, times, strict=True)
        ]
        group.nodes.filter(node_id=node_id).update(seen_at=now)
        fired = MeshEventsFired(str(group.pk), domain, node_id, payloads, recorded, clock.stamp(now))
        if new := _untaken(group, node_id, events, now):
            group.events_until = times[new[-1]]
            group.save(update_fields=["events_until"])
            # Before it is sent: a store that began anew knows the stream no more, and drops what comes for it.
            transaction.on_commit(lambda: _open_again(group), robust=True)
            tell_group(replace(fired, events=[payloads[index] for index in new]), group)
    return fired


def _open_again(group: MeshGroup) -> None:
    open_stream(group)


def _untaken(group: MeshGroup, node_id: str, events: Sequence[Fired], now: datetime) -> list[int]:
    """The places of the events that did not come before: a batch comes again when its answer was lost."""
    keys = {event.order_key for event in events if event.order_key}
    if not keys:
        return list(range(len(events)))
    taken = set(group.receipts.filter(node_id=node_id, order_key__in=keys).values_list("order_key", flat=True))
    MeshReceipt.objects.bulk_create(
        MeshReceipt(group=group, node_id=node_id, order_key=key, taken_at=now) for key in sorted(keys - taken)
    )
    return [index for index, event in enumerate(events) if not event.order_key or event.order_key not in taken]


def _times(fired_at: Sequence[datetime], group: MeshGroup, now: datetime) -> list[datetime]:
    """Times on the server's clock that keep the sender's spacing, up to SPREAD_SECONDS, and never decrease.

    A batch ends now. Where the one before it reaches into it, it begins after that, but not later than now.
    """
    if not fired_at:
        return []
    spread = timedelta(seconds=SPREAD_SECONDS)
    offsets = [min(max(moment - fired_at[0], timedelta()), spread) for moment in fired_at]
    begin = now - max(offsets)
    newest = group.events_until or begin
    begin = max(begin, min(newest, now))
    times = []
    for offset in offsets:
        newest = max(newest, begin + offset)
        times.append(newest)
    return times


def _check_room(group: MeshGroup, values: Mapping[str, str]) -> None:
    stored = group.values_reported.all()
    if stored.count() + len(values) > VALUES_PER_GROUP:
        raise ValidationError("This group holds too many values.")
    if any(len(value) > LONG_VALUE_CHARACTERS for value in values.values()):
        held = stored.aggregate(characters=Sum(Length("value")))["characters"] or 0
        if held + sum(map(len, values.values())) > LONG_VALUES_CHARACTERS:
            raise ValidationError("The values of this group are too long.")
