"""The root fields. Each parses nothing and decides nothing: it calls one action or reading and shapes the answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from graphql import GraphQLResolveInfo

from groups.mesh import hosting, members, readings, telling
from groups.mesh.event_log import Logged
from groups.mesh.events import MeshDatum, MeshEventPayload, MeshEventsFired, MeshGroupDissolved, MeshStatusReported
from groups.mesh.keys import Key
from groups.mesh.readings import Status
from groups.mesh.telling import Fired, Firing, Report, Telling, Told
from groups.models import MeshGroup, MeshNode
from groups.models.mesh import domain_of
from realtime import clock

Json = dict[str, Any]
Info = GraphQLResolveInfo[Any]


@dataclass(frozen=True)
class Roots:
    """The root fields for one request: graphql-core calls the method of a field's name with its arguments."""

    key: Key
    address: str

    def createDomain(self, info: Info) -> str:
        return domain_of(self.address)

    def createGroup(
        self,
        info: Info,
        *,
        name: str,
        hostId: str,
        domain: str,
        maxConnectionTimeSeconds: int | None = None,
        useWebSocket: bool = True,
    ) -> Json:
        self._check(domain)
        group = hosting.create_group(
            domain=domain,
            name=name,
            host_id=hostId,
            max_seconds=maxConnectionTimeSeconds,
            use_websocket=useWebSocket,
            key=self.key.id,
        )
        return group_of(group)

    def joinGroup(
        self,
        info: Info,
        *,
        groupId: str,
        domain: str,
        nodeId: str,
        useWebSocket: bool | None = None,
    ) -> Json:
        self._check(domain)
        joined = members.join_group(
            group_id=groupId, domain=domain, node_id=nodeId, use_websocket=useWebSocket, address=self.address
        )
        return _joined(joined.group, joined.node)

    def leaveGroup(self, info: Info, *, groupId: str, domain: str, nodeId: str) -> Json:
        if self.key.works_in(domain):  # leaving never fails
            members.leave_group(group_id=groupId, domain=domain, node_id=nodeId)
        message = f"Peer {nodeId} successfully left group {groupId}"
        return {"peerId": nodeId, "groupId": groupId, "domain": domain, "message": message}

    def dissolveGroup(self, info: Info, *, groupId: str, domain: str, hostId: str) -> Json:
        self._check(domain)
        return message_of(hosting.dissolve_group(group_id=groupId, domain=domain, host_id=hostId, key=self.key.id))

    def renewHeartbeat(self, info: Info, *, groupId: str, domain: str, hostId: str) -> Json:
        self._check(domain)
        group = hosting.renew_heartbeat(group_id=groupId, domain=domain, host_id=hostId, key=self.key.id)
        return {
            "groupId": groupId,
            "domain": domain,
            "expiresAt": clock.stamp(group.expires_at),
            "heartbeatIntervalSeconds": settings.MESH_HOST_HEARTBEAT_INTERVAL_SECONDS,
        }

    def sendMemberHeartbeat(self, info: Info, *, groupId: str, domain: str, nodeId: str) -> Json:
        self._check(domain)
        node = members.beat_of_member(group_id=groupId, domain=domain, node_id=nodeId).node
        return {
            "nodeId": nodeId,
            "groupId": groupId,
            "domain": domain,
            "expiresAt": clock.stamp(node.alive_until),
            "heartbeatIntervalSeconds": _beat_seconds(node),
        }

    def reportDataByNode(
        self,
        info: Info,
        *,
        groupId: str,
        domain: str,
        nodeId: str,
        data: list[Json],
    ) -> Any:
        values: list[MeshDatum] = [{"key": datum["key"], "value": datum["value"]} for datum in data]
        return self._tell(Report(groupId, domain, nodeId, values), message_of)

    def fireEventsByNode(
        self,
        info: Info,
        *,
        groupId: str,
        domain: str,
        nodeId: str,
        events: list[Json],
    ) -> Any:
        fired = [_fired(event, payload=event.get("payload") or None) for event in events]
        return self._tell(Firing(groupId, domain, nodeId, fired), message_of)

    def recordEventsByNode(
        self,
        info: Info,
        *,
        groupId: str,
        domain: str,
        nodeId: str,
        events: list[Json],
    ) -> Any:
        recorded = [_fired(event, payload=event.get("payload")) for event in events]
        answer = {"groupId": groupId, "domain": domain, "recordedCount": len(events), "nextSince": ""}
        return self._tell(Firing(groupId, domain, nodeId, recorded, recorded=True), lambda _told: answer)

    def listGroupsByDomain(self, info: Info, *, domain: str) -> list[Json]:
        self._check(domain)
        return [group_of(group) for group in readings.groups_in(domain)]

    def searchGroupsByNamePrefix(
        self,
        info: Info,
        *,
        namePrefix: str,
        limit: int | None = None,
    ) -> list[Json]:
        found = readings.groups_named(namePrefix, limit, domains=self.key.domains)
        return [group_of(group) for group in found]

    def getNodeStatus(self, info: Info, *, nodeId: str) -> Json | None:
        found = readings.status_of_node(nodeId, domains=self.key.domains)
        return None if found is None else _status(*found)

    def listGroupStatuses(self, info: Info, *, groupId: str, domain: str) -> list[Json]:
        if not groupId or not domain:
            raise ValidationError("groupId and domain are required")
        self._check(domain)
        return self._statuses(groupId, domain)

    def listNodesInGroup(self, info: Info, *, groupId: str, domain: str) -> list[Json]:
        self._check(domain)
        return [_node(node, groupId, domain) for node in readings.nodes_in(groupId, domain)]

    def getEventsSince(self, info: Info, *, groupId: str, domain: str, since: str) -> list[Json]:
        self._check(domain)
        return [_logged(event, groupId, domain) for event in readings.events_since(groupId, domain, since)]

    def pollGroupData(self, info: Info, *, groupId: str, domain: str, since: str) -> Json:
        self._check(domain)
        polled = readings.polled(groupId, domain, since)
        return {
            "events": [_logged(event, groupId, domain) for event in polled.events],
            "nodeStatuses": [_status(groupId, domain, status) for status in polled.statuses],
        }

    def _statuses(self, group_id: str, domain: str) -> list[Json]:
        return [_status(group_id, domain, status) for status in readings.statuses_in(group_id, domain)]

    def _tell(self, what: Telling, answer_of: Callable[[Told], Json]) -> Any:
        self._check(what.domain)
        return answer_of(telling.tell_alone(what))

    def _check(self, domain: str) -> None:
        self.key.check(domain)


