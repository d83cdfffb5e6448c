"""Classrooms for new clients: the same groups as over GraphQL, with our own calls.

A person may call them with an account or a token, and a program with an API key, in whose domains it may.
"""

from collections.abc import Callable
from typing import Any, TypedDict

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.utils.translation import gettext as _
from rest_framework import serializers

from groups.api.fields import Fact, Text, Whole, limit_field
from groups.mesh import finding, hosting, members, readings, telling
from groups.mesh.callers import owner_of, spend
from groups.mesh.events import MeshDatum, MeshEventPayload
from groups.mesh.members import GroupFull
from groups.mesh.telling import DATA_AT_ONCE, EVENTS_AT_ONCE, Fired
from groups.mesh.texts import TEXT_CHARACTERS
from groups.models import MeshGroup, MeshNode
from groups.models.mesh import ID_CHARACTERS, domain_of
from realtime import clock
from realtime.backends import streams
from realtime.commands import Caller, Params, Scope, method
from realtime.errors import Conflict


class MeshGroupPayload(TypedDict):
    group_id: str
    domain: str
    name: str
    host_id: str
    use_websocket: bool
    created_at: str
    expires_at: str
    """Heartbeats do not move it."""


class MeshNodePayload(TypedDict):
    node_id: str
    use_websocket: bool
    joined_at: str
    seen_at: str


class MeshStatusPayload(TypedDict):
    node_id: str
    values: list[MeshDatum]
    timestamp: str


class DomainAnswer(TypedDict):
    domain: str


class GroupAnswer(TypedDict):
    group: MeshGroupPayload
    beat_seconds: int
    """How often the host calls mesh.beat, unless it follows the group as `host_id`."""


class GroupsAnswer(TypedDict):
    groups: list[MeshGroupPayload]


class JoinedAnswer(TypedDict):
    group: MeshGroupPayload
    node: MeshNodePayload
    beat_seconds: int
    """How often the node calls mesh.beat, unless it follows the group as `node_id`."""
    epoch: str
    seq: int
    """Where the group's stream stood before."""


class NodesAnswer(TypedDict):
    nodes: list[MeshNodePayload]


class StatusesAnswer(TypedDict):
    epoch: str
    seq: int
    """Follow the group from here: what is reported after it may be in the statuses already, never the other way."""
    statuses: list[MeshStatusPayload]


class LeftAnswer(TypedDict):
    node_id: str


class DissolvedAnswer(TypedDict):
    message: str


class BeatAnswer(TypedDict):
    expires_at: str
    """Of the node, or of the group."""
    beat_seconds: int


class ReportedAnswer(TypedDict):
    timestamp: str


class FiredAnswer(TypedDict):
    events: list[MeshEventPayload]
    """All that were sent, those that had come before, too."""
    timestamp: str


def _text(*, most: int = ID_CHARACTERS, **options: Any) -> Text:
    return Text(max_length=most, **options)


class MeshDomainParams(Params):
    pass


class MeshCreateParams(Params):
    domain = _text(allow_blank=True)
    name = _text(allow_blank=True)
    host_id = _text()
    max_seconds = Whole(min_value=1, max_value=2**31 - 1, required=False)
    use_websocket = Fact(default=True)


class MeshGroupParams(Params):
    group_id = _text()
    domain = _text(allow_blank=True)


class MeshNodeParams(MeshGroupParams):
    node_id = _text()


class MeshJoinParams(MeshNodeParams):
    use_websocket = Fact(default=True)


class MeshDissolveParams(MeshGroupParams):
    host_id = _text()


class MeshBeatParams(MeshGroupParams):
    node_id = _text(required=False)
    host_id = _text(required=False)

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if ("node_id" in values) == ("host_id" in values):
            raise serializers.ValidationError(_("Give one of node_id and host_id."))
        return values


class MeshValueParams(Params):
    key = _text(allow_blank=True)
    value = _text(most=TEXT_CHARACTERS, allow_blank=True)


class MeshReportParams(MeshNodeParams):
    values = serializers.ListField(child=MeshValueParams(), max_length=DATA_AT_ONCE)


