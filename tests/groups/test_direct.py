"""Direct channels: one per set of people, for who is in the workspace."""

from collections.abc import Callable

import pytest
from django.db import transaction

from groups.actions.direct import open_direct_channel
from groups.actions.membership import add_members, remove_from_all
from groups.models import Channel, User, Workspace, WorkspaceMember
from groups.payloads import profile_payload
from tests.cast import Api, at_once, bring, ids, make_user, names, published, say, stored
from tests.groups.test_channels import CHANNEL_FIELDS


def test_a_direct_channel_names_its_members(api: Api, workspace: Workspace, ada: User, bob: User) -> None:
    channel = api(ada)("channel.create", workspace_id=workspace.pk, kind="direct", peer_ids=[bob.pk]).body["channel"]

    assert set(channel) == CHANNEL_FIELDS | {"members"}
    assert [member["username"] for member in channel["members"]] == ["ada", "bob"]
    assert (channel["kind"], channel["name"], channel["role"]) == ("direct", "", "member")


def test_both_sides_of_a_new_direct_channel_are_told(workspace: Workspace, ada: User, bob: User) -> None:
    with published() as told:
        channel = open_direct_channel(creator=ada, workspace_id=workspace.pk, other_ids=[bob.pk])

    assert names(told) == ["channel.added"]
    assert told[0].user_ids == ids(ada, bob)
    assert told[0].data["channel"]["id"] == channel.pk
    assert [member["id"] for member in told[0].data["channel"]["members"]] == [ada.pk, bob.pk]


@pytest.mark.parametrize("peers", [["bob", "grace"], ["grace", "bob"], ["grace", "ada", "bob", "bob"]])
def test_a_direct_channel_exists_once_per_set_of_people(
    api: Api, workspace: Workspace, ada: User, bob: User, grace: User, peers: list[str]
) -> None:
    first = open_direct_channel(creator=grace, workspace_id=workspace.pk, other_ids=[ada.pk, bob.pk])
    who = {"ada": ada, "bob": bob, "grace": grace}

    with published() as told:
        answer = api(ada)(
            "channel.create", workspace_id=workspace.pk, kind="direct", peer_ids=[who[peer].pk for peer in peers]
        )

    assert answer.body["channel"]["id"] == first.pk
    assert told == []


def test_a_direct_channel_with_oneself_alone_is_a_notepad(api: Api, workspace: Workspace, ada: User) -> None:
    channel = api(ada)("channel.create", workspace_id=workspace.pk, kind="direct", peer_ids=[]).body["channel"]

    assert [member["id"] for member in channel["members"]] == [ada.pk]


def test_a_direct_channel_is_for_members_of_the_workspace_who_are_active(
    api: Api, workspace: Workspace, ada: User, bob: User, eve: User
) -> None:
    bob.is_active = False
    bob.save()
    call = api(ada)

    refused = [
        call("channel.create", workspace_id=workspace.pk, kind="direct", peer_ids=[peer_id])
        for peer_id in (eve.pk, 10**9, bob.pk)
    ]

    assert {answer.said for answer in refused} == {(400, "invalid")}
    assert refused[0].body == refused[1].body
    assert not Channel.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_concurrent_creates_from_both_sides_give_one_direct_channel(workspace: Workspace, ada: User, bob: User) -> None:
    def open_from(creator: User, other: User) -> Callable[[], int]:
        return lambda: open_direct_channel(creator=creator, workspace_id=workspace.pk, other_ids=[other.pk]).pk

    with published() as told:
        got = at_once(*[open_from(ada, bob), open_from(bob, ada)] * 3)

    assert set(got) == {Channel.objects.get().pk}
    assert names(told) == ["channel.added"]


def test_a_direct_channel_cannot_be_left(api: Api, direct: Channel, ada: User) -> None:
    assert api(ada)("channel.leave", channel_id=direct.pk).said == (409, "direct_channel")
    assert direct.members.count() == 2


def lose(user: User, workspace: Workspace) -> None:
    """As the removal from a workspace does."""
    with transaction.atomic():
        remove_from_all(workspace=workspace, user=user)
        WorkspaceMember.objects.filter(workspace=workspace, user=user).delete()


def listed(api: Api, user: User, channel: Channel) -> dict[str, object]:
    (row,) = (row for row in api(user)("channel.list").body["channels"] if row["id"] == channel.pk)
    return dict(row)


def test_nine_people_share_a_direct_channel_and_ten_do_not(api: Api, workspace: Workspace, ada: User) -> None:
    others = [bring(make_user(f"other{number}"), workspace).pk for number in range(9)]
    call = api(ada)

    nine = call("channel.create", workspace_id=workspace.pk, kind="direct", peer_ids=others[:8])

    assert len(nine.body["channel"]["members"]) == 9
    assert call("channel.create", workspace_id=workspace.pk, kind="direct", peer_ids=others).said == (400, "invalid")


