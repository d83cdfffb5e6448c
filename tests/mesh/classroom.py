"""A small client of classrooms: the documents of clients of AppSync, with every field, over any way to send them."""

import json
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]
Send = Callable[[str, Json], Json]
"""Sends a document and variables; the answer, {"data": ..., "errors": ...}."""

GROUP = (
    "id domain fullId name hostId createdAt expiresAt heartbeatIntervalSeconds useWebSocket pollingIntervalSeconds"
    " __typename"
)
NODE = "id name groupId domain expiresAt heartbeatIntervalSeconds useWebSocket pollingIntervalSeconds __typename"
STATUS = "nodeId groupId domain data { key value __typename } timestamp __typename"
EVENT = "name firedByNodeId groupId domain payload timestamp cursor orderKey __typename"
BATCH = f"events {{ {EVENT} }} firedByNodeId groupId domain timestamp __typename"
MESSAGE = (
    f"groupId domain nodeStatus {{ {STATUS} }} batchEvent {{ {BATCH} }}"
    " groupDissolve { groupId domain message __typename } __typename"
)
PLACE = "$groupId: ID!, $domain: String!"
GIVEN = "groupId: $groupId, domain: $domain"
SUBSCRIPTION = f"subscription OnMessage({PLACE}) {{ onMessageInGroup({GIVEN}) {{ {MESSAGE} }} }}"

DOCUMENTS = {
    "createDomain": "mutation { createDomain }",
    "createGroup": (
        "mutation ($name: String!, $hostId: ID!, $domain: String!, $maxConnectionTimeSeconds: Int,"
        " $useWebSocket: Boolean!) { createGroup(name: $name, hostId: $hostId, domain: $domain,"
        " maxConnectionTimeSeconds: $maxConnectionTimeSeconds, useWebSocket: $useWebSocket)"
        f" {{ {GROUP} }} }}"
    ),
    "joinGroup": (
        f"mutation ({PLACE}, $nodeId: ID!, $useWebSocket: Boolean)"
        f" {{ joinGroup({GIVEN}, nodeId: $nodeId, useWebSocket: $useWebSocket) {{ {NODE} }} }}"
    ),
    "leaveGroup": (
        f"mutation ({PLACE}, $nodeId: ID!) {{ leaveGroup({GIVEN}, nodeId: $nodeId)"
        " { peerId groupId domain message __typename } }"
    ),
    "dissolveGroup": f"mutation ({PLACE}, $hostId: ID!) {{ dissolveGroup({GIVEN}, hostId: $hostId) {{ {MESSAGE} }} }}",
    "renewHeartbeat": (
        f"mutation ({PLACE}, $hostId: ID!) {{ renewHeartbeat({GIVEN}, hostId: $hostId)"
        " { groupId domain expiresAt heartbeatIntervalSeconds __typename } }"
    ),
    "sendMemberHeartbeat": (
        f"mutation ({PLACE}, $nodeId: ID!) {{ sendMemberHeartbeat({GIVEN}, nodeId: $nodeId)"
        " { nodeId groupId domain expiresAt heartbeatIntervalSeconds __typename } }"
    ),
    "reportDataByNode": (
        f"mutation ({PLACE}, $nodeId: ID!, $data: [SensorDataInput!]!)"
        f" {{ reportDataByNode({GIVEN}, nodeId: $nodeId, data: $data) {{ {MESSAGE} }} }}"
    ),
    "fireEventsByNode": (
        f"mutation ({PLACE}, $nodeId: ID!, $events: [EventInput!]!)"
        f" {{ fireEventsByNode({GIVEN}, nodeId: $nodeId, events: $events) {{ {MESSAGE} }} }}"
    ),
    "recordEventsByNode": (
        f"mutation ({PLACE}, $nodeId: ID!, $events: [EventInput!]!)"
        f" {{ recordEventsByNode({GIVEN}, nodeId: $nodeId, events: $events)"
        " { groupId domain recordedCount nextSince __typename } }"
    ),
    "listGroupsByDomain": f"query ($domain: String!) {{ listGroupsByDomain(domain: $domain) {{ {GROUP} }} }}",
    "searchGroupsByNamePrefix": (
        "query ($namePrefix: String!, $limit: Int)"
        f" {{ searchGroupsByNamePrefix(namePrefix: $namePrefix, limit: $limit) {{ {GROUP} }} }}"
    ),
    "getNodeStatus": f"query ($nodeId: ID!) {{ getNodeStatus(nodeId: $nodeId) {{ {STATUS} }} }}",
    "listGroupStatuses": f"query ({PLACE}) {{ listGroupStatuses({GIVEN}) {{ {STATUS} }} }}",
    "listNodesInGroup": f"query ({PLACE}) {{ listNodesInGroup({GIVEN}) {{ {NODE} }} }}",
    "getEventsSince": f"query ({PLACE}, $since: String!) {{ getEventsSince({GIVEN}, since: $since) {{ {EVENT} }} }}",
    "pollGroupData": (
        f"query ({PLACE}, $since: String!) {{ pollGroupData({GIVEN}, since: $since)"
        f" {{ events {{ {EVENT} }} nodeStatuses {{ {STATUS} }} __typename }} }}"
    ),
}


