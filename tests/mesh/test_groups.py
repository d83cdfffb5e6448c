"""Groups: making, listing, searching, living and ending. Source: the specification's 1.3, 1.5, 1.6, 1.11."""

from typing import Any
from uuid import UUID

import pytest
from django.conf import LazySettings

from groups.mesh import hosting
from groups.mesh.keys import Key
from groups.models import MeshDomain, MeshGroup, MeshNode, MeshReceipt, MeshValue
from tests.mesh.classroom import School
from tests.mesh.conftest import entries_of, school_of
from tests.realtime.conftest import Clock


@pytest.mark.parametrize(
    ("address", "domain"), [("127.0.0.1", "e34158cb"), ("203.0.113.9", "ae00fafe"), ("", "4d52950")]
)
def test_a_domain_is_the_checksum_of_the_address(school: School, address: str, domain: str) -> None:
    assert school_of(Key("test", frozenset()), address).ask("createDomain") == domain


def test_a_group_tells_all_of_itself(school: School) -> None:
    group = school.host("n1", "学校").group
    assert str(UUID(group["id"])) == group["id"]
    assert group == {
        "id": group["id"],
        "domain": "学校",
        "fullId": f"{group['id']}@学校",
        "name": "n1",
        "hostId": "n1",
        "createdAt": "2026-11-21T09:00:00.000Z",
        "expiresAt": "2026-11-21T09:35:00.000Z",
        "heartbeatIntervalSeconds": 60,
        "useWebSocket": True,
        "pollingIntervalSeconds": None,
        "__typename": "Group",
    }


def test_a_polling_group_tells_how_often_to_poll(school: School) -> None:
    group = school.host(useWebSocket=False).group
    assert (group["useWebSocket"], group["pollingIntervalSeconds"]) == (False, 2)


def test_a_client_that_does_not_say_gets_a_group_over_websocket(school: School) -> None:
    answer = school.send('mutation { createGroup(name: "a", hostId: "h", domain: "d") { useWebSocket } }', {})
    assert answer == {"data": {"createGroup": {"useWebSocket": True}}}


def test_a_host_gets_its_group_again_whatever_else_it_asks_for(school: School, still: Clock) -> None:
    first = school.host().group
    still.advance(100)
    nonsense: dict[str, Any] = {"name": "x", "useWebSocket": False, "maxConnectionTimeSeconds": -5}
    assert school.host(**nonsense).group == first
    assert MeshGroup.objects.count() == 1


def test_a_host_may_have_a_group_in_each_domain(school: School) -> None:
    assert school.host(domain="a").id != school.host(domain="b").id


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"domain": "d" * 257}, "Domain must be 256 characters or less"),
        ({"domain": "😀" * 129}, "Domain must be 256 characters or less"),
        ({"maxConnectionTimeSeconds": 0}, "maxConnectionTimeSeconds must be at least 1"),
        ({"maxConnectionTimeSeconds": 2101}, "maxConnectionTimeSeconds cannot exceed 2100"),
        ({"hostId": ""}, "hostId is required"),
        ({"name": "x" * 257}, "name must be 256 characters or less"),
        ({"name": "\0"}, "name holds a character that cannot be stored"),
        ({"domain": "\0"}, "domain holds a character that cannot be stored"),
    ],
)
def test_nonsense_makes_no_group(school: School, asked: dict[str, Any], text: str) -> None:
    good = {"name": "n1", "hostId": "n1", "domain": "school", "useWebSocket": True}
    assert school.error("createGroup", **(good | asked)) == ("ValidationError", text)
    assert MeshGroup.objects.count() == 0


@pytest.mark.parametrize("domain", ["", "d" * 256, "😀" * 128, "a b%_\\'\"@#"])
def test_any_text_is_a_domain(school: School, domain: str) -> None:
    group = school.host(domain=domain).group
    assert [one["id"] for one in school.ask("listGroupsByDomain", domain=domain)] == [group["id"]]


def test_a_group_lives_as_long_as_it_was_asked_to(school: School) -> None:
    assert school.host(maxConnectionTimeSeconds=1).group["expiresAt"] == "2026-11-21T09:00:01.000Z"


def test_heartbeats_do_not_move_the_end(school: School, still: Clock) -> None:
    place = school.host()
    still.advance(149.4)
    assert place.ask("renewHeartbeat", hostId="n1") == {
        **place.names,
        "expiresAt": place.group["expiresAt"],
        "heartbeatIntervalSeconds": 60,
        "__typename": "HeartbeatPayload",
    }


