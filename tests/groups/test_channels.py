"""channel.create, update, archive, list and browse."""

from collections.abc import Callable
from typing import Any

import pytest

from groups.actions.channels import archive_channel, create_channel, update_channel
from groups.actions.direct import open_direct_channel
from groups.actions.membership import join_channel
from groups.models import Channel, User, Workspace
from groups.models.channel import Kind
from groups.models.workspace import Role
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


def test_an_admin_of_the_channel_renames_it_and_its_members_are_told(
    api: Api, general: Channel, grace: User, ada: User, bob: User
) -> None:
    with published() as told:
        answer = api(grace)("channel.update", channel_id=general.pk, name="# Plaza ", topic=" Come  in ")

    channel = answer.body["channel"]
    assert (channel["name"], channel["topic"], channel["kind"]) == ("Plaza", "Come in", "public")
    assert [(event.name, event.user_ids) for event in told] == [("channel.updated", ids(grace, ada, bob))]
    assert told[0].data["channel"] == {name: channel[name] for name in told[0].data["channel"]}
    assert set(told[0].data["channel"]) == CHANNEL_FIELDS & set(told[0].data["channel"]) >= {"rev", "member_count"}


def test_a_workspace_admin_who_is_a_member_changes_the_channel(
    api: Api, workspace: Workspace, general: Channel
) -> None:
    admin = bring(make_user("linus"), workspace, role=Role.ADMIN)
    refused = api(admin)("channel.update", channel_id=general.pk, topic="new")
    join_channel(user=admin, channel_id=general.pk)

    assert refused.said == (403, "not_a_member")
    assert api(admin)("channel.update", channel_id=general.pk, topic="new").body["channel"]["topic"] == "new"


@pytest.mark.parametrize("change", [{"name": "plaza"}, {"topic": "new"}, {"kind": "private"}])
def test_members_and_strangers_do_not_change_a_channel(
    api: Api, general: Channel, secret: Channel, ada: User, eve: User, change: dict[str, str]
) -> None:
    member, stranger = api(ada), api(eve)
    before = stored()

    assert member("channel.update", channel_id=general.pk, **change).said == (403, "forbidden")
    assert member("channel.update", channel_id=secret.pk, **change).said == (404, "not_found")
    assert stranger("channel.update", channel_id=general.pk, **change).said == (404, "not_found")
    assert stored() == before


def test_a_change_to_what_is_there_tells_nobody(api: Api, general: Channel, grace: User) -> None:
    call = api(grace)
    before = stored()

    answer = call("channel.update", channel_id=general.pk, name="general", kind="public", topic=general.topic)

    assert answer.status == 200
    assert stored() == before


def test_an_update_says_what_to_change(api: Api, general: Channel, grace: User) -> None:
    assert api(grace)("channel.update", channel_id=general.pk).said == (400, "invalid")


def test_a_name_of_its_own_may_change_its_case(api: Api, general: Channel, grace: User) -> None:
    assert api(grace)("channel.update", channel_id=general.pk, name="GENERAL").body["channel"]["name"] == "GENERAL"


def test_a_channel_is_not_renamed_to_another_ones_name(
    api: Api, general: Channel, lounge: Channel, grace: User
) -> None:
    answer = api(grace)("channel.update", channel_id=general.pk, name="Lounge")

    assert answer.said == (409, "name_taken")
    assert "#lounge" in answer.body["detail"]


def test_a_taken_name_of_a_channel_that_i_may_not_see_is_not_told(api: Api, general: Channel, ada: User) -> None:
    mine = api(ada)("channel.create", workspace_id=general.workspace_id, kind="public", name="mine").body["channel"]
    make_channel(general.created_by, general.workspace, "Secret plans", kind="private")

    answer = api(ada)("channel.update", channel_id=mine["id"], name="secret plans")

    assert answer.said == (409, "name_taken")
    assert "Secret" not in answer.body["detail"]


def test_a_public_channel_becomes_private_and_leaves_what_others_browse(
    api: Api, general: Channel, grace: User, mia: User, gus: User
) -> None:
    outsider = bring(make_user("linus"), general.workspace)

    answer = api(grace)("channel.update", channel_id=general.pk, kind="private")

    assert answer.body["channel"]["kind"] == "private"
    assert api(outsider)("channel.browse", workspace_id=general.workspace_id).body["channels"] == []
    assert api(outsider)("channel.join", channel_id=general.pk).said == (404, "not_found")


@pytest.mark.parametrize("kind", ["public", "direct"])
def test_a_private_channel_stays_private(api: Api, secret: Channel, grace: User, kind: str) -> None:
    assert api(grace)("channel.update", channel_id=secret.pk, kind=kind).said == (409, "conversion_refused")


