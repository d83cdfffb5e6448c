"""workspace.create, list, join, members and invite."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from groups.actions.workspaces import invite_to_workspace, join_workspace
from groups.models import Invite, User, Workspace, WorkspaceMember
from groups.models.workspace import Role
from realtime import clock
from tests.cast import Api, at_once, bring, ids, make_user, names, published, stored


def invite(workspace: Workspace, **more: Any) -> str:
    return invite_to_workspace(inviter=workspace.created_by, workspace_id=workspace.pk, days=1, **more).token


def test_a_created_workspace_is_owned_by_its_creator(api: Api, ada: User) -> None:
    answer = api(ada)("workspace.create", name="  Analytical   Society ")

    workspace = answer.body["workspace"]
    told = {name: workspace.pop(name) for name in ("name", "open", "member_count", "role")}
    assert told == {"name": "Analytical Society", "open": False, "member_count": 1, "role": "owner"}
    assert list(workspace) == ["id"]


@pytest.mark.parametrize("name", ["", "  ", "x" * 81])
def test_a_workspace_needs_a_name_of_1_to_80_characters(api: Api, ada: User, name: str) -> None:
    answer = api(ada)("workspace.create", name=name)

    assert (answer.said, list(answer.body["errors"])) == ((400, "invalid"), ["name"])


def test_the_list_holds_mine_and_the_open_ones(api: Api, workspace: Workspace, ada: User, grace: User) -> None:
    opened = Workspace.objects.create(name="Open", open=True, created_by=grace, created_at=clock.now())
    Workspace.objects.create(name="Closed", created_by=grace, created_at=clock.now())

    answer = api(ada)("workspace.list")

    assert answer.body == {
        "workspaces": [
            {"id": workspace.pk, "name": "Engines", "open": False, "member_count": 2, "role": "member"},
        ],
        "open_workspaces": [{"id": opened.pk, "name": "Open", "open": True, "member_count": 0}],
    }


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


def test_an_open_workspace_is_joined_by_its_id(api: Api, workspace: Workspace, eve: User) -> None:
    Workspace.objects.update(open=True)

    assert api(eve)("workspace.join", workspace_id=workspace.pk).body["workspace"]["role"] == "member"


def test_a_closed_workspace_cannot_be_told_from_none(api: Api, workspace: Workspace, eve: User) -> None:
    call = api(eve)

    theirs, none = call("workspace.join", workspace_id=workspace.pk), call("workspace.join", workspace_id=10**9)

    assert theirs.said == (404, "not_found")
    assert theirs.body == none.body


def test_joining_needs_a_token_or_an_id_and_not_both(api: Api, workspace: Workspace, eve: User) -> None:
    call = api(eve)

    assert call("workspace.join").said == (400, "invalid")
    assert call("workspace.join", workspace_id=workspace.pk, token=invite(workspace)).said == (400, "invalid")


def test_an_invite_shows_its_token_once_and_stores_only_a_hash(api: Api, workspace: Workspace, grace: User) -> None:
    made = api(grace)("workspace.invite", workspace_id=workspace.pk, days=2, max_uses=3).body["invite"]

    assert set(made) == {"id", "token", "url", "expires_at", "max_uses", "uses"}
    assert (made["url"], made["max_uses"], made["uses"]) == (f"/join/{made['token']}/", 3, 0)
    assert made["token"] not in str(stored())


@pytest.mark.parametrize("role", [Role.MODERATOR, Role.MEMBER, Role.GUEST])
def test_who_does_not_manage_a_workspace_does_not_invite(api: Api, workspace: Workspace, eve: User, role: Role) -> None:
    bring(eve, workspace, role=role)
    before = Invite.objects.count()

    assert api(eve)("workspace.invite", workspace_id=workspace.pk).said == (403, "forbidden")
    assert Invite.objects.count() == before


def test_an_admin_of_the_workspace_invites(api: Api, workspace: Workspace, eve: User) -> None:
    bring(eve, workspace, role=Role.ADMIN)

    assert api(eve)("workspace.invite", workspace_id=workspace.pk).status == 200


def test_a_stranger_does_not_invite(api: Api, workspace: Workspace, eve: User) -> None:
    assert api(eve)("workspace.invite", workspace_id=workspace.pk).said == (404, "not_found")


def test_members_come_by_user_id_with_their_roles(
    api: Api, workspace: Workspace, grace: User, ada: User, gus: User
) -> None:
    answer = api(ada).get("workspace.members", workspace_id=workspace.pk)

    assert [(row["user"]["username"], row["role"]) for row in answer.body["members"]] == [
        ("grace", "owner"),
        ("ada", "member"),
        ("gus", "guest"),
    ]
    assert (answer.body["has_more"], answer.body["next_after_id"]) == (False, gus.pk)


def test_members_are_unknown_to_a_stranger(api: Api, workspace: Workspace, eve: User) -> None:
    assert api(eve)("workspace.members", workspace_id=workspace.pk).said == (404, "not_found")


def test_a_page_of_members_goes_on_after_an_id(api: Api, workspace: Workspace, grace: User, ada: User) -> None:
    answer = api(ada)("workspace.members", workspace_id=workspace.pk, limit=1)
    rest = api(ada)("workspace.members", workspace_id=workspace.pk, limit=1, after_id=answer.body["next_after_id"])

    assert (answer.body["has_more"], rest.body["has_more"]) == (True, False)
    assert [row["user"]["id"] for row in rest.body["members"]] == [ada.pk]


def test_the_members_of_a_big_workspace_cost_three_queries(
    api: Api, workspace: Workspace, ada: User, django_assert_max_num_queries: Any
) -> None:
    people = [make_user(f"person{number}") for number in range(30)]
    now = clock.now()
    WorkspaceMember.objects.bulk_create(
        WorkspaceMember(workspace=workspace, user=user, joined_rev=1, joined_at=now) for user in people
    )
    call = api(ada)
    call("user.me")

    with django_assert_max_num_queries(3):
        assert len(call("workspace.members", workspace_id=workspace.pk).body["members"]) == 32
