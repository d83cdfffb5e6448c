"""read.mark, read.mark_unread, and what counts as unread."""

from collections.abc import Callable
from typing import Any

import pytest

from groups.actions.cursors import mark_read, mark_unread
from groups.actions.messages import delete_message
from groups.models import Channel, ReadCursor, User
from tests.cast import Api, Door, at_once, ids, names, published, say, stored


def unread(call: Door, channel: Channel) -> int:
    (row,) = (row for row in call("channel.list").body["channels"] if row["id"] == channel.pk)
    return int(row["unread_count"])


def test_marking_moves_the_cursor_and_counts_what_is_left(api: Api, general: Channel, ada: User, bob: User) -> None:
    first, *_ = [say(ada, general) for _ in range(3)]

    answer = api(bob)("read.mark", channel_id=general.pk, last_read_id=first.pk)

    assert answer.body == {
        "channel_id": general.pk,
        "last_read_id": first.pk,
        "version": 1,
        "unread_count": 2,
        "mention_count": 0,
        "rev": answer.body["rev"],
    }


def test_only_the_reader_is_told(api: Api, general: Channel, ada: User, bob: User) -> None:
    message = say(ada, general)

    with published() as told:
        answer = api(bob)("read.mark", channel_id=general.pk, last_read_id=message.pk)

    assert [(event.name, event.user_ids, event.data) for event in told] == [("read.updated", ids(bob), answer.body)]


def test_a_lower_id_leaves_the_cursor_and_tells_nobody(api: Api, general: Channel, ada: User, bob: User) -> None:
    first, second = say(ada, general), say(ada, general)
    call = api(bob)
    call("read.mark", channel_id=general.pk, last_read_id=second.pk)
    before = stored()

    answer = call("read.mark", channel_id=general.pk, last_read_id=first.pk)

    assert (answer.body["last_read_id"], answer.body["unread_count"]) == (second.pk, 0)
    assert stored() == before


def test_the_same_id_again_tells_nobody(general: Channel, ada: User, bob: User) -> None:
    message = say(ada, general)
    first = mark_read(reader=bob, channel_id=general.pk, last_read_id=message.pk)

    with published() as told:
        again = mark_read(reader=bob, channel_id=general.pk, last_read_id=message.pk)

    assert (again, told) == (first, [])


def test_zero_is_a_cursor_at_the_beginning(api: Api, general: Channel, ada: User, bob: User) -> None:
    say(ada, general)

    assert api(bob)("read.mark", channel_id=general.pk, last_read_id=0).body["unread_count"] == 1


def test_an_id_of_another_channel_or_of_the_future_is_refused(
    api: Api, general: Channel, lounge: Channel, grace: User, ada: User
) -> None:
    say(ada, general)
    elsewhere = say(grace, lounge)
    call = api(grace)
    before = stored()

    for wrong in (elsewhere.pk, elsewhere.pk + 1, 2**63 - 1):
        answer = call("read.mark", channel_id=general.pk, last_read_id=wrong)
        assert (answer.said, list(answer.body["errors"])) == ((400, "invalid"), ["last_read_id"])
    assert stored() == before


def test_the_id_of_a_deleted_message_is_a_place_too(api: Api, general: Channel, ada: User, bob: User) -> None:
    message = say(ada, general)
    delete_message(deleter=ada, message_id=message.pk)

    assert api(bob)("read.mark", channel_id=general.pk, last_read_id=message.pk).body["last_read_id"] == message.pk


def test_my_own_messages_are_never_unread(api: Api, general: Channel, ada: User, bob: User) -> None:
    say(ada, general), say(bob, general), say(ada, general)

    assert (unread(api(ada), general), unread(api(bob), general)) == (1, 2)


def test_a_deletion_lowers_the_count(api: Api, general: Channel, ada: User, bob: User) -> None:
    messages = [say(ada, general) for _ in range(3)]
    call = api(bob)
    call("read.mark", channel_id=general.pk, last_read_id=messages[0].pk)

    delete_message(deleter=ada, message_id=messages[1].pk)

    assert unread(call, general) == 1