@pytest.mark.parametrize("change", [{"name": "plaza"}, {"topic": "new"}, {"kind": "public"}])
def test_a_direct_channel_is_not_changed(api: Api, direct: Channel, ada: User, change: dict[str, str]) -> None:
    assert api(ada)("channel.update", channel_id=direct.pk, **change).said == (409, "direct_channel")
    assert api(ada)("channel.archive", channel_id=direct.pk).said == (409, "direct_channel")


def test_an_archived_channel_stays_with_its_members_and_leaves_the_others(
    api: Api, general: Channel, grace: User, ada: User, bob: User
) -> None:
    outsider = bring(make_user("linus"), general.workspace)
    message = say(ada, general)

    with published() as told:
        answer = api(grace)("channel.archive", channel_id=general.pk)

    assert answer.body["channel"]["archived"] is True
    assert [(event.name, event.user_ids) for event in told] == [("channel.updated", ids(grace, ada, bob))]
    assert told[0].data["channel"]["archived"] is True
    assert [channel["archived"] for channel in api(ada)("channel.list").body["channels"]] == [True]
    assert [one["id"] for one in api(ada)("message.list", channel_id=general.pk).body["messages"]] == [message.pk]
    assert api(outsider)("channel.browse", workspace_id=general.workspace_id).body["channels"] == []
    assert api(outsider)("channel.join", channel_id=general.pk).said == (404, "not_found")


def test_nothing_is_written_in_an_archived_channel(api: Api, general: Channel, grace: User, ada: User) -> None:
    outsider = bring(make_user("linus"), general.workspace)
    archive_channel(archiver=grace, channel_id=general.pk)
    call = api(grace)
    before = stored()

    deeds: dict[str, dict[str, Any]] = {
        "message.send": {"body": "hello"},
        "channel.update": {"topic": "new"},
        "channel.add_members": {"user_ids": [outsider.pk]},
        "typing.relay": {"state": "start"},
    }
    for method, params in deeds.items():
        assert call(method, channel_id=general.pk, **params).said == (409, "channel_archived"), method
    assert stored() == before


def test_an_archived_channel_comes_back(api: Api, general: Channel, grace: User, ada: User) -> None:
    archive_channel(archiver=grace, channel_id=general.pk)

    with published() as told:
        answer = api(grace)("channel.archive", channel_id=general.pk, archived=False)

    assert answer.body["channel"]["archived"] is False
    assert names(told) == ["channel.updated"]
    assert say(ada, general).pk


@pytest.mark.parametrize("archived", [True, False])
def test_archiving_again_changes_nothing(api: Api, general: Channel, grace: User, archived: bool) -> None:
    call = api(grace)
    call("channel.archive", channel_id=general.pk, archived=archived)
    before = stored()

    assert call("channel.archive", channel_id=general.pk, archived=archived).status == 200
    assert stored() == before


def test_members_and_strangers_archive_nothing(
    api: Api, general: Channel, secret: Channel, ada: User, eve: User
) -> None:
    assert api(ada)("channel.archive", channel_id=general.pk).said == (403, "forbidden")
    assert api(ada)("channel.archive", channel_id=secret.pk).said == (404, "not_found")
    assert api(eve)("channel.archive", channel_id=general.pk).said == (404, "not_found")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_two_renames_to_one_name_exactly_one_wins(workspace: Workspace, grace: User) -> None:
    channels = [make_channel(grace, workspace, f"channel {number}") for number in range(8)]

    def rename(channel: Channel) -> Callable[[], str]:
        def run() -> str:
            try:
                return update_channel(editor=grace, channel_id=channel.pk, name="Tea").name
            except Conflict as refusal:
                return refusal.code

        return run

    with published() as told:
        got = at_once(*map(rename, channels))

    assert sorted(got) == ["Tea", *["name_taken"] * 7]
    assert (names(told), workspace.channels.filter(name="Tea").count()) == (["channel.updated"], 1)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_what_is_sent_while_a_channel_is_archived_comes_before_or_is_refused(
    general: Channel, grace: User, ada: User
) -> None:
    def send() -> str:
        try:
            return str(say(ada, general).rev)
        except Conflict as refusal:
            return refusal.code

    def archive() -> str:
        return f"archived {archive_channel(archiver=grace, channel_id=general.pk).rev}"

    got = at_once(*[send] * 5, archive, *[send] * 5)

    [archived_rev] = [int(outcome.split()[1]) for outcome in got if outcome.startswith("archived")]
    sent = [int(outcome) for outcome in got if outcome.isdecimal()]
    assert all(rev < archived_rev for rev in sent)
    assert got.count("channel_archived") == 10 - len(sent)
