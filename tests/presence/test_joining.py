"""Who joins a workspace while they are here is told of to those who are there, who could not know."""

from typing import Any

import pytest

from groups.actions.workspaces import invite_to_workspace, join_workspace
from groups.models import Channel, User, Workspace
from presence import announcing
from realtime.backends import leases
from realtime.errors import Unavailable
from tests.presence.conftest import Ear, attach

pytestmark = pytest.mark.django_db(transaction=True)  # what follows a commit needs one


@pytest.fixture
def invite(workspace: Workspace, grace: User) -> str:
    return invite_to_workspace(inviter=grace, workspace_id=workspace.pk, days=1).token


def test_the_members_are_told_of_who_joins_while_online(
    shared: str, general: Channel, bob: User, eve: User, invite: str
) -> None:
    ear, own = Ear(bob), Ear(eve)
    attach(eve)
    announcing.announce()
    assert (ear.of(eve), own.of(eve)) == ([], ["online"])

    join_workspace(user=eve, token=invite)

    assert ear.of(eve) == ["online"]


def test_nobody_is_told_of_who_joins_while_offline(
    shared: str, general: Channel, bob: User, eve: User, invite: str
) -> None:
    ear = Ear(bob)
    join_workspace(user=eve, token=invite)
    announcing.announce()

    assert ear.told == []


def test_an_outage_of_the_leases_keeps_nobody_out(
    shared: str,
    general: Channel,
    eve: User,
    invite: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(holders: list[str]) -> Any:
        raise Unavailable("Redis")

    monkeypatch.setattr(leases(), "statuses", away)
    workspace = join_workspace(user=eve, token=invite)

    assert workspace.members.filter(user=eve).exists()
