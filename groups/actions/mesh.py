"""What hosts and nodes of a classroom do. Behaviour, texts and types of errors are those that shipped clients know.

Source: smalruby/mesh-v2; where we differ, docs/mesh-v2.md says why.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.utils.dateparse import parse_datetime

from groups.mesh_events import (
    MeshDatum,
    MeshEventPayload,
    MeshEventsFired,
    MeshGroupDissolved,
    MeshNodeJoined,
    MeshNodeLeft,
    MeshStatusReported,
)
from groups.models import MeshDomain, MeshGroup, MeshNode, MeshReceipt, MeshValue
from groups.models.mesh import ID_CHARACTERS, Ended
from realtime import clock
from realtime.backends import streams
from realtime.errors import Unavailable
from realtime.events import Event
from realtime.publish import Audience, audience_kind, publish

DOMAIN_UNITS = 256
"""UTF-16 code units, as clients count."""
TEXT_CHARACTERS = 65_536
"""Of a value or a payload."""
DATA_AT_ONCE = 1000
"""Keys in one report."""
EVENTS_AT_ONCE = 1000
SPREAD_SECONDS = 1.0
"""Over how long the events of one batch may be spread: what clients collect before they send."""
SUBSCRIBES_WITHIN_SECONDS = 5.0
"""A node that was told to subscribe, did not and comes again is behind something that blocks WebSockets."""
RECEIPTS_KEPT = timedelta(minutes=10)
ENDED_KEPT = timedelta(days=1)


class GroupNotFound(ObjectDoesNotExist):
    """There is no such group, or it is over. Clients disconnect."""


class NodeNotFound(ObjectDoesNotExist):
    """The node is not in the group. Clients disconnect."""


class NotTheHost(PermissionDenied):
    """Only the host may do this. Clients disconnect."""


class GroupFull(ValidationError):
    """MESH_NODES_PER_GROUP are in it. The text holds none of the words on which clients disconnect."""


class Joined(NamedTuple):
    group: MeshGroup
    node: MeshNode


@dataclass(frozen=True)
class Fired:
    """An event as its sender describes it."""

    name: str
    fired_at: str
    """ISO 8601, told to others as it is."""
    payload: str | None = None
    order_key: str | None = None


@audience_kind("mesh", streams="mesh")
def _group(*, id: str) -> Sequence[str]:
    return [id]


def create_group(
    *, domain: str, name: str, host_id: str, max_seconds: int | None = None, use_websocket: bool = True
) -> MeshGroup:
    """Make a group. While a host has one in a domain it gets that one, whatever else it asks for.

    Raises ValidationError.
    """
    mine = MeshGroup.objects.filter(domain=domain, host_id=host_id) if _storable(domain, host_id) else None
    if mine is not None and (group := mine.listed().first()) is not None:
        return group
    _check_new(domain, name, host_id, max_seconds)
    if MeshDomain.objects.filter(name=domain, polls=True).exists():
        use_websocket = False
    now = clock.now()
    try:
        with transaction.atomic():
            if dead := MeshGroup.objects.there().select_for_update().filter(domain=domain, host_id=host_id).first():
                _end(dead, Ended.TIME if dead.expired else Ended.SILENCE)
            group = MeshGroup.objects.create(
                domain=domain,
                name=name,
                host_id=host_id,
                use_websocket=use_websocket,
                created_at=now,
                expires_at=now + timedelta(seconds=max_seconds or settings.MESH_MAX_CONNECTION_TIME_SECONDS),
                heartbeat_at=now,
            )
    except IntegrityError:
        # The same host asked at the same moment and was first.
        return MeshGroup.objects.there().get(domain=domain, host_id=host_id)
    open_stream(group)
    return group


def join_group(
    *, group_id: str, domain: str, node_id: str, use_websocket: bool | None = None, address: str = ""
) -> Joined:
    """Join, or join again, which refreshes. The node is told to poll when it says so, when its group or its school
    polls, or when it comes again without having subscribed: then something blocks its WebSocket.

    Raises GroupNotFound, GroupFull and ValidationError.
    """
    _check_id("nodeId", node_id)
    now = clock.now()
    with transaction.atomic():
        group = lock_live_group(group_id, domain)
        before = group.nodes.filter(node_id=node_id).first()
        if before is None and group.nodes.alive().count() >= settings.MESH_NODES_PER_GROUP:
            raise GroupFull("This group is full.")
        told = (
            group.use_websocket
            and use_websocket is not False
            and not MeshDomain.objects.filter(name=domain, polls=True).exists()
            and not (before is not None and _blocked(before, now))
        )
        node, _created = MeshNode.objects.update_or_create(
            group=group,
            node_id=node_id,
            defaults={
                "use_websocket": told,
                "joined_at": now,
                "seen_at": now,
                "alive_until": now + timedelta(seconds=settings.MESH_MEMBER_HEARTBEAT_TTL_SECONDS),
                "joined_after": open_stream(group),
                "address": address,
                "subscribed_at": None,
            },
        )
        # Order keys begin anew with each joining.
        group.receipts.filter(node_id=node_id).delete()
        _publish(MeshNodeJoined(str(group.pk), domain, node_id, told, clock.stamp(now)), group)
    return Joined(group, node)


def leave_group(*, group_id: str, domain: str, node_id: str) -> None:
    """Leave. It always succeeds, for unknown groups and nodes too."""
    with transaction.atomic():
        group = found_group(group_id, domain)
        if group is None or not _storable(node_id):
            return
        MeshGroup.objects.select_for_update().get(pk=group.pk)
        left, _rows = group.nodes.filter(node_id=node_id).delete()
        group.values_reported.filter(node_id=node_id).delete()
        if left:
            _publish(MeshNodeLeft(str(group.pk), domain, node_id, clock.stamp(clock.now())), group)


def dissolve_group(*, group_id: str, domain: str, host_id: str) -> MeshGroupDissolved:
    """End the group. A group that ended by itself may be dissolved yet, for its host asks to.

    Raises ValidationError for an empty argument, GroupNotFound and NotTheHost.
    """
    for name, value in (("groupId", group_id), ("domain", domain), ("hostId", host_id)):
        if not value:
            raise ValidationError(f"{name} is required")
    with transaction.atomic():
        found = found_group(group_id, domain, over_too=True)
        if found is None:
            raise GroupNotFound(f"Group not found: {group_id}@{domain}")
        group = MeshGroup.objects.select_for_update().get(pk=found.pk)
        if group.ended == Ended.HOST:
            raise GroupNotFound(f"Group not found: {group_id}@{domain}")
        if group.host_id != host_id:
            raise NotTheHost("Only the host can dissolve the group")
        return _end(group, Ended.HOST)


def renew_heartbeat(*, group_id: str, domain: str, host_id: str) -> MeshGroup:
    """A sign of life of the host. It does not move `expires_at`. Raises GroupNotFound and NotTheHost."""
    with transaction.atomic():
        group = lock_live_group(group_id, domain)
        if group.host_id != host_id:
            raise NotTheHost("Only the host can renew the heartbeat")
        group.heartbeat_at = clock.now()
        group.save(update_fields=["heartbeat_at"])
    open_stream(group)
    return group


def beat_of_member(*, group_id: str, domain: str, node_id: str) -> Joined:
    """A sign of life of a node. One whose lease is over and that was not swept yet lives on.

    Raises GroupNotFound and NodeNotFound.
    """
    now = clock.now()
    group = live_group(group_id, domain)
    node = group.nodes.filter(node_id=node_id).first() if _storable(node_id) else None
    if node is None:
        raise NodeNotFound("Node not found")
    node.seen_at = now
    node.alive_until = now + timedelta(seconds=settings.MESH_MEMBER_HEARTBEAT_TTL_SECONDS)
    node.save(update_fields=["seen_at", "alive_until"])
    return Joined(group, node)


def report_data(*, group_id: str, domain: str, node_id: str, data: Sequence[MeshDatum]) -> MeshStatusReported:
    """Tell the group values, and keep the newest of each key. Nobody has to have joined: the host reports, too.

    Raises GroupNotFound and ValidationError.
    """
    _check_id("nodeId", node_id)
    if len(data) > DATA_AT_ONCE:
        raise ValidationError(f"data must hold {DATA_AT_ONCE} entries or less")
    for datum in data:
        _check_text("key", datum["key"], ID_CHARACTERS)
        _check_text("value", datum["value"], TEXT_CHARACTERS)
    now = clock.now()
    with transaction.atomic():
        group = lock_live_group(group_id, domain)
        newest = {datum["key"]: datum["value"] for datum in data}
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
        _publish(reported, group)
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


def subscribed(*, group_id: str, domain: str, address: str) -> None:
    """A subscription came from an address: WebSockets get through there."""
    if address and (group := found_group(group_id, domain)) is not None:
        group.nodes.filter(address=address, subscribed_at=None).update(subscribed_at=clock.now())


def found_group(group_id: str, domain: str, *, over_too: bool = False) -> MeshGroup | None:
    """A group by the pair: the right id with the wrong domain is not found."""
    try:
        pk = UUID(group_id)
    except ValueError:
        return None
    if str(pk) != group_id or not _storable(domain):
        return None
    groups = MeshGroup.objects.all() if over_too else MeshGroup.objects.there()
    return groups.filter(pk=pk, domain=domain).first()


def live_group(group_id: str, domain: str) -> MeshGroup:
    """The group, if it is alive for joining, reports, events and heartbeats. Raises GroupNotFound."""
    found = found_group(group_id, domain, over_too=True)
    if found is None or found.ended == Ended.HOST:
        raise GroupNotFound(f"Group not found: {group_id}@{domain}")
    return _alive(found)


def lock_live_group(group_id: str, domain: str) -> MeshGroup:
    """`live_group`, locked until the transaction ends: what follows happens in the order of its stream."""
    found = live_group(group_id, domain)
    group = MeshGroup.objects.select_for_update().get(pk=found.pk)
    if group.ended == Ended.HOST:
        raise GroupNotFound(f"Group not found: {group_id}@{domain}")
    return _alive(group)


def sweep() -> int:
    """End groups that are over, and tell them; forget what nobody needs any more. How many ended."""
    now = clock.now()
    silent_since = now - timedelta(seconds=settings.MESH_HOST_HEARTBEAT_TTL_SECONDS)
    over = MeshGroup.objects.there().exclude(expires_at__gte=now, heartbeat_at__gte=silent_since)
    ended = 0
    for pk in list(over.values_list("pk", flat=True)):
        with transaction.atomic():
            # Under the lock again: of several workers one ends it, and a heartbeat may have come.
            group = MeshGroup.objects.there().select_for_update().filter(pk=pk).first()
            if group is not None and (group.expired or group.silent):
                _end(group, Ended.TIME if group.expired else Ended.SILENCE)
                ended += 1
    revivable = timedelta(seconds=settings.MESH_MEMBER_HEARTBEAT_TTL_SECONDS)
    MeshNode.objects.filter(alive_until__lt=now - revivable).delete()
    MeshReceipt.objects.filter(taken_at__lt=now - RECEIPTS_KEPT).delete()
    MeshGroup.objects.filter(ended_at__lt=now - ENDED_KEPT).delete()
    return ended


def open_stream(group: MeshGroup) -> int:
    """Make sure that the group's stream is there, from its making on and while it lives; where it stands."""
    try:
        return streams().open(group.stream).seq
    except Unavailable:
        return 0  # whoever comes next opens it


