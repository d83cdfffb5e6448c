"""What the teacher's page asks for. What happens in a group meanwhile comes in its stream, `mesh:<group id>`."""

from typing import Any, NotRequired, TypedDict

from django.conf import settings
from rest_framework import serializers

from groups.api.callers import user_of
from groups.api.fields import Fact, Text, id_field
from groups.mesh import classroom_readings, classrooms, finding
from groups.mesh.classroom_readings import Group
from groups.mesh.events import MeshDatum, MeshEventPayload
from groups.mesh.keys import DOMAINS
from groups.models import MeshDomain, MeshGroup, MeshKey, User, Workspace
from groups.models.mesh import ID_CHARACTERS, Ended, domain_of
from groups.roles import RIGHTS, Deed
from realtime import clock
from realtime.commands import Caller, Params, method


class ClassroomWorkspacePayload(TypedDict):
    id: int
    name: str


class ClassroomDomainPayload(TypedDict):
    name: str
    polls: bool
    """Its network blocks WebSockets: everybody is told to poll."""
    workspace: ClassroomWorkspacePayload | None


class OwnDomainPayload(TypedDict):
    name: str
    """The domain of the caller's address, which editors there find by themselves."""
    taken: bool
    workspaces: list[ClassroomWorkspacePayload]
    """Into which the caller may take it."""


class DomainsAnswer(TypedDict):
    domains: list[ClassroomDomainPayload]
    own: OwnDomainPayload | None


class DomainAnswer(TypedDict):
    domain: ClassroomDomainPayload


class ClassroomGroupPayload(TypedDict):
    id: str
    domain: str
    name: str
    host_id: str
    use_websocket: bool
    created_at: str
    expires_at: str
    heartbeat_at: str
    """The host's last sign of life."""
    mine: bool
    """A page of the caller's is its host, and keeps it alive by `classroom.keep_group`."""
    ended: str | None
    """"host", "time" or "silence"."""
    ended_at: str | None
    node_count: NotRequired[int]


class GroupsAnswer(TypedDict):
    groups: list[ClassroomGroupPayload]
    server_time: str


class HostedAnswer(TypedDict):
    groups: list[ClassroomGroupPayload]
    beat_seconds: int


class GroupAnswer(TypedDict):
    group: ClassroomGroupPayload
    beat_seconds: int


class ClassroomNodePayload(TypedDict):
    id: str
    use_websocket: bool
    """What it was told to use."""
    joined_at: str
    seen_at: str


class ClassroomStatusPayload(TypedDict):
    node_id: str
    values: list[MeshDatum]
    timestamp: str


class ClassroomEventPayload(MeshEventPayload):
    node_id: str


class LookAnswer(TypedDict):
    group: ClassroomGroupPayload
    nodes: list[ClassroomNodePayload]
    statuses: list[ClassroomStatusPayload]
    """For each node one per moment that values of it are of, oldest first."""
    events: list[ClassroomEventPayload]
    """The newest of the log, oldest first."""
    epoch: str
    seq: int
    """The stream's position before all of it was read: follow from here, and what comes twice is the same."""
    server_time: str


class KeyPayload(TypedDict):
    id: int
    label: str
    prefix: str
    domains: list[str]
    created_by: str
    created_at: str
    revoked: bool


class NewKeyPayload(KeyPayload):
    secret: str


class KeysAnswer(TypedDict):
    keys: list[KeyPayload]


class KeyAnswer(TypedDict):
    key: KeyPayload


class NewKeyAnswer(TypedDict):
    key: NewKeyPayload


class NoParams(Params):
    pass


class DomainParams(Params):
    domain = Text(max_length=ID_CHARACTERS)


class ClassroomsParams(Params):
    workspace_id = id_field()


class GroupParams(DomainParams):
    group_id = Text(max_length=36)


@method("classroom.domains", params=NoParams, answer=DomainsAnswer, scope="read")
def domains(caller: Caller, params: dict[str, Any]) -> DomainsAnswer:
    """The domains that I look after, and that of my address."""
    user = user_of(caller)
    return {
        "domains": [_domain(domain) for domain in classroom_readings.domains_of(user)],
        "own": _own(user, caller.address) if caller.address else None,
    }


