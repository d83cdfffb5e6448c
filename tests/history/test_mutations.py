"""The checker notices when a guarantee is broken on purpose: otherwise its silence would mean nothing."""

from collections.abc import Mapping

import pytest

from tests.history import comings, conversation
from tests.history.cluster import LEASE_SECONDS, NAMES
from tests.history.conftest import StartCluster, Tell
from tests.history.deeds import COMING_AND_GOING, TALK
from tests.history.journal import Kind
from tests.history.people import Deed, Person
from tests.history.report import report
from tests.history.run import Plan, play

pytestmark = pytest.mark.postgres

SECONDS = 5.0
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

CONVERSATION_MUTATIONS: list[tuple[str, Kind, Mapping[Deed, int]]] = [
    ("partial_reactions", "state", {Person.send: 2, conversation.react: 6, conversation.unreact: 1}),
    ("flat_cursors", "state", {Person.send: 4, Person.read: 4, Person.unread: 2}),
    ("loyal_audiences", "leak", {Person.send: 4, comings.add: 2, comings.remove: 4}),
]

PRESENCE_SECONDS = 5.0
CLASSROOM_SECONDS = 6.0

PRESENCE_MUTATIONS: list[tuple[str, Kind, Mapping[Deed, int], float, float]] = [
    # A cut is enough, of somebody who does not say goodbye soon after.
    ("hasty_leases", "presence flap", {**TALK, **COMING_AND_GOING}, LEASE_SECONDS, 0),
    # Two workers find changes of the same person.
    ("skewed_versions", "presence order", COMING_AND_GOING, LEASE_SECONDS, 0),
    # Somebody leaves without a word. Their lease ends soon.
    ("forgetful_sweep", "presence end state", COMING_AND_GOING, 1, 1),
]

CLASSROOM_MUTATIONS: list[tuple[str, Kind]] = [
    # An answer is lost, and the batch comes again.
    ("forgotten_receipts", "classroom twice"),
    # A batch is longer than a page.
    ("torn_pages", "classroom lost"),
    # The channel layer loses, repeats and shuffles what subscribers are told.
    ("credulous_session", "classroom twice"),
]


@pytest.mark.parametrize(("mutation", "kind", "deck"), MUTATIONS)
def test_a_broken_guarantee_is_found(
    start_cluster: StartCluster, tell: Tell, mutation: str, kind: Kind, deck: tuple[str, ...]
) -> None:
    plan = Plan(4711, SECONDS, deck, pause_seconds=0.2, deeds=TALK, agree_seconds=0)
    assert kind in _found(start_cluster, tell, mutation, plan)


@pytest.mark.parametrize(("mutation", "kind", "deeds"), CONVERSATION_MUTATIONS)
def test_a_broken_guarantee_of_the_conversation_is_found(
    start_cluster: StartCluster, tell: Tell, mutation: str, kind: Kind, deeds: Mapping[Deed, int]
) -> None:
    plan = Plan(4711, SECONDS, CALM, pause_seconds=0.2, deeds=deeds, agree_seconds=0)
    assert kind in _found(start_cluster, tell, mutation, plan)


@pytest.mark.parametrize(("mutation", "kind", "deeds", "lease_seconds", "agree_seconds"), PRESENCE_MUTATIONS)
def test_a_broken_guarantee_of_presence_is_found(
    start_cluster: StartCluster,
    tell: Tell,
    mutation: str,
    kind: Kind,
    deeds: Mapping[Deed, int],
    lease_seconds: float,
    agree_seconds: float,
) -> None:
    plan = Plan(
        *(4711, PRESENCE_SECONDS, CALM),
        pause_seconds=0.2,
        deeds=deeds,
        lease_seconds=lease_seconds,
        agree_seconds=agree_seconds,
    )
    assert kind in _found(start_cluster, tell, mutation, plan, LEASE_SECONDS=lease_seconds)


@pytest.mark.parametrize(("mutation", "kind"), CLASSROOM_MUTATIONS)
def test_a_broken_guarantee_of_classrooms_is_found(
    start_cluster: StartCluster, tell: Tell, mutation: str, kind: Kind
) -> None:
    deeds: Mapping[Deed, int] = {Person.read: 1}
    plan = Plan(4711, CLASSROOM_SECONDS, CALM, pause_seconds=0.15, deeds=deeds, agree_seconds=0, classrooms=2)
    assert kind in _found(start_cluster, tell, mutation, plan)


def _found(start_cluster: StartCluster, tell: Tell, mutation: str, plan: Plan, **variables: object) -> set[Kind]:
    """The kinds of the violations that are found when the servers run a mutation."""
    module = f"tests.history.mutations.{mutation}"
    cluster = start_cluster(module, module, **variables)
    journal = play(plan, cluster, cluster.found(NAMES))
    tell(report(f"broken on purpose: {mutation}", journal))
    return {violation.kind for violation in journal.violations}
