"""Clients of AWS AppSync that others wrote, unchanged but for endpoint and key: two in one group, a lesson long."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.mesh_clients import documents
from tests.mesh_clients.clients import Kind, NodeClient, Refused
from tests.mesh_clients.conftest import School

HOST, NODE = "3f9a" * 8, "0b17" * 8
KINDS: list[tuple[Kind, Kind]] = [
    ("gql", "gql"),
    ("amplify", "amplify"),
    ("appsync", "appsync"),
    ("appsync", "amplify"),
]


def event(name: str, order_key: str | None = None, payload: str = "") -> dict[str, Any]:
    fired_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"eventName": name, "payload": payload, "firedAt": fired_at, "orderKey": order_key}


@pytest.mark.parametrize(("host_kind", "node_kind"), KINDS)
def test_two_in_one_group_hear_each_other_until_the_host_dissolves_it(
    school: School, domain: str, host_kind: Kind, node_kind: Kind
) -> None:
    asyncio.run(_a_lesson_over_websockets(school, domain, host_kind, node_kind))


async def _a_lesson_over_websockets(school: School, domain: str, host_kind: Kind, node_kind: Kind) -> None:
    async with school.client(host_kind) as host, school.client(node_kind) as node:
        group = await host.ask(documents.CREATE, name=HOST, hostId=HOST, domain=domain, useWebSocket=True)
        there = {"groupId": group["id"], "domain": group["domain"]}
        assert group["useWebSocket"] is True
        assert group["pollingIntervalSeconds"] is None
        await host.subscribe(group_id=group["id"], domain=domain)

        [listed] = await node.ask(documents.LIST, domain=domain)
        assert listed["id"] == group["id"]
        joined = await node.ask(documents.JOIN, **there, nodeId=NODE, useWebSocket=True)
        assert (joined["id"], joined["useWebSocket"]) == (NODE, True)
        assert joined["expiresAt"] == group["expiresAt"]
        await node.subscribe(group_id=group["id"], domain=domain)

        data = [{"key": "点数", "value": "七🎈"}]
        told = await node.ask(documents.REPORT, **there, nodeId=NODE, data=data)
        assert _values(told["nodeStatus"]) == {"点数": "七🎈"}
        for client in (host, node):
            message = await client.heard()
            assert _values(message["nodeStatus"]) == {"点数": "七🎈"}
            assert message["nodeStatus"]["timestamp"] == told["nodeStatus"]["timestamp"]
            assert message["batchEvent"] is None
            assert message["groupDissolve"] is None

        sent = [event("はじめ", "20261121090000-0000001"), event("おわり", "20261121090000-0000002")]
        await host.ask(documents.FIRE, **there, nodeId=HOST, events=sent)
        for client in (host, node):
            batch = (await client.heard())["batchEvent"]
            assert [one["name"] for one in batch["events"]] == ["はじめ", "おわり"]
            assert [one["timestamp"] for one in batch["events"]] == [one["firedAt"] for one in sent]
            assert {one["payload"] for one in batch["events"]} == {None}
            assert batch["firedByNodeId"] == HOST

        beat = await host.ask(documents.RENEW, **there, hostId=HOST)
        assert beat["expiresAt"] == group["expiresAt"]
        assert (await node.ask(documents.BEAT, **there, nodeId=NODE))["nodeId"] == NODE

        dissolved = await host.ask(documents.DISSOLVE, **there, hostId=HOST)
        assert "dissolved" in dissolved["groupDissolve"]["message"]
        for client in (host, node):
            assert (await client.heard())["groupDissolve"]["groupId"] == group["id"]
        with pytest.raises(Refused) as refused:
            await node.ask(documents.REPORT, **there, nodeId=NODE, data=data)
        assert refused.value.message == f"Group not found: {group['id']}@{domain}"
        assert refused.value.type == "GroupNotFound"
        for client in (host, node):
            if isinstance(client, NodeClient):
                assert client.frames[:3] == ["connection_ack", "ka", "start_ack"]


@pytest.mark.parametrize("kind", ["gql", "amplify", "appsync"])
def test_two_that_poll_hear_each_other(school: School, domain: str, kind: Kind) -> None:
    asyncio.run(_a_lesson_of_polls(school, domain, kind))


async def _a_lesson_of_polls(school: School, domain: str, kind: Kind) -> None:
    async with school.client(kind) as host, school.client(kind) as node:
        group = await host.ask(documents.CREATE, name=HOST, hostId=HOST, domain=domain, useWebSocket=False)
        there = {"groupId": group["id"], "domain": domain}
        assert (group["useWebSocket"], group["pollingIntervalSeconds"]) == (False, 1)
        joined = await node.ask(documents.JOIN, **there, nodeId=NODE)
        assert (joined["useWebSocket"], joined["pollingIntervalSeconds"]) == (False, 1)

        await host.ask(documents.REPORT, **there, nodeId=HOST, data=[{"key": "a", "value": "1"}])
        recorded = [event("second", "k-2"), event("first", "k-1", "p")]
        told = await host.ask(documents.RECORD, **there, nodeId=HOST, events=recorded)
        assert (told["recordedCount"], told["nextSince"]) == (2, "")

        polled = await node.ask(documents.POLL, **there, since="")
        assert [(one["name"], one["orderKey"]) for one in polled["events"]] == [("first", "k-1"), ("second", "k-2")]
        assert [_values(status) for status in polled["nodeStatuses"]] == [{"a": "1"}]
        since = polled["events"][-1]["cursor"]
        assert (await node.ask(documents.POLL, **there, since=since))["events"] == []

        await node.ask(documents.RECORD, **there, nodeId=NODE, events=[event("answer")])
        polled = await host.ask(documents.POLL, **there, since=since)
        assert [(one["name"], one["firedByNodeId"]) for one in polled["events"]] == [("answer", NODE)]

        left = await node.ask(documents.LEAVE, **there, nodeId=NODE)
        assert left["peerId"] == NODE
        await host.ask(documents.DISSOLVE, **there, hostId=HOST)
        assert await node.ask(documents.LIST, domain=domain) == []


@pytest.mark.parametrize("kind", ["gql", "amplify", "appsync"])
def test_a_wrong_key_is_refused_at_once_and_not_repeated(school: School, domain: str, kind: Kind) -> None:
    async def ask() -> None:
        # With another answer than 401 and its headers they would try again for minutes.
        if kind == "gql":
            with pytest.raises(Exception, match=r"401|Unauthorized|authorized"):
                async with school.client(kind, key="wrong"):
                    pass  # it asks for the schema at once
        else:
            async with school.client(kind, key="wrong") as stranger:
                # Amplify looks for reasons where only REST has them.
                with pytest.raises(Refused, match=r"401|authorized|Unknown error"):
                    await stranger.ask(documents.LIST, domain=domain)

    asyncio.run(asyncio.wait_for(ask(), 10))


def _values(status: dict[str, Any]) -> dict[str, str]:
    return {datum["key"]: datum["value"] for datum in status["data"]}
