"""What nodes report. Source: the specification's 1.6, 1.10 and W6."""

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from groups.mesh import telling
from tests.mesh.classroom import Place, School
from tests.realtime.conftest import Clock

TEXTS = [
    *("", " ", "日本語", "简体中文", "한국어", "e\u0301 é", "\u202e\ufeff\u200b", '"\\\n\r\t\x01', "a" * 65_536),
    "😀\U0001f468\u200d\U0001f469\u200d\U0001f467🇯🇵",
]


def test_a_report_is_answered_with_just_its_keys(school: School, still: Clock) -> None:
    place = school.host()
    place.report("n2", old="1")
    still.advance(1.234)
    status = {
        **place.names,
        "nodeId": "n2",
        "data": [{"key": "new", "value": "2", "__typename": "SensorData"}],
        "timestamp": "2026-11-21T09:00:01.234Z",
        "__typename": "NodeStatus",
    }
    rest = {"batchEvent": None, "groupDissolve": None, "__typename": "MeshMessage"}
    assert place.report("n2", new="2") == {**place.names, "nodeStatus": status, **rest}


def test_hosts_and_strangers_report_without_joining(school: School) -> None:
    place = school.host()
    place.report("n1", a="1")
    place.report("eve", a="2")
    assert place.values() == {"n1": {"a": "1"}, "eve": {"a": "2"}}


@pytest.mark.parametrize("text", TEXTS)
def test_texts_come_back_as_they_are(school: School, text: str) -> None:
    place = school.host()
    key = text[:256]
    told = place.ask("reportDataByNode", nodeId="n2", data=[{"key": key, "value": text}])
    assert told["nodeStatus"]["data"] == [{"key": key, "value": text, "__typename": "SensorData"}]
    assert place.values() == {"n2": {key: text}}
    place.fire("e", payload=text)
    assert place.events()[0]["payload"] == (text or None)


def test_keys_that_look_alike_are_different(school: School) -> None:
    place = school.host()
    keys = ["a", "A", "a ", "é", "e\u0301", "１", "1"]
    place.ask("reportDataByNode", nodeId="n2", data=[{"key": key, "value": key} for key in keys])
    assert place.values() == {"n2": {key: key for key in keys}}


def test_the_last_of_two_values_of_one_report_counts(school: School) -> None:
    place = school.host()
    place.ask("reportDataByNode", nodeId="n2", data=[{"key": "a", "value": "1"}, {"key": "a", "value": "2"}])
    assert place.values() == {"n2": {"a": "2"}}


def test_who_comes_late_knows_each_value_with_its_own_time(school: School, still: Clock) -> None:
    """W6: merged under the newest time, an old value would win over a newer one of another node."""
    place = school.host()
    place.report("n2", a="1", b="1")
    still.advance(1)
    place.report("n3", b="3")
    still.advance(1)
    place.report("n2", c="2")
    told = [
        (status["nodeId"], status["timestamp"][17:19], {datum["key"]: datum["value"] for datum in status["data"]})
        for status in place.statuses()
    ]
    assert told == [("n2", "00", {"a": "1", "b": "1"}), ("n3", "01", {"b": "3"}), ("n2", "02", {"c": "2"})]
    assert place.ask("pollGroupData", since="")["nodeStatuses"] == place.statuses()


def test_a_value_that_changed_leaves_its_old_time(school: School, still: Clock) -> None:
    place = school.host()
    place.report("n2", a="1", b="1")
    still.advance(1)
    place.report("n2", a="2")
    assert [len(status["data"]) for status in place.statuses()] == [1, 1]
    assert place.values() == {"n2": {"a": "2", "b": "1"}}


@pytest.fixture
def lasting(school: School, settings: LazySettings) -> Place:
    settings.MESH_HOST_HEARTBEAT_TTL_SECONDS = 5000
    return school.host()


def test_values_stay_as_long_as_their_node(lasting: Place, still: Clock) -> None:
    lasting.join("n2")
    lasting.report("n2", a="1")
    lasting.report("n1", host="1")
    for _ in range(3):
        still.advance(500)
        lasting.ask("sendMemberHeartbeat", nodeId="n2")
    assert lasting.values() == {"n2": {"a": "1"}, "n1": {"host": "1"}}
    still.advance(601)
    assert lasting.values() == {"n1": {"host": "1"}}


