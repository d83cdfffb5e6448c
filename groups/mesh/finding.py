"""Finding the group that a call is about, and what is said when it is not there.

The texts are those on which shipped clients act; source: smalruby/mesh-v2.
"""

from collections.abc import Collection
from uuid import UUID

from django.db.models import QuerySet

from groups.mesh.texts import storable
from groups.models import MeshGroup
from groups.models.mesh import Ended
from realtime import clock
from realtime.errors import Forbidden, NotThere

Place = tuple[str, str]
"""The id and the domain of a group, which a call has to know both."""


class GroupNotFound(NotThere):
    """There is no such group, or it is over. Clients disconnect."""

    code = "mesh_group_not_found"


class NodeNotFound(NotThere):
    """The node is not in the group. Clients disconnect."""

    code = "mesh_node_not_found"


class NotTheHost(Forbidden):
    """Only the host may do this. Clients disconnect."""

    code = "not_the_host"


def found_group(group_id: str, domain: str, *, over_too: bool = False) -> MeshGroup | None:
    """A group by the pair: the right id with the wrong domain is not found."""
    return found_in(MeshGroup.objects.all() if over_too else MeshGroup.objects.there(), group_id, domain)


def live_group(group_id: str, domain: str) -> MeshGroup:
    """The group, if it is alive for joining, reports, events and heartbeats. Raises GroupNotFound."""
    return _alive(found_in(MeshGroup.objects.all(), group_id, domain), group_id, domain)


def lock_live_group(group_id: str, domain: str) -> MeshGroup:
    """`live_group`, locked until the transaction ends: what follows happens in the order of its stream."""
    return _alive(found_in(MeshGroup.objects.select_for_update(), group_id, domain), group_id, domain)


def lock_live_groups(places: Collection[Place]) -> dict[Place, MeshGroup | GroupNotFound]:
    """`lock_live_group` of many at once: for each its group, or what would have been raised."""
    wanted = {place: pk for place in places if (pk := _pk_of(*place)) is not None}
    # In one order, so that two who lock some of the same never wait for each other.
    locked = MeshGroup.objects.select_for_update().filter(pk__in=set(wanted.values())).order_by("pk")
    groups = {(str(group.pk), group.domain): group for group in locked}
    found: dict[Place, MeshGroup | GroupNotFound] = {}
    for place in places:
        try:
            found[place] = _alive(groups.get(place), *place)
        except GroupNotFound as gone:
            found[place] = gone
    return found


def is_host(group: MeshGroup, host_id: str, key: str) -> bool:
    """Lists show the ids of hosts, so whoever brings another key than the host did is none, whatever id they know."""
    return group.host_id == host_id and (not key or not group.host_key or key == group.host_key)


def found_in(groups: QuerySet[MeshGroup], group_id: str, domain: str) -> MeshGroup | None:
    pk = _pk_of(group_id, domain)
    return None if pk is None else next(iter(groups.filter(pk=pk, domain=domain)), None)


def _pk_of(group_id: str, domain: str) -> UUID | None:
    """None for what names no group."""
    try:
        pk = UUID(group_id)
    except ValueError:
        return None
    return pk if str(pk) == group_id and storable(domain) else None


def _alive(group: MeshGroup | None, group_id: str, domain: str) -> MeshGroup:
    if group is None or group.ended == Ended.HOST:
        raise GroupNotFound(f"Group not found: {group_id}@{domain}")
    if group.expired or group.ended == Ended.TIME:
        raise GroupNotFound(f"Group expired: {group.full_id} (expiresAt: {clock.stamp(group.expires_at)})")
    if group.silent or group.ended == Ended.SILENCE:
        raise GroupNotFound(f"Group not found: {group.full_id} (heartbeat expired)")
    return group
