"""What hosts and nodes tell their group: values and events. Behaviour and texts are those that shipped clients know.

Source: smalruby/mesh-v2; where we differ, docs/mesh-v2.md says why.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import NamedTuple, TypeVar, cast
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Q, Sum
from django.db.models.functions import Length

from groups.mesh.event_log import open_after_commit
from groups.mesh.events import MeshDatum, MeshEventPayload, MeshEventsFired, MeshStatusReported, publication
from groups.mesh.finding import GroupNotFound, lock_live_groups
from groups.mesh.texts import TEXT_CHARACTERS, check_id, check_text, moment_of
from groups.models import MeshGroup, MeshNode, MeshReceipt, MeshValue
from groups.models.mesh import ID_CHARACTERS
from realtime import clock
from realtime.batches import Batch
from realtime.publish import publish_all

DATA_AT_ONCE = 1000
"""Keys in one report."""
VALUES_PER_GROUP = 10_000
LONG_VALUE_CHARACTERS = 1000
LONG_VALUES_CHARACTERS = 4_000_000
"""Of all values of a group together. It is counted only where there is a long one."""
EVENTS_AT_ONCE = 1000
SPREAD_SECONDS = 1.0
"""Over how long the events of one batch may be spread: what clients collect before they send."""


SEEN_SECONDS = 10.0
"""Within which a node is not noted as seen again: nobody needs it more exactly, and each time is a write."""
SEEN_KEPT = 10_000
"""Nodes of which a process remembers when it noted them."""
SPACING_SECONDS = 0.02
"""Between two transactions of a busy worker, in which others join the next one."""


@dataclass(frozen=True)
class Fired:
    """An event as its sender describes it."""

    name: str
    fired_at: str
    """ISO 8601, told to others as it is."""
    payload: str | None = None
    order_key: str | None = None


@dataclass(frozen=True)
class Report:
    """Values for a group. Nobody has to have joined: the host reports, too."""

    group_id: str
    domain: str
    node_id: str
    data: Sequence[MeshDatum]

    def check(self) -> None:
        """Raises ValidationError."""
        check_id("nodeId", self.node_id)
        if len(self.data) > DATA_AT_ONCE:
            raise ValidationError(f"data must hold {DATA_AT_ONCE} entries or less")
        for datum in self.data:
            check_text("key", datum["key"], ID_CHARACTERS)
            check_text("value", datum["value"], TEXT_CHARACTERS)


@dataclass(frozen=True)
class Firing:
    """Events for a group, in the order given, with the sender's own times. They are in its log, too.

    Recorded ones are those of a member that polls; they go in the order of their order keys where they have some.
    """

    group_id: str
    domain: str
    node_id: str
    events: Sequence[Fired]
    recorded: bool = False

    def check(self) -> None:
        """Raises ValidationError."""
        check_id("nodeId", self.node_id)
        if len(self.events) > EVENTS_AT_ONCE:
            raise ValidationError(f"events must hold {EVENTS_AT_ONCE} entries or less")
        for event in self.events:
            check_text("eventName", event.name, ID_CHARACTERS)
            check_text("payload", event.payload or "", TEXT_CHARACTERS)
            check_text("orderKey", event.order_key or "", ID_CHARACTERS)
            moment_of(event.fired_at)

    def in_order(self) -> list[Fired]:
        ordered = list(self.events)
        if self.recorded:
            slots = [index for index, event in enumerate(ordered) if event.order_key is not None]
            by_key = sorted((ordered[index] for index in slots), key=lambda event: event.order_key or "")
            for index, event in zip(slots, by_key, strict=True):
                ordered[index] = event
        return ordered


Telling = Report | Firing
Told = MeshStatusReported | MeshEventsFired
T = TypeVar("T", Report, Firing)
Found = dict[int, tuple[T, MeshGroup]]
"""With the groups that they are for."""


def report_data(*, group_id: str, domain: str, node_id: str, data: Sequence[MeshDatum]) -> MeshStatusReported:
    """Tell the group values, and keep the newest of each key. Raises GroupNotFound and ValidationError."""
    return cast(MeshStatusReported, tell_alone(Report(group_id, domain, node_id, data)))


def fire_events(*, group_id: str, domain: str, node_id: str, events: Sequence[Fired]) -> MeshEventsFired:
    """Tell the group events. Raises GroupNotFound and ValidationError."""
    return cast(MeshEventsFired, tell_alone(Firing(group_id, domain, node_id, events)))


def record_events(*, group_id: str, domain: str, node_id: str, events: Sequence[Fired]) -> MeshEventsFired:
    """Tell the group events of a member that polls. Raises GroupNotFound and ValidationError."""
    return cast(MeshEventsFired, tell_alone(Firing(group_id, domain, node_id, events, recorded=True)))


def tell_together(tellings: Sequence[Telling]) -> list[Told | Exception]:
    """Carry out several in one transaction, those of a group in this order: for each what it told, or the
    GroupNotFound or ValidationError that it would have raised alone.
    """
    outcomes: dict[int, Told | Exception] = {}
    for index, telling in enumerate(tellings):
        try:
            telling.check()
        except ValidationError as error:
            outcomes[index] = error
    checked = {index: telling for index, telling in enumerate(tellings) if index not in outcomes}
    if checked:
        with transaction.atomic():
            outcomes |= _tell_checked(checked)
    return [outcomes[index] for index in range(len(tellings))]


_batch = Batch("tellings", tell_together, collect_seconds=SPACING_SECONDS, paced=True)


async def tell(telling: Telling) -> Told:
    """Carry it out together with those of others that come meanwhile. Raises GroupNotFound and ValidationError."""
    return cast(Told, await _batch.call(telling))


def tell_alone(telling: Telling) -> Told:
    """Carry it out. Raises GroupNotFound and ValidationError."""
    [outcome] = tell_together([telling])
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _tell_checked(tellings: Mapping[int, Telling]) -> dict[int, Told | Exception]:
    outcomes: dict[int, Told | Exception] = {}
    reports: Found[Report] = {}
    firings: Found[Firing] = {}
    groups = lock_live_groups({(telling.group_id, telling.domain) for telling in tellings.values()})
    for index, telling in tellings.items():
        group = groups[telling.group_id, telling.domain]
        if isinstance(group, GroupNotFound):
            outcomes[index] = group
        elif isinstance(telling, Report):
            reports[index] = (telling, group)
        else:
            firings[index] = (telling, group)
    now = clock.now()
    outcomes |= _keep_values(reports, now)
    fired = _keep_events(firings, now)
    outcomes |= {index: one.told for index, one in fired.items()}
    news: dict[int, Told] = {index: one.news for index, one in fired.items() if one.news is not None}
    news |= {index: told for index in reports if not isinstance(told := outcomes[index], Exception)}
    found: dict[int, tuple[Telling, MeshGroup]] = {**reports, **firings}
    _note_seen({(group.pk, telling.node_id) for telling, group in found.values()}, now)
    publish_all([publication(event, found[index][1]) for index, event in sorted(news.items())])
    return outcomes


def _keep_values(reports: Found[Report], now: datetime) -> dict[int, Told | Exception]:
    """Of each key the newest value."""
    if not reports:
        return {}
    outcomes: dict[int, Told | Exception] = {}
    rows: dict[tuple[UUID, str, str], MeshValue] = {}
    room = _Room({group.pk for _report, group in reports.values()})
    places: Counter[UUID] = Counter()
    for index, (report, group) in reports.items():
        # Of a key that several nodes have the newest counts, so each has a millisecond of its own, as clients see them.
        at = now + timedelta(milliseconds=places[group.pk])
        places[group.pk] += 1
        newest = {datum["key"]: datum["value"] for datum in report.data}
        try:
            room.take(group, report.node_id, newest)
        except ValidationError as error:
            outcomes[index] = error
            continue
        for key, value in newest.items():
            rows[group.pk, report.node_id, key] = MeshValue(
                group=group, node_id=report.node_id, key=key, value=value, reported_at=at
            )
        place = (report.group_id, report.domain, report.node_id)
        outcomes[index] = MeshStatusReported(*place, list(report.data), clock.stamp(at))
    MeshValue.objects.bulk_create(
        rows.values(),
        update_conflicts=True,
        unique_fields=["group", "node_id", "key"],
        update_fields=["value", "reported_at"],
    )
    return outcomes


class _Room:
    """What groups may hold yet."""

    def __init__(self, groups: Collection[UUID]) -> None:
        held = MeshValue.objects.filter(group__in=groups).order_by().values_list("group").annotate(Count("pk"))
        self._values = Counter(dict(held))
        self._characters: dict[UUID, int] = {}

    def take(self, group: MeshGroup, node_id: str, values: Mapping[str, str]) -> None:
        """Raises ValidationError when there is none for these."""
        new = len(values)
        if self._values[group.pk] + new > VALUES_PER_GROUP:
            new -= group.values_reported.filter(node_id=node_id, key__in=values).count()
            if self._values[group.pk] + new > VALUES_PER_GROUP:
                raise ValidationError("This group holds too many values.")
        if any(len(value) > LONG_VALUE_CHARACTERS for value in values.values()):
            self._take_characters(group, sum(map(len, values.values())))
        self._values[group.pk] += new

    def _take_characters(self, group: MeshGroup, characters: int) -> None:
        if group.pk not in self._characters:
            held = group.values_reported.aggregate(characters=Sum(Length("value")))["characters"]
            self._characters[group.pk] = held or 0
        if self._characters[group.pk] + characters > LONG_VALUES_CHARACTERS:
            raise ValidationError("The values of this group are too long.")
        self._characters[group.pk] += characters


class _Outcome(NamedTuple):
    told: MeshEventsFired
    """All of them, for who fired them."""
    news: MeshEventsFired | None
    """Those that were not taken before: a batch comes again when its answer was lost."""


def _keep_events(firings: Found[Firing], now: datetime) -> dict[int, _Outcome]:
    fired: dict[int, _Outcome] = {}
    taken = _taken([firing for firing, _group in firings.values()])
    new_receipts: list[_Receipt] = []
    with_news: dict[UUID, MeshGroup] = {}
    for index, (firing, group) in firings.items():
        events = firing.in_order()
        times = _times([moment_of(event.fired_at) for event in events], group, now)
        payloads = [_payload(event, time) for event, time in zip(events, times, strict=True)]
        place = (firing.group_id, firing.domain, firing.node_id)
        told = MeshEventsFired(*place, payloads, firing.recorded, clock.stamp(now))
        receipts = [_Receipt(group.pk, firing.node_id, event.order_key or "") for event in events]
        new = [at for at, receipt in enumerate(receipts) if not receipt.order_key or receipt not in taken]
        fired[index] = _Outcome(told, replace(told, events=[payloads[at] for at in new]) if new else None)
        if new:
            group.events_until = times[new[-1]]
            with_news[group.pk] = group
        unknown = {receipt for receipt in receipts if receipt.order_key} - taken
        new_receipts += sorted(unknown)
        taken |= unknown
    MeshReceipt.objects.bulk_create(MeshReceipt(**receipt._asdict(), taken_at=now) for receipt in new_receipts)
    for group in with_news.values():
        group.save(update_fields=["events_until"])
        open_after_commit(group)
    return fired


def _payload(event: Fired, time: datetime) -> MeshEventPayload:
    return {
        "name": event.name,
        "payload": event.payload,
        "timestamp": clock.stamp(time),
        "fired_at": event.fired_at,
        "order_key": event.order_key,
    }


class _Receipt(NamedTuple):
    """That a node's event with an order key was taken."""

    group_id: UUID
    node_id: str
    order_key: str