def test_values_of_who_did_not_join_stay_for_ten_minutes_after_their_last_report(lasting: Place, still: Clock) -> None:
    lasting.report("eve", a="1")
    still.advance(500)
    lasting.report("eve", b="2")
    still.advance(500)
    assert lasting.values() == {"eve": {"a": "1", "b": "2"}}
    still.advance(100)
    assert lasting.values() == {}


def test_values_of_a_node_whose_beats_are_missing_stay_while_it_reports(lasting: Place, still: Clock) -> None:
    lasting.join("n2")
    still.advance(599)
    lasting.report("n2", a="1")
    still.advance(500)
    assert lasting.values() == {"n2": {"a": "1"}}


def test_statuses_need_group_and_domain(school: School) -> None:
    place = school.host()
    for names in ({"groupId": "", "domain": "school"}, {"groupId": place.id, "domain": ""}):
        told = school.error("listGroupStatuses", **names)
        assert told == ("ValidationError", "groupId and domain are required")


@pytest.mark.parametrize(("id", "domain"), [("x", "school"), ("{id}", "elsewhere"), ("{id}", "\0")])
def test_an_unknown_group_has_nothing(school: School, id: str, domain: str) -> None:
    place = school.host()
    place.join("n2")
    place.report("n2", a="1")
    place.fire("e")
    names = {"groupId": id.format(id=place.id), "domain": domain}
    assert school.ask("listGroupStatuses", **names) == []
    assert school.ask("listNodesInGroup", **names) == []
    assert school.ask("getEventsSince", **names, since="") == []
    assert school.ask("pollGroupData", **names, since="")["events"] == []


def test_a_new_group_has_nothing(school: School) -> None:
    place = school.host()
    assert (place.statuses(), place.events(), place.ask("listNodesInGroup")) == ([], [], [])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ([{"key": "k" * 257, "value": ""}], "key must be 256 characters or less"),
        ([{"key": "k", "value": "v" * 65_537}], "value must be 65536 characters or less"),
        ([{"key": "\0", "value": ""}], "key holds a character that cannot be stored"),
        ([{"key": "k", "value": "a\0b"}], "value holds a character that cannot be stored"),
        ([{"key": str(number), "value": ""} for number in range(1001)], "data must hold 1000 entries or less"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_not_told(school: School, data: list[dict[str, str]], text: str) -> None:
    place = school.host()
    assert place.error("reportDataByNode", nodeId="n2", data=data) == ("ValidationError", text)
    assert place.values() == {}


def test_a_group_holds_so_many_values(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "VALUES_PER_GROUP", 3)
    place = school.host()
    place.report("n2", a="1", b="2")
    data = [{"key": key, "value": ""} for key in "cd"]
    told = place.error("reportDataByNode", nodeId="n2", data=data)
    assert told == ("ValidationError", "This group holds too many values.")
    place.report("n2", c="3")


def test_a_group_holds_so_many_long_values(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "LONG_VALUES_CHARACTERS", 5000)
    place = school.host()
    place.report("n2", a="x" * 3000)
    told = place.error("reportDataByNode", nodeId="n2", data=[{"key": "b", "value": "x" * 3000}])
    assert told == ("ValidationError", "The values of this group are too long.")


def test_while_nothing_is_told_polls_do_not_read_the_values_again(school: School, still: Clock) -> None:
    place = school.host()
    place.join("n2")

    def polled() -> tuple[dict[str, str], bool]:
        with CaptureQueriesContext(connection) as captured:
            statuses = place.ask("pollGroupData", since="")["nodeStatuses"]
        values = {one["nodeId"]: one["data"][0]["value"] for one in statuses}
        return values, any("meshvalue" in query["sql"] for query in captured)

    place.report(x="1")
    assert [polled(), polled()] == [({"n2": "1"}, True), ({"n2": "1"}, False)]
    place.report(x="2")
    assert polled() == ({"n2": "2"}, True)
    place.ask("leaveGroup", nodeId="n2")
    assert polled() == ({}, True)
    still.advance(2)
    assert polled() == ({}, True)