def _fire(group_id: str, domain: str, node_id: str, events: Sequence[Fired], *, recorded: bool) -> MeshEventsFired:
    _check_id("nodeId", node_id)
    if len(events) > EVENTS_AT_ONCE:
        raise ValidationError(f"events must hold {EVENTS_AT_ONCE} entries or less")
    for event in events:
        _check_text("eventName", event.name, ID_CHARACTERS)
        _check_text("payload", event.payload or "", TEXT_CHARACTERS)
        _check_text("orderKey", event.order_key or "", ID_CHARACTERS)
    fired_at = [_moment(event.fired_at) for event in events]
    now = clock.now()
    with transaction.atomic():
        group = lock_live_group(group_id, domain)
        new = _untaken(group, node_id, events, now)
        times = _times([fired_at[index] for index in new], group, now)
        payloads: list[MeshEventPayload] = [
            {
                "name": events[index].name,
                "payload": events[index].payload,
                "timestamp": clock.stamp(time),
                "fired_at": events[index].fired_at,
                "order_key": events[index].order_key,
            }
            for index, time in zip(new, times, strict=True)
        ]
        group.nodes.filter(node_id=node_id).update(seen_at=now)
        fired = MeshEventsFired(str(group.pk), domain, node_id, payloads, recorded, clock.stamp(now))
        if payloads:
            group.events_until = times[-1]
            group.save(update_fields=["events_until"])
            _publish(fired, group)
    return fired


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
    """Times on the server's clock that keep the sender's spacing, up to SPREAD_SECONDS, and never decrease."""
    if not fired_at:
        return []
    spread = timedelta(seconds=SPREAD_SECONDS)
    offsets = [min(max(moment - fired_at[0], timedelta()), spread) for moment in fired_at]
    begin = now - max(offsets)
    newest = group.events_until or begin
    times = []
    for offset in offsets:
        newest = max(newest, begin + offset)
        times.append(newest)
    return times