class MeshEventParams(Params):
    name = _text(allow_blank=True)
    payload = _text(most=TEXT_CHARACTERS, allow_blank=True, allow_null=True, default=None)
    fired_at = _text(required=False)
    order_key = _text(allow_blank=True, allow_null=True, default=None)


class MeshFireParams(MeshNodeParams):
    events = serializers.ListField(child=MeshEventParams(), max_length=EVENTS_AT_ONCE)


class MeshGroupsParams(Params):
    domain = _text(allow_blank=True, required=False)
    name_prefix = _text(required=False)
    limit = limit_field(most=readings.SEARCHED_AT_MOST, default=readings.SEARCHED)

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if ("domain" in values) == ("name_prefix" in values):
            raise serializers.ValidationError(_("Give one of domain and name_prefix."))
        return values


Run = Callable[[Caller, dict[str, Any]], Any]


def mesh_method(name: str, *, params: type[Params], answer: Any, scope: Scope) -> Callable[[Run], Run]:
    """A method that an API key may call, too: where it works, and as often as it may."""

    def register(run: Run) -> Run:
        def checked(caller: Caller, params: dict[str, Any]) -> Any:
            spend(_owner(caller), caller.address)
            if caller.domains and "domain" in params and params["domain"] not in caller.domains:
                raise PermissionDenied(_("This key does not work in this domain."))
            return run(caller, params)

        checked.__doc__ = run.__doc__
        method(name, params=params, answer=answer, scope=scope, or_scope="mesh")(checked)
        return run

    return register


@mesh_method("mesh.domain", params=MeshDomainParams, answer=DomainAnswer, scope="read")
def domain(caller: Caller, params: dict[str, Any]) -> DomainAnswer:
    """The domain of my address: the same for all who share it, as a school does."""
    return {"domain": domain_of(caller.address)}


@mesh_method("mesh.create_group", params=MeshCreateParams, answer=GroupAnswer, scope="write")
def create_group(caller: Caller, params: dict[str, Any]) -> GroupAnswer:
    """Make a group in a domain, for at most `max_seconds`. While its host has one there, that one is the answer.

    `host_id` is of my choosing and no node, unless it joins, too. Only who made the group may dissolve it.
    """
    group = hosting.create_group(**params, key=_owner(caller))
    return {"group": group_payload(group), "beat_seconds": settings.MESH_HOST_HEARTBEAT_INTERVAL_SECONDS}


@mesh_method("mesh.groups", params=MeshGroupsParams, answer=GroupsAnswer, scope="read")
def groups(caller: Caller, params: dict[str, Any]) -> GroupsAnswer:
    """The groups of a `domain`, in the order of their making; or those whose names begin with `name_prefix`, of 1 to 6
    characters, the newest first, in every domain that I may see.
    """
    if "domain" in params:
        found = readings.groups_in(params["domain"])
    else:
        found = readings.groups_named(params["name_prefix"], params["limit"], domains=caller.domains)
    return {"groups": [group_payload(group) for group in found]}


@mesh_method("mesh.join", params=MeshJoinParams, answer=JoinedAnswer, scope="write")
def join(caller: Caller, params: dict[str, Any]) -> JoinedAnswer:
    """Join a group as a node of my choosing, or join again, which refreshes.

    Then follow it as `node_id`, which needs no heartbeats; from `epoch` and `seq`, nothing is missed.
    """
    epoch, seq = streams().open(finding.live_group(params["group_id"], params["domain"]).stream)
    try:
        joined = members.join_group(**params)
    except GroupFull as full:
        raise Conflict("mesh_group_full", full.messages[0]) from None
    return {
        "group": group_payload(joined.group),
        "node": node_payload(joined.node),
        "beat_seconds": settings.MESH_MEMBER_HEARTBEAT_INTERVAL_SECONDS,
        "epoch": epoch,
        "seq": seq,
    }


@mesh_method("mesh.nodes", params=MeshGroupParams, answer=NodesAnswer, scope="read")
def nodes(caller: Caller, params: dict[str, Any]) -> NodesAnswer:
    """The nodes of a group that live, in the order of their joining."""
    finding.live_group(**params)
    return {"nodes": [node_payload(node) for node in readings.nodes_in(**params)]}