@method("classroom.take_domain", params=ClassroomsParams, answer=DomainAnswer, scope="write")
def take_domain(caller: Caller, params: dict[str, Any]) -> DomainAnswer:
    """Take the domain of my address, if nobody has it, into a workspace that I own or administrate."""
    return {"domain": _domain(classrooms.take_domain(taker=user_of(caller), address=caller.address, **params))}


class PollsParams(DomainParams):
    polls = Fact()


@method("classroom.set_polls", params=PollsParams, answer=DomainAnswer, scope="write")
def set_polls(caller: Caller, params: dict[str, Any]) -> DomainAnswer:
    """Say that a school's network blocks WebSockets: whoever joins from then on is told to poll."""
    return {"domain": _domain(classrooms.set_polls(teacher=user_of(caller), **params))}


@method("classroom.groups", params=DomainParams, answer=GroupsAnswer, scope="read")
def groups(caller: Caller, params: dict[str, Any]) -> GroupsAnswer:
    """The groups of a domain that live, and those that ended within the hour."""
    user = user_of(caller)
    domain = classrooms.domain_for(user, params["domain"])
    found = classroom_readings.groups_in(domain.name)
    return {"groups": [_counted(user, group) for group in found], "server_time": clock.stamp(clock.now())}


@method("classroom.group", params=GroupParams, answer=LookAnswer, scope="read")
def group(caller: Caller, params: dict[str, Any]) -> LookAnswer:
    """All of one group: its nodes, what they reported, its newest events, and from where to follow it."""
    user = user_of(caller)
    domain = classrooms.domain_for(user, params["domain"])
    found = finding.found_group(params["group_id"], domain.name, over_too=True)
    if found is None:
        raise MeshGroup.DoesNotExist
    look = classroom_readings.look_at(found)
    return {
        "group": _group(user, found),
        "nodes": [
            {
                "id": node.node_id,
                "use_websocket": node.use_websocket,
                "joined_at": clock.stamp(node.joined_at),
                "seen_at": clock.stamp(node.seen_at),
            }
            for node in look.nodes
        ],
        "statuses": [
            {"node_id": status.node_id, "values": status.values, "timestamp": clock.stamp(status.reported_at)}
            for status in look.statuses
        ],
        "events": [{**logged.event, "node_id": logged.node_id} for logged in look.events],
        "epoch": look.position.epoch,
        "seq": look.position.seq,
        "server_time": clock.stamp(clock.now()),
    }


class StartParams(DomainParams):
    host_id = Text(max_length=ID_CHARACTERS)
    name = Text(max_length=ID_CHARACTERS, required=False, allow_blank=True)
    use_websocket = Fact(default=True)


@method("classroom.start_group", params=StartParams, answer=GroupAnswer, scope="write")
def start_group(caller: Caller, params: dict[str, Any]) -> GroupAnswer:
    """Make a group whose host I am. It lives while `classroom.keep_group` comes every `beat_seconds`.

    The same `host_id` gets the same group.
    """
    return _kept(user_of(caller), classrooms.start_group(teacher=user_of(caller), **params))


@method("classroom.hosted_groups", params=NoParams, answer=HostedAnswer, scope="read")
def hosted_groups(caller: Caller, params: dict[str, Any]) -> HostedAnswer:
    """The living groups that I started, in whichever domain: those for which `classroom.keep_group` has to come."""
    user = user_of(caller)
    found = classrooms.hosted_groups(user)
    return {
        "groups": [_group(user, group) for group in found],
        "beat_seconds": settings.MESH_HOST_HEARTBEAT_INTERVAL_SECONDS,
    }


@method("classroom.keep_group", params=GroupParams, answer=GroupAnswer, scope="write")
def keep_group(caller: Caller, params: dict[str, Any]) -> GroupAnswer:
    """A sign of life for a group that I started."""
    return _kept(user_of(caller), classrooms.keep_group(teacher=user_of(caller), **params))


