"""What lives as long as somebody follows a group over our own doors: their node, or the group that they host."""

from collections.abc import Collection
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import transaction

from groups.mesh.finding import NodeNotFound, NotTheHost, is_host
from groups.models import MeshGroup, MeshNode
from realtime import clock

RENEWED_AFTER_SECONDS = 15.0
"""Not at every sweep and every poll: nobody needs it more exactly, and each time is a write."""


class Kept(NamedTuple):
    """What a session keeps alive: a node, by its primary key, or a group, whose host it is."""

    node: int | None = None
    hosted: UUID | None = None


def follow_as_node(*, group: MeshGroup, node_id: str, over_websocket: bool) -> Kept:
    """A node follows its group, which is a sign of life. Raises NodeNotFound."""
    node = None if "\0" in node_id else group.nodes.filter(node_id=node_id).first()
    if node is None:
        raise NodeNotFound("Node not found")
    now = clock.now()
    told = node.use_websocket is over_websocket and node.subscribed_at is not None
    if not told or node.alive_until < now + _node_life() - _renewed_after(_node_life()):
        MeshNode.objects.filter(pk=node.pk).update(
            use_websocket=over_websocket, subscribed_at=now, seen_at=now, alive_until=now + _node_life()
        )
    return Kept(node=node.pk)


def follow_as_host(*, group: MeshGroup, host_id: str, key: str) -> Kept:
    """The host follows its group, which is a sign of life. Raises NotTheHost."""
    if not is_host(group, host_id, key):
        raise NotTheHost("Only the host can renew the heartbeat")
    kept = Kept(hosted=group.pk)
    renew([kept])
    return kept


def renew(kept: Collection[Kept]) -> None:
    """Signs of life of all that is kept. What is gone stays gone."""
    now = clock.now()
    if nodes := {one.node for one in kept if one.node is not None}:
        stale = now + _node_life() - _renewed_after(_node_life())
        old = MeshNode.objects.filter(pk__in=nodes, alive_until__lt=stale)
        with transaction.atomic():
            # Who is just telling something holds its row, and perhaps those of others: next time will do for them.
            free = list(old.select_for_update(skip_locked=True).values_list("pk", flat=True))
            MeshNode.objects.filter(pk__in=free).update(seen_at=now, alive_until=now + _node_life())
    if hosted := {one.hosted for one in kept if one.hosted is not None}:
        patience = timedelta(seconds=settings.MESH_HOST_HEARTBEAT_TTL_SECONDS)
        stale = now - _renewed_after(patience)
        silent = MeshGroup.objects.there().filter(pk__in=hosted, heartbeat_at__lt=stale)
        with transaction.atomic():
            # In the order of all who lock several groups.
            mine = list(silent.select_for_update().order_by("pk").values_list("pk", flat=True))
            MeshGroup.objects.filter(pk__in=mine).update(heartbeat_at=now)


def _renewed_after(life: timedelta) -> timedelta:
    return min(timedelta(seconds=RENEWED_AFTER_SECONDS), life / 4)


def _node_life() -> timedelta:
    return timedelta(seconds=settings.MESH_MEMBER_HEARTBEAT_TTL_SECONDS)
