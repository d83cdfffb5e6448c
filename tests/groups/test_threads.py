"""Threads: who follows them, what each follower has not read, and what they are told."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groups.actions.channels import archive_channel
from groups.actions.followers import THREAD_FOLLOWERS
from groups.actions.membership import add_members, join_channel, leave_channel, remove_member
from groups.actions.messages import delete_message, edit_message
from groups.actions.sending import Draft, send_messages
from groups.actions.threads import follow_thread, mark_thread_read, unfollow_thread
from groups.models import Channel, ChannelMember, Message, ReadCursor, ThreadFollower, User
from realtime import clock
from realtime.errors import Conflict
from tests.cast import Answer, Api, Door, Told, at_once, ids, names, published, reply_to, say, stored

Queries = Callable[[int], AbstractContextManager[Any]]
THREAD_FIELDS = {
    *("thread_root_id", "channel_id", "following", "last_read_id", "unread_count", "reply_count", "latest_reply_id"),
    "rev",
}


def own_thread(call: Door, root: Message) -> dict[str, Any]:
    """The thread as somebody sees it now."""
    thread: dict[str, Any] = call("message.replies", message_id=root.pk).body["thread"]
    return thread


def unread(call: Door, root: Message) -> int:
    return int(own_thread(call, root)["unread_count"])


def threads_told(told: list[Told]) -> dict[int, dict[str, Any]]:
    """What each person was told of a thread, by user id; the last word."""
    return {pk: event.data["thread"] for event in told if event.name == "thread.updated" for pk in event.user_ids}


def listed(answer: Answer) -> list[int]:
    return [row["thread"]["thread_root_id"] for row in answer.body["threads"]]


@pytest.fixture
def root(general: Channel, ada: User) -> Message:
    """A message of ada in `general`, without replies."""
    return say(ada, general, "root")


def test_a_reply_lets_its_author_and_the_author_of_the_root_follow(
    root: Message, grace: User, ada: User, bob: User
) -> None:
    with published() as told:
        reply = reply_to(root, bob)

    assert names(told) == ["message.created", "message.updated", "thread.updated", "thread.updated"]
    threads = threads_told(told)
    assert set(threads) == ids(ada, bob)
    assert set(threads[ada.pk]) == THREAD_FIELDS
    state = {pk: (thread["following"], thread["unread_count"]) for pk, thread in threads.items()}
    assert state == {ada.pk: (True, 1), bob.pk: (True, 0)}
    assert threads[bob.pk] == {
        "thread_root_id": root.pk,
        "channel_id": root.channel_id,
        "following": True,
        "last_read_id": reply.pk,
        "unread_count": 0,
        "reply_count": 1,
        "latest_reply_id": reply.pk,
        "rev": reply.rev + 1,
    }


def test_who_was_removed_when_it_leaves_is_told_nothing_of_a_thread(
    general: Channel, grace: User, ada: User, bob: User
) -> None:
    """As after an outage, in which it waited in the outbox."""
    root = say(bob, general, "a question")
    with published() as told:
        reply_to(root, ada, "an answer")
        remove_member(remover=grace, channel_id=general.pk, user_id=bob.pk)
    assert [event.user_ids for event in told if event.name == "thread.updated"] == [ids(ada), set()]


def test_who_answers_themself_has_nothing_unread(root: Message, ada: User) -> None:
    with published() as told:
        reply_to(root, ada)

    assert {pk: thread["unread_count"] for pk, thread in threads_told(told).items()} == {ada.pk: 0}


def test_who_begins_to_follow_by_writing_has_read_what_came_before(
    api: Api, root: Message, grace: User, ada: User, bob: User
) -> None:
    reply_to(root, grace), reply_to(root, ada)

    reply_to(root, bob)

    assert (unread(api(bob), root), unread(api(grace), root), unread(api(ada), root)) == (0, 2, 2)


def test_ones_own_reply_does_not_mark_the_thread_as_read(api: Api, root: Message, ada: User, bob: User) -> None:
    reply_to(root, bob)

    reply_to(root, ada)

    assert unread(api(ada), root) == 1


def test_who_unfollowed_is_not_brought_back_by_writing_or_by_being_answered(
    api: Api, root: Message, ada: User, bob: User
) -> None:
    reply_to(root, bob)
    for user in (ada, bob):
        unfollow_thread(follower=user, message_id=root.pk)

    with published() as told:
        reply_to(root, bob)

    assert names(told) == ["message.created", "message.updated"]
    assert [own_thread(api(user), root)["following"] for user in (ada, bob)] == [False, False]


def test_who_is_named_in_a_reply_follows_from_before_it(
    api: Api, root: Message, general: Channel, grace: User, ada: User, bob: User
) -> None:
    say(bob, general, "@grace, not in a thread")
    reply_to(root, bob)

    with published() as told:
        reply_to(root, bob, "@grace look")

    assert names(told)[-3:] == ["thread.updated"] * 3
    assert {pk: thread["unread_count"] for pk, thread in threads_told(told).items()} == {
        grace.pk: 1,
        ada.pk: 2,
        bob.pk: 0,
    }


def test_a_call_to_the_whole_channel_lets_nobody_follow(root: Message, grace: User, ada: User, bob: User) -> None:
    with published() as told:
        reply_to(root, bob, "@channel look")

    assert set(threads_told(told)) == ids(ada, bob)


def test_an_edit_that_names_somebody_lets_them_follow_and_tells_them_alone(
    root: Message, grace: User, ada: User, bob: User
) -> None:
    reply = reply_to(root, bob)
    reply_to(root, ada)

    with published() as told:
        edit_message(editor=bob, message_id=reply.pk, body="@grace and @ada look")

    assert {pk: thread["unread_count"] for pk, thread in threads_told(told).items()} == {grace.pk: 2}


def test_who_unfollowed_is_not_brought_back_by_being_named(root: Message, ada: User, bob: User) -> None:
    reply = reply_to(root, bob)
    unfollow_thread(follower=ada, message_id=root.pk)

    with published() as told:
        reply_to(root, bob, "@ada look")
        edit_message(editor=bob, message_id=reply.pk, body="@ada look")

    assert ada.pk not in threads_told(told)


def test_the_author_of_a_root_who_left_the_channel_does_not_begin_to_follow(
    root: Message, general: Channel, ada: User, bob: User
) -> None:
    leave_channel(user=ada, channel_id=general.pk)

    with published() as told:
        reply_to(root, bob)
    join_channel(user=ada, channel_id=general.pk)

    assert set(threads_told(told)) == ids(bob)
    assert not ThreadFollower.objects.filter(user=ada).exists()


def test_replies_of_one_batch_tell_each_follower_once_with_all_of_them(
    root: Message, general: Channel, grace: User, ada: User, bob: User
) -> None:
    with published() as told:
        send_messages([Draft(user, general.pk, "reply", thread_root_id=root.pk) for user in (bob, grace, ada)])

    assert names(told) == ["message.created", "message.updated"] * 3 + ["thread.updated"] * 3
    threads = threads_told(told)
    assert {pk: thread["unread_count"] for pk, thread in threads.items()} == {ada.pk: 2, bob.pk: 2, grace.pk: 1}
    assert {thread["rev"] for thread in threads.values()} == {Channel.objects.get(pk=general.pk).rev}


def test_a_message_outside_of_threads_tells_no_follower(root: Message, general: Channel, ada: User, bob: User) -> None:
    reply_to(root, bob)

    with published() as told:
        message = say(bob, general)
        edit_message(editor=bob, message_id=message.pk, body="other")
        delete_message(deleter=bob, message_id=message.pk)

    assert "thread.updated" not in names(told)


def test_a_retry_of_a_reply_tells_no_follower(root: Message, general: Channel, bob: User) -> None:
    say(bob, general, "once", client_msg_id="m-1", thread_root_id=root.pk)
    before = stored()

    say(bob, general, "once", client_msg_id="m-1", thread_root_id=root.pk)

    assert stored() == before


def test_who_follows_begins_at_the_newest_reply_and_is_told_alone(
    api: Api, root: Message, grace: User, ada: User, bob: User
) -> None:
    reply = reply_to(root, bob)

    with published() as told:
        answer = api(grace)("thread.follow", message_id=root.pk)

    thread = answer.body["thread"]
    assert (thread["following"], thread["last_read_id"], thread["unread_count"]) == (True, reply.pk, 0)
    assert [(event.name, event.data, event.user_ids) for event in told] == [("thread.updated", answer.body, ids(grace))]


def test_a_message_without_replies_can_be_followed(api: Api, root: Message, grace: User, bob: User) -> None:
    api(grace)("thread.follow", message_id=root.pk)

    with published() as told:
        reply_to(root, bob)

    assert threads_told(told)[grace.pk]["unread_count"] == 1


def test_following_again_changes_nothing_and_tells_nobody(api: Api, root: Message, grace: User, bob: User) -> None:
    call = api(grace)
    first = call("thread.follow", message_id=root.pk).body
    before = stored()

    assert call("thread.follow", message_id=root.pk).body == first
    assert stored() == before


def test_who_unfollows_is_told_alone_and_then_hears_no_more(api: Api, root: Message, ada: User, bob: User) -> None:
    reply_to(root, bob)

    with published() as told:
        answer = api(ada)("thread.unfollow", message_id=root.pk)
        reply_to(root, bob)

    thread = answer.body["thread"]
    assert (thread["following"], thread["unread_count"]) == (False, 0)
    assert (told[0].data, told[0].user_ids) == (answer.body, ids(ada))
    assert ada.pk not in threads_told(told[1:])


def test_unfollowing_again_or_what_one_never_followed_changes_nothing(
    api: Api, root: Message, grace: User, ada: User, bob: User
) -> None:
    reply_to(root, bob)
    call = api(ada)
    first = call("thread.unfollow", message_id=root.pk).body
    never = api(grace)
    before = stored()

    assert call("thread.unfollow", message_id=root.pk).body == first
    assert never("thread.unfollow", message_id=root.pk).body["thread"]["following"] is False
    assert stored() == before


def test_who_follows_again_has_read_what_came_meanwhile(api: Api, root: Message, ada: User, bob: User) -> None:
    reply_to(root, bob)
    unfollow_thread(follower=ada, message_id=root.pk)
    reply = reply_to(root, bob)

    follow_thread(follower=ada, message_id=root.pk)

    thread = own_thread(api(ada), root)
    assert (thread["last_read_id"], thread["unread_count"]) == (reply.pk, 0)


def full(root: Message, *, followers: int = THREAD_FOLLOWERS) -> None:
    """Give a thread as many followers as it can have, or fewer."""
    crowd = User.objects.bulk_create(User(username=f"crowd{root.pk}-{number}") for number in range(followers))
    now = clock.now()
    ChannelMember.objects.bulk_create(
        ChannelMember(channel=root.channel, user=user, joined_rev=1, joined_at=now) for user in crowd
    )
    ThreadFollower.objects.bulk_create(ThreadFollower(root=root, user=user) for user in crowd)


def test_a_full_thread_takes_no_followers_but_replies(
    api: Api, root: Message, grace: User, ada: User, bob: User
) -> None:
    full(root)

    with published() as told:
        reply_to(root, bob)
        answer = api(grace)("thread.follow", message_id=root.pk)

    assert answer.said == (409, "thread_full")
    assert not ids(ada, bob, grace) & set(threads_told(told))
    assert root.followers.count() == THREAD_FOLLOWERS


def test_who_unfollows_a_full_thread_makes_room(root: Message, grace: User, ada: User) -> None:
    full(root)
    leaver = root.followers.select_related("user")[0].user
    unfollow_thread(follower=leaver, message_id=root.pk)

    follow_thread(follower=grace, message_id=root.pk)

    assert root.followers.filter(following=True).count() == THREAD_FOLLOWERS


def test_those_for_whom_a_thread_is_the_same_share_an_event_and_all_cost_the_same_queries(
    root: Message, bob: User, django_assert_num_queries: Queries
) -> None:
    reply_to(root, bob)
    # Savepoint, channel, membership, root, its reactions, insert, count, its root, rev; who follows, their threads, the
    # replies; event, release.
    with django_assert_num_queries(QUERIES_OF_A_REPLY):
        reply_to(root, bob)
    full(root)

    with published() as told, django_assert_num_queries(QUERIES_OF_A_REPLY):
        reply_to(root, bob)

    crowd = [event for event in told if event.name == "thread.updated" and len(event.user_ids) > 1]
    assert [len(event.user_ids) for event in crowd] == [THREAD_FOLLOWERS]


QUERIES_OF_A_REPLY = 14


def test_what_one_does_in_a_thread_costs_the_same_queries_in_a_big_one(
    general: Channel, grace: User, ada: User, bob: User
) -> None:
    costs = []
    for followers in (2, 200):
        root = say(ada, general)
        replies = [reply_to(root, bob) for _ in range(1 + followers // 20)]
        full(root, followers=followers)
        follow = queries_of(partial(follow_thread, follower=grace, message_id=root.pk))
        place = reply_to(root, bob).pk
        mark = queries_of(partial(mark_thread_read, reader=grace, message_id=root.pk, last_read_id=place))
        unfollow = queries_of(partial(unfollow_thread, follower=grace, message_id=root.pk))
        delete = queries_of(partial(delete_message, deleter=bob, message_id=replies[0].pk))
        costs.append((follow, mark, unfollow, delete))

    assert costs[0] == costs[1]


def queries_of(deed: Callable[[], Any]) -> int:
    with CaptureQueriesContext(connection) as queries:
        deed()
    return len(queries)


def test_marking_moves_the_place_and_counts_what_is_left(api: Api, root: Message, ada: User, bob: User) -> None:
    first, *_ = [reply_to(root, bob) for _ in range(3)]

    with published() as told:
        answer = api(ada)("thread.mark_read", message_id=root.pk, last_read_id=first.pk)

    thread = answer.body["thread"]
    assert (thread["last_read_id"], thread["unread_count"], thread["reply_count"]) == (first.pk, 2, 3)
    assert [(event.name, event.data, event.user_ids) for event in told] == [("thread.updated", answer.body, ids(ada))]


def test_a_lower_id_or_the_same_leaves_the_place_and_tells_nobody(
    api: Api, root: Message, ada: User, bob: User
) -> None:
    first, second = reply_to(root, bob), reply_to(root, bob)
    call = api(ada)
    marked = call("thread.mark_read", message_id=root.pk, last_read_id=second.pk).body
    before = stored()

    for last_read_id in (second.pk, first.pk, root.pk, 0):
        assert call("thread.mark_read", message_id=root.pk, last_read_id=last_read_id).body == marked
    assert stored() == before


def test_only_what_is_in_the_thread_is_a_place_in_it(
    api: Api, root: Message, general: Channel, lounge: Channel, grace: User, ada: User, bob: User
) -> None:
    reply_to(root, bob)
    other = say(ada, general)
    wrong = [other, reply_to(other, bob), say(grace, lounge)]
    call = api(ada)
    before = stored()

    for last_read_id in (*(message.pk for message in wrong), wrong[-1].pk + 1, 2**63 - 1):
        answer = call("thread.mark_read", message_id=root.pk, last_read_id=last_read_id)
        assert (answer.said, list(answer.body["errors"])) == ((400, "invalid"), ["last_read_id"])
    assert stored() == before


def test_a_deleted_reply_is_a_place_too(api: Api, root: Message, ada: User, bob: User) -> None:
    reply_to(root, bob)
    reply = reply_to(root, bob)
    delete_message(deleter=bob, message_id=reply.pk)

    thread = api(ada)("thread.mark_read", message_id=root.pk, last_read_id=reply.pk).body["thread"]

    assert (thread["last_read_id"], thread["latest_reply_id"], thread["unread_count"]) == (reply.pk, reply.pk, 0)


def test_who_does_not_follow_marks_nothing(api: Api, root: Message, grace: User, bob: User) -> None:
    reply = reply_to(root, bob)
    unfollow_thread(follower=bob, message_id=root.pk)
    never, no_more = api(grace), api(bob)
    before = stored()

    for call in (never, no_more):
        thread = call("thread.mark_read", message_id=root.pk, last_read_id=reply.pk).body["thread"]
        assert (thread["following"], thread["unread_count"]) == (False, 0)
    assert stored() == before


def test_a_thread_and_its_channel_are_read_apart(
    api: Api, root: Message, general: Channel, ada: User, bob: User
) -> None:
    reply = reply_to(root, bob)
    call = api(ada)

    call("thread.mark_read", message_id=root.pk, last_read_id=reply.pk)
    assert ReadCursor.objects.get(user=ada, channel=general).last_read_id < reply.pk
    assert [row["unread_count"] for row in call("channel.list").body["channels"]] == [1]

    second = reply_to(root, bob)
    call("read.mark", channel_id=general.pk, last_read_id=second.pk)
    assert unread(call, root) == 1


def test_marking_raises_no_rev(api: Api, root: Message, general: Channel, ada: User, bob: User) -> None:
    reply = reply_to(root, bob)
    rev = Channel.objects.get(pk=general.pk).rev

    thread = api(ada)("thread.mark_read", message_id=root.pk, last_read_id=reply.pk).body["thread"]

    assert (thread["rev"], Channel.objects.get(pk=general.pk).rev) == (rev, rev)


def test_followers_are_told_of_a_deleted_reply_after_the_root(root: Message, grace: User, ada: User, bob: User) -> None:
    replies = [reply_to(root, user) for user in (bob, bob, grace)]

    with published() as told:
        delete_message(deleter=bob, message_id=replies[1].pk)

    assert names(told)[:2] == ["message.deleted", "message.updated"]
    assert set(names(told)[2:]) == {"thread.updated"}
    counts = {pk: (thread["unread_count"], thread["reply_count"]) for pk, thread in threads_told(told).items()}
    assert counts == {ada.pk: (2, 2), bob.pk: (1, 2), grace.pk: (0, 2)}


def test_a_thread_outlives_its_root(api: Api, root: Message, ada: User, bob: User) -> None:
    reply = reply_to(root, bob)

    with published() as told:
        delete_message(deleter=ada, message_id=root.pk)

    assert names(told) == ["message.deleted", "thread.updated", "thread.updated"]
    assert {pk: thread["unread_count"] for pk, thread in threads_told(told).items()} == {ada.pk: 1, bob.pk: 0}
    answer = api(bob)("message.replies", message_id=root.pk).body
    assert (answer["root"]["deleted"], answer["root"]["body"]) == (True, "")
    assert [message["id"] for message in answer["messages"]] == [reply.pk]
    assert listed(api(bob)("thread.list")) == [root.pk]


def test_nobody_begins_to_follow_a_deleted_message(api: Api, root: Message, grace: User, ada: User) -> None:
    delete_message(deleter=ada, message_id=root.pk)

    assert api(grace)("thread.follow", message_id=root.pk).said == (404, "not_found")


def test_a_thread_without_root_and_replies_is_in_no_list(api: Api, root: Message, ada: User, bob: User) -> None:
    reply = reply_to(root, bob)
    delete_message(deleter=ada, message_id=root.pk)
    delete_message(deleter=bob, message_id=reply.pk)

    assert listed(api(ada)("thread.list")) == []


def test_who_left_is_not_told_and_comes_back_with_nothing_unread(
    api: Api, root: Message, general: Channel, ada: User, bob: User
) -> None:
    reply_to(root, bob)
    leave_channel(user=ada, channel_id=general.pk)
    with published() as told:
        reply_to(root, bob)
    join_channel(user=ada, channel_id=general.pk)
    call = api(ada)

    assert ada.pk not in threads_told(told)
    assert (own_thread(call, root)["following"], call("client.boot").body["threads"]) == (False, [])
    assert listed(call("thread.list")) == []


def test_who_was_removed_is_not_told(root: Message, general: Channel, grace: User, ada: User, bob: User) -> None:
    reply_to(root, bob)
    remove_member(remover=grace, channel_id=general.pk, user_id=bob.pk)

    with published() as told:
        reply_to(root, ada)

    assert set(threads_told(told)) == ids(ada)


def test_a_row_without_a_membership_tells_nobody_and_shows_nothing(
    api: Api, root: Message, general: Channel, ada: User, bob: User
) -> None:
    reply_to(root, bob)
    general.members.filter(user=ada).delete()

    with published() as told:
        reply_to(root, bob)

    call = api(ada)
    assert set(threads_told(told)) == ids(bob)
    assert (listed(call("thread.list")), call("client.boot").body["threads"]) == ([], [])


def test_who_comes_back_has_not_forgotten_that_they_unfollowed(
    api: Api, root: Message, general: Channel, ada: User, bob: User
) -> None:
    reply_to(root, bob)
    unfollow_thread(follower=bob, message_id=root.pk)
    leave_channel(user=bob, channel_id=general.pk)
    join_channel(user=bob, channel_id=general.pk)

    reply_to(root, bob)

    assert own_thread(api(bob), root)["following"] is False


def test_who_comes_back_and_writes_follows_from_there(
    api: Api, root: Message, general: Channel, ada: User, bob: User
) -> None:
    reply_to(root, bob)
    leave_channel(user=ada, channel_id=general.pk)
    reply_to(root, bob)
    join_channel(user=ada, channel_id=general.pk)

    reply_to(root, bob)

    # As the author of the root, from the reply on that brought her back.
    assert unread(api(ada), root) == 1


def test_a_guest_takes_part_in_the_threads_of_their_channels(
    api: Api, root: Message, general: Channel, grace: User, gus: User, bob: User
) -> None:
    call = api(gus)
    assert call("thread.follow", message_id=root.pk).said == (404, "not_found")
    add_members(adder=grace, channel_id=general.pk, user_ids=[gus.pk])

    reply_to(root, gus)
    with published() as told:
        reply = reply_to(root, bob)

    assert threads_told(told)[gus.pk]["unread_count"] == 1
    assert call("thread.mark_read", message_id=root.pk, last_read_id=reply.pk).body["thread"]["unread_count"] == 0


def test_in_an_archived_channel_threads_are_read_and_unfollowed_but_not_answered(
    api: Api, root: Message, general: Channel, grace: User, ada: User, bob: User
) -> None:
    reply = reply_to(root, bob)
    archive_channel(archiver=grace, channel_id=general.pk)
    call = api(ada)

    refused = call("message.send", channel_id=general.pk, body="reply", thread_root_id=root.pk)
    marked = call("thread.mark_read", message_id=root.pk, last_read_id=reply.pk)
    unfollowed = call("thread.unfollow", message_id=root.pk)

    assert refused.said == (409, "channel_archived")
    assert (marked.body["thread"]["unread_count"], unfollowed.body["thread"]["following"]) == (0, False)


@pytest.mark.parametrize("method", ["message.replies", "thread.follow", "thread.unfollow", "thread.mark_read"])
def test_a_thread_is_unknown_to_who_may_not_read_it(
    api: Api, root: Message, lounge: Channel, secret: Channel, grace: User, ada: User, eve: User, method: str
) -> None:
    more = {"last_read_id": 0} if method == "thread.mark_read" else {}
    member, stranger = api(ada), api(eve)
    unknown = [say(grace, channel) for channel in (lounge, secret)]
    before = stored()

    answers = [member(method, message_id=message.pk, **more) for message in unknown]
    answers += [stranger(method, message_id=root.pk, **more), member(method, message_id=10**12, **more)]

    assert [answer.said for answer in answers] == [(404, "not_found")] * 4
    assert stored() == before


@pytest.mark.parametrize("method", ["message.replies", "thread.follow", "thread.unfollow", "thread.mark_read"])
def test_a_reply_begins_no_thread_of_its_own(api: Api, root: Message, bob: User, method: str) -> None:
    more = {"last_read_id": 0} if method == "thread.mark_read" else {}
    reply = reply_to(root, bob)

    answer = api(bob)(method, message_id=reply.pk, **more)

    assert (answer.said, list(answer.body["errors"])) == ((400, "invalid"), ["message_id"])


def test_a_stranger_lists_no_threads_of_others(
    api: Api, root: Message, general: Channel, lounge: Channel, ada: User, bob: User, eve: User
) -> None:
    reply_to(root, bob)
    call = api(eve)

    assert listed(call("thread.list")) == []
    assert call("thread.list", channel_id=general.pk).said == (404, "not_found")
    assert call("thread.list", workspace_id=general.workspace_id).said == (404, "not_found")
    assert api(ada)("thread.list", channel_id=lounge.pk).said == (403, "not_a_member")


def test_what_one_follows_is_read_by_nobody_else(api: Api, root: Message, grace: User, ada: User, bob: User) -> None:
    reply_to(root, bob)

    assert (listed(api(grace)("thread.list")), api(grace)("client.boot").body["threads"]) == ([], [])


def recount(user: User, root: Message) -> int:
    """What a follower has not read, counted the long way."""
    place = ThreadFollower.objects.get(user=user, root=root).last_read_id
    replies = Message.objects.filter(thread_root=root)
    return sum(reply.pk > place and reply.author_id != user.pk and not reply.deleted for reply in replies)


STEPS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2), st.integers(0, 1), st.integers(0, 9)), max_size=25)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_what_followers_were_told_is_what_they_see_afterwards_and_what_a_recount_gives(
    api: Api, general: Channel, grace: User, ada: User, bob: User, steps: list[tuple[int, int, int, int]]
) -> None:
    people = (grace, ada, bob)
    roots = [say(ada, general), say(bob, general)]
    mine = {root.pk for root in roots}
    with published() as told:
        for deed, who, where, which in steps:
            do(deed, people[who], roots[where], which)

    for person in people:
        seen = {
            pk: thread
            for event in told
            if event.name == "thread.updated" and person.pk in event.user_ids
            for pk, thread in [(event.data["thread"]["thread_root_id"], event.data["thread"])]
        }
        rows = [row["thread"] for row in api(person)("thread.list", limit=200).body["threads"]]
        now = {row["thread_root_id"]: row for row in rows if row["thread_root_id"] in mine}
        # A rev of the channel counts what is beside the thread, too.
        assert {pk: {**thread, "rev": 0} for pk, thread in seen.items() if thread["following"]} == {
            pk: {**thread, "rev": 0} for pk, thread in now.items()
        }
        for root in roots:
            if root.pk in now:
                assert now[root.pk]["unread_count"] == recount(person, root)
                assert now[root.pk]["reply_count"] == root.replies.filter(deleted_at=None).count()


def do(deed: int, who: User, root: Message, which: int) -> None:
    """One deed of a member: they write, delete what they wrote, follow, unfollow, read on."""
    replies = list(root.replies.order_by("pk"))
    some = replies[which % len(replies)] if replies else root
    match deed:
        case 2 if some.author_id == who.pk and some != root:
            delete_message(deleter=who, message_id=some.pk)
        case 3:
            follow_thread(follower=who, message_id=root.pk)
        case 4:
            unfollow_thread(follower=who, message_id=root.pk)
        case 5:
            mark_thread_read(reader=who, message_id=root.pk, last_read_id=some.pk)
        case 6:
            both = [Draft(user, root.channel_id, "both", thread_root_id=root.pk) for user in (who, root.author)]
            send_messages(both)
        case _:
            reply_to(root, who)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_replies_at_once_lead_to_the_right_numbers(
    api: Api, root: Message, general: Channel, grace: User, ada: User, bob: User
) -> None:
    writers = [grace, bob] * 4
    with published() as told:
        at_once(*(partial(reply_to, root, writer) for writer in writers))

    last = threads_told(told)
    for person in (grace, ada, bob):
        assert last[person.pk] == own_thread(api(person), root)
    assert (last[ada.pk]["unread_count"], last[ada.pk]["reply_count"]) == (8, 8)
    assert root.followers.count() == 3


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_replies_and_reading_at_once_lead_to_the_right_numbers(
    api: Api, root: Message, general: Channel, ada: User, bob: User
) -> None:
    for _ in range(5):
        seen = reply_to(root, bob).pk
        reader = partial(mark_thread_read, reader=ada, message_id=root.pk, last_read_id=seen)
        writer = partial(reply_to, root, bob)
        with published() as told:
            at_once(writer, reader, writer)

        assert threads_told(told)[ada.pk] == own_thread(api(ada), root)
        assert threads_told(told)[ada.pk]["unread_count"] == 2


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_those_who_ask_for_the_last_place_exactly_one_gets_it(
    root: Message, general: Channel, grace: User, bob: User
) -> None:
    full(root)
    first = root.followers.select_related("user")[0].user
    unfollow_thread(follower=first, message_id=root.pk)

    def ask(user: User) -> bool:
        try:
            follow_thread(follower=user, message_id=root.pk)
        except Conflict:
            return False
        return True

    got = at_once(lambda: ask(grace), lambda: ask(bob))

    assert sorted(got) == [False, True]
    assert root.followers.filter(following=True).count() == THREAD_FOLLOWERS