@method("classroom.stop_group", params=GroupParams, answer=GroupAnswer, scope="write")
def stop_group(caller: Caller, params: dict[str, Any]) -> GroupAnswer:
    """End a group, whoever is its host. All members are told."""
    return _kept(user_of(caller), classrooms.stop_group(teacher=user_of(caller), **params))


@method("classroom.keys", params=ClassroomsParams, answer=KeysAnswer, scope="read")
def keys(caller: Caller, params: dict[str, Any]) -> KeysAnswer:
    """The keys of a workspace's classes that work, the newest first."""
    workspace = classrooms.workspace_for(user_of(caller), params["workspace_id"])
    rows = workspace.mesh_keys.filter(revoked_at=None).select_related("created_by").order_by("-pk")
    return {"keys": [_key(key) for key in rows[: classrooms.KEYS]]}


class MakeKeyParams(ClassroomsParams):
    label = Text(max_length=classrooms.LABEL_CHARACTERS)  # type: ignore[assignment] # a field of fields, too
    domains = serializers.ListField(child=Text(max_length=ID_CHARACTERS), max_length=DOMAINS)


@method("classroom.make_key", params=MakeKeyParams, answer=NewKeyAnswer, scope="write")
def make_key(caller: Caller, params: dict[str, Any]) -> NewKeyAnswer:
    """Make a key for a class, which works in these domains of the workspace. Only this answer shows the `secret`."""
    made = classrooms.make_key(teacher=user_of(caller), **params)
    return {"key": {**_key(made.key), "secret": made.secret}}


class KeyParams(Params):
    key_id = id_field()


@method("classroom.revoke_key", params=KeyParams, answer=KeyAnswer, scope="write")
def revoke_key(caller: Caller, params: dict[str, Any]) -> KeyAnswer:
    """End a key, and what is open with it."""
    return {"key": _key(classrooms.revoke_key(teacher=user_of(caller), **params))}


def _domain(domain: MeshDomain) -> ClassroomDomainPayload:
    return {
        "name": domain.name,
        "polls": domain.polls,
        "workspace": None if domain.workspace is None else _workspace(domain.workspace),
    }


def _own(user: User, address: str) -> OwnDomainPayload:
    name = domain_of(address)
    may = RIGHTS[Deed.TAKE_DOMAIN].roles
    mine = Workspace.objects.filter(members__user=user, members__role__in=may).order_by("name", "pk")
    return {
        "name": name,
        "taken": MeshDomain.objects.filter(name=name).exclude(workspace=None).exists(),
        "workspaces": [_workspace(workspace) for workspace in mine],
    }


def _workspace(workspace: Workspace) -> ClassroomWorkspacePayload:
    return {"id": workspace.pk, "name": workspace.name}


def _group(user: User, group: MeshGroup) -> ClassroomGroupPayload:
    return {
        "id": str(group.pk),
        "domain": group.domain,
        "name": group.name,
        "host_id": group.host_id,
        "use_websocket": group.use_websocket,
        "created_at": clock.stamp(group.created_at),
        "expires_at": clock.stamp(group.expires_at),
        "heartbeat_at": clock.stamp(group.heartbeat_at),
        "mine": classrooms.hosts(user, group),
        "ended": None if group.ended is None else str(Ended(group.ended)),
        "ended_at": None if group.ended_at is None else clock.stamp(group.ended_at),
    }


def _counted(user: User, counted: Group) -> ClassroomGroupPayload:
    return {**_group(user, counted.group), "node_count": counted.node_count}


def _kept(user: User, group: MeshGroup) -> GroupAnswer:
    return {"group": _group(user, group), "beat_seconds": settings.MESH_HOST_HEARTBEAT_INTERVAL_SECONDS}


def _key(key: MeshKey) -> KeyPayload:
    return {
        "id": key.pk,
        "label": key.label,
        "prefix": key.prefix,
        "domains": key.domains,
        "created_by": key.created_by.display_name or key.created_by.username,
        "created_at": clock.stamp(key.created_at),
        "revoked": key.revoked_at is not None,
    }
