"""Nodes: joining, beating, leaving, and who is told to poll. Source: the specification's 1.5, 1.6, W5 and W7."""

import pytest
from django.conf import LazySettings

from groups.mesh import hosting, members
from groups.mesh.keys import Key
from groups.models import MeshDomain, MeshGroup, MeshNode
from tests.mesh.classroom import Place, School
from tests.mesh.conftest import EVERYWHERE, entries_of, school_of
from tests.realtime.conftest import Clock


def subscribe(place: Place, address: str = "203.0.113.9") -> None:
    members.subscribed(group=MeshGroup.objects.get(pk=place.id), address=address)


def node_ids(place: Place) -> list[str]:
    return [node["id"] for node in place.ask("listNodesInGroup")]


def test_who_joins_is_told_of_the_group(school: School, still: Clock) -> None:
    place = school.host()
    still.advance(5)
    assert place.join("n2") == {
        **place.names,
        "id": "n2",
        "name": "Node n2",
        "expiresAt": place.group["expiresAt"],
        "heartbeatIntervalSeconds": 120,
        "useWebSocket": True,
        "pollingIntervalSeconds": None,
        "__typename": "Node",
    }


def test_the_host_is_no_node(school: School) -> None:
    assert node_ids(school.host()) == []


def test_a_list_tells_who_the_nodes_are_and_no_more(school: School) -> None:
    place = school.host()
    place.join("n2")
    rest = dict.fromkeys(("expiresAt", "heartbeatIntervalSeconds", "useWebSocket", "pollingIntervalSeconds"))
    node = {"id": "n2", "name": "Node n2", **place.names, "__typename": "Node"}
    assert place.ask("listNodesInGroup") == [node | rest]


def test_joining_again_refreshes(school: School, still: Clock) -> None:
    place = school.host()
    place.join("n2")
    still.advance(3)
    assert place.join("n2")["useWebSocket"] is True
    assert node_ids(place) == ["n2"]


@pytest.mark.parametrize("told", [{}, {"useWebSocket": None}, {"useWebSocket": True}])
def test_a_member_that_does_not_object_gets_the_mode_of_its_group(school: School, told: dict[str, bool | None]) -> None:
    assert school.host("n1").join("n2", **told)["useWebSocket"] is True
    polling = school.host("n3", useWebSocket=False).join("n4", **told)
    assert (polling["useWebSocket"], polling["pollingIntervalSeconds"]) == (False, 2)


def test_a_member_that_says_so_polls(school: School) -> None:
    node = school.host().join("n2", useWebSocket=False)
    assert (node["useWebSocket"], node["pollingIntervalSeconds"]) == (False, 2)


def test_a_polling_member_beats_often_and_so_learns_of_the_end(school: School) -> None:
    place = school.host()
    assert place.join("n2", useWebSocket=False)["heartbeatIntervalSeconds"] == 10
    assert place.ask("sendMemberHeartbeat", nodeId="n2")["heartbeatIntervalSeconds"] == 10
    place.ask("dissolveGroup", hostId="n1")
    assert place.error("sendMemberHeartbeat", nodeId="n2")[0] == "GroupNotFound"


def test_a_school_that_polls_tells_its_members(school: School) -> None:
    place = school.host()
    MeshDomain.objects.create(name="school", polls=True)
    assert place.join("n2")["useWebSocket"] is False


def test_a_member_that_never_subscribed_is_told_to_poll_when_it_comes_again(school: School, still: Clock) -> None:
    place = school.host()
    place.join("n2")
    still.advance(6)
    assert place.join("n2")["useWebSocket"] is False
    still.advance(1)
    assert place.join("n2")["useWebSocket"] is False, "it forgot that a WebSocket does not get through"


def test_a_member_that_subscribed_is_not(school: School, still: Clock) -> None:
    place = school.host()
    place.join("n2")
    subscribe(place)
    still.advance(100)
    assert place.join("n2")["useWebSocket"] is True


