"""channel.create, list, browse, join, leave and members."""

from collections.abc import Callable
from typing import Any

import pytest

from groups.actions.channels import create_channel, join_channel, leave_channel, open_direct_channel
from groups.models import Channel, ReadCursor, User, Workspace
from groups.models.channel import Kind
from groups.payloads import profile_payload
from realtime.errors import Conflict
from tests.cast import Api, at_once, bring, ids, make_channel, make_user, names, published, say, stored

CHANNEL_FIELDS = {
    *("id", "workspace_id", "kind", "name", "topic", "archived", "member_count", "rev"),
    *("role", "muted", "notify", "last_read_id", "read_version", "unread_count", "mention_count", "latest_message_id"),
}


def test_a_created_channel_has_its_creator_as_admin(api: Api, workspace: Workspace, ada: User) -> None:
    answer = api(ada)("channel.create", workspace_id=workspace.pk, kind="public", name="tea", topic="and cake")

    channel = answer.body["channel"]
    assert (answer.status, set(answer.body), set(channel)) == (200, {"channel"}, CHANNEL_FIELDS)
    assert (channel["kind"], channel["name"], channel["topic"]) == ("public", "tea", "and cake")
    assert (channel["role"], channel["member_count"], channel["unread_count"]) == ("admin", 1, 0)


def test_only_its_creator_is_told_of_a_new_channel(api: Api, workspace: Workspace, ada: User, bob: User) -> None:
    with published() as told:
        answer = api(ada)("channel.create", workspace_id=workspace.pk, kind="private", name="tea")

    assert names(told) == ["channel.added"]
    assert told[0].user_ids == ids(ada)
    assert told[0].data == answer.body


@pytest.mark.parametrize("kind", ["public", "private"])
def test_a_name_is_taken_in_any_case(api: Api, workspace: Workspace, ada: User, kind: str) -> None:
    make_channel(ada, workspace, "Tea")

    answer = api(ada)("channel.create", workspace_id=workspace.pk, kind=kind, name="tEA")

    assert answer.said == (409, "name_taken")
    assert workspace.channels.count() == 1


def test_a_name_is_free_in_another_workspace(api: Api, workspace: Workspace, ada: User) -> None:
    make_channel(ada, workspace, "tea")
    other = api(ada)("workspace.create", name="Other").body["workspace"]

    assert api(ada)("channel.create", workspace_id=other["id"], kind="public", name="tea").status == 200


def test_a_name_is_kept_without_its_hash_and_extra_spaces(api: Api, workspace: Workspace, ada: User) -> None:
    answer = api(ada)("channel.create", workspace_id=workspace.pk, kind="public", name="#  お茶   room ")

    assert answer.body["channel"]["name"] == "お茶 room"


@pytest.mark.parametrize("name", ["", " ", "#", "#  ", "x" * 81])
def test_a_channel_needs_a_name_of_1_to_80_characters(api: Api, workspace: Workspace, ada: User, name: str) -> None:
    answer = api(ada)("channel.create", workspace_id=workspace.pk, kind="public", name=name)

    assert (answer.said, list(answer.body["errors"])) == ((400, "invalid"), ["name"])


def test_a_guest_makes_no_channel(api: Api, workspace: Workspace, gus: User) -> None:
    answer = api(gus)("channel.create", workspace_id=workspace.pk, kind="public", name="tea")

    assert answer.said == (403, "forbidden")


def test_a_stranger_makes_no_channel_and_does_not_learn_of_the_workspace(
    api: Api, workspace: Workspace, eve: User
) -> None:
    call = api(eve)

    theirs = call("channel.create", workspace_id=workspace.pk, kind="public", name="tea")
    none = call("channel.create", workspace_id=10**9, kind="public", name="tea")

    assert theirs.said == (404, "not_found")
    assert theirs.body == none.body


@pytest.mark.parametrize(
    "params",
    [
        {"kind": "direct"},
        {"kind": "direct", "peer_ids": [1], "name": "tea"},
        {"kind": "direct", "peer_ids": [1], "topic": "tea"},
        {"kind": "direct", "peer_ids": list(range(1, 10))},
        {"kind": "public", "name": "tea", "peer_ids": [1]},
        {"kind": "secret", "name": "tea"},
        {"kind": None, "name": "tea"},
        {"name": "tea"},
    ],
)
def test_name_and_people_have_to_fit_the_kind(
    api: Api, workspace: Workspace, ada: User, params: dict[str, Any]
) -> None:
    assert api(ada)("channel.create", workspace_id=workspace.pk, **params).said == (400, "invalid")
    assert not Channel.objects.exists()


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


