"""What is read of groups: lists, statuses, events. None of it asks whether a group exists: an unknown one is empty."""

from collections import OrderedDict, defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta
from threading import Lock
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models.functions import Substr

from groups.mesh import event_log
from groups.mesh.event_log import Logged
from groups.mesh.events import MeshDatum
from groups.mesh.finding import found_group
from groups.models import MeshGroup, MeshNode
from realtime import clock
from realtime.streams import Position

SEARCHED: int = 10
SEARCHED_AT_MOST = 50
PREFIX_CHARACTERS = 6


class Status(NamedTuple):
    """What a node reported at one moment, of what it did not report again later."""

    node_id: str
    values: list[MeshDatum]
    reported_at: datetime


class Polled(NamedTuple):
    events: list[Logged]
    statuses: list[Status]


def groups_in(domain: str) -> list[MeshGroup]:
    """The groups of a domain that live, in the order of their making."""
    if "\0" in domain:
        return []
    return list(MeshGroup.objects.listed().filter(domain=domain).order_by("created_at", "pk"))


def groups_named(prefix: str, limit: int | None, *, domains: Collection[str]) -> list[MeshGroup]:
    """Groups that live and whose name begins so, the newest first; in these domains, or in all when there are none.

    Raises ValidationError for a prefix that is not of 1 to 6 characters.
    """
    if not 1 <= len(prefix) <= PREFIX_CHARACTERS:
        raise ValidationError("namePrefix must be 1-6 characters")
    if "\0" in prefix:
        return []
    # SQLite's LIKE, which finds them by the index, takes a for A.
    beginning = Substr("name", 1, len(prefix))
    found = MeshGroup.objects.listed().filter(name__startswith=prefix).alias(beginning=beginning)
    found = found.filter(beginning=prefix)
    if domains:
        found = found.filter(domain__in=domains)
    wanted = SEARCHED if limit is None else max(1, min(limit, SEARCHED_AT_MOST))
    return list(found.order_by("-created_at")[:wanted])


def nodes_in(group_id: str, domain: str) -> list[MeshNode]:
    """The nodes that live, in the order of their joining."""
    group = found_group(group_id, domain)
    return [] if group is None else list(group.nodes.alive().order_by("joined_at", "pk"))


def statuses_in(group_id: str, domain: str) -> list[Status]:
    """What the host, the living nodes and whoever reported lately reported, oldest first: of each one for each moment
    that values are of.

    One for all would give old values the time of new ones, and of a name that several nodes have the newest counts.
    """
    group = found_group(group_id, domain)
    return [] if group is None else _statuses_of(group)


def status_of_node(node_id: str, *, domains: Collection[str]) -> tuple[str, str, Status] | None:
    """Group, domain and all that a node reported there, where it joined last. None for hosts and unknown nodes."""
    if "\0" in node_id:
        return None
    nodes = MeshNode.objects.alive().filter(node_id=node_id, group__ended=None).select_related("group")
    if domains:
        nodes = nodes.filter(group__domain__in=domains)
    node = nodes.order_by("-joined_at").first()
    if node is None:
        return None
    rows = list(node.group.values_reported.filter(node_id=node_id).order_by("reported_at", "pk"))
    if not rows:
        return None
    values: list[MeshDatum] = [{"key": row.key, "value": row.value} for row in rows]
    return str(node.group_id), node.group.domain, Status(node_id, values, rows[-1].reported_at)


def events_since(group_id: str, domain: str, since: str) -> list[Logged]:
    """A page of the log after a cursor; see `groups.mesh.event_log`. Raises Unavailable."""
    # The log outlives the group: what came just before its end is read after it.
    group = found_group(group_id, domain, over_too=True)
    return [] if group is None else event_log.events_since(group, since)


def polled(group_id: str, domain: str, since: str) -> Polled:
    """`events_since` and `statuses_in` of one look at the group, which all who poll ask for. Raises Unavailable."""
    group = found_group(group_id, domain, over_too=True)
    if group is None:
        return Polled([], [])
    at = event_log.position(group)
    events = event_log.events_since(group, since, at=at)
    return Polled(events, [] if group.ended else _polled_statuses.of(group, at))


class _PolledStatuses:
    """The statuses of groups, remembered as long as nothing is told in them: a class asks for them all the time.

    What is reported is stored before it is told, so what was read when the stream stood somewhere is never older than
    that.
    """

    GROUPS = 256
    VALUES = 500
    CHARACTERS = 65_536
    """Of the values of one group. More are not remembered."""
    SECONDS = 1.0
    """A node whose lease ends says nothing."""

    def __init__(self) -> None:
        self._known: OrderedDict[UUID, tuple[Position, float, list[Status]]] = OrderedDict()
        self._lock = Lock()

    def of(self, group: MeshGroup, at: Position) -> list[Status]:
        now = clock.monotonic()
        with self._lock:
            known_at, until, known = self._known.get(group.pk, (None, now, []))
        if known_at == at and now < until:
            return known
        statuses = _statuses_of(group)
        values = [datum["value"] for status in statuses for datum in status.values]
        with self._lock:
            self._known.pop(group.pk, None)
            if len(values) <= self.VALUES and sum(map(len, values)) <= self.CHARACTERS:
                self._known[group.pk] = (at, now + self.SECONDS, statuses)
                if len(self._known) > self.GROUPS:
                    self._known.popitem(last=False)
        return statuses


_polled_statuses = _PolledStatuses()


def _statuses_of(group: MeshGroup) -> list[Status]:
    # Two plain queries, and as a rule one, cost less than one with all of it, which Django takes long to build.
    rows = list(
        group.values_reported.order_by("reported_at", "pk").values_list("reported_at", "node_id", "key", "value")
    )
    long_ago = clock.now() - timedelta(seconds=settings.MESH_MEMBER_HEARTBEAT_TTL_SECONDS)
    shown = {group.host_id} | {node_id for at, node_id, _key, _value in rows if at > long_ago}
    if any(node_id not in shown for _at, node_id, _key, _value in rows):
        shown |= set(group.nodes.alive().values_list("node_id", flat=True))
    statuses: defaultdict[tuple[datetime, str], list[MeshDatum]] = defaultdict(list)
    for at, node_id, key, value in rows:
        if node_id in shown:
            statuses[at, node_id].append({"key": key, "value": value})
    return [Status(node_id, values, at) for (at, node_id), values in statuses.items()]
