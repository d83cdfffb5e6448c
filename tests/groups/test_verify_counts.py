"""`manage.py verify_counts`: each kind of difference is broken by hand, found, mended, told, and then gone."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import F

from groups.actions.channels import archive_channel
from groups.actions.cursors import mark_read
from groups.actions.membership import leave_channel
from groups.actions.messages import delete_message
from groups.actions.threads import follow_thread
from groups.models import (
    Channel,
    ChannelMember,
    Invite,
    Mention,
    Message,
    MessageVersion,
    ReadCursor,
    ThreadFollower,
    User,
    Workspace,
    WorkspaceMember,
)
from realtime import clock
from tests.cast import Told, at_once, bring, ids, make_channel, make_user, names, published, say, stored


def verify(*options: str) -> tuple[int, list[str]]:
    """The exit code and what was printed."""
    printed = io.StringIO()
    try:
        call_command("verify_counts", *options, stdout=printed)
    except CommandError as error:
        return error.returncode, printed.getvalue().splitlines()
    return 0, printed.getvalue().splitlines()


def mended(line: str) -> list[Told]:
    """What is told when exactly this difference is mended."""
    before = stored()
    assert verify() == (1, [line])
    assert stored() == before
    with published() as told:
        assert verify("--fix") == (0, [line, "1 differences were found. Looking again:", "Nothing differs."])
    assert verify() == (0, ["Nothing differs."])
    return told


def resets(told: list[Told]) -> set[int]:
    assert names(told) == ["sync.reset"]
    assert told[0].data == {"reason": "counts_mended"}
    return told[0].user_ids


def without_constraint(table: str, name: str) -> None:
    """As in a database that was copied by somebody who left it out."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")


@pytest.fixture
def thread(general: Channel, ada: User, bob: User) -> Message:
    """A message of ada with two replies of bob, one deleted."""
    root = say(ada, general)
    say(bob, general, thread_root_id=root.pk)
    delete_message(deleter=bob, message_id=say(bob, general, thread_root_id=root.pk).pk)
    root.refresh_from_db()
    return root


def test_nothing_differs_after_all_that_people_do(
    general: Channel, direct: Channel, secret: Channel, thread: Message, grace: User, ada: User, bob: User, gus: User
) -> None:
    follow_thread(follower=grace, message_id=thread.pk)
    delete_message(deleter=ada, message_id=say(ada, general, "@bob look").pk)
    mark_read(reader=bob, channel_id=general.pk, last_read_id=say(ada, general, "@bob look again").pk)
    say(bob, direct)
    delete_message(deleter=grace, message_id=thread.pk)
    leave_channel(user=bob, channel_id=general.pk)
    archive_channel(archiver=grace, channel_id=general.pk)

    assert verify() == (0, ["Nothing differs."])
    assert verify("--fix") == (0, ["Nothing differs."])


def test_a_wrong_number_of_replies_is_told_as_an_update(
    general: Channel, thread: Message, grace: User, ada: User, bob: User
) -> None:
    Message.objects.filter(pk=thread.pk).update(reply_count=7)
    rev = Channel.objects.get(pk=general.pk).rev

    told = mended(f"channel {general.pk}: message {thread.pk} says 7 replies and has 1")

    assert (told[0].name, told[0].user_ids) == ("message.updated", ids(grace, ada, bob))
    assert {(event.name, *event.user_ids) for event in told[1:]} == {("thread.updated", one.pk) for one in (ada, bob)}
    assert (told[0].data["message"]["reply_count"], told[0].data["message"]["rev"]) == (1, rev + 1)
    assert Channel.objects.get(pk=general.pk).rev == rev + 1


def test_a_number_of_replies_without_any_is_found(general: Channel, ada: User) -> None:
    message = say(ada, general)
    Message.objects.filter(pk=message.pk).update(reply_count=1)

    assert names(mended(f"channel {general.pk}: message {message.pk} says 1 replies and has 0")) == ["message.updated"]


def test_a_member_without_a_cursor_gets_one_at_the_end(general: Channel, ada: User, bob: User) -> None:
    message = say(ada, general)
    ReadCursor.objects.filter(channel=general, user=bob).delete()

    told = mended(f"channel {general.pk}: user {bob.pk} is a member and has no read cursor")

    assert resets(told) == ids(bob)
    assert ReadCursor.objects.get(channel=general, user=bob).last_read_id == message.pk


def test_a_cursor_of_nobody_goes(general: Channel, ada: User) -> None:
    ChannelMember.objects.filter(channel=general, user=ada).delete()

    mended(f"channel {general.pk}: user {ada.pk} has a read cursor and is no member")

    assert not ReadCursor.objects.filter(channel=general, user=ada).exists()


