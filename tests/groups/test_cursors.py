"""read.mark, and what counts as unread."""

from collections.abc import Callable

import pytest

from groups.actions.cursors import mark_read
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
