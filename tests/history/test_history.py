"""Nothing lost, nothing twice, nothing out of order, nothing to the wrong person, whatever breaks meanwhile."""

import os

import pytest

from tests.history.cluster import NAMES
from tests.history.conftest import StartCluster, Tell
from tests.history.report import report, violations
from tests.history.run import Plan, play

pytestmark = pytest.mark.postgres

SEED = int(os.environ.get("HISTORY_SEED", "20261121"))
SECONDS = float(os.environ.get("HISTORY_SECONDS", "60"))
CLASSROOMS = 3


def test_every_guarantee_holds_while_everything_fails(start_cluster: StartCluster, tell: Tell) -> None:
    # On two of the workers every ring to the third is lost, doubled or late; between the others it works.
    # A short stream, so that who is away for seconds cannot always resume.
    modules = ("meshsite.settings", "tests.unreliable_settings", "tests.unreliable_settings")
    cluster = start_cluster(*modules, STREAM_EVENTS=30)
    journal = play(Plan(SEED, SECONDS, classrooms=CLASSROOMS), cluster, cluster.found(NAMES))
    tell(report(f"history, seed {SEED}, {SECONDS:g} s, {len(NAMES)} people, {len(journal.logs)} sessions", journal))
    assert not journal.violations, violations(journal)
    assert len(journal.messages) > SECONDS / 2
