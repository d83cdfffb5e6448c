"""workspace.invite, invites and revoke_invite, and joining by an invite."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from groups.actions import workspaces
from groups.actions.workspaces import (
    invite_to_workspace,
    join_workspace,
    leave_workspace,
    remove_member,
    revoke_invite,
    set_role,
)
from groups.models import Invite, User, Workspace
from groups.models.workspace import Role
from realtime import clock
from tests.cast import Api, at_once, ids, make_user, names, published, stored


def invite(workspace: Workspace, **more: Any) -> str:
    return invite_to_workspace(inviter=workspace.created_by, workspace_id=workspace.pk, days=1, **more).token


def test_an_invite_lets_a_stranger_in_and_every_member_is_told(
    api: Api, workspace: Workspace, grace: User, ada: User, eve: User
) -> None:
    token = invite(workspace)

    with published() as told:
        answer = api(eve)("workspace.join", token=token)

    shown = answer.body["workspace"]
    assert (shown["id"], shown["role"], shown["member_count"]) == (workspace.pk, "member", 3)
    assert [(event.name, event.user_ids) for event in told] == [("workspace.member_joined", ids(grace, ada, eve))]
    assert told[0].data["user"]["id"] == eve.pk
    assert (told[0].data["role"], told[0].data["workspace"]["member_count"]) == ("member", 3)


def test_joining_again_uses_nothing_up_and_tells_nobody(api: Api, workspace: Workspace, eve: User) -> None:
    token = invite(workspace, max_uses=2)
    call = api(eve)
    first = call("workspace.join", token=token)
    before = stored()

    assert call("workspace.join", token=token).body == first.body
    assert stored() == before
    assert Invite.objects.get().uses == 1


def test_a_used_up_invite_lets_nobody_else_in(api: Api, workspace: Workspace, bob: User, eve: User) -> None:
    token = invite(workspace, max_uses=1)
    join_workspace(user=make_user("first"), token=token)

    answer = api(eve)("workspace.join", token=token)

    assert (answer.said, list(answer.body["errors"])) == ((400, "invite_unusable"), ["token"])
    assert not workspace.members.filter(user=eve).exists()


@pytest.mark.parametrize("change", [{"expires_at": timedelta(0)}, {"revoked_at": timedelta(0)}])
def test_an_expired_or_revoked_invite_lets_nobody_in(
    api: Api, workspace: Workspace, eve: User, change: dict[str, timedelta]
) -> None:
    token = invite(workspace)
    Invite.objects.update(**{name: clock.now() + after for name, after in change.items()})

    assert api(eve)("workspace.join", token=token).said == (400, "invite_unusable")
    assert not workspace.members.filter(user=eve).exists()


def test_an_unknown_invite_is_not_found(api: Api, workspace: Workspace, eve: User) -> None:
    assert api(eve)("workspace.join", token="inv_unknown").said == (404, "not_found")


@pytest.mark.django_db(transaction=True)
def test_of_concurrent_uses_of_a_single_use_invite_exactly_one_wins(workspace: Workspace) -> None:
    token = invite(workspace, max_uses=1)
    people = [make_user(f"joiner{number}") for number in range(8)]

    def join_as(user: User) -> Callable[[], bool]:
        def join() -> bool:
            try:
                join_workspace(user=user, token=token)
            except ValidationError:
                return False
            return True

        return join

    with published() as told:
        won = at_once(*map(join_as, people))

    assert (sum(won), Invite.objects.get().uses) == (1, 1)
    assert workspace.members.filter(user__in=people).count() == 1
    assert names(told) == ["workspace.member_joined"]


@pytest.mark.django_db(transaction=True)
def test_one_person_who_joins_twice_at_once_uses_an_invite_once(workspace: Workspace, eve: User) -> None:
    token = invite(workspace, max_uses=2)

    at_once(*[lambda: join_workspace(user=eve, token=token)] * 4)

    assert (Invite.objects.get().uses, workspace.members.filter(user=eve).count()) == (1, 1)


def test_an_invite_shows_its_token_once_and_stores_only_a_hash(api: Api, workspace: Workspace, grace: User) -> None:
    made = api(grace)("workspace.invite", workspace_id=workspace.pk, days=2, max_uses=3).body["invite"]

    assert made["created_by"]["id"] == grace.pk
    assert (made["url"], made["max_uses"], made["uses"], made["role"]) == (f"/join/{made['token']}/", 3, 0, "member")
    assert made["token"] not in str(stored())


def test_a_stranger_does_not_invite(api: Api, workspace: Workspace, eve: User) -> None:
    assert api(eve)("workspace.invite", workspace_id=workspace.pk).said == (404, "not_found")


def test_an_invite_for_guests_makes_guests(api: Api, workspace: Workspace, grace: User, eve: User) -> None:
    made = api(grace)("workspace.invite", workspace_id=workspace.pk, role="guest").body["invite"]

    assert made["role"] == "guest"
    assert api(eve)("workspace.join", token=made["token"]).body["workspace"]["role"] == "guest"


@pytest.mark.parametrize("role", ["owner", "admin", "moderator", "king", None, 1])
def test_an_invite_gives_no_power(api: Api, workspace: Workspace, grace: User, role: Any) -> None:
    answer = api(grace)("workspace.invite", workspace_id=workspace.pk, role=role)

    assert (answer.said, list(answer.body["errors"])) == ((400, "invalid"), ["role"])
    assert not Invite.objects.exists()


@pytest.mark.parametrize("days", [0, -1, 366, "7", None, 1.5])
def test_an_invite_lasts_a_day_to_a_year(api: Api, workspace: Workspace, grace: User, days: Any) -> None:
    assert api(grace)("workspace.invite", workspace_id=workspace.pk, days=days).said == (400, "invalid")


def test_the_list_has_the_invites_that_can_be_used_without_their_tokens(
    api: Api, workspace: Workspace, grace: User
) -> None:
    tokens = [invite(workspace, max_uses=1) for _ in range(4)]
    _used, expired, revoked, usable = [Invite.objects.for_token(token).get() for token in tokens]
    join_workspace(user=make_user("first"), token=tokens[0])
    Invite.objects.filter(pk=expired.pk).update(expires_at=clock.now())
    revoke_invite(revoker=grace, invite_id=revoked.pk)

    answer = api(grace).get("workspace.invites", workspace_id=workspace.pk)

    assert [one["id"] for one in answer.body["invites"]] == [usable.pk]
    assert set(answer.body["invites"][0]) == {
        *("id", "role", "created_by", "created_at", "expires_at", "max_uses", "uses", "revoked")
    }
    assert not any(token in str(answer.body) for token in tokens)


def test_the_list_goes_on_before_an_id(api: Api, workspace: Workspace, grace: User) -> None:
    made = [Invite.objects.for_token(invite(workspace)).get().pk for _ in range(3)]
    call = api(grace)

    first = call("workspace.invites", workspace_id=workspace.pk, limit=2).body
    rest = call("workspace.invites", workspace_id=workspace.pk, limit=2, before_id=first["next_before_id"]).body

    assert [one["id"] for one in [*first["invites"], *rest["invites"]]] == made[::-1]
    assert (first["has_more"], rest["has_more"]) == (True, False)


def test_a_revoked_invite_lets_nobody_in_and_revoking_it_again_changes_nothing(
    api: Api, workspace: Workspace, grace: User, eve: User
) -> None:
    token = invite(workspace)
    call = api(grace)
    first = call("workspace.revoke_invite", invite_id=Invite.objects.get().pk)
    before = stored()

    assert first.body["invite"]["revoked"] is True
    assert call("workspace.revoke_invite", invite_id=Invite.objects.get().pk).body == first.body
    assert stored() == before
    assert api(eve)("workspace.join", token=token).said == (400, "invite_unusable")


@pytest.mark.parametrize("verb", ["invites", "revoke_invite"])
def test_invites_are_unknown_to_a_stranger(api: Api, workspace: Workspace, eve: User, verb: str) -> None:
    invite(workspace)
    asked = {"invites": {"workspace_id": workspace.pk}, "revoke_invite": {"invite_id": Invite.objects.get().pk}}
    before = stored()

    assert api(eve)(f"workspace.{verb}", **asked[verb]).said == (404, "not_found")
    assert stored()["groups.Invite"] == before["groups.Invite"]


def test_a_workspace_has_at_most_so_many_open_invites(
    api: Api, workspace: Workspace, grace: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspaces, "OPEN_INVITES", 2)
    call = api(grace)
    made = [call("workspace.invite", workspace_id=workspace.pk) for _ in range(2)]

    assert call("workspace.invite", workspace_id=workspace.pk).said == (409, "too_many_invites")
    call("workspace.revoke_invite", invite_id=made[0].body["invite"]["id"])
    assert call("workspace.invite", workspace_id=workspace.pk).status == 200


@pytest.mark.parametrize("end", ["leave", "remove", "lower"])
def test_the_invites_of_an_admin_end_with_their_right_to_invite(
    workspace: Workspace, grace: User, ada: User, eve: User, end: str
) -> None:
    set_role(setter=grace, workspace_id=workspace.pk, user_id=ada.pk, role=Role.ADMIN)
    token = invite_to_workspace(inviter=ada, workspace_id=workspace.pk, days=1).token
    of_grace = invite(workspace)
    end_it: dict[str, Callable[[], Any]] = {
        "leave": lambda: leave_workspace(user=ada, workspace_id=workspace.pk),
        "remove": lambda: remove_member(remover=grace, workspace_id=workspace.pk, user_id=ada.pk),
        "lower": lambda: set_role(setter=grace, workspace_id=workspace.pk, user_id=ada.pk, role=Role.MODERATOR),
    }
    end_it[end]()

    with pytest.raises(ValidationError):
        join_workspace(user=eve, token=token)
    assert join_workspace(user=eve, token=of_grace) == workspace


def test_who_was_deactivated_does_not_join(workspace: Workspace, eve: User) -> None:
    token = invite(workspace, max_uses=1)
    User.objects.filter(pk=eve.pk).update(is_active=False)

    with pytest.raises(PermissionDenied):
        join_workspace(user=eve, token=token)
    assert Invite.objects.get().uses == 0
    assert not workspace.members.filter(user=eve).exists()
