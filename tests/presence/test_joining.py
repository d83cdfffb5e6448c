"""Who comes while they are here is told of to those who see them from then on. Who goes is told of no more."""

from typing import Any

import pytest

from groups.actions.membership import add_members, join_channel, leave_channel
from groups.actions.users import deactivate_user
from groups.actions.workspaces import invite_to_workspace, join_workspace, leave_workspace
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


def test_a_guest_is_told_of_who_joins_their_channel_while_online(
    shared: str, general: Channel, lounge: Channel, grace: User, ada: User, gus: User
) -> None:
    add_members(adder=grace, channel_id=lounge.pk, user_ids=[gus.pk])
    ear = Ear(gus)
    attach(ada)
    announcing.announce()
    assert ear.of(ada) == []

    join_channel(user=ada, channel_id=lounge.pk)

    assert ear.of(ada) == ["online"]


def test_a_guest_is_told_no_more_of_who_left_their_channel(
    shared: str, general: Channel, lounge: Channel, grace: User, ada: User, gus: User
) -> None:
    add_members(adder=grace, channel_id=lounge.pk, user_ids=[gus.pk, ada.pk])
    ear = Ear(gus)
    leave_channel(user=ada, channel_id=lounge.pk)

    attach(ada)
    announcing.announce()

    assert ear.of(ada) == []


def test_a_channel_without_guests_tells_nobody_again(
    shared: str, general: Channel, lounge: Channel, ada: User, bob: User
) -> None:
    ear = Ear(bob)
    attach(ada)
    announcing.announce()

    join_channel(user=ada, channel_id=lounge.pk)

    assert ear.of(ada) == ["online"]


def test_neither_side_is_told_of_the_other_when_one_has_left(
    shared: str, workspace: Workspace, general: Channel, ada: User, bob: User
) -> None:
    ears = Ear(ada), Ear(bob)
    leave_workspace(user=ada, workspace_id=workspace.pk)

    for user in (ada, bob):
        attach(user)
    announcing.announce()

    assert (ears[0].of(bob), ears[1].of(ada)) == ([], [])


def test_who_was_deactivated_is_told_to_be_offline_once(shared: str, general: Channel, ada: User, bob: User) -> None:
    ear = Ear(bob)
    attach(ada)
    attach(ada, "s_2")
    announcing.announce()

    deactivate_user(user=ada)
    announcing.announce()
    deactivate_user(user=ada)
    announcing.announce()

    assert ear.of(ada) == ["online", "offline"]