def _end(group: MeshGroup, how: Ended) -> MeshGroupDissolved:
    """End a locked group, and tell it. What its nodes reported goes; its log stays a while."""
    said = {
        Ended.HOST: "has been dissolved successfully.",
        Ended.TIME: "has been dissolved: its time was over.",
        Ended.SILENCE: "has been dissolved: its host was silent.",
    }
    now = clock.now()
    group.ended, group.ended_at = how, now
    group.save(update_fields=["ended", "ended_at"])
    group.nodes.all().delete()
    group.values_reported.all().delete()
    group.receipts.all().delete()
    message = f"Group {group.full_id} {said[how]}"
    dissolved = MeshGroupDissolved(str(group.pk), group.domain, message, clock.stamp(now))
    _publish(dissolved, group)
    return dissolved


def _publish(event: Event, group: MeshGroup) -> None:
    publish(event, to=Audience("mesh", {"id": str(group.pk)}), order=group.stream)


def _alive(group: MeshGroup) -> MeshGroup:
    if group.expired or group.ended == Ended.TIME:
        raise GroupNotFound(f"Group expired: {group.full_id} (expiresAt: {clock.stamp(group.expires_at)})")
    if group.silent or group.ended == Ended.SILENCE:
        raise GroupNotFound(f"Group not found: {group.full_id} (heartbeat expired)")
    return group