def test_a_group_is_alive_in_the_very_second_of_its_limit(school: School, still: Clock) -> None:
    place = school.host(maxConnectionTimeSeconds=100)
    still.advance(100.9)
    place.join()
    still.advance(0.1)
    expired = f"Group expired: {place.id}@school (expiresAt: 2026-11-21T09:01:40.000Z)"
    assert place.error("joinGroup", nodeId="n2") == ("GroupNotFound", expired)


def test_a_host_may_be_silent_for_the_very_second_of_its_limit(school: School, still: Clock) -> None:
    place = school.host()
    still.advance(150.9)
    place.report(a="1")
    still.advance(0.1)
    silent = f"Group not found: {place.id}@school (heartbeat expired)"
    assert place.error("reportDataByNode", nodeId="n2", data=[]) == ("GroupNotFound", silent)
    assert place.error("renewHeartbeat", hostId="n1") == ("GroupNotFound", silent)


def test_lists_are_a_second_stricter(school: School, still: Clock) -> None:
    school.host("n1")
    school.host("n3", maxConnectionTimeSeconds=150)
    still.advance(149.9)
    assert len(school.ask("listGroupsByDomain", domain="school")) == 2
    still.advance(0.1)
    assert school.ask("listGroupsByDomain", domain="school") == []


def test_lists_and_making_are_a_second_stricter_about_the_end_too(school: School, still: Clock) -> None:
    place = school.host(maxConnectionTimeSeconds=100)
    still.advance(99.9)
    assert school.host(maxConnectionTimeSeconds=100).id == place.id
    assert len(school.ask("listGroupsByDomain", domain="school")) == 1
    still.advance(0.1)
    assert school.ask("listGroupsByDomain", domain="school") == []
    assert school.ask("searchGroupsByNamePrefix", namePrefix="n1") == []
    place.join("n2")  # the very second of the limit is still alive
    assert school.host().id != place.id


def test_a_host_whose_group_left_the_lists_gets_another(school: School, still: Clock) -> None:
    first = school.host()
    still.advance(150)
    assert school.host().id != first.id
    assert first.error("joinGroup", nodeId="n2")[0] == "GroupNotFound"


@pytest.mark.parametrize(
    ("seconds", "how", "told"),
    [(None, "its host was silent", "(heartbeat expired)"), (150, "its time was over", "(expiresAt: ")],
    ids=["silent", "over"],
)
def test_a_group_in_whose_place_its_host_gets_another_is_told_how_it_ended(
    school: School, still: Clock, seconds: int | None, how: str, told: str
) -> None:
    first = school.host(maxConnectionTimeSeconds=seconds)
    still.advance(150)
    assert school.host().id != first.id
    [ended] = entries_of(first)
    assert how in str(ended.body)
    assert told in first.error("joinGroup", nodeId="n2")[1]


def test_of_an_ended_group_nothing_is_kept_that_its_nodes_said(school: School) -> None:
    place, other = school.host("n1"), school.host("n3")
    for one in (place, other):
        one.join("n2")
        one.report("n2", a="1")
        one.fire("a", key="k")
    place.ask("dissolveGroup", hostId="n1")
    assert [str(row.group_id) for row in MeshNode.objects.all()] == [other.id]
    assert [str(row.group_id) for row in MeshValue.objects.all()] == [other.id]
    assert [str(row.group_id) for row in MeshReceipt.objects.all()] == [other.id]


HOST = {"hostId": "n1"}
NODE = {"nodeId": "n2"}
CHECKED: list[tuple[str, dict[str, Any]]] = [
    ("joinGroup", NODE),
    ("renewHeartbeat", HOST),
    ("sendMemberHeartbeat", NODE),
    ("reportDataByNode", NODE | {"data": []}),
    ("fireEventsByNode", NODE | {"events": []}),
    ("recordEventsByNode", NODE | {"events": []}),
]


@pytest.mark.parametrize(("field", "variables"), CHECKED)
@pytest.mark.parametrize(
    ("id", "domain"),
    [
        ("00000000-0000-4000-8000-000000000000", "school"),
        ("nonsense", "school"),
        ("", ""),
        ("{id}", "elsewhere"),
        ("{ID}", "school"),
        ("{id}", "d" * 1000),
        ("{id}", "sch\0ool"),
    ],
)
def test_only_the_pair_names_a_group(school: School, field: str, variables: Any, id: str, domain: str) -> None:
    place = school.host()
    id = id.format(id=place.id, ID=place.id.upper())
    told = school.error(field, groupId=id, domain=domain, **variables)
    assert told == ("GroupNotFound", f"Group not found: {id}@{domain}")


