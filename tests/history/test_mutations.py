"""The checker notices when a guarantee is broken on purpose: otherwise its silence would mean nothing."""

import pytest

from tests.history.cluster import NAMES
from tests.history.conftest import StartCluster, Tell
from tests.history.journal import Kind
from tests.history.report import report
from tests.history.run import Plan, play

pytestmark = pytest.mark.postgres

SECONDS = 8.0
CALM = ("cut",)

MUTATIONS: list[tuple[str, Kind, tuple[str, ...]]] = [
    # What a paused Redis did not take is gone.
    ("hasty_outbox", "lost", ("pause_redis", "cut")),
    # Two workers that send at the same time are enough.
    ("forgotten_event_ids", "twice", CALM),
    # Somebody leaves, or something is deleted, while somebody is cut off.
    ("open_replay", "leak", ("leave_unheard", "regret_unheard")),
    # The channel layer loses, repeats and shuffles.
    ("credulous_session", "seq", CALM),
]


@pytest.mark.parametrize(("mutation", "kind", "deck"), MUTATIONS)
def test_a_broken_guarantee_is_found(
    start_cluster: StartCluster, tell: Tell, mutation: str, kind: Kind, deck: tuple[str, ...]
) -> None:
    module = f"tests.history.mutations.{mutation}"
    cluster = start_cluster(module, module)
    accounts, kinds = cluster.found(NAMES)
    journal = play(Plan(4711, SECONDS, deck, pause_seconds=0.2), cluster, accounts, kinds)
    tell(report(f"broken on purpose: {mutation}", journal))
    assert kind in {violation.kind for violation in journal.violations}
