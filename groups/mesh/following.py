"""Following a group over our own socket and poll: which stream, for whom, and until when."""

from functools import partial
from typing import Any

from django.conf import settings

from groups.mesh import finding, leases, members
from groups.mesh.callers import owner_of, spend
from groups.mesh.events import MeshGroupDissolved
from groups.mesh.graphql.http import address_of
from groups.mesh.leases import Kept
from groups.models import MeshGroup
from realtime import threads
from realtime.doors import Followed, Reader, Scope, query_of
from realtime.errors import Close, RateLimited, Refused
from realtime.hub import hub
from realtime.session import Last

LAST = Last(MeshGroupDissolved.name, "mesh_group_not_found")
FOLLOWERS_PER_NODE = 3
"""A node that comes back may have a dead connection yet, and polls beside the socket that it tries."""


async def group_stream(reader: Reader, named: str | None, scope: Scope) -> Followed:
    """The stream of the group that the path names and `domain` in the query, which has to be its domain.

    `node_id` says which node of the group follows, or `host_id` that it is the host: it lives while it follows, without
    heartbeats. A group that is over may still be followed from a cursor, to the end. Raises Refused.
    """
    query = query_of(scope)
    over_websocket = scope["type"] == "websocket"
    found = await threads.run(_found, reader, named or "", query, address_of(scope), over_websocket)
    if len(hub.sessions(found.stream)) >= FOLLOWERS_PER_NODE * settings.MESH_NODES_PER_GROUP:
        raise Refused(Close.OVERLOADED, "mesh_group_full")
    return found


def _found(reader: Reader, group_id: str, query: dict[str, str], address: str, over_websocket: bool) -> Followed:
    if reader.scopes.isdisjoint({"read", "mesh"}):
        raise Refused(Close.FORBIDDEN, "scope_missing")
    owner = owner_of(reader.user_id, reader.credential)
    try:
        spend(owner, address)
    except RateLimited:
        raise Refused(Close.OVERLOADED, "rate_limited") from None
    domain = query.get("domain", "")
    if reader.domains and domain not in reader.domains:
        raise Refused(Close.FORBIDDEN, "forbidden")
    group = finding.found_group(group_id, domain, over_too=True)
    has_cursor = "resume_from" in query or "since" in query
    if group is None or (group.ended and not has_cursor):
        raise Refused(Close.NOT_YOUR_STREAM, LAST.code)
    if group.ended:
        return Followed(group.stream, leased=False, last=LAST, over=True)
    kept = _kept(reader, group, query, owner, over_websocket)
    on_bye = None
    if kept is not None and kept.node is not None:
        on_bye = partial(members.leave_group, group_id=group_id, domain=domain, node_id=query["node_id"])
    return Followed(group.stream, leased=False, last=LAST, keeps=kept, on_bye=on_bye)


def _kept(reader: Reader, group: MeshGroup, query: dict[str, Any], owner: str, over_websocket: bool) -> Kept | None:
    """The lease of whom the query names."""
    if "node_id" not in query and "host_id" not in query:
        return None
    if reader.scopes.isdisjoint({"write", "mesh"}):
        raise Refused(Close.FORBIDDEN, "scope_missing")
    try:
        if "node_id" in query:
            return leases.follow_as_node(group=group, node_id=query["node_id"], over_websocket=over_websocket)
        return leases.follow_as_host(group=group, host_id=query["host_id"], key=owner)
    except finding.NodeNotFound:
        raise Refused(Close.NOT_YOUR_STREAM, "mesh_node_not_found") from None
    except finding.NotTheHost:
        raise Refused(Close.FORBIDDEN, "not_the_host") from None
