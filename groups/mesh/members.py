"""What nodes do to be in a group. Behaviour and texts are those that shipped clients know.

Source: smalruby/mesh-v2; where we differ, docs/mesh-v2.md says why.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from groups.mesh.event_log import open_stream
from groups.mesh.events import MeshNodeJoined, MeshNodeLeft, tell_group
from groups.mesh.finding import NodeNotFound, found_group, live_group, lock_live_group
from groups.mesh.texts import check_id, storable
from groups.models import MeshDomain, MeshGroup, MeshNode
from realtime import clock

SUBSCRIBES_WITHIN_SECONDS = 5.0
"""A node that was told to subscribe, did not and comes again is behind something that blocks WebSockets."""
SUBSCRIBES_SOON_SECONDS = 30.0
"""A subscription later than that is no sign of a node that joined: it is somebody's who comes back."""


class GroupFull(ValidationError):
    """MESH_NODES_PER_GROUP are in it. The text holds none of the words on which clients disconnect."""


class Joined(NamedTuple):
    group: MeshGroup
    node: MeshNode


def join_group(
    *, group_id: str, domain: str, node_id: str, use_websocket: bool | None = None, address: str = ""
) -> Joined:
    """Join, or join again, which refreshes. The node is told to poll when it says so, when its group or its school
    polls, or when it comes again without having subscribed: then something blocks its WebSocket.

    Raises GroupNotFound, GroupFull and ValidationError.
    """
    check_id("nodeId", node_id)
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
        tell_group(MeshNodeJoined(str(group.pk), domain, node_id, told, clock.stamp(now)), group)
    return Joined(group, node)


def leave_group(*, group_id: str, domain: str, node_id: str) -> None:
    """Leave. It always succeeds, for unknown groups and nodes too."""
    with transaction.atomic():
        group = found_group(group_id, domain)
        if group is None or not storable(node_id):
            return
        MeshGroup.objects.select_for_update().filter(pk=group.pk).first()
        left, _rows = group.nodes.filter(node_id=node_id).delete()
        group.values_reported.filter(node_id=node_id).delete()
        if left:
            tell_group(MeshNodeLeft(str(group.pk), domain, node_id, clock.stamp(clock.now())), group)


def beat_of_member(*, group_id: str, domain: str, node_id: str) -> Joined:
    """A sign of life of a node. One whose lease is over and that was not swept yet lives on.

    Raises GroupNotFound and NodeNotFound.
    """
    now = clock.now()
    group = live_group(group_id, domain)
    node = group.nodes.filter(node_id=node_id).first() if storable(node_id) else None
    if node is None:
        raise _gone(group_id, domain)
    node.seen_at = now
    node.alive_until = now + timedelta(seconds=settings.MESH_MEMBER_HEARTBEAT_TTL_SECONDS)
    if not group.nodes.filter(pk=node.pk).update(seen_at=node.seen_at, alive_until=node.alive_until):
        raise _gone(group_id, domain)
    return Joined(group, node)


def subscribed(*, group: MeshGroup, address: str) -> None:
    """A subscription came from an address. It is taken for that of the node that joined last from there: a school has
    one address, and the WebSocket of one pupil says nothing of that of another.
    """
    soon = clock.now() - timedelta(seconds=SUBSCRIBES_SOON_SECONDS)
    nodes = group.nodes.filter(address=address, use_websocket=True, subscribed_at=None, joined_at__gt=soon)
    if address and (node := nodes.order_by("-joined_at", "-pk").first()) is not None:
        group.nodes.filter(pk=node.pk).update(subscribed_at=clock.now())


def _gone(group_id: str, domain: str) -> NodeNotFound:
    """Of a node that is not there. Raises GroupNotFound when it went with its group, at this moment perhaps."""
    live_group(group_id, domain)
    return NodeNotFound("Node not found")


def _blocked(node: MeshNode, now: datetime) -> bool:
    waited = now - node.joined_at > timedelta(seconds=SUBSCRIBES_WITHIN_SECONDS)
    return not node.use_websocket or (waited and node.subscribed_at is None)
