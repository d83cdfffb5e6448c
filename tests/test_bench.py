"""The benchmark's harness on a tiny scale: it counts exactly. How fast anything is, is not asked here."""

from pathlib import Path

import pytest

from bench import load, publish, scenarios, servers
from bench.classroom import KEY
from bench.scenarios import Sizes
from tests.server import Databases

TINY = Sizes(
    recipients=5,
    idle=5,
    parked=5,
    rounds=2,
    senders=5,
    seconds=0.5,
    turns=1,
    leaving_seconds=0.5,
    classes=2,
    pupils=4,
)

pytestmark = pytest.mark.skipif(not load.can_compile(), reason="the load client needs a C compiler")


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Databases:
    return Databases(tmp_path_factory.mktemp("bench"))


def test_every_recipient_gets_every_published_event(databases: Databases) -> None:
    with servers.meshsite(5, databases=databases) as target:
        told = load.run("fanout", target, count=5, rate=20, seconds=1.0, warm_up=0.1)
    assert (told["published"], told["delivered"], told["holes"]) == (20, 100, 0)
    assert told["fewest"] == told["most"] == 20


def test_every_scenario_gives_its_figures(databases: Databases) -> None:
    with servers.meshsite(6, databases=databases) as target:
        rows = scenarios.fan_out(target, TINY) + scenarios.connect(target, TINY) + scenarios.long_poll(target, TINY)
    with servers.meshsite(5, databases=databases, where="alone") as target:
        rows += scenarios.send(target, TINY, database="SQLite", streams="memory", recipients=1)
    with servers.meshsite(1, databases=databases, variables={"MESH_API_KEYS": KEY}) as target:
        # It raises when one of them was not told something, or twice, or not in order.
        rows += scenarios.classroom(target, TINY, database="SQLite", streams="memory", polling=0.5, seconds=2.0)
    without_goal = {"fan-out, paced and waking the client"}
    assert {row["scenario"] for row in rows} == {goal.scenario for goal in publish.GOALS} | without_goal
    assert all(goal.figure in row for goal in publish.GOALS for row in rows if row["scenario"] == goal.scenario)
    assert all(row["delivered"] > 0 for row in rows if "delivered" in row)


@pytest.mark.parametrize("everybody", [True, False])
def test_exactly_those_are_told_who_should_be(databases: Databases, everybody: bool) -> None:
    online = 60
    variables = {"PRESENCE_MEMBERS": online if everybody else online - 1}
    with servers.meshsite(online, databases=databases, variables=variables) as target:
        # It raises when one was told too much or too little.
        [row] = scenarios.presence(target, TINY, online=online, streams="memory", everybody=everybody)
    assert (row["watched"], row["changes"], row["told_of_drops"]) == (50, 60, 0)
    assert row["told_per_change"] > 0


def test_a_lost_event_is_noticed(tmp_path: Path) -> None:
    told = {"fewest": 19, "most": 20, "holes": 1}
    target = load.Target("Meshsite", 0, (), tmp_path)
    with pytest.raises(load.LoadFailed):
        scenarios._whole(told, target)