class RootsTogether(Roots):
    """For the event loop, where what nodes tell shares transactions: those of TELLING_FIELDS are awaited."""

    async def _tell(self, what: Telling, answer_of: Callable[[Told], Json]) -> Any:
        self._check(what.domain)
        return answer_of(await telling.tell(what))


TELLING_FIELDS: Final = frozenset({"reportDataByNode", "fireEventsByNode", "recordEventsByNode"})


def group_of(group: MeshGroup) -> Json:
    return {
        "id": str(group.pk),
        "domain": group.domain,
        "fullId": group.full_id,
        "name": group.name,
        "hostId": group.host_id,
        "createdAt": clock.stamp(group.created_at),
        "expiresAt": clock.stamp(group.expires_at),
        "heartbeatIntervalSeconds": settings.MESH_HOST_HEARTBEAT_INTERVAL_SECONDS,
        "useWebSocket": group.use_websocket,
        "pollingIntervalSeconds": group.polling_seconds,
    }


def message_of(event: MeshStatusReported | MeshEventsFired | MeshGroupDissolved) -> Json:
    """A MeshMessage, with exactly one of its three parts."""
    place = {"groupId": event.group_id, "domain": event.domain}
    match event:
        case MeshStatusReported():
            status = {**place, "nodeId": event.node_id, "data": event.values, "timestamp": event.timestamp}
            return {**place, "nodeStatus": status}
        case MeshEventsFired():
            events = [_event(one, event.node_id, place, recorded=event.recorded) for one in event.events]
            batch = {**place, "firedByNodeId": event.node_id, "events": events, "timestamp": event.timestamp}
            return {**place, "batchEvent": batch}
        case MeshGroupDissolved():
            return {**place, "groupDissolve": {**place, "message": event.message}}


def _event(event: MeshEventPayload, node_id: str, place: Json, *, recorded: bool) -> Json:
    return {
        **place,
        "name": event["name"],
        "firedByNodeId": node_id,
        "payload": event["payload"],
        # Whoever fired it over a WebSocket timed it; receivers play by differences.
        "timestamp": event["timestamp"] if recorded else event["fired_at"],
        "orderKey": event["order_key"],
    }


def _logged(logged: Logged, group_id: str, domain: str) -> Json:
    place = {"groupId": group_id, "domain": domain}
    return {**_event(logged.event, logged.node_id, place, recorded=True), "cursor": logged.cursor}


def _status(group_id: str, domain: str, status: Status) -> Json:
    return {
        "nodeId": status.node_id,
        "groupId": group_id,
        "domain": domain,
        "data": status.values,
        "timestamp": clock.stamp(status.reported_at),
    }


def _joined(group: MeshGroup, node: MeshNode) -> Json:
    return {
        **_node(node, str(group.pk), group.domain),
        "expiresAt": clock.stamp(group.expires_at),
        "heartbeatIntervalSeconds": _beat_seconds(node),
        "useWebSocket": node.use_websocket,
        "pollingIntervalSeconds": None if node.use_websocket else settings.MESH_POLLING_INTERVAL_SECONDS,
    }


def _node(node: MeshNode, group_id: str, domain: str) -> Json:
    return {"id": node.node_id, "name": f"Node {node.node_id}", "groupId": group_id, "domain": domain}


def _beat_seconds(node: MeshNode) -> int:
    """A polling member learns of the end of its group at its next heartbeat."""
    interval = settings.MESH_MEMBER_HEARTBEAT_INTERVAL_SECONDS
    return interval if node.use_websocket else min(interval, settings.MESH_POLLING_HEARTBEAT_SECONDS)


def _fired(event: Json, *, payload: str | None) -> Fired:
    return Fired(event["eventName"], event["firedAt"], payload, event.get("orderKey"))
