"""message.pin, unpin and pins."""

from functools import partial

import pytest

from groups.actions import pins
from groups.actions.channels import archive_channel
from groups.actions.membership import add_members
from groups.actions.messages import delete_message, edit_message
from groups.actions.pins import pin_message, unpin_message
from groups.models import Channel, Message, User
from realtime.errors import Conflict
from tests.cast import Api, at_once, ids, names, published, say, stored

METHODS = ["message.pin", "message.unpin"]


def pinned(api: Api, user: User, channel: Channel) -> list[int]:
    return [message["id"] for message in api(user)("message.pins", channel_id=channel.pk).body["messages"]]


def rev_of(channel: Channel) -> int:
    return Channel.objects.get(pk=channel.pk).rev


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(pins, "PINS_PER_CHANNEL", 3)
    return 3


def test_a_pinned_message_is_in_the_answer_and_in_every_read(api: Api, general: Channel, ada: User, bob: User) -> None:
    message, call = say(ada, general), api(bob)

    answer = call("message.pin", message_id=message.pk)

    assert (answer.status, set(answer.body), answer.body["message"]["pinned"]) == (200, {"message"}, True)
    assert call("message.get", message_id=message.pk).body == answer.body
    assert call("message.pins", channel_id=general.pk).body == {"messages": [answer.body["message"]]}
    assert call("message.changes", channel_id=general.pk, since_rev=message.rev).body["changes"] == [
        answer.body["message"]
    ]


def test_a_pin_is_told_to_all_members_with_who_did_it_and_the_next_rev(
    api: Api, general: Channel, grace: User, ada: User, bob: User
) -> None:
    message, rev = say(ada, general), rev_of(general)

    with published() as told:
        for user, method in ((bob, "message.pin"), (ada, "message.unpin")):
            api(user)(method, message_id=message.pk)

    assert [event.data for event in told] == [
        {"message_id": message.pk, "channel_id": general.pk, "pinned": True, "user_id": bob.pk, "rev": rev + 1},
        {"message_id": message.pk, "channel_id": general.pk, "pinned": False, "user_id": ada.pk, "rev": rev + 2},
    ]
    assert {(event.name, event.order) for event in told} == {("message.pinned", general.order)}
    assert all(event.user_ids == ids(grace, ada, bob) for event in told)
    assert rev_of(general) == Message.objects.get(pk=message.pk).rev == rev + 2


def test_the_newest_pin_comes_first_whatever_the_age_of_its_message(api: Api, general: Channel, ada: User) -> None:
    first, second, third = (say(ada, general, body) for body in ("1", "2", "3"))
    for message in (second, third, first):
        pin_message(pinner=ada, message_id=message.pk)

    assert pinned(api, ada, general) == [first.pk, third.pk, second.pk]


def test_pins_of_one_channel_are_not_those_of_another(api: Api, general: Channel, lounge: Channel, grace: User) -> None:
    here, there = say(grace, general), say(grace, lounge)
    for message in (here, there):
        pin_message(pinner=grace, message_id=message.pk)

    assert (pinned(api, grace, general), pinned(api, grace, lounge)) == ([here.pk], [there.pk])


def test_a_reply_may_be_pinned(api: Api, general: Channel, ada: User, bob: User) -> None:
    reply = say(bob, general, "reply", thread_root_id=say(ada, general, "root").pk)

    assert api(ada)("message.pin", message_id=reply.pk).body["message"]["pinned"] is True
    assert pinned(api, bob, general) == [reply.pk]


def test_an_edit_keeps_the_pin(api: Api, general: Channel, ada: User, bob: User) -> None:
    message = say(ada, general)
    pin_message(pinner=bob, message_id=message.pk)

    with published() as told:
        edit_message(editor=ada, message_id=message.pk, body="edited")

    assert told[0].data["message"]["pinned"] is True


@pytest.mark.parametrize("who", ["ada", "bob"])
def test_pinning_again_changes_nothing_and_tells_nobody(
    api: Api, general: Channel, ada: User, bob: User, who: str
) -> None:
    message, calls = say(ada, general), {"ada": api(ada), "bob": api(bob)}
    first = calls["bob"]("message.pin", message_id=message.pk)
    before = stored()

    with published() as told:
        again = calls[who]("message.pin", message_id=message.pk)

    assert (again.status, again.body, told) == (200, first.body, [])
    assert stored() == before


def test_unpinning_what_is_not_pinned_changes_nothing_and_tells_nobody(api: Api, general: Channel, ada: User) -> None:
    message, call = say(ada, general), api(ada)
    before = stored()

    with published() as told:
        answer = call("message.unpin", message_id=message.pk)

    assert (answer.status, answer.body["message"]["pinned"], told) == (200, False, [])
    assert stored() == before


@pytest.mark.parametrize("method", METHODS)
def test_a_stranger_does_not_find_the_message(api: Api, general: Channel, ada: User, eve: User, method: str) -> None:
    message = say(ada, general)
    assert not general.members.filter(user=eve).exists()

    with published() as told:
        assert api(eve)(method, message_id=message.pk).said == (404, "not_found")
    assert (told, pinned(api, ada, general)) == ([], [])