def _blocked(node: MeshNode, now: datetime) -> bool:
    waited = now - node.joined_at > timedelta(seconds=SUBSCRIBES_WITHIN_SECONDS)
    return not node.use_websocket or (waited and node.subscribed_at is None)


def _check_new(domain: str, name: str, host_id: str, max_seconds: int | None) -> None:
    if len(domain.encode("utf-16-le", "surrogatepass")) // 2 > DOMAIN_UNITS:
        raise ValidationError(f"Domain must be {DOMAIN_UNITS} characters or less")
    _check_text("domain", domain, ID_CHARACTERS)
    _check_text("name", name, ID_CHARACTERS)
    _check_id("hostId", host_id)
    most = settings.MESH_MAX_CONNECTION_TIME_SECONDS
    if max_seconds is not None and max_seconds < 1:
        raise ValidationError("maxConnectionTimeSeconds must be at least 1")
    if max_seconds is not None and max_seconds > most:
        raise ValidationError(f"maxConnectionTimeSeconds cannot exceed {most}")


def _check_id(name: str, value: str) -> None:
    if not value:
        raise ValidationError(f"{name} is required")
    _check_text(name, value, ID_CHARACTERS)


def _check_text(name: str, value: str, most: int) -> None:
    if len(value) > most:
        raise ValidationError(f"{name} must be {most} characters or less")
    if not _storable(value):
        raise ValidationError(f"{name} holds a character that cannot be stored")


def _storable(*texts: str) -> bool:
    """PostgreSQL stores no NUL, and UTF-8 knows no lone surrogates."""
    try:
        return all("\0" not in text and text.encode() is not None for text in texts)
    except UnicodeEncodeError:
        return False


def _moment(text: str) -> datetime:
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValidationError("firedAt must be an ISO 8601 time with a zone")
    return moment