@mesh_method("mesh.statuses", params=MeshGroupParams, answer=StatusesAnswer, scope="read")
def statuses(caller: Caller, params: dict[str, Any]) -> StatusesAnswer:
    """What the nodes of a group and its host reported, oldest first: of each one status for each moment that values are
    of. Of a key that several nodes have, the newest counts.
    """
    epoch, seq = streams().open(finding.live_group(**params).stream)
    found = readings.statuses_in(**params)
    return {
        "epoch": epoch,
        "seq": seq,
        "statuses": [
            {"node_id": status.node_id, "values": status.values, "timestamp": clock.stamp(status.reported_at)}
            for status in found
        ],
    }


@mesh_method("mesh.beat", params=MeshBeatParams, answer=BeatAnswer, scope="write")
def beat(caller: Caller, params: dict[str, Any]) -> BeatAnswer:
    """A sign of life of a node or of the host, for who does not follow the group as it."""
    if "host_id" in params:
        group = hosting.renew_heartbeat(**params, key=_owner(caller))
        expires_at, seconds = group.expires_at, settings.MESH_HOST_HEARTBEAT_INTERVAL_SECONDS
    else:
        expires_at = members.beat_of_member(**params).node.alive_until
        seconds = settings.MESH_MEMBER_HEARTBEAT_INTERVAL_SECONDS
    return {"expires_at": clock.stamp(expires_at), "beat_seconds": seconds}


@mesh_method("mesh.report", params=MeshReportParams, answer=ReportedAnswer, scope="write")
def report(caller: Caller, params: dict[str, Any]) -> ReportedAnswer:
    """Tell the group values of a node or of the host. Of each key the one that came last is kept.

    A report may be repeated until another is sent.
    """
    reported = telling.report_data(
        group_id=params["group_id"], domain=params["domain"], node_id=params["node_id"], data=params["values"]
    )
    return {"timestamp": reported.timestamp}


@mesh_method("mesh.fire", params=MeshFireParams, answer=FiredAnswer, scope="write")
def fire(caller: Caller, params: dict[str, Any]) -> FiredAnswer:
    """Tell the group events of a node or of the host, in this order, at most 1,000.

    Repeated with the same `order_key` an event is told once; keys begin anew with each joining. `fired_at` says with a
    zone when it was on my clock, and is now without it.
    """
    now = clock.stamp(clock.now())
    events = [
        Fired(event["name"], event.get("fired_at", now), event["payload"], event["order_key"])
        for event in params["events"]
    ]
    fired = telling.fire_events(
        group_id=params["group_id"], domain=params["domain"], node_id=params["node_id"], events=events
    )
    return {"events": fired.events, "timestamp": fired.timestamp}


@mesh_method("mesh.leave", params=MeshNodeParams, answer=LeftAnswer, scope="write")
def leave(caller: Caller, params: dict[str, Any]) -> LeftAnswer:
    """Leave a group; what the node reported goes. It succeeds for who is not there, too."""
    members.leave_group(**params)
    return {"node_id": params["node_id"]}


@mesh_method("mesh.dissolve", params=MeshDissolveParams, answer=DissolvedAnswer, scope="write")
def dissolve(caller: Caller, params: dict[str, Any]) -> DissolvedAnswer:
    """End a group that I made. All who follow it are told, and then sent away with 4404."""
    return {"message": hosting.dissolve_group(**params, key=_owner(caller)).message}


def group_payload(group: MeshGroup) -> MeshGroupPayload:
    return {
        "group_id": str(group.pk),
        "domain": group.domain,
        "name": group.name,
        "host_id": group.host_id,
        "use_websocket": group.use_websocket,
        "created_at": clock.stamp(group.created_at),
        "expires_at": clock.stamp(group.expires_at),
    }


def node_payload(node: MeshNode) -> MeshNodePayload:
    return {
        "node_id": node.node_id,
        "use_websocket": node.use_websocket,
        "joined_at": clock.stamp(node.joined_at),
        "seen_at": clock.stamp(node.seen_at),
    }


def _owner(caller: Caller) -> str:
    return owner_of(caller.user.pk or 0, caller.credential)
