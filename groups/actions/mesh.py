"""What hosts and nodes of a classroom do. Behaviour, texts and types of errors are those that shipped clients know.

Source: smalruby/mesh-v2; where we differ, docs/mesh-v2.md says why.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet, Sum
from django.db.models.functions import Length
from django.utils.dateparse import parse_datetime

from groups import mesh_log
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
from realtime.errors import Forbidden, NotThere, Unavailable
from realtime.events import Event
from realtime.publish import Audience, audience_kind, publish

DOMAIN_UNITS = 256
"""UTF-16 code units, as clients count."""
TEXT_CHARACTERS = 65_536
"""Of a value or a payload."""
DATA_AT_ONCE = 1000
"""Keys in one report."""
VALUES_PER_GROUP = 10_000
LONG_VALUE_CHARACTERS = 1000
LONG_VALUES_CHARACTERS = 4_000_000
"""Of all values of a group together. It is counted only where there is a long one."""
GROUPS_PER_DOMAIN = 1000
EVENTS_AT_ONCE = 1000
SPREAD_SECONDS = 1.0
"""Over how long the events of one batch may be spread: what clients collect before they send."""
SUBSCRIBES_WITHIN_SECONDS = 5.0
"""A node that was told to subscribe, did not and comes again is behind something that blocks WebSockets."""
SUBSCRIBES_SOON_SECONDS = 30.0
"""A subscription later than that is no sign of a node that joined: it is somebody's who comes back."""
RECEIPTS_KEPT = timedelta(minutes=10)
ENDED_KEPT = timedelta(days=1)


class GroupNotFound(NotThere):
    """There is no such group, or it is over. Clients disconnect."""

    code = "mesh_group_not_found"


class NodeNotFound(NotThere):
    """The node is not in the group. Clients disconnect."""

    code = "mesh_node_not_found"


class NotTheHost(Forbidden):
    """Only the host may do this. Clients disconnect."""

    code = "not_the_host"


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
    *, domain: str, name: str, host_id: str, max_seconds: int | None = None, use_websocket: bool = True, key: str = ""
) -> MeshGroup:
    """Make a group. While a host has one in a domain it gets that one, whatever else it asks for.

    `key` names the API key that it is made with, and that the host's other calls have to come with.

    Raises ValidationError.
    """
    if _storable(domain, host_id):
        listed = MeshGroup.objects.listed().filter(domain=domain, host_id=host_id)
        if (group := listed.first()) is not None:
            return group
    _check_new(domain, name, host_id, max_seconds)
    if MeshDomain.objects.filter(name=domain, polls=True).exists():
        use_websocket = False
    now = clock.now()
    try:
        with transaction.atomic():
            mine = MeshGroup.objects.there().select_for_update().filter(domain=domain, host_id=host_id)
            if (dead := mine.first()) is not None:
                if dead.listed:
                    return dead  # the same host asked at the same moment, and made it meanwhile
                _end(dead, Ended.TIME if dead.expires_at < now + timedelta(seconds=1) else Ended.SILENCE)
            group = MeshGroup.objects.create(
                domain=domain,
                name=name,
                host_id=host_id,
                use_websocket=use_websocket,
                created_at=now,
                expires_at=now + timedelta(seconds=max_seconds or settings.MESH_MAX_CONNECTION_TIME_SECONDS),
                heartbeat_at=now,
                host_key=key,
            )
    except IntegrityError:
        # The same host asked at the same moment and was first, and it could not be seen yet.
        return create_group(
            domain=domain, name=name, host_id=host_id, max_seconds=max_seconds, use_websocket=use_websocket, key=key
        )
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
    joined_after = open_stream(live_group(group_id, domain))
    with transaction.atomic():
        group = lock_live_group(group_id, domain)
        now = clock.now()
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
                "joined_after": joined_after,
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
        MeshGroup.objects.select_for_update().filter(pk=group.pk).first()
        left, _rows = group.nodes.filter(node_id=node_id).delete()
        group.values_reported.filter(node_id=node_id).delete()
        if left:
            _publish(MeshNodeLeft(str(group.pk), domain, node_id, clock.stamp(clock.now())), group)


def dissolve_group(*, group_id: str, domain: str, host_id: str, key: str = "") -> MeshGroupDissolved:
    """End the group. A group that ended by itself may be dissolved yet, for its host asks to.

    Raises ValidationError for an empty argument, GroupNotFound and NotTheHost.
    """
    for name, value in (("groupId", group_id), ("domain", domain), ("hostId", host_id)):
        if not value:
            raise ValidationError(f"{name} is required")
    with transaction.atomic():
        group = _found(MeshGroup.objects.select_for_update(), group_id, domain)
        if group is None or group.ended == Ended.HOST:
            raise GroupNotFound(f"Group not found: {group_id}@{domain}")
        if not is_host(group, host_id, key):
            raise NotTheHost("Only the host can dissolve the group")
        return _end(group, Ended.HOST)


def renew_heartbeat(*, group_id: str, domain: str, host_id: str, key: str = "") -> MeshGroup:
    """A sign of life of the host. It does not move `expires_at`. Raises GroupNotFound and NotTheHost."""
    with transaction.atomic():
        group = lock_live_group(group_id, domain)
        if not is_host(group, host_id, key):
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
        raise _gone(group_id, domain)
    node.seen_at = now
    node.alive_until = now + timedelta(seconds=settings.MESH_MEMBER_HEARTBEAT_TTL_SECONDS)
    if not group.nodes.filter(pk=node.pk).update(seen_at=node.seen_at, alive_until=node.alive_until):
        raise _gone(group_id, domain)
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


