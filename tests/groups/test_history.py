"""message.list: pages of history, and since_id, by which a program follows a channel without missing anything."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from groups.actions.locks import lock_channel
from groups.actions.messages import delete_message
from groups.models import Channel, ChannelMember, Message, User
from tests.cast import Api, Door, bring, make_user, say


def bodies(answer: Any) -> list[str]:
    return [message["body"] for message in answer.body["messages"]]


def page(answer: Any) -> tuple[list[str], bool, int]:
    return bodies(answer), answer.body["has_more"], answer.body["next_since_id"]


@pytest.fixture
def five(general: Channel, ada: User) -> list[Message]:
    return [say(ada, general, str(number)) for number in range(1, 6)]


def test_without_a_cursor_the_newest_come_ascending(api: Api, general: Channel, bob: User, five: list[Message]) -> None:
    answer = api(bob)("message.list", channel_id=general.pk, limit=3)

    assert set(answer.body) == {"messages", "has_more", "next_since_id"}
    assert page(answer) == (["3", "4", "5"], True, five[4].pk)


def test_a_listed_message_is_what_sending_gave(api: Api, general: Channel, ada: User) -> None:
    sent = api(ada)("message.send", channel_id=general.pk, body="hello").body["message"]

    assert api(ada)("message.list", channel_id=general.pk).body["messages"] == [sent]


def test_before_id_gives_what_is_right_before_it_ascending(
    api: Api, general: Channel, bob: User, five: list[Message]
) -> None:
    call = api(bob)

    answer = call("message.list", channel_id=general.pk, before_id=five[3].pk, limit=2)
    assert (bodies(answer), answer.body["has_more"]) == (["2", "3"], True)
    answer = call("message.list", channel_id=general.pk, before_id=five[1].pk, limit=2)
    assert (bodies(answer), answer.body["has_more"]) == (["1"], False)


def test_since_id_walks_through_all_pages_to_the_end(
    api: Api, general: Channel, bob: User, five: list[Message]
) -> None:
    call = api(bob)

    assert page(call("message.list", channel_id=general.pk, since_id=0, limit=2)) == (["1", "2"], True, five[1].pk)
    assert page(call("message.list", channel_id=general.pk, since_id=five[1].pk, limit=2)) == (
        ["3", "4"],
        True,
        five[3].pk,
    )
    assert page(call("message.list", channel_id=general.pk, since_id=five[3].pk, limit=2)) == (["5"], False, five[4].pk)
    assert page(call("message.list", channel_id=general.pk, since_id=five[4].pk, limit=2)) == ([], False, five[4].pk)


def test_a_page_that_ends_with_the_last_message_has_no_more(
    api: Api, general: Channel, bob: User, five: list[Message]
) -> None:
    assert page(api(bob)("message.list", channel_id=general.pk, since_id=0, limit=5))[1] is False


def test_around_id_gives_both_sides(api: Api, general: Channel, bob: User, five: list[Message]) -> None:
    answer = api(bob)("message.list", channel_id=general.pk, around_id=five[2].pk, limit=3)

    assert (bodies(answer), answer.body["has_more"]) == (["2", "3", "4"], True)


def test_an_empty_channel_has_an_empty_page(api: Api, general: Channel, bob: User) -> None:
    assert api(bob)("message.list", channel_id=general.pk).body == {
        "messages": [],
        "has_more": False,
        "next_since_id": 0,
    }


def test_deleted_messages_are_left_out_and_the_cursor_passes_them(
    api: Api, general: Channel, ada: User, bob: User, five: list[Message]
) -> None:
    for message in (five[1], five[4]):
        delete_message(deleter=ada, message_id=message.pk)

    answer = api(bob)("message.list", channel_id=general.pk, since_id=0, limit=4)

    assert page(answer) == (["1", "3", "4"], False, five[4].pk)


def test_a_page_of_deleted_messages_alone_moves_the_cursor(
    api: Api, general: Channel, ada: User, bob: User, five: list[Message]
) -> None:
    for message in five[2:]:
        delete_message(deleter=ada, message_id=message.pk)

    answer = api(bob)("message.list", channel_id=general.pk, since_id=five[1].pk, limit=1)

    assert page(answer) == ([], False, five[4].pk)


def test_the_id_of_a_deleted_message_still_works_as_a_cursor(
    api: Api, general: Channel, ada: User, bob: User, five: list[Message]
) -> None:
    delete_message(deleter=ada, message_id=five[2].pk)

    assert bodies(api(bob)("message.list", channel_id=general.pk, since_id=five[2].pk)) == ["4", "5"]
    assert bodies(api(bob)("message.list", channel_id=general.pk, before_id=five[2].pk)) == ["1", "2"]


def test_an_id_of_another_channel_is_only_a_place_between_ids(
    api: Api, general: Channel, lounge: Channel, grace: User
) -> None:
    say(grace, general, "before")
    elsewhere = say(grace, lounge, "elsewhere")
    after = say(grace, general, "after")

    answer = api(grace)("message.list", channel_id=general.pk, since_id=elsewhere.pk)

    assert page(answer) == (["after"], False, after.pk)


def test_a_cursor_of_the_future_gives_nothing_and_does_not_go_back(
    api: Api, general: Channel, bob: User, five: list[Message]
) -> None:
    future = five[4].pk + 1000

    assert page(api(bob)("message.list", channel_id=general.pk, since_id=future)) == ([], False, future)


@pytest.mark.parametrize("name", ["since_id", "before_id", "around_id", "limit"])
def test_nonsense_as_a_cursor_is_refused_by_name(api: Api, general: Channel, bob: User, name: str) -> None:
    call = api(bob)
    nonsense: list[Any] = [-1, "abc", 2**63, 2**70, 1.5, True, "1", [1], {}, None]
    for value in nonsense:
        answer = call("message.list", channel_id=general.pk, **{name: value})

        assert answer.status == 400, value
        assert list(answer.body["errors"]) == [name]


@pytest.mark.parametrize("name", ["since_id", "limit"])
def test_nonsense_as_a_cursor_in_a_query_is_refused_by_name(api: Api, general: Channel, bob: User, name: str) -> None:
    call = api(bob)
    for value in ("-1", "abc", str(2**63), "9" * 5000, "1.5", "1.0", "", "1_0", "１０", " 1", "\0", "null"):
        answer = call.get("message.list", channel_id=general.pk, **{name: value})

        assert answer.status == 400, value
        assert list(answer.body["errors"]) == [name]


@pytest.mark.parametrize("limit", [0, 201])
def test_a_page_has_1_to_200_messages(api: Api, general: Channel, bob: User, limit: int) -> None:
    assert api(bob)("message.list", channel_id=general.pk, limit=limit).said == (400, "invalid")


def test_only_one_cursor_at_a_time(api: Api, general: Channel, bob: User) -> None:
    assert api(bob)("message.list", channel_id=general.pk, since_id=1, before_id=2).said == (400, "invalid")


def test_a_get_gives_what_a_post_gives(api: Api, general: Channel, bob: User, five: list[Message]) -> None:
    call = api(bob)

    posted = call("message.list", channel_id=general.pk, since_id=five[0].pk, limit=2)
    got = call.get("message.list", channel_id=general.pk, since_id=five[0].pk, limit=2)

    assert got.body == posted.body


def test_history_is_for_members(api: Api, general: Channel, lounge: Channel, secret: Channel, bob: User) -> None:
    call = api(bob)

    assert call("message.list", channel_id=lounge.pk).said == (403, "not_a_member")
    assert call("message.list", channel_id=secret.pk).said == (404, "not_found")


def test_history_is_unknown_to_a_stranger(api: Api, general: Channel, eve: User) -> None:
    assert api(eve)("message.list", channel_id=general.pk).said == (404, "not_found")


def test_history_costs_the_same_queries_for_200_messages_as_for_one(
    api: Api, general: Channel, ada: User, bob: User, django_assert_num_queries: Any
) -> None:
    call = api(bob)
    say(ada, general)
    call("message.list", channel_id=general.pk)
    for author in (ada, bob) * 10:
        say(author, general)

    with django_assert_num_queries(4):  # token, channel, messages with their authors, reactions
        assert len(bodies(call("message.list", channel_id=general.pk, limit=200))) == 21
    with django_assert_num_queries(5):  # and the newest id
        call("message.list", channel_id=general.pk, since_id=0, limit=200)


@pytest.fixture
def dawdling(transactional_db: None) -> Iterator[None]:
    """Each transaction waits 0 to 8 ms after its id is drawn: without a lock, higher ids would be committed first."""
    with connection.cursor() as cursor:
        cursor.execute("""
            CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_sleep((NEW.id * 7 % 5) / 500.0); RETURN NEW; END';
            CREATE TRIGGER dawdle AFTER INSERT ON groups_message FOR EACH ROW EXECUTE FUNCTION dawdle()
            """)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION dawdle CASCADE")


WRITERS = 4
MESSAGES_EACH = 12


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_no_later_commit_shows_an_id_below_one_that_a_reader_has_seen(
    general: Channel, ada: User, api: Api, dawdling: None
) -> None:
    """Four writers that dawdle before their commits, and a reader that keeps nothing but `next_since_id`."""
    writers = [bring(make_user(f"writer{number}"), general.workspace) for number in range(WRITERS)]
    general.members.bulk_create(
        ChannelMember(channel=general, user=user, joined_rev=0, joined_at=general.created_at) for user in writers
    )
    threads = [threading.Thread(target=_write, args=(user, general)) for user in writers]
    for thread in threads:
        thread.start()

    seen = list(_follow(api(ada), general, while_running=threads))

    for thread in threads:
        thread.join()
    assert seen == list(general.messages.order_by("pk").values_list("pk", flat=True))
    assert len(seen) == WRITERS * MESSAGES_EACH


def _write(author: User, channel: Channel) -> None:
    try:
        for number in range(MESSAGES_EACH):
            say(author, channel, str(number))
    finally:
        connection.close()


def _follow(call: Door, channel: Channel, *, while_running: list[threading.Thread]) -> Iterator[int]:
    since_id, last = 0, False
    while True:
        answer = call("message.list", channel_id=channel.pk, since_id=since_id, limit=5)
        yield from (message["id"] for message in answer.body["messages"])
        since_id = answer.body["next_since_id"]
        if answer.body["has_more"]:
            continue
        if last:
            return
        # One more look after the last writer has ended.
        last = not any(thread.is_alive() for thread in while_running)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_writer_waits_for_the_one_before_it_in_the_same_channel_only(
    general: Channel, lounge: Channel, grace: User
) -> None:
    with transaction.atomic():
        lock_channel(grace, general.pk)
        waiting = threading.Thread(target=_say_and_close, args=(grace, general))
        waiting.start()
        other = threading.Thread(target=_say_and_close, args=(grace, lounge))
        other.start()
        other.join(timeout=10)
        assert (other.is_alive(), waiting.is_alive()) == (False, True)
    waiting.join(timeout=10)

    assert not waiting.is_alive()
    assert (general.messages.count(), lounge.messages.count()) == (1, 1)


def _say_and_close(author: User, channel: Channel) -> None:
    try:
        say(author, channel)
    finally:
        connection.close()
