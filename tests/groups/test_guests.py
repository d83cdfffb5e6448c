"""Guests see the channels that they were put in and the people there, whichever way they look."""

from collections.abc import Callable
from typing import Any

import pytest

from groups.actions.direct import open_direct_channel
from groups.actions.membership import add_members, leave_channel, remove_member
from groups.actions.profiles import update_profile
from groups.actions.workspaces import leave_workspace, set_role
from groups.models import Channel, User, Workspace
from groups.models.workspace import Role
from groups.replay import revise
from presence.audiences import heard_of_by, shared_with, told_of
from realtime.models import OutboxEvent
from realtime.streams import REDACTED, Entry
from tests.cast import Api, bring, ids, make_channel, make_user, names, published


@pytest.fixture
def garden(workspace: Workspace, grace: User, gus: User) -> Channel:
    """A private channel of grace and gus, the guest."""
    channel = make_channel(grace, workspace, "garden", kind="private")
    add_members(adder=grace, channel_id=channel.pk, user_ids=[gus.pk])
    return channel


@pytest.fixture
def gina(workspace: Workspace) -> User:
    """Another guest, in no channel."""
    return bring(make_user("gina"), workspace, role=Role.GUEST)


Looks = Callable[[Api, Workspace, User], set[int]]
WAYS: dict[str, Looks] = {
    "workspace.members": lambda api, workspace, user: {
        row["user"]["id"] for row in api(user)("workspace.members", workspace_id=workspace.pk).body["members"]
    },
    "user.list": lambda api, workspace, user: {
        row["id"] for row in api(user)("user.list", workspace_id=workspace.pk).body["users"]
    },
    "user.get": lambda api, workspace, user: {
        pk for pk in User.objects.values_list("pk", flat=True) if api(user)("user.get", user_id=pk).status == 200
    },
    "presence.list": lambda api, workspace, user: {
        row["user_id"] for row in api(user)("presence.list").body["presence"]
    },
    "presence.list of users": lambda api, workspace, user: {
        row["user_id"]
        for row in api(user)("presence.list", user_ids=list(User.objects.values_list("pk", flat=True))).body["presence"]
    },
    "presence.watch": lambda api, workspace, user: {
        row["user_id"]
        for row in api(user)("presence.watch", user_ids=list(User.objects.values_list("pk", flat=True))).body[
            "presence"
        ]
    },
    "client.boot": lambda api, workspace, user: {row["user_id"] for row in api(user)("client.boot").body["presence"]},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_guest_sees_only_the_people_of_their_channels(
    api: Api,
    workspace: Workspace,
    general: Channel,
    garden: Channel,
    grace: User,
    ada: User,
    gus: User,
    gina: User,
    eve: User,
    way: str,
) -> None:
    assert WAYS[way](api, workspace, gus) == ids(grace, gus)
    assert WAYS[way](api, workspace, gina) == ids(gina)
    add_members(adder=grace, channel_id=garden.pk, user_ids=[gina.pk])

    assert WAYS[way](api, workspace, gus) == WAYS[way](api, workspace, gina) == ids(grace, gus, gina)


@pytest.mark.parametrize("way", WAYS)
def test_a_member_sees_everybody_guests_too(
    api: Api, workspace: Workspace, general: Channel, grace: User, ada: User, bob: User, gus: User, eve: User, way: str
) -> None:
    assert WAYS[way](api, workspace, ada) == ids(grace, ada, bob, gus)


@pytest.mark.parametrize("end", ["leave", "remove", "other leaves", "other goes"])
def test_what_they_share_no_more_they_see_no_more(
    api: Api, workspace: Workspace, general: Channel, garden: Channel, grace: User, ada: User, gus: User, end: str
) -> None:
    add_members(adder=grace, channel_id=garden.pk, user_ids=[ada.pk])
    for way, look in WAYS.items():
        assert ada.pk in look(api, workspace, gus), way
    ends: dict[str, Callable[[], Any]] = {
        "leave": lambda: leave_channel(user=gus, channel_id=garden.pk),
        "remove": lambda: remove_member(remover=grace, channel_id=garden.pk, user_id=gus.pk),
        "other leaves": lambda: leave_channel(user=ada, channel_id=garden.pk),
        "other goes": lambda: leave_workspace(user=ada, workspace_id=workspace.pk),
    }
    ends[end]()

    for way, look in WAYS.items():
        assert ada.pk not in look(api, workspace, gus), way


def test_a_guest_who_is_a_member_elsewhere_sees_everybody_there(
    api: Api, workspace: Workspace, gus: User, ada: User
) -> None:
    other = api(ada)("workspace.create", name="Other").body["workspace"]["id"]
    bring(gus, Workspace.objects.get(pk=other))

    assert WAYS["user.list"](api, workspace, gus) == ids(gus)
    assert api(gus)("user.get", user_id=ada.pk).status == 200
    assert WAYS["client.boot"](api, workspace, gus) == ids(gus, ada)


def test_a_guest_sees_no_public_channel(api: Api, workspace: Workspace, general: Channel, gus: User) -> None:
    call = api(gus)

    assert call("channel.browse", workspace_id=workspace.pk).body["channels"] == []
    for verb in ("join", "members", "leave"):
        assert call(f"channel.{verb}", channel_id=general.pk).said == (404, "not_found")
    assert call("message.list", channel_id=general.pk).said == (404, "not_found")
    assert call("client.boot").body["channels"] == []


def test_a_guest_in_a_public_channel_is_a_member_like_others(
    api: Api, workspace: Workspace, general: Channel, grace: User, gus: User, ada: User, bob: User
) -> None:
    add_members(adder=grace, channel_id=general.pk, user_ids=[gus.pk])

    assert api(gus)("message.send", channel_id=general.pk, body="hello").status == 200
    assert WAYS["user.list"](api, workspace, gus) == ids(grace, ada, bob, gus)


def test_of_who_joins_a_guest_hears_the_number_alone(
    workspace: Workspace, garden: Channel, grace: User, ada: User, gus: User, eve: User
) -> None:
    with published() as told:
        bring(eve, workspace)

    assert [(event.name, event.user_ids) for event in told] == [
        ("workspace.member_joined", ids(grace, ada, eve)),
        ("workspace.updated", ids(gus)),
    ]
    assert told[1].data["workspace"]["member_count"] == 4
    assert str(eve.username) not in str(told[1].data)


def test_of_who_leaves_a_guest_hears_by_name_only_if_they_shared_a_channel(
    workspace: Workspace, general: Channel, garden: Channel, grace: User, ada: User, bob: User, gus: User, gina: User
) -> None:
    add_members(adder=grace, channel_id=garden.pk, user_ids=[ada.pk])
    with published() as told:
        leave_workspace(user=ada, workspace_id=workspace.pk)

    of_workspace = [event for event in told if event.name.startswith("workspace.")]
    assert [(event.name, event.user_ids) for event in of_workspace] == [
        ("workspace.member_left", ids(grace, bob, gus)),
        ("workspace.member_left", ids(ada)),
        ("workspace.updated", ids(gina)),
    ]
    assert {event.data.get("member_count", 0) or event.data["workspace"]["member_count"] for event in of_workspace} == {
        4
    }


def test_of_a_role_a_guest_hears_only_of_whom_they_see(
    workspace: Workspace, general: Channel, garden: Channel, grace: User, ada: User, bob: User, gus: User, gina: User
) -> None:
    add_members(adder=grace, channel_id=garden.pk, user_ids=[ada.pk])
    with published() as told:
        set_role(setter=grace, workspace_id=workspace.pk, user_id=ada.pk, role=Role.ADMIN)

    assert [(event.name, event.user_ids) for event in told] == [("workspace.updated", ids(grace, ada, bob, gus))]


def test_of_a_profile_a_guest_hears_only_of_whom_they_see(
    workspace: Workspace, general: Channel, garden: Channel, grace: User, ada: User, bob: User, gus: User, gina: User
) -> None:
    def hearing(user: User, name: str) -> set[int]:
        with published() as told:
            update_profile(user=user, display_name=name)
        return told[0].user_ids | told[1].user_ids

    assert hearing(ada, "A") == ids(grace, ada, bob)
    assert hearing(grace, "G") == ids(grace, ada, bob, gus)
    assert hearing(gus, "Gustav") == ids(grace, ada, bob, gus)
    assert hearing(gina, "Regina") == ids(grace, ada, bob, gina)


def test_presence_is_told_to_exactly_those_who_have_it_in_their_lists(
    workspace: Workspace, general: Channel, garden: Channel, grace: User, ada: User, bob: User, gus: User, gina: User
) -> None:
    everybody = [grace, ada, bob, gus, gina]
    told = told_of(ids(*everybody))

    for about in everybody:
        assert told[about.pk] == {user.pk for user in everybody if about.pk in heard_of_by(user)}, about
    assert told[ada.pk] == ids(grace, ada, bob)
    assert told[grace.pk] == ids(grace, ada, bob, gus)
    assert shared_with(gus, ids(*everybody)) == ids(grace, gus)


def test_a_guest_opens_direct_channels_with_those_they_see(
    api: Api, workspace: Workspace, general: Channel, garden: Channel, grace: User, ada: User, gus: User
) -> None:
    call = api(gus)

    def opened(*peers: User) -> Any:
        return call("channel.create", workspace_id=workspace.pk, kind="direct", peer_ids=[peer.pk for peer in peers])

    assert opened(grace).status == 200
    assert opened().status == 200
    assert opened(ada).said == opened(grace, ada).said == (400, "invalid")
    assert (
        opened(ada).body["errors"]
        == call("channel.create", workspace_id=workspace.pk, kind="direct", peer_ids=[10**9]).body["errors"]
    )


def test_a_member_opens_one_with_a_guest_who_sees_them_from_then_on(
    api: Api, workspace: Workspace, ada: User, bob: User, gus: User
) -> None:
    open_direct_channel(creator=ada, workspace_id=workspace.pk, other_ids=[gus.pk])

    for way, look in WAYS.items():
        assert look(api, workspace, gus) == ids(ada, gus), way


@pytest.mark.parametrize(
    ("before", "after", "reset"),
    [("member", "guest", True), ("guest", "member", True), ("guest", "owner", True), ("member", "admin", False)],
)
def test_who_becomes_a_guest_or_ceases_to_be_one_begins_anew(
    workspace: Workspace, general: Channel, grace: User, ada: User, bob: User, before: Role, after: Role, reset: bool
) -> None:
    set_role(setter=grace, workspace_id=workspace.pk, user_id=ada.pk, role=before)
    with published() as told:
        set_role(setter=grace, workspace_id=workspace.pk, user_id=ada.pk, role=after)

    assert names(told) == ["workspace.updated", *(["sync.reset"] if reset else [])]
    assert told[0].user_ids == ids(grace, ada, bob)
    if reset:
        assert (told[1].data, told[1].user_ids) == ({"reason": "role_changed"}, ids(ada))


def test_what_a_member_was_told_is_redacted_when_they_are_a_guest(
    workspace: Workspace, general: Channel, garden: Channel, grace: User, ada: User, bob: User, eve: User
) -> None:
    before = OutboxEvent.objects.count()
    bring(eve, workspace)
    update_profile(user=eve, display_name="Eve!")
    update_profile(user=bob, display_name="Bob!")
    rows = list(OutboxEvent.objects.order_by("pk"))[before:]
    to_ada = [row for row in rows if row.audience["kind"] in ("workspace", "who_know")]

    assert let_out(ada, to_ada) == ["workspace.member_joined", "user.updated", "user.updated"]
    set_role(setter=grace, workspace_id=workspace.pk, user_id=ada.pk, role=Role.GUEST)

    assert let_out(ada, to_ada) == ["redacted", "redacted", "user.updated"]


def let_out(user: User, rows: list[OutboxEvent]) -> list[str]:
    """The names of these events as replay lets them out to a user now."""
    entries = [(seq, Entry(str(seq), row.name, row.body.encode(), row.about)) for seq, row in enumerate(rows, 1)]
    return ["redacted" if entry.body == REDACTED else entry.name for _seq, entry in revise(user.pk, entries)]


def test_looking_costs_no_query_per_person(
    api: Api, workspace: Workspace, garden: Channel, grace: User, gus: User, django_assert_max_num_queries: Any
) -> None:
    people = [bring(make_user(f"person{number}"), workspace) for number in range(20)]
    add_members(adder=grace, channel_id=garden.pk, user_ids=[user.pk for user in people])
    call = api(gus)
    call("user.me")

    with django_assert_max_num_queries(3):
        assert len(call("user.list", workspace_id=workspace.pk).body["users"]) == 22
    with django_assert_max_num_queries(5):
        assert len(heard_of_by(gus)) == 22
    with django_assert_max_num_queries(5):
        told_of([user.pk for user in people])
