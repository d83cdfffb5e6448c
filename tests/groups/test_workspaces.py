"""workspace.create, list, update, join, leave, members, set_role and remove_member."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from groups.actions.membership import add_members
from groups.actions.workspaces import leave_workspace, remove_member, set_role, update_workspace
from groups.models import Channel, User, Workspace, WorkspaceMember
from groups.models.workspace import Role
from groups.replay import revise
from realtime import clock
from realtime.errors import Conflict
from realtime.models import OutboxEvent
from realtime.streams import REDACTED, Entry
from tests.cast import Api, at_once, bring, ids, make_user, published, stored


def test_a_created_workspace_is_owned_by_its_creator(api: Api, ada: User) -> None:
    answer = api(ada)("workspace.create", name="  Analytical   Society ")

    workspace = answer.body["workspace"]
    assert workspace.pop("id")
    assert workspace == {
        "name": "Analytical Society",
        "open": False,
        "member_count": 1,
        "role": "owner",
        "silenced_until": None,
    }


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
            {
                "id": workspace.pk,
                "name": "Engines",
                "open": False,
                "member_count": 2,
                "role": "member",
                "silenced_until": None,
            },
        ],
        "open_workspaces": [{"id": opened.pk, "name": "Open", "open": True, "member_count": 0}],
    }


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
    assert call("workspace.join", workspace_id=workspace.pk, token="inv_x").said == (400, "invalid")


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


def test_a_new_name_is_told_to_all_members(
    api: Api, workspace: Workspace, grace: User, ada: User, gus: User, eve: User
) -> None:
    with published() as told:
        answer = api(grace)("workspace.update", workspace_id=workspace.pk, name="  New  Engines ", open=True)

    assert (answer.body["workspace"]["name"], answer.body["workspace"]["open"]) == ("New Engines", True)
    assert [(event.name, event.user_ids) for event in told] == [("workspace.updated", ids(grace, ada, gus))]
    assert told[0].data == {
        "workspace": {"id": workspace.pk, "name": "New Engines", "open": True, "member_count": 3},
        "member": None,
    }


def test_the_same_name_again_tells_nobody(api: Api, workspace: Workspace, grace: User) -> None:
    before = stored()
    call = api(grace)

    with published() as told:
        answer = call("workspace.update", workspace_id=workspace.pk, name="Engines", open=False)

    assert (answer.status, told) == (200, [])
    assert stored()["groups.Workspace"] == before["groups.Workspace"]


@pytest.mark.parametrize("change", [{}, {"name": " "}, {"name": "x" * 81}, {"name": None}, {"open": "yes"}])
def test_a_change_of_a_workspace_is_a_good_one(
    api: Api, workspace: Workspace, grace: User, change: dict[str, Any]
) -> None:
    assert api(grace)("workspace.update", workspace_id=workspace.pk, **change).said == (400, "invalid")


def test_a_new_role_is_told_to_all_members(
    api: Api, workspace: Workspace, grace: User, ada: User, bob: User, eve: User
) -> None:
    with published() as told:
        answer = api(grace)("workspace.set_role", workspace_id=workspace.pk, user_id=ada.pk, role="moderator")

    assert answer.body == {"member": {"user_id": ada.pk, "role": "moderator"}}
    assert [(event.name, event.user_ids) for event in told] == [("workspace.updated", ids(grace, ada, bob))]
    assert told[0].data["member"] == {"user_id": ada.pk, "role": "moderator"}
    assert workspace.members.get(user=ada).role == "moderator"


def test_the_same_role_again_changes_nothing_and_tells_nobody(
    api: Api, workspace: Workspace, grace: User, ada: User
) -> None:
    call = api(grace)
    call("workspace.set_role", workspace_id=workspace.pk, user_id=ada.pk, role="admin")
    before = stored()

    answer = call("workspace.set_role", workspace_id=workspace.pk, user_id=ada.pk, role="admin")

    assert answer.body == {"member": {"user_id": ada.pk, "role": "admin"}}
    assert stored() == before


def test_somebody_outside_gets_no_role(api: Api, workspace: Workspace, grace: User, eve: User) -> None:
    call = api(grace)

    theirs = call("workspace.set_role", workspace_id=workspace.pk, user_id=eve.pk, role="member")
    none = call("workspace.set_role", workspace_id=workspace.pk, user_id=10**9, role="member")

    assert theirs.said == none.said == (404, "not_found")
    assert theirs.body == none.body


def test_the_last_owner_can_neither_leave_nor_be_lowered(
    api: Api, workspace: Workspace, grace: User, ada: User
) -> None:
    call = api(grace)
    call("workspace.set_role", workspace_id=workspace.pk, user_id=ada.pk, role="admin")
    before = stored()

    left = call("workspace.leave", workspace_id=workspace.pk)
    lowered = call("workspace.set_role", workspace_id=workspace.pk, user_id=grace.pk, role="admin")

    assert left.said == lowered.said == (409, "last_owner")
    assert "Grace" in left.body["detail"]
    assert "Engines" in left.body["detail"]
    assert stored() == before


def test_an_owner_goes_when_there_is_another_one(api: Api, workspace: Workspace, grace: User, ada: User) -> None:
    call = api(grace)
    call("workspace.set_role", workspace_id=workspace.pk, user_id=ada.pk, role="owner")

    assert call("workspace.leave", workspace_id=workspace.pk).body == {"workspace_id": workspace.pk}
    assert api(ada)("workspace.leave", workspace_id=workspace.pk).said == (409, "last_owner")


def test_an_owner_who_was_deactivated_does_not_count(api: Api, workspace: Workspace, grace: User, ada: User) -> None:
    call = api(grace)
    call("workspace.set_role", workspace_id=workspace.pk, user_id=ada.pk, role="owner")
    User.objects.filter(pk=ada.pk).update(is_active=False)

    assert call("workspace.leave", workspace_id=workspace.pk).said == (409, "last_owner")
    assert call("workspace.remove_member", workspace_id=workspace.pk, user_id=ada.pk).status == 200


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_two_owners_who_lower_each_other_at_once_one_wins(workspace: Workspace, grace: User, ada: User) -> None:
    set_role(setter=grace, workspace_id=workspace.pk, user_id=ada.pk, role=Role.OWNER)

    def lower(setter: User, other: User) -> Callable[[], bool]:
        def call() -> bool:
            try:
                set_role(setter=setter, workspace_id=workspace.pk, user_id=other.pk, role=Role.MEMBER)
            except PermissionDenied:
                return False
            return True

        return call

    for _ in range(10):
        workspace.members.update(role=Role.OWNER)
        assert sorted(at_once(lower(grace, ada), lower(ada, grace))) == [False, True]
        assert workspace.members.filter(role=Role.OWNER).count() == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_all_owners_who_leave_at_once_one_stays(workspace: Workspace, grace: User, ada: User, bob: User) -> None:
    for user in (ada, bob):
        set_role(setter=grace, workspace_id=workspace.pk, user_id=user.pk, role=Role.OWNER)

    def leave(user: User) -> Callable[[], bool]:
        def call() -> bool:
            try:
                leave_workspace(user=user, workspace_id=workspace.pk)
            except Conflict:
                return False
            return True

        return call

    assert sorted(at_once(leave(grace), leave(ada), leave(bob))) == [False, True, True]
    assert workspace.members.get().role == Role.OWNER


@pytest.mark.parametrize("by", ["themself", "an owner"])
def test_who_goes_loses_all_channels_and_everybody_hears_of_it(
    api: Api,
    workspace: Workspace,
    general: Channel,
    secret: Channel,
    direct: Channel,
    grace: User,
    ada: User,
    bob: User,
    by: str,
) -> None:
    add_members(adder=grace, channel_id=secret.pk, user_ids=[ada.pk])
    general_id, secret_id, direct_id = general.pk, secret.pk, direct.pk

    with published() as told:
        if by == "themself":
            answer = api(ada)("workspace.leave", workspace_id=workspace.pk)
        else:
            answer = api(grace)("workspace.remove_member", workspace_id=workspace.pk, user_id=ada.pk)

    assert answer.status == 200
    to_ada = [(event.name, event.data.get("channel_id")) for event in told if event.user_ids == {ada.pk}]
    assert to_ada[:-1] == [("channel.removed", pk) for pk in sorted([general_id, secret_id, direct_id])]
    assert to_ada[-1] == ("workspace.member_left", None)
    to_others = [(event.name, event.user_ids) for event in told if ada.pk not in event.user_ids]
    assert to_others == [
        *(("channel.member_left", whom) for whom in _in_order(general, secret, direct, grace=grace, bob=bob)),
        ("workspace.member_left", ids(grace, bob)),
    ]
    assert told[-1].data == {"workspace_id": workspace.pk, "user_id": ada.pk, "member_count": 2}
    assert not ada.channel_memberships.exists()
    assert not ada.read_cursors.exists()
    boot = api(ada)("client.boot").body
    assert (boot["workspaces"], boot["channels"]) == ([], [])


def _in_order(general: Channel, secret: Channel, direct: Channel, *, grace: User, bob: User) -> list[set[int]]:
    staying = {general.pk: ids(grace, bob), secret.pk: ids(grace), direct.pk: ids(bob)}
    return [staying[pk] for pk in sorted(staying)]


def test_removing_somebody_again_changes_nothing_and_tells_nobody(
    api: Api, workspace: Workspace, grace: User, ada: User
) -> None:
    call = api(grace)
    first = call("workspace.remove_member", workspace_id=workspace.pk, user_id=ada.pk)
    before = stored()

    assert call("workspace.remove_member", workspace_id=workspace.pk, user_id=ada.pk).body == first.body
    assert stored() == before


def test_who_left_is_a_stranger_when_they_leave_again(api: Api, workspace: Workspace, ada: User) -> None:
    call = api(ada)
    call("workspace.leave", workspace_id=workspace.pk)

    assert call("workspace.leave", workspace_id=workspace.pk).said == (404, "not_found")


def test_nobody_removes_themself(api: Api, workspace: Workspace, grace: User, ada: User) -> None:
    api(grace)("workspace.set_role", workspace_id=workspace.pk, user_id=ada.pk, role="owner")

    answer = api(ada)("workspace.remove_member", workspace_id=workspace.pk, user_id=ada.pk)

    assert (answer.said, list(answer.body["errors"])) == ((400, "invalid"), ["user_id"])


def test_a_site_moderator_removes_members_of_a_workspace_they_are_not_in(
    workspace: Workspace, general: Channel, ada: User, eve: User
) -> None:
    with pytest.raises(Workspace.DoesNotExist):
        remove_member(remover=eve, workspace_id=workspace.pk, user_id=ada.pk)

    remove_member(remover=eve, workspace_id=workspace.pk, user_id=ada.pk, as_moderator=True)

    assert not workspace.members.filter(user=ada).exists()


@pytest.mark.parametrize(
    ("verb", "more"),
    [
        ("update", {"name": "Mine"}),
        ("leave", {}),
        ("set_role", {"user_id": 1, "role": "member"}),
        ("remove_member", {"user_id": 1}),
    ],
)
def test_a_workspace_is_unknown_to_a_stranger(
    api: Api, workspace: Workspace, ada: User, eve: User, verb: str, more: dict[str, Any]
) -> None:
    if "user_id" in more:
        more = more | {"user_id": ada.pk}
    call = api(eve)
    before = stored()

    theirs = call(f"workspace.{verb}", workspace_id=workspace.pk, **more)
    none = call(f"workspace.{verb}", workspace_id=10**9, **more)

    assert theirs.said == (404, "not_found")
    assert theirs.body == none.body
    assert stored() == before


@pytest.mark.parametrize("via", ["leave", "remove"])
def test_what_was_told_before_is_redacted_for_who_lost_the_workspace(
    workspace: Workspace, general: Channel, grace: User, ada: User, bob: User, via: str
) -> None:
    before = OutboxEvent.objects.count()
    update_workspace(editor=grace, workspace_id=workspace.pk, name="Secret Engines")
    set_role(setter=grace, workspace_id=workspace.pk, user_id=bob.pk, role=Role.ADMIN)
    bring(make_user("nina"), workspace)
    remove_member(remover=grace, workspace_id=workspace.pk, user_id=bob.pk)
    rows = list(OutboxEvent.objects.order_by("pk"))[before:]
    told_ada = [row for row in rows if row.audience.get("ids") != [bob.pk]]
    assert [row.name for row in told_ada] == [
        *("workspace.updated", "workspace.updated", "workspace.member_joined"),
        *("channel.member_left", "workspace.member_left"),
    ]
    # Of bob, who is not there any more, only that he left.
    assert let_out(ada, told_ada) == ["workspace.updated", "redacted", *[row.name for row in told_ada[2:]]]
    if via == "leave":
        leave_workspace(user=ada, workspace_id=workspace.pk)
    else:
        remove_member(remover=grace, workspace_id=workspace.pk, user_id=ada.pk)

    assert let_out(ada, told_ada) == ["redacted"] * 5
    own = [row for row in OutboxEvent.objects.order_by("pk") if row.audience.get("ids") == [ada.pk]]
    assert let_out(ada, own)[-2:] == ["channel.removed", "workspace.member_left"]


def let_out(user: User, rows: list[OutboxEvent]) -> list[str]:
    """The names of these events as replay lets them out to a user now."""
    entries = [(seq, Entry(str(seq), row.name, row.body.encode(), row.about)) for seq, row in enumerate(rows, 1)]
    return ["redacted" if entry.body == REDACTED else entry.name for _seq, entry in revise(user.pk, entries)]