def subscribed(*, group: MeshGroup, address: str) -> None:
    """A subscription came from an address. It is taken for that of the node that joined last from there: a school has
    one address, and the WebSocket of one pupil says nothing of that of another.
    """
    soon = clock.now() - timedelta(seconds=SUBSCRIBES_SOON_SECONDS)
    nodes = group.nodes.filter(address=address, use_websocket=True, subscribed_at=None, joined_at__gt=soon)
    if address and (node := nodes.order_by("-joined_at", "-pk").first()) is not None:
        group.nodes.filter(pk=node.pk).update(subscribed_at=clock.now())


def is_moment(text: str) -> bool:
    """Whether it is an ISO 8601 time with a zone, as `fired_at` has to be. Any year will do."""
    try:
        _moment(text)
    except ValidationError:
        return False
    return True


def found_group(group_id: str, domain: str, *, over_too: bool = False) -> MeshGroup | None:
    """A group by the pair: the right id with the wrong domain is not found."""
    return _found(MeshGroup.objects.all() if over_too else MeshGroup.objects.there(), group_id, domain)


def live_group(group_id: str, domain: str) -> MeshGroup:
    """The group, if it is alive for joining, reports, events and heartbeats. Raises GroupNotFound."""
    return _alive(_found(MeshGroup.objects.all(), group_id, domain), group_id, domain)


def lock_live_group(group_id: str, domain: str) -> MeshGroup:
    """`live_group`, locked until the transaction ends: what follows happens in the order of its stream."""
    return _alive(_found(MeshGroup.objects.select_for_update(), group_id, domain), group_id, domain)


def is_host(group: MeshGroup, host_id: str, key: str) -> bool:
    """Lists show the ids of hosts, so whoever brings another key than the host did is none, whatever id they know."""
    return group.host_id == host_id and (not key or not group.host_key or key == group.host_key)


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
    """Make sure that the group's stream is there, from its making on and while it lives; where its log stands, as a
    number of cursors.
    """
    try:
        return mesh_log.top(group)
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
            _publish(replace(fired, events=[payloads[index] for index in new]), group)
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


def _found(groups: QuerySet[MeshGroup], group_id: str, domain: str) -> MeshGroup | None:
    try:
        pk = UUID(group_id)
    except ValueError:
        return None
    if str(pk) != group_id or not _storable(domain):
        return None
    return next(iter(groups.filter(pk=pk, domain=domain)), None)


def _alive(group: MeshGroup | None, group_id: str, domain: str) -> MeshGroup:
    if group is None or group.ended == Ended.HOST:
        raise GroupNotFound(f"Group not found: {group_id}@{domain}")
    if group.expired or group.ended == Ended.TIME:
        raise GroupNotFound(f"Group expired: {group.full_id} (expiresAt: {clock.stamp(group.expires_at)})")
    if group.silent or group.ended == Ended.SILENCE:
        raise GroupNotFound(f"Group not found: {group.full_id} (heartbeat expired)")
    return group


def _gone(group_id: str, domain: str) -> NodeNotFound:
    """Of a node that is not there. Raises GroupNotFound when it went with its group, at this moment perhaps."""
    live_group(group_id, domain)
    return NodeNotFound("Node not found")


def _blocked(node: MeshNode, now: datetime) -> bool:
    waited = now - node.joined_at > timedelta(seconds=SUBSCRIBES_WITHIN_SECONDS)
    return not node.use_websocket or (waited and node.subscribed_at is None)


def _check_new(domain: str, name: str, host_id: str, max_seconds: int | None) -> None:
    if len(domain.encode("utf-16-le", "surrogatepass")) // 2 > DOMAIN_UNITS:
        raise ValidationError(f"Domain must be {DOMAIN_UNITS} characters or less")
    _check_text("domain", domain, ID_CHARACTERS)
    _check_text("name", name, ID_CHARACTERS)
    _check_id("hostId", host_id)
    if MeshGroup.objects.there().filter(domain=domain).count() >= GROUPS_PER_DOMAIN:
        raise ValidationError("This domain holds too many groups.")
    most = settings.MESH_MAX_CONNECTION_TIME_SECONDS
    if max_seconds is not None and max_seconds < 1:
        raise ValidationError("maxConnectionTimeSeconds must be at least 1")
    if max_seconds is not None and max_seconds > most:
        raise ValidationError(f"maxConnectionTimeSeconds cannot exceed {most}")


def _check_room(group: MeshGroup, values: Mapping[str, str]) -> None:
    stored = group.values_reported.all()
    if stored.count() + len(values) > VALUES_PER_GROUP:
        raise ValidationError("This group holds too many values.")
    if any(len(value) > LONG_VALUE_CHARACTERS for value in values.values()):
        held = stored.aggregate(characters=Sum(Length("value")))["characters"] or 0
        if held + sum(map(len, values.values())) > LONG_VALUES_CHARACTERS:
            raise ValidationError("The values of this group are too long.")


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
    except (ValueError, OverflowError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValidationError("firedAt must be an ISO 8601 time with a zone")
    return moment
