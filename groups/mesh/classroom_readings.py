"""What teachers see of domains and groups, beside what members see: who is where, since when and over what."""

from collections import deque
from datetime import timedelta
from typing import NamedTuple

from django.db.models import Count, Q, QuerySet

from groups.mesh import event_log, readings
from groups.mesh.event_log import Logged
from groups.mesh.readings import Status
from groups.models import MeshDomain, MeshGroup, MeshNode, User
from groups.roles import RIGHTS, Deed
from realtime import clock
from realtime.streams import Position

DOMAINS = 500
GROUPS = 1000
ENDED = 20
"""Groups that are over and shown yet, and how long."""
ENDED_FOR = timedelta(hours=1)
EVENTS = 500
"""Of a group's log the newest are shown,"""
ENTRIES = 3000
"""as far as they are in its newest entries: reports are there, too."""


class Group(NamedTuple):
    group: MeshGroup
    node_count: int


class Look(NamedTuple):
    """A group at one moment. What is told later follows after `position`."""

    nodes: list[MeshNode]
    statuses: list[Status]
    events: list[Logged]
    position: Position


def looks_after_any(user: User) -> bool:
    """Whether there is something for them on the teacher's page: a workspace to take a domain into, or a domain."""
    may = RIGHTS[Deed.RUN_CLASSROOM].roles
    return user.is_staff or user.workspace_memberships.filter(role__in=may).exists()


def domains_of(user: User) -> list[MeshDomain]:
    """The domains that somebody looks after, by name."""
    domains = MeshDomain.objects.select_related("workspace").order_by("name")
    if not user.is_staff:
        may = RIGHTS[Deed.RUN_CLASSROOM].roles
        domains = domains.filter(workspace__members__user=user, workspace__members__role__in=may)
    return list(domains[:DOMAINS])


def groups_in(domain: str) -> list[Group]:
    """The groups of a domain that live, the newest first, then those that ended lately."""
    groups = MeshGroup.objects.filter(domain=domain)
    ended = groups.filter(ended_at__gt=clock.now() - ENDED_FOR).order_by("-ended_at", "-pk")
    living = MeshGroup.objects.listed().filter(domain=domain).order_by("-created_at", "-pk")
    return [*_counted(living, GROUPS), *_counted(ended, ENDED)]


def hosted_by(user: User, host_key: str) -> list[MeshGroup]:
    """The living groups that were made with a key, in the domains that somebody looks after."""
    names = [domain.name for domain in domains_of(user)]
    return list(
        MeshGroup.objects.listed().filter(host_key=host_key, domain__in=names).order_by("created_at", "pk")[:GROUPS]
    )


def look_at(group: MeshGroup) -> Look:
    """What a group holds. Raises Unavailable."""
    # The position first: what happens between it and the rest comes twice, and not never.
    top = event_log.top(group)
    position = Position(group.log_epoch, top // event_log.PLACES % event_log.SEQS)
    return Look(
        readings.nodes_in(str(group.pk), group.domain),
        readings.statuses_in(str(group.pk), group.domain),
        _newest_events(group, top),
        position,
    )


def _counted(groups: QuerySet[MeshGroup], most: int) -> list[Group]:
    alive = Count("nodes", filter=Q(nodes__in=MeshNode.objects.alive()))
    return [Group(group, group.node_count) for group in groups.annotate(node_count=alive)[:most]]


def _newest_events(group: MeshGroup, top: int) -> list[Logged]:
    newest: deque[Logged] = deque(maxlen=EVENTS)
    since = max(0, top - ENTRIES * event_log.PLACES)
    while page := event_log.events_since(group, event_log.PREFIX + f"{since:0{event_log.DIGITS}}", most=EVENTS):
        since = int(page[-1].cursor.removeprefix(event_log.PREFIX))
        newest.extend(event for event in page if int(event.cursor.removeprefix(event_log.PREFIX)) <= top)
        if since >= top:
            break
    return list(newest)