def _taken(firings: Collection[Firing]) -> set[_Receipt]:
    """What was taken before, of these and perhaps more."""
    keys = {event.order_key for firing in firings for event in firing.events if event.order_key}
    if not keys:
        return set()
    rows = MeshReceipt.objects.filter(
        group__in={firing.group_id for firing in firings},
        node_id__in={firing.node_id for firing in firings},
        order_key__in=keys,
    )
    return set(map(_Receipt._make, rows.values_list(*_Receipt._fields)))


_seen_at: dict[tuple[UUID, str], float] = {}
"""When this process noted a node as seen, by its monotonic clock."""


def _note_seen(nodes: Collection[tuple[UUID, str]], now: datetime) -> None:
    """Of those that were noted a moment ago it goes without."""
    moment = clock.monotonic()
    unseen = [node for node in nodes if moment - _seen_at.get(node, -SEEN_SECONDS) >= SEEN_SECONDS]
    if not unseen:
        return
    rows = reduce(or_, (Q(group=pk, node_id=node_id) for pk, node_id in unseen))
    MeshNode.objects.alive().filter(rows).update(seen_at=now)
    if len(_seen_at) > SEEN_KEPT:
        _seen_at.clear()
    _seen_at.update(dict.fromkeys(unseen, moment))


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