@pytest.mark.parametrize(("field", "variables"), CHECKED)
@pytest.mark.parametrize("seconds", [150.9, 151, 10_000])
def test_a_group_that_was_swept_is_told_of_as_one_that_was_not(
    school: School, still: Clock, field: str, variables: Any, seconds: float
) -> None:
    place = school.host(maxConnectionTimeSeconds=1000)
    place.join()
    still.advance(seconds)
    before = place.school.answer(field, **place.names, **variables)
    assert hosting.sweep() == (1 if seconds >= 151 else 0)
    after = place.school.answer(field, **place.names, **variables)
    assert after == before


def test_a_dissolved_group_is_gone(school: School) -> None:
    place = school.host()
    place.join()
    place.report(a="1")
    text = f"Group {place.id}@school has been dissolved successfully."
    assert place.ask("dissolveGroup", hostId="n1") == {
        **place.names,
        "nodeStatus": None,
        "batchEvent": None,
        "groupDissolve": {**place.names, "message": text, "__typename": "GroupDissolvePayload"},
        "__typename": "MeshMessage",
    }
    assert school.ask("listGroupsByDomain", domain="school") == []
    assert place.statuses() == []
    assert place.ask("listNodesInGroup") == []
    assert school.ask("getNodeStatus", nodeId="n2") is None
    gone = ("GroupNotFound", f"Group not found: {place.id}@school")
    assert place.error("dissolveGroup", hostId="n1") == gone
    assert place.error("joinGroup", nodeId="n2") == gone
    assert place.error("renewHeartbeat", hostId="n1") == gone


@pytest.mark.parametrize("name", ["groupId", "domain", "hostId"])
def test_dissolving_needs_all_three(school: School, name: str) -> None:
    place = school.host()
    given = place.names | HOST | {name: ""}
    assert school.error("dissolveGroup", **given) == ("ValidationError", f"{name} is required")


def test_an_unknown_group_is_told_of_before_a_wrong_host(school: School) -> None:
    told = school.error("dissolveGroup", groupId="x", domain="school", hostId="eve")
    assert told == ("GroupNotFound", "Group not found: x@school")


def test_only_the_host_may_end_a_group_or_renew_it(school: School, still: Clock) -> None:
    place = school.host()
    place.join("n2")
    for stranger in ("n2", "eve", "N1", "n1 ", "n1\0"):
        told = place.error("dissolveGroup", hostId=stranger)
        assert told == ("Unauthorized", "Only the host can dissolve the group")
        told = place.error("renewHeartbeat", hostId=stranger)
        assert told == ("Unauthorized", "Only the host can renew the heartbeat")
    still.advance(151)
    assert place.error("joinGroup", nodeId="n2")[0] == "GroupNotFound", "a stranger kept it alive"


def test_the_host_of_another_group_is_a_stranger(school: School) -> None:
    school.host("n3")
    assert school.host("n1").error("dissolveGroup", hostId="n3")[0] == "Unauthorized"


def test_who_knows_the_host_and_has_another_key_is_a_stranger(school: School) -> None:
    """Lists show the ids of hosts to everybody."""
    place = school.host("n1")
    eve = school_of(Key("another", frozenset()))
    for field in ("dissolveGroup", "renewHeartbeat"):
        assert eve.error(field, **place.names, hostId="n1")[0] == "Unauthorized"
    place.ask("dissolveGroup", hostId="n1")


def test_a_key_of_one_domain_works_in_no_other(school: School) -> None:
    here, there = school.host(domain="here"), school.host(domain="there")
    limited = school_of(Key("limited", frozenset({"here"})))
    limited.ask("joinGroup", **here.names, nodeId="n2")
    told = limited.error("joinGroup", **there.names, nodeId="n2")
    assert told == ("ValidationError", "This key does not work in this domain.")
    assert [one["domain"] for one in limited.ask("searchGroupsByNamePrefix", namePrefix="n1")] == ["here"]
    assert limited.error("listGroupsByDomain", domain="there")[0] == "ValidationError"
    there.join("n3")
    there.report("n3", a="1")
    assert limited.ask("getNodeStatus", nodeId="n3") is None
    limited.ask("leaveGroup", **there.names, nodeId="n3")
    assert [node["id"] for node in there.ask("listNodesInGroup")] == ["n3"]


def test_a_group_that_ended_by_itself_may_be_dissolved_once(school: School, still: Clock) -> None:
    place = school.host()
    still.advance(1000)
    hosting.sweep()
    assert "dissolved" in place.ask("dissolveGroup", hostId="n1")["groupDissolve"]["message"]
    assert place.error("dissolveGroup", hostId="n1")[0] == "GroupNotFound"