def test_a_cursor_beyond_the_newest_message_comes_back(general: Channel, ada: User, bob: User) -> None:
    message = say(ada, general)
    ReadCursor.objects.filter(channel=general, user=bob).update(last_read_id=message.pk + 1)

    told = mended(f"channel {general.pk}: user {bob.pk} has read up to {message.pk + 1}, beyond the newest message")

    assert resets(told) == ids(bob)
    cursor = ReadCursor.objects.get(channel=general, user=bob)
    assert (cursor.last_read_id, cursor.version) == (message.pk, 1)


def test_a_place_in_a_thread_beyond_the_newest_message_comes_back(general: Channel, thread: Message, ada: User) -> None:
    newest_id = Message.objects.latest("pk").pk
    ThreadFollower.objects.filter(root=thread, user=ada).update(last_read_id=newest_id + 1)

    told = mended(
        f"channel {general.pk}: user {ada.pk} has read thread {thread.pk} up to {newest_id + 1},"
        " beyond the newest message"
    )

    assert resets(told) == ids(ada)
    assert ThreadFollower.objects.get(root=thread, user=ada).last_read_id == newest_id


def test_who_is_no_member_follows_no_thread(general: Channel, thread: Message, eve: User) -> None:
    ThreadFollower.objects.create(root=thread, user=eve)

    mended(f"channel {general.pk}: user {eve.pk} follows thread {thread.pk} and is no member")


def test_nobody_follows_a_reply(general: Channel, thread: Message, ada: User) -> None:
    reply = thread.replies.earliest("pk")
    ThreadFollower.objects.create(root=reply, user=ada)

    told = mended(f"channel {general.pk}: user {ada.pk} follows message {reply.pk}, which is a reply")

    assert resets(told) == ids(ada)


def test_a_deleted_message_mentions_nobody(general: Channel, ada: User, bob: User) -> None:
    message = say(ada, general)
    delete_message(deleter=ada, message_id=message.pk)
    Mention.objects.create(message=message, channel=general, user=bob, kind="user")

    told = mended(f"channel {general.pk}: deleted message {message.pk} mentions user {bob.pk}")

    assert resets(told) == ids(bob)


def test_a_mention_is_in_the_channel_of_its_message(general: Channel, lounge: Channel, ada: User, bob: User) -> None:
    message = say(ada, general, "@bob look")
    Mention.objects.update(channel=lounge)

    told = mended(f"channel {general.pk}: message {message.pk} mentions user {bob.pk} in channel {lounge.pk}")

    assert resets(told) == ids(bob)
    assert Mention.objects.get().channel == general


def test_a_deleted_message_has_no_reactions_and_no_earlier_text(
    general: Channel, grace: User, ada: User, bob: User
) -> None:
    message = say(ada, general)
    delete_message(deleter=ada, message_id=message.pk)
    message.reactions.create(user=bob, emoji="👍")

    told = mended(f"channel {general.pk}: deleted message {message.pk} has a reaction of user {bob.pk}")

    assert resets(told) == ids(grace, ada, bob)
    MessageVersion.objects.create(message=message, body="secret", replaced_at=clock.now())
    mended(f"channel {general.pk}: deleted message {message.pk} has an earlier text")
    assert not MessageVersion.objects.exists()


def test_a_member_who_is_not_in_the_workspace_is_sent_away(general: Channel, grace: User, ada: User, bob: User) -> None:
    WorkspaceMember.objects.filter(user=ada).delete()

    told = mended(f"channel {general.pk}: user {ada.pk} is a member and not in the workspace")

    assert [(event.name, event.user_ids) for event in told] == [
        ("channel.member_left", ids(grace, bob)),
        ("channel.removed", ids(ada)),
    ]


@pytest.mark.parametrize("wrong", ["{ada}", "{ada},{eve}", "{ada}{bob}", "nobody"])
def test_a_direct_channel_is_named_after_its_members(
    direct: Channel, ada: User, bob: User, eve: User, wrong: str
) -> None:
    key, wrong = direct.direct_key, wrong.format(ada=ada.pk, bob=bob.pk, eve=eve.pk)
    Channel.objects.filter(pk=direct.pk).update(direct_key=wrong)

    told = mended(f"channel {direct.pk}: it is named after {wrong!r}, and not after all of its members")

    assert resets(told) == ids(ada, bob)
    assert Channel.objects.get(pk=direct.pk).direct_key == key


def test_a_direct_channel_names_its_people_in_their_order(direct: Channel, ada: User, bob: User) -> None:
    Channel.objects.filter(pk=direct.pk).update(direct_key=f"{bob.pk},{ada.pk}")

    mended(f"channel {direct.pk}: the people of '{bob.pk},{ada.pk}' are not in their order")

    assert Channel.objects.get(pk=direct.pk).direct_key == direct.direct_key