def test_pins_are_for_members(api: Api, lounge: Channel, secret: Channel, ada: User, eve: User) -> None:
    assert api(ada)("message.pins", channel_id=lounge.pk).said == (403, "not_a_member")
    assert api(ada)("message.pins", channel_id=secret.pk).said == (404, "not_found")
    assert api(eve)("message.pins", channel_id=lounge.pk).said == (404, "not_found")


def test_a_guest_sees_pins_and_makes_none(api: Api, general: Channel, grace: User, ada: User, gus: User) -> None:
    one, other = say(ada, general), say(ada, general)
    pin_message(pinner=ada, message_id=one.pk)
    add_members(adder=grace, channel_id=general.pk, user_ids=[gus.pk])

    with published() as told:
        assert api(gus)("message.pin", message_id=other.pk).said == (403, "forbidden")
        assert api(gus)("message.unpin", message_id=one.pk).said == (403, "forbidden")
    assert (told, pinned(api, gus, general)) == ([], [one.pk])


@pytest.mark.parametrize("method", METHODS)
def test_a_deleted_message_is_not_pinned(api: Api, general: Channel, ada: User, method: str) -> None:
    message = say(ada, general)
    delete_message(deleter=ada, message_id=message.pk)

    assert api(ada)(method, message_id=message.pk).said == (404, "not_found")


@pytest.mark.parametrize("method", METHODS)
def test_nothing_changes_in_an_archived_channel_and_its_pins_are_read(
    api: Api, general: Channel, grace: User, ada: User, method: str
) -> None:
    one, other = say(ada, general), say(ada, general)
    pin_message(pinner=ada, message_id=one.pk)
    archive_channel(archiver=grace, channel_id=general.pk)

    with published() as told:
        for message in (one, other):
            assert api(ada)(method, message_id=message.pk).said == (409, "channel_archived")
    assert (told, pinned(api, ada, general)) == ([], [one.pk])


@pytest.mark.parametrize("method", METHODS)
def test_pinning_needs_the_scope_write(api: Api, general: Channel, ada: User, method: str) -> None:
    assert api(ada, "read")(method, message_id=say(ada, general).pk).said == (403, "forbidden")


def test_a_deletion_takes_the_pin_with_it_and_is_told_alone(api: Api, general: Channel, ada: User, bob: User) -> None:
    message = say(ada, general)
    pin_message(pinner=bob, message_id=message.pk)

    with published() as told:
        delete_message(deleter=ada, message_id=message.pk)

    assert names(told) == ["message.deleted"]
    assert pinned(api, ada, general) == []
    assert api(ada)("message.get", message_id=message.pk).body["message"]["pinned"] is False


def test_a_full_channel_takes_a_pin_when_one_is_off(
    api: Api, general: Channel, ada: User, bob: User, limit: int
) -> None:
    *most, last = [say(ada, general, str(number)) for number in range(limit + 1)]
    for message in most:
        pin_message(pinner=ada, message_id=message.pk)
    call = api(bob)

    with published() as told:
        assert call("message.pin", message_id=last.pk).said == (409, "too_many_pins")
    assert (told, call("message.pin", message_id=most[0].pk).status) == ([], 200)

    unpin_message(pinner=bob, message_id=most[0].pk)
    assert call("message.pin", message_id=last.pk).status == 200
    assert pinned(api, ada, general) == [last.pk, *[message.pk for message in most[:0:-1]]]


def test_a_deleted_message_leaves_its_place_to_another(api: Api, general: Channel, ada: User, limit: int) -> None:
    *most, last = [say(ada, general, str(number)) for number in range(limit + 1)]
    for message in most:
        pin_message(pinner=ada, message_id=message.pk)

    delete_message(deleter=ada, message_id=most[0].pk)

    assert api(ada)("message.pin", message_id=last.pk).status == 200


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_two_who_pin_the_hundredth_message_at_once_exactly_one_wins(general: Channel, ada: User, bob: User) -> None:
    messages = [say(ada, general, str(number)) for number in range(pins.PINS_PER_CHANNEL + 1)]
    for message in messages[2:]:
        pin_message(pinner=ada, message_id=message.pk)

    def race(pinner: User, message: Message) -> str:
        try:
            pin_message(pinner=pinner, message_id=message.pk)
        except Conflict as refusal:
            return refusal.code
        return "pinned"

    with published() as told:
        got = at_once(partial(race, ada, messages[0]), partial(race, bob, messages[1]))

    assert sorted(got) == ["pinned", "too_many_pins"]
    assert (names(told), general.messages.pinned().count()) == (["message.pinned"], 100)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_many_who_pin_a_message_at_once_one_is_told(general: Channel, grace: User, ada: User, bob: User) -> None:
    message = say(ada, general)

    with published() as told:
        at_once(*[partial(pin_message, pinner=user, message_id=message.pk) for user in (grace, ada, bob) * 3])

    assert names(told) == ["message.pinned"]
    message.refresh_from_db()
    assert told[0].data["user_id"] == message.pinned_by_id