def told_of() -> list[str | None]:
    """Of the ends that were told: streams have taken them by now, so they are counted by what they leave."""
    return list(MeshGroup.objects.exclude(ended=None).values_list("ended", flat=True))


@pytest.mark.parametrize(
    ("seconds", "life", "cause"), [(151, 2000, "silence"), (101, 100, "time"), (10_000, 100, "time")]
)
def test_a_group_that_is_over_is_ended_once(school: School, still: Clock, seconds: int, life: int, cause: str) -> None:
    place = school.host(maxConnectionTimeSeconds=life)
    place.report("n1", a="1")
    still.advance(seconds - 0.1)
    assert (hosting.sweep(), told_of()) == (0 if seconds < 1000 else 1, [] if seconds < 1000 else [cause])
    still.advance(0.1)
    hosting.sweep()
    assert told_of() == [cause]
    assert hosting.sweep() == 0
    assert place.statuses() == []
    told = [entry.name for entry in entries_of(place)].count("mesh.group_dissolved")
    # In memory, hours without a sweep end the stream, too, before anybody can be told.
    assert told == 1 or (seconds == 10_000 and told == 0)


def test_an_ended_group_is_forgotten_after_a_day(school: School, still: Clock) -> None:
    place = school.host()
    still.advance(1000)
    hosting.sweep()
    still.advance(24 * 3600 + 1)
    hosting.sweep()
    assert place.error("joinGroup", nodeId="n2") == ("GroupNotFound", f"Group not found: {place.id}@school")
    assert MeshGroup.objects.count() == 0


def test_lists_hold_the_living_groups_of_a_domain_with_every_field(school: School, still: Clock) -> None:
    groups = [school.host("n1").group, school.host("n3", useWebSocket=False).group]
    school.host("n4", "elsewhere")
    school.host("n5").ask("dissolveGroup", hostId="n5")
    assert sorted(school.ask("listGroupsByDomain", domain="school"), key=lambda one: str(one["hostId"])) == groups
    assert school.ask("listGroupsByDomain", domain="nowhere") == []
    assert school.ask("listGroupsByDomain", domain="\0") == []


@pytest.mark.parametrize("prefix", ["", "1234567"])
def test_a_search_needs_one_to_six_characters(school: School, prefix: str) -> None:
    told = school.error("searchGroupsByNamePrefix", namePrefix=prefix)
    assert told == ("ValidationError", "namePrefix must be 1-6 characters")


def test_a_search_finds_the_newest_living_groups_in_all_domains(school: School, still: Clock) -> None:
    for number in range(12):
        school.host(f"dead{number}", f"d{number}", name="abc123", maxConnectionTimeSeconds=5)
    still.advance(10)
    for number in range(12):
        school.host(f"n{number}", f"d{number}", name="abc123ffff")
        still.advance(1)
    found = school.ask("searchGroupsByNamePrefix", namePrefix="abc123")
    assert [one["hostId"] for one in found] == [f"n{number}" for number in range(11, 1, -1)]
    few = school.ask("searchGroupsByNamePrefix", namePrefix="abc", limit=2)
    assert [one["hostId"] for one in few] == ["n11", "n10"]
    assert len(school.ask("searchGroupsByNamePrefix", namePrefix="a", limit=1000)) == 12
    assert len(school.ask("searchGroupsByNamePrefix", namePrefix="a", limit=-3)) == 1


@pytest.mark.parametrize("prefix", ["ABC", "abd", "%", "_bc", "bc", "\0"])
def test_a_search_takes_each_character_as_it_is(school: School, prefix: str) -> None:
    school.host(name="abc123")
    assert school.ask("searchGroupsByNamePrefix", namePrefix=prefix) == []


def test_a_search_finds_japanese_names(school: School) -> None:
    school.host(name="いしかたうん")
    assert len(school.ask("searchGroupsByNamePrefix", namePrefix="いしか")) == 1


def test_a_school_that_polls_makes_groups_that_poll(school: School) -> None:
    MeshDomain.objects.create(name="school", polls=True)
    assert school.host().group["useWebSocket"] is False


def test_a_domain_holds_so_many_groups(school: School, monkeypatch: pytest.MonkeyPatch, settings: LazySettings) -> None:
    monkeypatch.setattr(hosting, "GROUPS_PER_DOMAIN", 2)
    school.host("n1")
    school.host("n2")
    told = school.error("createGroup", name="n3", hostId="n3", domain="school", useWebSocket=True)
    assert told == ("ValidationError", "This domain holds too many groups.")
    school.host("n1")  # its own is there
    school.host("n3", "elsewhere")