def test_what_each_is_told_of_a_new_direct_channel_is_what_their_list_shows(
    api: Api, workspace: Workspace, ada: User, bob: User
) -> None:
    with published() as told:
        channel = open_direct_channel(creator=ada, workspace_id=workspace.pk, other_ids=[bob.pk])

    assert told[0].data["channel"] == listed(api, ada, channel) == listed(api, bob, channel)


def test_the_same_people_have_another_direct_channel_in_another_workspace(
    api: Api, direct: Channel, ada: User, bob: User
) -> None:
    other = Workspace.objects.get(pk=api(ada)("workspace.create", name="Other").body["workspace"]["id"])
    bring(bob, other)

    assert open_direct_channel(creator=bob, workspace_id=other.pk, other_ids=[ada.pk]) != direct


def test_strangers_open_no_direct_channel(api: Api, workspace: Workspace, ada: User, eve: User) -> None:
    answer = api(eve)("channel.create", workspace_id=workspace.pk, kind="direct", peer_ids=[ada.pk])

    assert answer.said == (404, "not_found")


def test_a_guest_opens_a_direct_channel_only_with_people_they_see(
    api: Api, general: Channel, grace: User, ada: User, gus: User
) -> None:
    call = api(gus)
    before = call("channel.create", workspace_id=general.workspace_id, kind="direct", peer_ids=[ada.pk])
    add_members(adder=grace, channel_id=general.pk, user_ids=[gus.pk])

    after = call("channel.create", workspace_id=general.workspace_id, kind="direct", peer_ids=[ada.pk])

    assert (before.said, list(before.body["errors"]), after.status) == ((400, "invalid"), ["peer_ids"], 200)


def test_a_guest_has_a_notepad(api: Api, workspace: Workspace, gus: User) -> None:
    assert api(gus)("channel.create", workspace_id=workspace.pk, kind="direct", peer_ids=[]).status == 200


def test_asking_again_changes_nothing(api: Api, direct: Channel, ada: User, bob: User) -> None:
    call = api(bob)
    before = stored()

    assert call("channel.create", workspace_id=direct.workspace_id, kind="direct", peer_ids=[ada.pk]).status == 200
    assert stored() == before


def test_who_left_the_workspace_loses_it_and_the_other_keeps_it_under_their_name(
    api: Api, direct: Channel, ada: User, bob: User
) -> None:
    message = say(bob, direct)
    lose(bob, direct.workspace)

    row = listed(api, ada, direct)

    assert api(bob)("message.list", channel_id=direct.pk).said == (404, "not_found")
    assert [one["id"] for one in api(ada)("message.list", channel_id=direct.pk).body["messages"]] == [message.pk]
    assert row["member_count"] == 1
    assert row["members"] == [
        profile_payload(ada),
        {
            **profile_payload(bob),
            "display_name": "bob",
            "avatar_url": None,
            "time_zone": "",
            "active": False,
        },
    ]


def test_nobody_opens_it_with_who_is_gone(api: Api, direct: Channel, ada: User, bob: User) -> None:
    lose(bob, direct.workspace)

    answer = api(ada)("channel.create", workspace_id=direct.workspace_id, kind="direct", peer_ids=[bob.pk])

    assert answer.said == (400, "invalid")


@pytest.mark.parametrize("opener", ["ada", "bob"])
def test_who_is_back_has_it_again_when_somebody_opens_it(
    api: Api, direct: Channel, ada: User, bob: User, opener: str
) -> None:
    say(ada, direct)
    lose(bob, direct.workspace)
    bring(bob, direct.workspace)
    creator, other = (ada, bob) if opener == "ada" else (bob, ada)

    with published() as told:
        found = open_direct_channel(creator=creator, workspace_id=direct.workspace_id, other_ids=[other.pk])

    assert found == direct
    assert [(event.name, event.user_ids) for event in told] == [
        ("channel.added", ids(bob)),
        ("channel.member_joined", ids(ada)),
    ]
    assert told[0].data["channel"] == listed(api, bob, direct)
    assert told[1].data["user"] == profile_payload(bob)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_opened_from_both_sides_after_a_return_it_comes_back_once(direct: Channel, ada: User, bob: User) -> None:
    lose(bob, direct.workspace)
    bring(bob, direct.workspace)

    def open_as(creator: User, other: User) -> Callable[[], int]:
        return lambda: open_direct_channel(creator=creator, workspace_id=direct.workspace_id, other_ids=[other.pk]).pk

    with published() as told:
        got = at_once(*[open_as(ada, bob), open_as(bob, ada)] * 3)

    assert set(got) == {direct.pk}
    assert names(told) == ["channel.added", "channel.member_joined"]