def test_the_count_is_the_same_in_the_answer_the_list_and_the_boot(
    api: Api, general: Channel, ada: User, bob: User
) -> None:
    messages = [say(author, general) for author in (ada, bob, ada, bob, ada)]
    delete_message(deleter=ada, message_id=messages[2].pk)
    call = api(bob)

    marked = call("read.mark", channel_id=general.pk, last_read_id=messages[0].pk).body

    (booted,) = call("client.boot").body["channels"]
    assert (marked["unread_count"], unread(call, general), booted["unread_count"]) == (1, 1, 1)


def test_one_persons_cursor_is_not_the_others(api: Api, general: Channel, grace: User, ada: User, bob: User) -> None:
    message = say(ada, general)

    mark_read(reader=bob, channel_id=general.pk, last_read_id=message.pk)

    assert (unread(api(bob), general), unread(api(grace), general)) == (0, 1)


@pytest.mark.django_db(transaction=True)
def test_tabs_that_mark_at_once_leave_the_highest(general: Channel, ada: User, bob: User) -> None:
    messages = [say(ada, general).pk for _ in range(8)]

    def mark(message_id: int) -> Callable[[], int]:
        return lambda: mark_read(reader=bob, channel_id=general.pk, last_read_id=message_id).last_read_id

    with published() as told:
        got = at_once(*map(mark, messages))

    assert (ReadCursor.objects.get(user=bob).last_read_id, max(got)) == (messages[-1], messages[-1])
    marked = [event.data["last_read_id"] for event in told]
    assert marked == sorted(set(marked))


@pytest.mark.parametrize(("name", "said"), [("lounge", (403, "not_a_member")), ("secret", (404, "not_found"))])
def test_only_members_have_a_cursor(
    api: Api, request: pytest.FixtureRequest, ada: User, name: str, said: tuple[int, str]
) -> None:
    channel: Channel = request.getfixturevalue(name)

    with published() as told:
        assert api(ada)("read.mark", channel_id=channel.pk, last_read_id=0).said == said
    assert names(told) == []


def test_a_stranger_marks_nothing(api: Api, general: Channel, eve: User) -> None:
    assert api(eve)("read.mark", channel_id=general.pk, last_read_id=0).said == (404, "not_found")


def test_marking_unread_goes_back_to_right_before_a_message(api: Api, general: Channel, ada: User, bob: User) -> None:
    messages = [say(ada, general) for _ in range(4)]
    call = api(bob)
    call("read.mark", channel_id=general.pk, last_read_id=messages[3].pk)

    answer = call("read.mark_unread", channel_id=general.pk, message_id=messages[2].pk)

    assert answer.body == {
        "channel_id": general.pk,
        "last_read_id": messages[1].pk,
        "version": 2,
        "unread_count": 2,
        "mention_count": 0,
        "rev": answer.body["rev"],
    }
    assert unread(call, general) == 2


def test_from_the_first_message_on_everything_is_unread(api: Api, general: Channel, ada: User, bob: User) -> None:
    first, second = say(ada, general), say(ada, general)
    call = api(bob)
    call("read.mark", channel_id=general.pk, last_read_id=second.pk)

    answer = call("read.mark_unread", channel_id=general.pk, message_id=first.pk)

    assert (answer.body["last_read_id"], answer.body["unread_count"]) == (0, 2)


def test_marking_unread_is_told_to_the_reader_alone(api: Api, general: Channel, ada: User, bob: User) -> None:
    message = say(ada, general)
    mark_read(reader=bob, channel_id=general.pk, last_read_id=message.pk)

    with published() as told:
        answer = api(bob)("read.mark_unread", channel_id=general.pk, message_id=message.pk)

    assert [(event.name, event.user_ids, event.data) for event in told] == [("read.updated", ids(bob), answer.body)]


def test_what_is_unread_already_stays_so_and_tells_nobody(api: Api, general: Channel, ada: User, bob: User) -> None:
    message = say(ada, general)
    call = api(bob)
    before = stored()

    answer = call("read.mark_unread", channel_id=general.pk, message_id=message.pk)

    assert (answer.body["version"], answer.body["unread_count"]) == (0, 1)
    assert stored() == before


def test_what_is_marked_unread_is_read_again_by_reading_on(api: Api, general: Channel, ada: User, bob: User) -> None:
    message = say(ada, general)
    call = api(bob)
    call("read.mark", channel_id=general.pk, last_read_id=message.pk)
    call("read.mark_unread", channel_id=general.pk, message_id=message.pk)

    answer = call("read.mark", channel_id=general.pk, last_read_id=message.pk)

    assert (answer.body["version"], answer.body["unread_count"]) == (3, 0)