def test_a_member_that_subscribed_before_and_not_since_it_came_again_is_told_to_poll(
    school: School, still: Clock
) -> None:
    """It took its computer to where a WebSocket does not get through."""
    place = school.host()
    place.join("n2")
    subscribe(place)
    still.advance(100)
    assert place.join("n2")["useWebSocket"] is True
    still.advance(6)
    assert place.join("n2")["useWebSocket"] is False


def test_a_subscription_is_that_of_who_joined_last_from_its_address(school: School, still: Clock) -> None:
    place = school.host()
    place.join("n2")
    still.advance(1)
    place.join("n3")
    school_of(EVERYWHERE, "198.51.100.1").ask("joinGroup", **place.names, nodeId="n4")
    subscribe(place)
    still.advance(6)
    assert {node: place.join(node)["useWebSocket"] for node in ("n2", "n3", "n4")} == {
        "n2": False,
        "n3": True,
        "n4": False,
    }


def test_a_subscription_long_after_is_somebody_who_comes_back(school: School, still: Clock) -> None:
    place = school.host()
    place.join("n2")
    still.advance(31)
    subscribe(place)
    assert place.join("n2")["useWebSocket"] is False


def test_a_beat_moves_the_end_of_the_node(school: School, still: Clock) -> None:
    place = school.host()
    place.join("n2")
    for _ in range(3):
        still.advance(100)
        place.ask("renewHeartbeat", hostId="n1")
    assert place.ask("sendMemberHeartbeat", nodeId="n2") == {
        **place.names,
        "nodeId": "n2",
        "expiresAt": "2026-11-21T09:15:00.000Z",
        "heartbeatIntervalSeconds": 120,
        "__typename": "MemberHeartbeatPayload",
    }


@pytest.mark.parametrize("node_id", ["n3", "n1", "", "\0"])
def test_who_did_not_join_has_no_beat(school: School, node_id: str) -> None:
    place = school.host()
    place.join("n2")
    assert place.error("sendMemberHeartbeat", nodeId=node_id) == ("NodeNotFound", "Node not found")


def test_an_unknown_group_comes_before_an_unknown_node(school: School) -> None:
    assert school.error("sendMemberHeartbeat", groupId="x", domain="d", nodeId="n9")[0] == "GroupNotFound"


@pytest.fixture
def lasting(school: School, settings: LazySettings) -> Place:
    """A group whose host need not beat."""
    settings.MESH_HOST_HEARTBEAT_TTL_SECONDS = 5000
    return school.host()


def test_a_node_lives_for_ten_minutes(lasting: Place, still: Clock) -> None:
    lasting.join("n2")
    still.advance(600.9)
    assert node_ids(lasting) == ["n2"]
    still.advance(0.1)
    assert node_ids(lasting) == []


def test_reports_and_events_do_not_keep_a_node_alive(lasting: Place, still: Clock) -> None:
    lasting.join("n2")
    still.advance(599)
    lasting.report("n2", a="1")
    lasting.fire("ping")
    still.advance(2)
    assert node_ids(lasting) == []


def test_a_laptop_that_slept_comes_back_to_life(lasting: Place, still: Clock) -> None:
    lasting.join("n2")
    still.advance(1100)
    hosting.sweep()
    lasting.ask("sendMemberHeartbeat", nodeId="n2")
    assert node_ids(lasting) == ["n2"]


def test_a_node_is_swept_when_it_did_not_wake_up(lasting: Place, still: Clock) -> None:
    lasting.join("n2")
    still.advance(1201)
    hosting.sweep()
    assert not MeshNode.objects.exists()
    assert lasting.error("sendMemberHeartbeat", nodeId="n2")[0] == "NodeNotFound"


def test_who_leaves_takes_what_it_reported_along(school: School) -> None:
    place = school.host()
    place.join("n2")
    place.report("n2", a="1")
    place.report("n1", b="2")
    assert place.ask("leaveGroup", nodeId="n2") == {
        **place.names,
        "peerId": "n2",
        "message": f"Peer n2 successfully left group {place.id}",
        "__typename": "LeaveGroupPayload",
    }
    assert place.values() == {"n1": {"b": "2"}}
    assert node_ids(place) == []
    assert school.ask("getNodeStatus", nodeId="n2") is None