@pytest.mark.django_db(transaction=True)
def test_of_concurrent_creates_of_one_name_exactly_one_wins(workspace: Workspace, ada: User, bob: User) -> None:
    def create_as(creator: User, name: str) -> Callable[[], str]:
        def create() -> str:
            try:
                return create_channel(creator=creator, workspace_id=workspace.pk, kind="public", name=name).name
            except Conflict as refusal:
                return refusal.code

        return create

    got = at_once(*[create_as(ada, "tea"), create_as(bob, "TEA")] * 3)

    assert sorted(got)[1:] == ["name_taken"] * 5 or sorted(got)[:5] == ["name_taken"] * 5
    assert Channel.objects.count() == 1


def test_the_list_holds_only_my_channels(
    api: Api, workspace: Workspace, general: Channel, lounge: Channel, secret: Channel, direct: Channel, ada: User
) -> None:
    answer = api(ada)("channel.list")

    assert set(answer.body) == {"channels"}
    assert {channel["id"] for channel in answer.body["channels"]} == {general.pk, direct.pk}


def test_the_list_of_one_workspace_leaves_the_others_out(api: Api, general: Channel, grace: User) -> None:
    other = api(grace)("workspace.create", name="Other").body["workspace"]
    made = api(grace)("channel.create", workspace_id=other["id"], kind="public", name="tea").body["channel"]

    listed = api(grace).get("channel.list", workspace_id=other["id"]).body["channels"]

    assert [channel["id"] for channel in listed] == [made["id"]]


def test_the_list_of_a_strange_workspace_is_not_found(api: Api, workspace: Workspace, eve: User) -> None:
    assert api(eve)("channel.list", workspace_id=workspace.pk).said == (404, "not_found")


def test_the_list_counts_what_i_have_not_read(api: Api, general: Channel, ada: User, bob: User) -> None:
    message = [say(ada, general), say(bob, general), say(ada, general)][-1]

    (row,) = api(bob)("channel.list").body["channels"]

    assert (row["unread_count"], row["last_read_id"], row["latest_message_id"]) == (2, 0, message.pk)


def test_browsing_shows_public_channels_and_which_are_mine(
    api: Api, workspace: Workspace, general: Channel, lounge: Channel, secret: Channel, direct: Channel, ada: User
) -> None:
    answer = api(ada)("channel.browse", workspace_id=workspace.pk)

    assert answer.body == {
        "channels": [
            {
                "id": general.pk,
                "name": "general",
                "topic": "What everybody should know",
                "member_count": 3,
                "joined": True,
            },
            {"id": lounge.pk, "name": "lounge", "topic": "", "member_count": 1, "joined": False},
        ],
        "has_more": False,
        "next_after_id": lounge.pk,
    }


def test_browsing_goes_on_where_the_page_before_ended(
    api: Api, workspace: Workspace, general: Channel, lounge: Channel, ada: User
) -> None:
    call = api(ada)
    first = call.get("channel.browse", workspace_id=workspace.pk, limit=1).body

    rest = call.get("channel.browse", workspace_id=workspace.pk, limit=1, after_id=first["next_after_id"]).body

    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert [channel["id"] for channel in first["channels"] + rest["channels"]] == [general.pk, lounge.pk]


def test_a_guest_browses_nothing(api: Api, workspace: Workspace, lounge: Channel, gus: User) -> None:
    assert api(gus)("channel.browse", workspace_id=workspace.pk).body["channels"] == []


def test_a_stranger_does_not_browse(api: Api, workspace: Workspace, lounge: Channel, eve: User) -> None:
    assert api(eve)("channel.browse", workspace_id=workspace.pk).said == (404, "not_found")


def test_who_joins_sees_the_channel_with_nothing_unread(api: Api, lounge: Channel, grace: User, ada: User) -> None:
    message = [say(grace, lounge) for _ in range(3)][-1]

    channel = api(ada)("channel.join", channel_id=lounge.pk).body["channel"]

    assert (channel["unread_count"], channel["last_read_id"]) == (0, message.pk)
    assert (channel["role"], channel["member_count"]) == ("member", 2)


def test_who_joins_is_told_of_the_channel_and_the_others_of_them(
    api: Api, lounge: Channel, grace: User, ada: User
) -> None:
    with published() as told:
        answer = api(ada)("channel.join", channel_id=lounge.pk)

    assert [(event.name, event.user_ids) for event in told] == [
        ("channel.added", ids(ada)),
        ("channel.member_joined", ids(grace)),
    ]
    assert told[0].data == answer.body
    assert told[1].data == {
        "channel_id": lounge.pk,
        "user": profile_payload(ada),
        "member_count": 2,
    }


def test_what_is_said_after_somebody_joined_reaches_them(lounge: Channel, grace: User, ada: User) -> None:
    join_channel(user=ada, channel_id=lounge.pk)

    with published() as told:
        say(grace, lounge)

    assert told[0].user_ids == ids(grace, ada)


def test_joining_again_changes_nothing_and_tells_nobody(api: Api, lounge: Channel, ada: User) -> None:
    call = api(ada)
    first = call("channel.join", channel_id=lounge.pk)
    before = stored()

    assert call("channel.join", channel_id=lounge.pk).body == first.body
    assert stored() == before


