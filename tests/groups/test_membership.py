"""channel.join, leave, members, add_members, remove_member and mute; and the end of a whole membership."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from groups import audiences
from groups.actions.channels import archive_channel, create_channel
from groups.actions.membership import (
    TOLD_ONE_BY_ONE,
    add_members,
    join_channel,
    leave_channel,
    remove_from_all,
    remove_member,
)
from groups.models import Channel, ChannelMember, ReadCursor, User, Workspace, WorkspaceMember
from groups.payloads import profile_payload
from realtime import clock
from tests.cast import Api, at_once, bring, ids, make_channel, make_user, names, published, say, stored


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


def people(workspace: Workspace, count: int) -> list[User]:
    """Many members of the workspace at once."""
    users = User.objects.bulk_create(User(username=f"person{number}", password="!") for number in range(count))
    WorkspaceMember.objects.bulk_create(
        WorkspaceMember(workspace=workspace, user=user, joined_rev=1, joined_at=clock.now()) for user in users
    )
    return users


def role_of(user: User, channel: Channel) -> str:
    return channel.members.get(user=user).role


def test_who_is_added_sees_the_channel_at_once_with_nothing_unread(
    api: Api, secret: Channel, grace: User, ada: User
) -> None:
    message = say(grace, secret)

    with published() as told:
        answer = api(grace)("channel.add_members", channel_id=secret.pk, user_ids=[ada.pk])

    assert answer.body["channel"]["member_count"] == 2
    assert [(event.name, event.user_ids) for event in told] == [
        ("channel.added", ids(ada)),
        ("channel.member_joined", ids(grace)),
    ]
    [own] = api(ada)("channel.list").body["channels"]
    assert told[0].data["channel"] == own
    assert (own["unread_count"], own["last_read_id"], own["role"]) == (0, message.pk, "member")


def test_any_member_adds_but_a_guest(api: Api, general: Channel, ada: User, gus: User) -> None:
    linus = bring(make_user("linus"), general.workspace)
    add_members(adder=ada, channel_id=general.pk, user_ids=[gus.pk])

    assert api(gus)("channel.add_members", channel_id=general.pk, user_ids=[linus.pk]).said == (403, "forbidden")
    assert api(ada)("channel.add_members", channel_id=general.pk, user_ids=[linus.pk]).status == 200


def test_a_guest_who_was_added_sees_that_channel_alone(
    api: Api, general: Channel, lounge: Channel, grace: User, gus: User
) -> None:
    add_members(adder=grace, channel_id=general.pk, user_ids=[gus.pk])

    assert [channel["id"] for channel in api(gus)("channel.list").body["channels"]] == [general.pk]


def test_strangers_add_nobody(api: Api, general: Channel, secret: Channel, ada: User, eve: User) -> None:
    assert api(ada)("channel.add_members", channel_id=secret.pk, user_ids=[ada.pk]).said == (404, "not_found")
    assert api(eve)("channel.add_members", channel_id=general.pk, user_ids=[eve.pk]).said == (404, "not_found")


def test_who_looks_from_outside_joins_before_they_add(api: Api, lounge: Channel, ada: User, bob: User) -> None:
    assert api(ada)("channel.add_members", channel_id=lounge.pk, user_ids=[bob.pk]).said == (403, "not_a_member")


def test_nobody_is_added_when_one_is_not_of_the_workspace_or_deactivated(
    api: Api, secret: Channel, grace: User, ada: User, bob: User, eve: User
) -> None:
    bob.is_active = False
    bob.save()
    call = api(grace)
    before = stored()

    refused = [
        call("channel.add_members", channel_id=secret.pk, user_ids=[ada.pk, other]) for other in (eve.pk, bob.pk, 10**9)
    ]

    assert {(answer.status, answer.code, *answer.body["errors"]) for answer in refused} == {
        (400, "invalid", "user_ids")
    }
    assert len({str(answer.body) for answer in refused}) == 1
    assert stored() == before


@pytest.mark.parametrize("user_ids", [[], list(range(1, 10_002)), [0], ["1"], None])
def test_people_are_named_by_1_to_10_000_ids(api: Api, general: Channel, grace: User, user_ids: Any) -> None:
    assert api(grace)("channel.add_members", channel_id=general.pk, user_ids=user_ids).said == (400, "invalid")


def test_who_is_in_it_already_stays_as_they_are_and_nobody_is_told(
    api: Api, general: Channel, grace: User, ada: User
) -> None:
    call = api(ada)
    before = stored()

    assert call("channel.add_members", channel_id=general.pk, user_ids=[ada.pk, grace.pk, ada.pk]).status == 200
    assert stored() == before


def test_nobody_is_added_to_a_direct_channel(api: Api, direct: Channel, ada: User, grace: User) -> None:
    answer = api(ada)("channel.add_members", channel_id=direct.pk, user_ids=[grace.pk])

    assert answer.said == (409, "direct_channel")


def test_of_many_who_come_at_once_the_others_are_told_the_number(
    general: Channel, grace: User, ada: User, bob: User
) -> None:
    crowd = people(general.workspace, TOLD_ONE_BY_ONE + 1)

    with published() as told:
        add_members(adder=grace, channel_id=general.pk, user_ids=[user.pk for user in crowd])

    assert [(event.name, event.user_ids) for event in told] == [
        ("channel.added", ids(*crowd)),
        ("channel.updated", ids(grace, ada, bob)),
    ]
    assert told[1].data["channel"]["member_count"] == 3 + len(crowd)


def test_of_a_few_who_come_at_once_each_is_told_of(general: Channel, grace: User, ada: User, bob: User) -> None:
    crowd = people(general.workspace, TOLD_ONE_BY_ONE)

    with published() as told:
        add_members(adder=grace, channel_id=general.pk, user_ids=[user.pk for user in crowd])

    assert names(told) == ["channel.added", *["channel.member_joined"] * len(crowd)]
    assert [event.user_ids for event in told[1:]] == [ids(grace, ada, bob)] * len(crowd)
    assert {event.data["user"]["id"] for event in told[1:]} == ids(*crowd)


@pytest.mark.postgres
@pytest.mark.django_db
def test_10_000_come_at_once_for_the_price_of_few(general: Channel, grace: User) -> None:
    def queries_for(crowd: list[User]) -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            add_members(adder=grace, channel_id=general.pk, user_ids=[user.pk for user in crowd])
        return len(queries)

    crowd = people(general.workspace, 10_100)

    assert queries_for(crowd[100:]) == queries_for(crowd[:100])
    audiences.forget_all()
    with published() as told:
        say(grace, general)
    assert len(told[0].user_ids) == 10_103


def test_who_is_removed_loses_the_channel_at_once_and_the_others_see_them_go(
    api: Api, secret: Channel, grace: User, ada: User
) -> None:
    add_members(adder=grace, channel_id=secret.pk, user_ids=[ada.pk])

    with published() as told:
        answer = api(grace)("channel.remove_member", channel_id=secret.pk, user_id=ada.pk)
        say(grace, secret)

    assert answer.body["channel"]["member_count"] == 1
    assert [(event.name, event.user_ids) for event in told] == [
        ("channel.member_left", ids(grace)),
        ("channel.removed", ids(ada)),
        ("message.created", ids(grace)),
    ]
    assert api(ada)("message.list", channel_id=secret.pk).said == (404, "not_found")
    assert not ReadCursor.objects.filter(user=ada).exists()


def test_members_and_strangers_remove_nobody(
    api: Api, general: Channel, secret: Channel, grace: User, ada: User, bob: User, eve: User
) -> None:
    member, stranger = api(ada), api(eve)
    before = stored()

    assert member("channel.remove_member", channel_id=general.pk, user_id=bob.pk).said == (403, "forbidden")
    assert member("channel.remove_member", channel_id=secret.pk, user_id=grace.pk).said == (404, "not_found")
    assert stranger("channel.remove_member", channel_id=general.pk, user_id=bob.pk).said == (404, "not_found")
    assert stored() == before


@pytest.mark.parametrize("who", ["eve", "gus"])
def test_removing_who_is_not_there_changes_nothing(
    api: Api, request: pytest.FixtureRequest, general: Channel, grace: User, who: str
) -> None:
    nobody: User = request.getfixturevalue(who)
    call = api(grace)
    before = stored()

    assert call("channel.remove_member", channel_id=general.pk, user_id=nobody.pk).status == 200
    assert stored() == before


def test_to_go_oneself_one_leaves(api: Api, general: Channel, grace: User) -> None:
    answer = api(grace)("channel.remove_member", channel_id=general.pk, user_id=grace.pk)

    assert (answer.said, list(answer.body["errors"])) == ((400, "invalid"), ["user_id"])


def test_nobody_is_removed_from_a_direct_channel(api: Api, direct: Channel, ada: User, bob: User) -> None:
    answer = api(ada)("channel.remove_member", channel_id=direct.pk, user_id=bob.pk)

    assert answer.said == (409, "direct_channel")


def test_when_the_last_admin_goes_who_is_there_longest_takes_over_and_is_told(
    general: Channel, grace: User, ada: User, bob: User
) -> None:
    with published() as told:
        leave_channel(user=grace, channel_id=general.pk)

    assert (role_of(ada, general), role_of(bob, general)) == ("admin", "member")
    assert (told[-1].name, told[-1].user_ids) == ("channel.updated", ids(ada))
    assert told[-1].data["channel"] == {"id": general.pk, "role": "admin", "muted": False, "notify": "all"}


def test_a_guest_does_not_take_over(general: Channel, grace: User, ada: User, gus: User) -> None:
    secret = create_channel(creator=grace, workspace_id=general.workspace_id, kind="private", name="plans")
    add_members(adder=grace, channel_id=secret.pk, user_ids=[gus.pk])
    add_members(adder=grace, channel_id=secret.pk, user_ids=[ada.pk])

    leave_channel(user=grace, channel_id=secret.pk)

    assert (role_of(gus, secret), role_of(ada, secret)) == ("member", "admin")


def test_while_there_is_another_admin_nobody_takes_over(general: Channel, grace: User, ada: User, bob: User) -> None:
    general.members.filter(user=bob).update(role="admin")

    leave_channel(user=grace, channel_id=general.pk)

    assert role_of(ada, general) == "member"


def test_how_i_am_told_of_a_channel_is_told_to_me_alone(api: Api, general: Channel, ada: User) -> None:
    with published() as told:
        answer = api(ada)("channel.mute", channel_id=general.pk, muted=True, notify="mentions")

    assert (answer.body["channel"]["muted"], answer.body["channel"]["notify"]) == (True, "mentions")
    assert [(event.name, event.user_ids, event.data["channel"]) for event in told] == [
        ("channel.updated", ids(ada), {"id": general.pk, "role": "member", "muted": True, "notify": "mentions"})
    ]


def test_what_is_not_said_stays(api: Api, general: Channel, ada: User) -> None:
    call = api(ada)
    call("channel.mute", channel_id=general.pk, notify="nothing")

    channel = call("channel.mute", channel_id=general.pk, muted=True).body["channel"]

    assert (channel["muted"], channel["notify"]) == (True, "nothing")


def test_muting_changes_no_number(api: Api, general: Channel, ada: User, bob: User) -> None:
    say(bob, general)
    call = api(ada)

    assert call("channel.mute", channel_id=general.pk, muted=True).body["channel"]["unread_count"] == 1


def test_the_same_settings_again_tell_nobody(api: Api, general: Channel, ada: User) -> None:
    call = api(ada)
    call("channel.mute", channel_id=general.pk, muted=True)
    before = stored()

    assert call("channel.mute", channel_id=general.pk, muted=True).status == 200
    assert stored() == before


@pytest.mark.parametrize("params", [{}, {"muted": None}, {"muted": "true"}, {"notify": "some"}, {"notify": None}])
def test_settings_are_what_they_can_be(api: Api, general: Channel, ada: User, params: dict[str, Any]) -> None:
    assert api(ada)("channel.mute", channel_id=general.pk, **params).said == (400, "invalid")


def test_only_members_mute(api: Api, lounge: Channel, secret: Channel, ada: User, eve: User) -> None:
    assert api(ada)("channel.mute", channel_id=lounge.pk, muted=True).said == (403, "not_a_member")
    assert api(ada)("channel.mute", channel_id=secret.pk, muted=True).said == (404, "not_found")
    assert api(eve)("channel.mute", channel_id=lounge.pk, muted=True).said == (404, "not_found")


def test_an_archived_channel_can_be_muted_and_left(api: Api, general: Channel, grace: User, ada: User) -> None:
    archive_channel(archiver=grace, channel_id=general.pk)

    assert api(ada)("channel.mute", channel_id=general.pk, muted=True).status == 200
    assert api(ada)("channel.leave", channel_id=general.pk).status == 200


def test_the_end_of_a_membership_ends_it_in_every_channel(
    workspace: Workspace, general: Channel, secret: Channel, direct: Channel, grace: User, ada: User, bob: User
) -> None:
    add_members(adder=grace, channel_id=secret.pk, user_ids=[ada.pk])

    with published() as told, transaction.atomic():
        remove_from_all(workspace=workspace, user=ada)

    assert not ada.channel_memberships.exists()
    assert not ada.read_cursors.exists()
    assert sorted((event.name, event.user_ids, event.data["channel_id"]) for event in told) == sorted(
        event
        for channel, others in ((general, ids(grace, bob)), (secret, ids(grace)), (direct, ids(bob)))
        for event in (("channel.member_left", others, channel.pk), ("channel.removed", ids(ada), channel.pk))
    )


def test_other_workspaces_keep_who_goes(workspace: Workspace, general: Channel, ada: User, api: Api) -> None:
    other = api(ada)("workspace.create", name="Other").body["workspace"]
    kept = create_channel(creator=ada, workspace_id=other["id"], kind="public", name="tea")

    with transaction.atomic():
        remove_from_all(workspace=workspace, user=ada)

    assert [member.channel_id for member in ada.channel_memberships.all()] == [kept.pk]


def test_the_end_of_a_membership_costs_the_same_for_many_channels(workspace: Workspace, grace: User, ada: User) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as made, transaction.atomic():
            remove_from_all(workspace=workspace, user=ada)
        return len(made)

    channels = [make_channel(grace, workspace, f"channel {number}") for number in range(12)]
    for channel in channels[:2]:
        join_channel(user=ada, channel_id=channel.pk)
    few = queries()
    for channel in channels:
        join_channel(user=ada, channel_id=channel.pk)

    assert queries() == few


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_added_and_removed_at_once_somebody_is_either_in_or_out(general: Channel, grace: User, bob: User) -> None:
    def add() -> None:
        add_members(adder=grace, channel_id=general.pk, user_ids=[bob.pk])

    def remove() -> None:
        remove_member(remover=grace, channel_id=general.pk, user_id=bob.pk)

    with published() as told:
        at_once(*[add, remove] * 4)

    inside = general.members.filter(user=bob).exists()
    assert ReadCursor.objects.filter(channel=general, user=bob).exists() == inside
    bobs = [event.name for event in told if event.name in ("channel.added", "channel.removed")]
    assert bobs == (["channel.removed", "channel.added"] * 4)[: len(bobs)]
    assert (bobs[-1:] != ["channel.removed"]) == inside


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_who_leaves_the_workspace_while_they_join_is_in_no_channel(
    workspace: Workspace, grace: User, ada: User
) -> None:
    channels = [make_channel(grace, workspace, f"channel {number}") for number in range(6)]

    def go() -> None:
        with transaction.atomic():
            locked = Workspace.objects.select_for_update().get(pk=workspace.pk)
            remove_from_all(workspace=locked, user=ada)
            WorkspaceMember.objects.filter(workspace=locked, user=ada).delete()

    def join(channel: Channel) -> Callable[[], None]:
        def run() -> None:
            with suppress(Channel.DoesNotExist, Workspace.DoesNotExist):
                join_channel(user=ada, channel_id=channel.pk)

        return run

    at_once(*map(join, channels[:3]), go, *map(join, channels[3:]))

    assert not ChannelMember.objects.filter(user=ada).exists()