class RefusedByServer(AssertionError):
    """A field failed, where nobody expected it."""


class School:
    """Whoever sends documents somewhere."""

    def __init__(self, send: Send) -> None:
        self.send = send

    def answer(self, field: str, **variables: Any) -> Json:
        """The whole answer."""
        return self.send(DOCUMENTS[field], variables)

    def ask(self, field: str, **variables: Any) -> Any:
        """What the field tells."""
        answer = self.answer(field, **variables)
        if "errors" in answer:
            raise RefusedByServer(json.dumps(answer["errors"]))
        return answer["data"][field]

    def error(self, field: str, **variables: Any) -> tuple[str, str]:
        """Type and text of the one error of a field."""
        answer = self.answer(field, **variables)
        [error] = answer["errors"]
        assert error["path"] == [field]
        assert error["data"] is None
        assert error["errorInfo"] is None
        assert error["locations"][0]["sourceName"] is None
        return error["errorType"], error["message"]

    def host(self, host_id: str = "n1", domain: str = "school", **more: Any) -> "Place":
        """A group of this host, with which other calls say where they are."""
        asked = {"name": host_id, "hostId": host_id, "domain": domain, "useWebSocket": True} | more
        return Place(self, self.ask("createGroup", **asked))


class Place:
    """A group, seen by those who call it."""

    def __init__(self, school: School, group: Json) -> None:
        self.school = school
        self.group = group
        self.id: str = group["id"]
        self.domain: str = group["domain"]
        self.names = {"groupId": self.id, "domain": self.domain}

    def ask(self, field: str, **variables: Any) -> Any:
        return self.school.ask(field, **self.names, **variables)

    def error(self, field: str, **variables: Any) -> tuple[str, str]:
        return self.school.error(field, **self.names, **variables)

    def join(self, node_id: str = "n2", **more: Any) -> Json:
        return dict(self.ask("joinGroup", nodeId=node_id, **more))

    def report(self, node_id: str = "n2", **values: str) -> Json:
        data = [{"key": key, "value": value} for key, value in values.items()]
        return dict(self.ask("reportDataByNode", nodeId=node_id, data=data))

    def fire(self, *names: str, by: str = "n2", **more: Any) -> Json:
        return dict(self.ask("fireEventsByNode", nodeId=by, events=[event(name, **more) for name in names]))

    def record(self, *names: str, by: str = "n2", **more: Any) -> Json:
        return dict(self.ask("recordEventsByNode", nodeId=by, events=[event(name, **more) for name in names]))

    def events(self, since: str = "") -> list[Json]:
        return list(self.ask("getEventsSince", since=since))

    def names_since(self, since: str = "") -> list[str]:
        return [one["name"] for one in self.events(since)]

    def statuses(self) -> list[Json]:
        return list(self.ask("listGroupStatuses"))

    def values(self) -> dict[str, dict[str, str]]:
        """What each node reported, by node and key."""
        found: dict[str, dict[str, str]] = {}
        for status in self.statuses():
            values = found.setdefault(status["nodeId"], {})
            for datum in status["data"]:
                assert datum["key"] not in values, "a key is told once, with its newest value"
                values[datum["key"]] = datum["value"]
        return found


def event(
    name: str, *, at: str = "2026-04-28T00:00:00.000Z", payload: str | None = None, key: str | None = None
) -> Json:
    return {"eventName": name, "firedAt": at, "payload": payload, "orderKey": key}


def stamped(millisecond: int) -> str:
    """A moment of one second, as a client tells it."""
    return f"2026-04-28T00:00:00.{millisecond:03d}Z"