def test_private_and_direct_channels_cannot_be_joined(
    api: Api, secret: Channel, direct: Channel, ada: User, grace: User
) -> None:
    assert api(ada)("channel.join", channel_id=secret.pk).said == (404, "not_found")
    assert api(grace)("channel.join", channel_id=direct.pk).said == (404, "not_found")


def test_guests_and_strangers_join_nothing(api: Api, lounge: Channel, gus: User, eve: User) -> None:
    assert api(gus)("channel.join", channel_id=lounge.pk).said == (404, "not_found")
    assert api(eve)("channel.join", channel_id=lounge.pk).said == (404, "not_found")


def test_who_leaves_and_who_stays_are_told(api: Api, general: Channel, grace: User, ada: User, bob: User) -> None:
    with published() as told:
        answer = api(ada)("channel.leave", channel_id=general.pk)

    assert answer.body == {"channel_id": general.pk}
    assert [(event.name, event.user_ids, event.data) for event in told] == [
        ("channel.member_left", ids(grace, bob), {"channel_id": general.pk, "user_id": ada.pk, "member_count": 2}),
        ("channel.removed", ids(ada), {"channel_id": general.pk}),
    ]


def test_who_left_hears_nothing_more(general: Channel, grace: User, ada: User, bob: User) -> None:
    say(bob, general)
    leave_channel(user=ada, channel_id=general.pk)

    with published() as told:
        say(bob, general)

    assert told[0].user_ids == ids(grace, bob)
    assert not ReadCursor.objects.filter(user=ada).exists()


def test_leaving_again_is_refused_and_tells_nobody(api: Api, general: Channel, ada: User) -> None:
    call = api(ada)
    call("channel.leave", channel_id=general.pk)
    before = stored()

    assert call("channel.leave", channel_id=general.pk).said == (403, "not_a_member")
    assert stored() == before


def test_who_comes_back_has_nothing_unread(api: Api, general: Channel, ada: User, bob: User) -> None:
    call = api(ada)
    call("channel.leave", channel_id=general.pk)
    say(bob, general)

    assert call("channel.join", channel_id=general.pk).body["channel"]["unread_count"] == 0


def test_a_direct_channel_cannot_be_left(api: Api, direct: Channel, ada: User) -> None:
    assert api(ada)("channel.leave", channel_id=direct.pk).said == (409, "direct_channel")
    assert direct.members.count() == 2


def test_a_stranger_leaves_nothing(api: Api, secret: Channel, ada: User) -> None:
    assert api(ada)("channel.leave", channel_id=secret.pk).said == (404, "not_found")


def test_members_come_by_user_id_in_pages(api: Api, general: Channel, grace: User, ada: User, bob: User) -> None:
    call = api(bob)

    first = call("channel.members", channel_id=general.pk, limit=2).body
    rest = call.get("channel.members", channel_id=general.pk, limit=2, after_id=first["next_after_id"]).body

    assert [row["user"]["id"] for row in first["members"] + rest["members"]] == [grace.pk, ada.pk, bob.pk]
    assert [set(row) for row in first["members"]] == [{"user", "role", "joined_at"}] * 2
    assert ([row["role"] for row in first["members"]], first["has_more"]) == (["admin", "member"], True)
    assert (rest["has_more"], rest["next_after_id"]) == (False, bob.pk)


def test_members_are_shown_to_members(
    api: Api, general: Channel, lounge: Channel, secret: Channel, ada: User, eve: User
) -> None:
    assert api(ada)("channel.members", channel_id=lounge.pk).said == (403, "not_a_member")
    assert api(ada)("channel.members", channel_id=secret.pk).said == (404, "not_found")
    assert api(eve)("channel.members", channel_id=general.pk).said == (404, "not_found")


def test_who_left_the_workspace_sees_none_of_its_public_channels(lounge: Channel, ada: User) -> None:
    ada.workspace_memberships.all().delete()

    assert not Channel.objects.visible_to(ada).exists()


def test_the_list_costs_the_same_queries_for_30_channels_as_for_two(
    api: Api, workspace: Workspace, ada: User, bob: User, django_assert_max_num_queries: Any
) -> None:
    for number in range(25):
        make_channel(ada, workspace, f"channel {number}")
    for number in range(5):
        other = bring(make_user(f"other{number}"), workspace)
        open_direct_channel(creator=ada, workspace_id=workspace.pk, other_ids=[bob.pk, other.pk])
    call = api(ada)
    call("user.me")

    with django_assert_max_num_queries(3):  # token, channels with their counts, people of the direct ones
        channels = call("channel.list").body["channels"]

    assert len(channels) == 30
    assert {len(row["members"]) for row in channels if row["kind"] == Kind.DIRECT} == {3}