@pytest.mark.parametrize(
    ("group_id", "domain", "node_id"),
    [
        ("x", "school", "n2"),
        ("", "", ""),
        ("{id}", "elsewhere", "n2"),
        ("{id}", "school", "n9"),
        ("{id}", "school", "\0"),
    ],
)
def test_leaving_always_succeeds(school: School, group_id: str, domain: str, node_id: str) -> None:
    place = school.host()
    place.join("n2")
    group_id = group_id.format(id=place.id)
    for _ in range(2):
        left = school.ask("leaveGroup", groupId=group_id, domain=domain, nodeId=node_id)
        assert left["peerId"] == node_id
    assert node_ids(place) == ["n2"]


def test_only_who_was_there_is_told_of_as_gone(school: School) -> None:
    place = school.host()
    place.join("n2")
    for node in ("n9", "n2", "n2"):
        place.ask("leaveGroup", nodeId=node)
    assert [entry.name for entry in entries_of(place)] == ["mesh.node_joined", "mesh.node_left"]


def test_a_second_group_leaves_the_first_membership(school: School) -> None:
    first, second = school.host("n1"), school.host("n3")
    first.join("n2")
    second.join("n2")
    assert (node_ids(first), node_ids(second)) == (["n2"], ["n2"])


def test_the_status_of_a_node_is_that_of_the_group_that_it_joined_last(school: School, still: Clock) -> None:
    first, second = school.host("n1"), school.host("n3")
    for place in (first, second):
        still.advance(1)
        place.join("n2")
        place.report("n2", a=place.id)
    status = school.ask("getNodeStatus", nodeId="n2")
    assert status == {
        **second.names,
        "nodeId": "n2",
        "data": [{"key": "a", "value": second.id, "__typename": "SensorData"}],
        "timestamp": "2026-11-21T09:00:02.000Z",
        "__typename": "NodeStatus",
    }


def test_hosts_and_unknown_nodes_have_no_status(school: School) -> None:
    place = school.host()
    place.report("n1", a="1")
    for node_id in ("n1", "n9", "", "\0"):
        assert school.ask("getNodeStatus", nodeId=node_id) is None


def test_forty_nodes_fit_and_a_full_group_says_so_without_a_word_that_disconnects(
    school: School, settings: LazySettings
) -> None:
    settings.MESH_NODES_PER_GROUP = 40
    place = school.host()
    for number in range(40):
        place.join(f"n{number}")
    assert place.error("joinGroup", nodeId="n40") == ("ValidationError", "This group is full.")
    place.join("n39")
    place.ask("leaveGroup", nodeId="n0")
    place.join("n40")


@pytest.mark.parametrize(
    ("node_id", "text"),
    [
        ("", "nodeId is required"),
        ("n" * 257, "nodeId must be 256 characters or less"),
        ("\0", "nodeId holds a character that cannot be stored"),
    ],
)
def test_an_id_that_cannot_be_one_is_refused(school: School, node_id: str, text: str) -> None:
    place = school.host()
    assert place.error("joinGroup", nodeId=node_id) == ("ValidationError", text)
    assert place.error("reportDataByNode", nodeId=node_id, data=[]) == ("ValidationError", text)
    assert place.error("fireEventsByNode", nodeId=node_id, events=[]) == ("ValidationError", text)


def test_japanese_ids_join_and_leave(school: School) -> None:
    place = school.host("先生", "学校")
    place.join("生徒😀")
    place.report("生徒😀", 点="１")
    assert place.ask("leaveGroup", nodeId="生徒😀")["peerId"] == "生徒😀"
    assert place.values() == {}
    place.ask("dissolveGroup", hostId="先生")


def test_two_keys_are_two_clients_of_one_group(school: School) -> None:
    place = school.host()
    school_of(Key("other", frozenset())).ask("joinGroup", **place.names, nodeId="n2")
    assert node_ids(place) == ["n2"]
