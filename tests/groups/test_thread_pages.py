"""message.replies, thread.list, and the threads of client.boot."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from groups.actions.membership import join_channel
from groups.actions.messages import delete_message
from groups.actions.threads import follow_thread, mark_thread_read
from groups.models import Channel, Message, ThreadFollower, User
from meshsite.boot import BOOT_THREADS
from realtime import clock
from tests.cast import Answer, Api, Door, reply_to, say

Queries = Callable[[int], AbstractContextManager[Any]]


def listed(answer: Answer) -> list[int]:
    return [row["thread"]["thread_root_id"] for row in answer.body["threads"]]


def own_thread(call: Door, root: Message) -> dict[str, Any]:
    thread: dict[str, Any] = call("message.replies", message_id=root.pk).body["thread"]
    return thread


@pytest.fixture
def root(general: Channel, ada: User) -> Message:
    """A message of ada in `general`, without replies."""
    return say(ada, general, "root")


def bodies(answer: Answer) -> list[str]:
    return [message["body"] for message in answer.body["messages"]]


@pytest.fixture
def five(root: Message, general: Channel, bob: User) -> list[Message]:
    """Replies, with other messages between them."""
    replies = []
    for number in range(1, 6):
        replies.append(reply_to(root, bob, str(number)))
        say(bob, general, "between")
    return replies


def test_without_a_cursor_the_newest_replies_come_ascending(
    api: Api, root: Message, ada: User, five: list[Message]
) -> None:
    answer = api(ada)("message.replies", message_id=root.pk, limit=3)

    assert set(answer.body) == {"root", "messages", "has_more", "next_since_id", "thread"}
    assert answer.body["root"] == api(ada)("message.get", message_id=root.pk).body["message"]
    assert (bodies(answer), answer.body["has_more"], answer.body["next_since_id"]) == (
        ["3", "4", "5"],
        True,
        five[4].pk,
    )


def test_before_id_gives_the_replies_before_it(api: Api, root: Message, ada: User, five: list[Message]) -> None:
    answer = api(ada)("message.replies", message_id=root.pk, before_id=five[2].pk, limit=2)

    assert (bodies(answer), answer.body["has_more"]) == (["1", "2"], False)


def test_since_id_walks_through_all_replies_and_passes_deleted_ones(
    api: Api, root: Message, ada: User, bob: User, five: list[Message]
) -> None:
    for deleted in (five[1], five[4]):
        delete_message(deleter=bob, message_id=deleted.pk)
    call = api(ada)

    first = call("message.replies", message_id=root.pk, since_id=0, limit=2)
    second = call("message.replies", message_id=root.pk, since_id=first.body["next_since_id"], limit=2)

    assert (bodies(first), first.body["has_more"]) == (["1", "3"], True)
    assert (bodies(second), second.body["has_more"], second.body["next_since_id"]) == (["4"], False, five[4].pk)


def test_since_id_and_before_id_exclude_each_other(api: Api, root: Message, ada: User) -> None:
    answer = api(ada)("message.replies", message_id=root.pk, since_id=0, before_id=5)

    assert answer.said == (400, "invalid")


def test_a_thread_that_one_never_followed_has_nothing_unread(
    api: Api, root: Message, grace: User, five: list[Message]
) -> None:
    thread = own_thread(api(grace), root)

    assert thread == {
        "thread_root_id": root.pk,
        "channel_id": root.channel_id,
        "following": False,
        "last_read_id": 0,
        "unread_count": 0,
        "reply_count": 5,
        "latest_reply_id": five[4].pk,
        "rev": Channel.objects.get(pk=root.channel_id).rev,
    }


@pytest.fixture
def three(general: Channel, ada: User, bob: User) -> list[Message]:
    """Threads of ada, each with two replies of bob; the first was answered last."""
    roots = [say(ada, general, f"root {number}") for number in range(3)]
    for root in (*roots, *reversed(roots)):
        reply_to(root, bob)
    return roots


def test_the_thread_with_the_newest_reply_comes_first(api: Api, ada: User, three: list[Message]) -> None:
    call = api(ada)

    answer = call("thread.list")

    assert listed(answer) == [message.pk for message in three]
    assert (answer.body["has_more"], set(answer.body)) == (False, {"threads", "has_more", "next_before_id"})
    first = answer.body["threads"][0]
    assert first["thread"] == own_thread(call, three[0])
    assert first["root"] == call("message.get", message_id=three[0].pk).body["message"]


def test_the_pages_of_the_list_hold_each_thread_once(api: Api, ada: User, grace: User, three: list[Message]) -> None:
    never_answered = [say(grace, three[0].channel) for _ in range(2)]
    for message in never_answered:
        follow_thread(follower=ada, message_id=message.pk)
    call, pages, more = api(ada), list[list[int]](), dict[str, int]()
    for _ in range(3):
        answer = call("thread.list", limit=2, **more)
        pages.append(listed(answer))
        more = {"before_id": answer.body["next_before_id"]}

    a, b, c = (message.pk for message in three)
    d, e = (message.pk for message in never_answered)
    assert (pages, answer.body["has_more"]) == ([[e, d], [a, b], [c]], False)


def test_the_list_of_the_unread_is_what_the_boot_holds(api: Api, ada: User, bob: User, three: list[Message]) -> None:
    latest = three[1].replies.order_by("-pk")[0]
    mark_thread_read(reader=ada, message_id=three[1].pk, last_read_id=latest.pk)
    call = api(ada)

    answer = call("thread.list", unread=True)

    assert listed(answer) == [three[0].pk, three[2].pk]
    assert call("client.boot").body["threads"] == [row["thread"] for row in answer.body["threads"]]
    assert api(bob)("client.boot").body["threads"] == []


def test_the_list_of_a_channel_or_workspace_holds_its_threads_alone(
    api: Api, lounge: Channel, grace: User, ada: User, three: list[Message]
) -> None:
    join_channel(user=ada, channel_id=lounge.pk)
    elsewhere = say(ada, lounge)
    reply_to(elsewhere, grace)
    call = api(ada)

    assert listed(call("thread.list", channel_id=lounge.pk)) == [elsewhere.pk]
    assert len(listed(call("thread.list", workspace_id=lounge.workspace_id))) == 4
    other = call("workspace.create", name="Elsewhere").body["workspace"]["id"]
    assert listed(call("thread.list", workspace_id=other)) == []


def test_the_boot_holds_the_newest_of_many_unread_threads(api: Api, general: Channel, ada: User, bob: User) -> None:
    roots = Message.objects.bulk_create(copies(general, ada, BOOT_THREADS + 1))
    Message.objects.bulk_create(copies(general, bob, 1, thread_root=root)[0] for root in roots)
    ThreadFollower.objects.bulk_create(ThreadFollower(root=root, user=ada) for root in roots)
    call = api(ada)

    threads = call("client.boot").body["threads"]

    assert [thread["thread_root_id"] for thread in threads] == [root.pk for root in reversed(roots[1:])]


def copies(channel: Channel, author: User, count: int, **fields: Any) -> list[Message]:
    """Rows of messages, for more of them than can be sent in the time of a test."""
    stamp = clock.now()
    return [
        Message(channel=channel, author=author, body="x", content_hash=b"", rev=1, created_at=stamp, **fields)
        for _ in range(count)
    ]


def test_the_list_costs_the_same_queries_for_many_threads(
    api: Api, general: Channel, ada: User, bob: User, django_assert_num_queries: Queries
) -> None:
    call = api(ada)
    call("user.me")
    reply_to(say(ada, general), bob)
    with django_assert_num_queries(3):  # token, threads with their roots, reactions
        call("thread.list")
    for _ in range(20):
        reply_to(say(ada, general), bob)

    with django_assert_num_queries(3):
        assert len(listed(call("thread.list"))) == 21


def test_a_thread_costs_the_same_queries_however_long_it_is(
    api: Api, root: Message, ada: User, bob: User, django_assert_num_queries: Queries
) -> None:
    call = api(ada)
    call("user.me")
    reply_to(root, bob)
    # Token, root, its reactions, my state, replies, their reactions.
    with django_assert_num_queries(6):
        call("message.replies", message_id=root.pk)
    for _ in range(20):
        reply_to(root, bob)

    with django_assert_num_queries(6):
        assert len(call("message.replies", message_id=root.pk).body["messages"]) == 21