def test_only_a_message_of_the_channel_can_be_unread(
    api: Api, general: Channel, lounge: Channel, grace: User, ada: User
) -> None:
    say(ada, general)
    elsewhere = say(grace, lounge)
    call = api(grace)
    before = stored()

    for wrong in (elsewhere.pk, elsewhere.pk + 1, 2**63 - 1):
        answer = call("read.mark_unread", channel_id=general.pk, message_id=wrong)
        assert (answer.said, list(answer.body["errors"])) == ((400, "invalid"), ["message_id"])
    assert call("read.mark_unread", channel_id=general.pk, message_id=0).said == (400, "invalid")
    assert stored() == before


def test_strangers_mark_nothing_unread(
    api: Api, general: Channel, lounge: Channel, secret: Channel, grace: User, ada: User, eve: User
) -> None:
    there, hidden = say(grace, lounge), say(grace, secret)

    assert api(ada)("read.mark_unread", channel_id=lounge.pk, message_id=there.pk).said == (403, "not_a_member")
    assert api(ada)("read.mark_unread", channel_id=secret.pk, message_id=hidden.pk).said == (404, "not_found")
    assert api(eve)("read.mark_unread", channel_id=lounge.pk, message_id=there.pk).said == (404, "not_found")


def test_replies_count_in_their_channel(api: Api, general: Channel, ada: User, bob: User) -> None:
    root = say(bob, general)
    say(ada, general, thread_root_id=root.pk)

    assert unread(api(bob), general) == 1


def test_a_muted_channel_is_counted(api: Api, general: Channel, ada: User, bob: User) -> None:
    call = api(bob)
    call("channel.mute", channel_id=general.pk, muted=True)
    say(ada, general, "@bob look")

    (row,) = call("channel.list").body["channels"]
    assert (row["unread_count"], row["mention_count"]) == (1, 1)


def test_mentions_after_the_cursor_are_counted(api: Api, general: Channel, ada: User, bob: User) -> None:
    messages = [say(ada, general, body) for body in ("@bob one", "two", "@bob three", "@grace four")]
    call = api(bob)

    counts = [
        call(method, channel_id=general.pk, **{name: message.pk}).body["mention_count"]
        for method, name, message in (
            ("read.mark", "last_read_id", messages[0]),
            ("read.mark", "last_read_id", messages[3]),
            ("read.mark_unread", "message_id", messages[0]),
        )
    ]

    assert counts == [1, 0, 2]


def test_who_joins_has_no_unread_mentions(api: Api, general: Channel, ada: User, bob: User) -> None:
    say(ada, general, "@bob look")
    call = api(bob)
    call("channel.leave", channel_id=general.pk)

    channel = call("channel.join", channel_id=general.pk).body["channel"]

    assert (channel["unread_count"], channel["mention_count"]) == (0, 0)


def test_moving_a_cursor_counts_no_members(
    general: Channel, ada: User, bob: User, django_assert_num_queries: Any
) -> None:
    message = say(ada, general)

    # savepoint, cursor under its lock, membership, message, cursor saved, counts, outbox, savepoint
    with django_assert_num_queries(8) as queries:
        mark_read(reader=bob, channel_id=general.pk, last_read_id=message.pk)

    assert not any("groups_channelmember" in query["sql"] and "COUNT" in query["sql"] for query in queries)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_marks_forward_and_back_at_once_the_highest_version_is_what_is_stored(
    general: Channel, ada: User, bob: User
) -> None:
    messages = [say(ada, general).pk for _ in range(6)]

    def forward(message_id: int) -> Callable[[], object]:
        return lambda: mark_read(reader=bob, channel_id=general.pk, last_read_id=message_id)

    def back(message_id: int) -> Callable[[], object]:
        return lambda: mark_unread(reader=bob, channel_id=general.pk, message_id=message_id)

    with published() as told:
        at_once(*map(forward, messages[:3]), *map(back, messages[3:]), *map(forward, messages[3:]))

    cursor = ReadCursor.objects.get(user=bob, channel=general)
    versions = [event.data["version"] for event in told]
    assert versions == list(range(1, cursor.version + 1))
    assert told[-1].data["last_read_id"] == cursor.last_read_id