def test_two_direct_channels_of_the_same_people_are_left_to_a_person(
    workspace: Workspace, direct: Channel, ada: User, bob: User
) -> None:
    key = direct.direct_key
    Channel.objects.filter(pk=direct.pk).update(direct_key=f"{ada.pk}")
    Channel.objects.create(workspace=workspace, kind="direct", direct_key=key, created_by=ada, created_at=clock.now())
    told = f"channel {direct.pk}: it is named after '{ada.pk}', and not after all of its members"

    assert verify("--fix") == (1, [told, "1 differences were found. Looking again:", told])


@pytest.mark.parametrize(
    "break_it",
    [
        lambda channel: Message.objects.filter(channel=channel).update(rev=F("rev") + 100),
        lambda channel: ChannelMember.objects.filter(channel=channel).update(joined_rev=100),
    ],
)
def test_no_rev_is_higher_than_that_of_its_channel(
    general: Channel, grace: User, ada: User, bob: User, break_it: Callable[[Channel], Any]
) -> None:
    say(ada, general)
    break_it(general)
    channel = Channel.objects.get(pk=general.pk)

    told = mended(
        f"channel {channel.pk}: its rev is {channel.rev}, that of its members {channel.members_rev},"
        " and there are higher ones"
    )

    assert resets(told) == ids(grace, ada, bob)
    assert Channel.objects.get(pk=general.pk).rev > 100


def test_nobody_joined_a_workspace_later_than_its_rev(workspace: Workspace, grace: User, ada: User) -> None:
    workspace.refresh_from_db()
    WorkspaceMember.objects.filter(user=ada).update(joined_rev=100)

    told = mended(f"workspace {workspace.pk}: its rev is {workspace.rev}, and there are higher ones")

    assert resets(told) == ids(grace, ada)


@pytest.mark.parametrize("column", ["name_key", "name_look"])
def test_the_keys_of_a_channel_are_those_of_its_name(general: Channel, column: str) -> None:
    Channel.objects.filter(pk=general.pk).update(**{column: "tea"})
    kind = {"name_key": "spelling", "name_look": "look"}[column]

    mended(f"channel {general.pk}: the {kind} of 'general' is not 'tea'")

    assert getattr(Channel.objects.get(pk=general.pk), column) == getattr(general, column)


def test_a_key_that_is_taken_meanwhile_gets_the_id(workspace: Workspace, general: Channel, grace: User) -> None:
    Channel.objects.filter(pk=general.pk).update(name_key="x", name_look="x")
    make_channel(grace, workspace, "General")

    assert verify("--fix")[0] == 0
    assert Channel.objects.get(pk=general.pk).name_key.endswith(f"\x1f{general.pk}")
    assert verify() == (0, ["Nothing differs."])


def test_the_keys_of_a_user_are_those_of_their_name(ada: User) -> None:
    User.objects.filter(pk=ada.pk).update(username_key="bob")

    mended(f"user {ada.pk}: the spelling of 'ada' is not 'bob'")


@pytest.mark.postgres
@pytest.mark.django_db
def test_what_constraints_guard_is_found_where_they_are_missing(
    workspace: Workspace, general: Channel, ada: User
) -> None:
    without_constraint("groups_invite", "an_invite_is_not_used_too_often")
    without_constraint("groups_message", "a_deleted_message_is_not_pinned")
    without_constraint("groups_channel", "members_rev_is_a_rev")
    bring(make_user("linus"), workspace)
    invite = Invite.objects.latest("pk")
    Invite.objects.filter(pk=invite.pk).update(max_uses=1, uses=2)
    mended(f"invite {invite.pk}: it was used 2 times of 1")

    message = say(ada, general)
    delete_message(deleter=ada, message_id=message.pk)
    Message.objects.filter(pk=message.pk).update(pinned_at=clock.now(), pinned_by=ada)
    mended(f"channel {general.pk}: deleted message {message.pk} is pinned")

    Channel.objects.filter(pk=general.pk).update(members_rev=100)
    rev = Channel.objects.get(pk=general.pk).rev
    mended(f"channel {general.pk}: its rev is {rev}, that of its members 100, and there are higher ones")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_nothing_is_found_while_people_write(general: Channel, thread: Message, ada: User, bob: User) -> None:
    def talk(user: User) -> Callable[[], None]:
        def run() -> None:
            for _ in range(15):
                reply = say(user, general, "@bob", thread_root_id=thread.pk)
                mark_read(reader=user, channel_id=general.pk, last_read_id=reply.pk)
                delete_message(deleter=user, message_id=reply.pk)

        return run

    def look() -> list[tuple[int, list[str]]]:
        return [verify() for _ in range(5)]

    got = at_once(talk(ada), talk(bob), look)

    assert [found for found in got if found is not None] == [[(0, ["Nothing differs."])] * 5]
