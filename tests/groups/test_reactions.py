"""message.react, unreact and toggle_react."""

from contextlib import suppress
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from groups.actions import reactions
from groups.actions.channels import archive_channel
from groups.actions.membership import add_members
from groups.actions.messages import delete_message, edit_message
from groups.actions.pins import pin_message
from groups.models import Channel, Message, Reaction, User, Workspace
from realtime import clock
from realtime.errors import Conflict
from tests.cast import Api, at_once, bring, ids, make_user, names, published, say, stored

METHODS = ["message.react", "message.unreact", "message.toggle_react"]

SOME_EMOJI = [chr(code) for code in range(ord("😀"), ord("🙀"))]


def given(message: Message) -> dict[str, list[int]]:
    """What is stored: who gave what."""
    found: dict[str, list[int]] = {}
    for row in Reaction.objects.filter(message=message).order_by("pk"):
        found.setdefault(row.emoji, []).append(row.user_id)
    return found


def put_in(general: Channel, *users: User) -> None:
    add_members(adder=general.created_by, channel_id=general.pk, user_ids=[user.pk for user in users])


def rev_of(channel: Channel) -> int:
    return Channel.objects.get(pk=channel.pk).rev


def test_a_reaction_is_in_the_answer_and_in_every_read(api: Api, general: Channel, ada: User, bob: User) -> None:
    message, call = say(ada, general), api(bob)

    answer = call("message.react", message_id=message.pk, emoji="👍")

    assert (answer.status, set(answer.body)) == (200, {"message"})
    assert answer.body["message"]["reactions"] == [{"emoji": "👍", "user_ids": [bob.pk]}]
    assert call("message.get", message_id=message.pk).body == answer.body
    assert call("message.list", channel_id=general.pk).body["messages"] == [answer.body["message"]]
    assert call("message.changes", channel_id=general.pk, since_rev=message.rev).body["changes"] == [
        answer.body["message"]
    ]


def test_a_reaction_is_told_to_all_members_with_the_full_set_and_the_next_rev(
    api: Api, general: Channel, grace: User, ada: User, bob: User
) -> None:
    message = say(ada, general)
    api(ada)("message.react", message_id=message.pk, emoji="🎉")
    rev = rev_of(general)

    with published() as told:
        answer = api(bob)("message.react", message_id=message.pk, emoji="👍")

    [event] = told
    assert (event.name, event.user_ids, event.order) == ("message.reacted", ids(grace, ada, bob), general.order)
    assert event.data == {
        "message_id": message.pk,
        "channel_id": general.pk,
        "reactions": [{"emoji": "🎉", "user_ids": [ada.pk]}, {"emoji": "👍", "user_ids": [bob.pk]}],
        "rev": rev + 1,
    }
    assert (answer.body["message"]["rev"], rev_of(general)) == (rev + 1, rev + 1)


def test_reactions_are_in_the_order_in_which_each_emoji_and_each_person_came(
    api: Api, general: Channel, grace: User, ada: User, bob: User
) -> None:
    message = say(ada, general)
    for user, emoji in ((bob, "🎂"), (ada, "👍"), (grace, "🎂"), (ada, "🎂")):
        answer = api(user)("message.react", message_id=message.pk, emoji=emoji)

    assert answer.body["message"]["reactions"] == [
        {"emoji": "🎂", "user_ids": [bob.pk, grace.pk, ada.pk]},
        {"emoji": "👍", "user_ids": [ada.pk]},
    ]


def test_taking_it_back_tells_what_is_left(api: Api, general: Channel, ada: User, bob: User) -> None:
    message = say(ada, general)
    for user in (ada, bob):
        reactions.react(reactor=user, message_id=message.pk, emoji="👍")

    with published() as told:
        answer = api(bob)("message.unreact", message_id=message.pk, emoji="👍")

    left = [{"emoji": "👍", "user_ids": [ada.pk]}]
    assert answer.body["message"]["reactions"] == left
    assert [(event.name, event.data["reactions"]) for event in told] == [("message.reacted", left)]


def test_a_repeated_reaction_changes_nothing_and_tells_nobody(api: Api, general: Channel, ada: User, bob: User) -> None:
    message, call = say(ada, general), api(bob)
    first = call("message.react", message_id=message.pk, emoji="👍")
    before = stored()

    with published() as told:
        again = call("message.react", message_id=message.pk, emoji="👍")

    assert (again.status, again.body, told) == (200, first.body, [])
    assert stored() == before


@pytest.mark.parametrize("emoji", ["👍", "🎉"])
def test_taking_back_what_one_did_not_give_changes_nothing_and_tells_nobody(
    api: Api, general: Channel, ada: User, bob: User, emoji: str
) -> None:
    message, call = say(ada, general), api(bob)
    reactions.react(reactor=ada, message_id=message.pk, emoji="👍")
    before = stored()

    with published() as told:
        answer = call("message.unreact", message_id=message.pk, emoji=emoji)

    assert (answer.status, told) == (200, [])
    assert answer.body["message"]["reactions"] == [{"emoji": "👍", "user_ids": [ada.pk]}]
    assert stored() == before


def test_a_toggle_gives_and_takes_and_tells_both(api: Api, general: Channel, ada: User, bob: User) -> None:
    message, call = say(ada, general), api(bob)

    with published() as told:
        answers = [call("message.toggle_react", message_id=message.pk, emoji="👍") for _ in range(3)]

    mine = [{"emoji": "👍", "user_ids": [bob.pk]}]
    assert [answer.body["message"]["reactions"] for answer in answers] == [mine, [], mine]
    assert [event.data["reactions"] for event in told] == [mine, [], mine]
    assert [event.data["rev"] for event in told] == [answer.body["message"]["rev"] for answer in answers]


def test_reactions_to_one_message_leave_the_others_alone(api: Api, general: Channel, ada: User) -> None:
    first, second = say(ada, general), say(ada, general)

    api(ada)("message.react", message_id=first.pk, emoji="👍")

    rows = api(ada)("message.list", channel_id=general.pk).body["messages"]
    assert [(row["id"], bool(row["reactions"])) for row in rows] == [(first.pk, True), (second.pk, False)]
    assert rows[1]["rev"] == second.rev


def test_an_edit_keeps_the_reactions(api: Api, general: Channel, ada: User, bob: User) -> None:
    message = say(ada, general)
    reactions.react(reactor=bob, message_id=message.pk, emoji="👍")

    with published() as told:
        edit_message(editor=ada, message_id=message.pk, body="edited")

    assert told[0].data["message"]["reactions"] == [{"emoji": "👍", "user_ids": [bob.pk]}]


def test_a_root_keeps_its_reactions_and_pin_when_replies_come_and_go(
    general: Channel, ada: User, bob: User, grace: User
) -> None:
    root = say(ada, general, "root")
    reactions.react(reactor=bob, message_id=root.pk, emoji="👍")
    pin_message(pinner=grace, message_id=root.pk)

    with published() as told:
        reply = say(bob, general, "reply", thread_root_id=root.pk)
        delete_message(deleter=bob, message_id=reply.pk)

    roots = [event.data["message"] for event in told if event.name == "message.updated"]
    assert [shown["reply_count"] for shown in roots] == [1, 0]
    assert [shown["reactions"] for shown in roots] == [[{"emoji": "👍", "user_ids": [bob.pk]}]] * 2
    assert [shown["pinned"] for shown in roots] == [True, True]


def test_a_retried_send_gives_the_message_with_its_reactions(api: Api, general: Channel, ada: User, bob: User) -> None:
    send = {"channel_id": general.pk, "body": "hello", "client_msg_id": "m-1"}
    message_id = api(ada)("message.send", **send).body["message"]["id"]
    reactions.react(reactor=bob, message_id=message_id, emoji="👍")

    assert api(ada)("message.send", **send).body["message"]["reactions"] == [{"emoji": "👍", "user_ids": [bob.pk]}]


@pytest.mark.parametrize("method", METHODS)
def test_a_stranger_does_not_find_the_message(api: Api, general: Channel, ada: User, eve: User, method: str) -> None:
    message = say(ada, general)
    assert not general.members.filter(user=eve).exists()

    with published() as told:
        answer = api(eve)(method, message_id=message.pk, emoji="👍")

    assert (answer.said, told, given(message)) == ((404, "not_found"), [], {})


@pytest.mark.parametrize("method", METHODS)
def test_who_left_reacts_no_more(api: Api, general: Channel, ada: User, bob: User, method: str) -> None:
    message = say(ada, general)
    reactions.react(reactor=bob, message_id=message.pk, emoji="👍")
    api(bob)("channel.leave", channel_id=general.pk)

    assert api(bob)(method, message_id=message.pk, emoji="👍").said == (404, "not_found")
    assert given(message) == {"👍": [bob.pk]}


def test_a_guest_may_react_where_they_are(api: Api, general: Channel, ada: User, gus: User) -> None:
    message = say(ada, general)
    assert api(gus)("message.react", message_id=message.pk, emoji="👍").said == (404, "not_found")

    put_in(general, gus)

    assert api(gus)("message.react", message_id=message.pk, emoji="👍").status == 200


@pytest.mark.parametrize("method", METHODS)
def test_a_deleted_message_takes_no_reactions(api: Api, general: Channel, ada: User, bob: User, method: str) -> None:
    message = say(ada, general)
    delete_message(deleter=ada, message_id=message.pk)

    assert api(bob)(method, message_id=message.pk, emoji="👍").said == (404, "not_found")


@pytest.mark.parametrize("method", METHODS)
def test_nothing_changes_in_an_archived_channel(
    api: Api, general: Channel, grace: User, ada: User, bob: User, method: str
) -> None:
    message = say(ada, general)
    reactions.react(reactor=bob, message_id=message.pk, emoji="👍")
    archive_channel(archiver=grace, channel_id=general.pk)

    with published() as told:
        answer = api(bob)(method, message_id=message.pk, emoji="👍")

    assert (answer.said, told, given(message)) == ((409, "channel_archived"), [], {"👍": [bob.pk]})


@pytest.mark.parametrize("method", METHODS)
def test_reacting_needs_the_scope_write(api: Api, general: Channel, ada: User, method: str) -> None:
    message = say(ada, general)

    assert api(ada, "read")(method, message_id=message.pk, emoji="👍").said == (403, "forbidden")


def test_a_deletion_takes_the_reactions_with_it(api: Api, general: Channel, ada: User, bob: User) -> None:
    message, other = say(ada, general), say(ada, general)
    for one in (message, other):
        reactions.react(reactor=bob, message_id=one.pk, emoji="👍")

    with published() as told:
        delete_message(deleter=ada, message_id=message.pk)

    assert names(told) == ["message.deleted"]
    assert (given(message), given(other)) == ({}, {"👍": [bob.pk]})
    assert api(bob)("message.get", message_id=message.pk).body["message"]["reactions"] == []


def test_a_message_takes_50_different_emoji_and_of_those_more(api: Api, general: Channel, ada: User, bob: User) -> None:
    message, first, *others = say(ada, general), *SOME_EMOJI[:51]
    full = reactions.REACTIONS_PER_MESSAGE
    for emoji in (first, *others[: full - 1]):
        reactions.react(reactor=ada, message_id=message.pk, emoji=emoji)
    call = api(bob)

    with published() as told:
        assert call("message.react", message_id=message.pk, emoji=others[-1]).said == (409, "too_many_reactions")
        assert call("message.toggle_react", message_id=message.pk, emoji=others[-1]).said == (409, "too_many_reactions")
    assert (told, len(given(message))) == ([], full)
    assert call("message.react", message_id=message.pk, emoji=first).status == 200

    for user in (ada, bob):
        reactions.unreact(reactor=user, message_id=message.pk, emoji=first)
    assert call("message.react", message_id=message.pk, emoji=others[-1]).status == 200


def test_the_reactions_of_all_to_a_message_have_a_limit(
    api: Api, general: Channel, ada: User, bob: User, grace: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reactions, "REACTIONS_IN_ALL", 2)
    message = say(ada, general)
    for user in (ada, bob):
        reactions.react(reactor=user, message_id=message.pk, emoji="👍")

    assert api(grace)("message.react", message_id=message.pk, emoji="👍").said == (409, "too_many_reactions")
    assert api(bob)("message.react", message_id=message.pk, emoji="👍").status == 200
    assert api(bob)("message.unreact", message_id=message.pk, emoji="👍").status == 200
    assert api(grace)("message.react", message_id=message.pk, emoji="👍").status == 200


def test_a_storm_of_reactions_is_refused_with_the_time_to_wait(
    api: Api, general: Channel, ada: User, bob: User, settings: LazySettings
) -> None:
    settings.REACT_PER_MINUTE = 60
    message, call = say(ada, general), api(ada)
    with published() as told:
        answers = [call(METHODS[number % 3], message_id=message.pk, emoji="👍") for number in range(70)]

    refused = [answer for answer in answers if answer.status != 200]
    assert {answer.said for answer in refused} == {(429, "rate_limited")}
    assert 5 <= len(refused) <= 10
    assert all(0 < answer.body["retry_after"] <= 1 for answer in refused)
    assert len(told) <= 60
    assert api(bob)("message.react", message_id=message.pk, emoji="👍").status == 200


def test_reading_200_messages_with_reactions_costs_what_one_costs(
    api: Api, general: Channel, ada: User, bob: User, django_assert_num_queries: Any
) -> None:
    call = api(bob)
    reads: list[tuple[str, dict[str, Any]]] = [
        ("message.list", {"limit": 200}),
        ("message.list", {"limit": 200, "since_id": 0}),
        ("message.changes", {"limit": 200, "since_rev": 0}),
        ("message.pins", {}),
    ]
    call("user.me")  # the first call notes when the token was used
    _said_with_reactions(general, [ada, bob], 1)
    costs = [_queries(partial(call, method, channel_id=general.pk, **params)) for method, params in reads]

    _said_with_reactions(general, [ada, bob], 199)

    for (method, params), cost in zip(reads, costs, strict=True):
        with django_assert_num_queries(cost):
            rows = call(method, channel_id=general.pk, **params).body
        [rows] = [value for value in rows.values() if isinstance(value, list)]
        assert (len(rows), {len(row["reactions"]) for row in rows}) == (100 if method == "message.pins" else 200, {2})


def test_a_reaction_costs_the_same_queries_however_many_there_are(
    api: Api, general: Channel, ada: User, bob: User, django_assert_num_queries: Any
) -> None:
    message, call = say(ada, general), api(bob)
    call("user.me")  # the first call notes when the token was used
    cost = _queries(lambda: call("message.react", message_id=message.pk, emoji="👍"))
    many = [make_user(f"many{number}") for number in range(100)]
    Reaction.objects.bulk_create(Reaction(message=message, user=user, emoji="👍") for user in many)

    with django_assert_num_queries(cost):
        call("message.react", message_id=message.pk, emoji="🎉")


def _queries(read: Any) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert read().status == 200
    return len(queries)


def _said_with_reactions(channel: Channel, users: list[User], count: int) -> None:
    """As `say`, `react` and, for the first hundred, `pin_message` would leave them."""
    channel.refresh_from_db()
    pinned = channel.messages.pinned().count()
    author = users[0]
    messages = Message.objects.bulk_create(
        Message(
            channel=channel,
            author=author,
            body="hello",
            html="<p>hello</p>",
            content_hash=b"",
            rev=channel.next_rev(),
            created_at=clock.now(),
            pinned_at=clock.now() if pinned + number < 100 else None,
            pinned_by=author if pinned + number < 100 else None,
        )
        for number in range(count)
    )
    channel.save(update_fields=["rev"])
    Reaction.objects.bulk_create(
        Reaction(message=message, user=user, emoji=emoji)
        for message in messages
        for user in users
        for emoji in ("👍", "🎉")
    )


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("clicks", [20, 19])
def test_of_many_toggles_at_once_each_is_a_change_and_none_an_error(
    general: Channel, ada: User, bob: User, clicks: int
) -> None:
    message = say(ada, general)
    rev = rev_of(general)

    def toggle() -> list[int]:
        toggled = reactions.toggle_react(reactor=bob, message_id=message.pk, emoji="👍")
        return [one.user_id for one in toggled.reactions.all()]

    with published() as told:
        got = at_once(*[toggle] * clicks)

    assert (len(told), rev_of(general)) == (clicks, rev + clicks)
    assert given(message) == ({"👍": [bob.pk]} if clicks % 2 else {})
    assert [bool(event.data["reactions"]) for event in told] == [number % 2 == 0 for number in range(clicks)]
    assert sorted(map(len, got)) == [0] * (clicks // 2) + [1] * (clicks - clicks // 2)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_equal_reactions_of_one_person_at_once_one_is_a_change(general: Channel, ada: User, bob: User) -> None:
    message = say(ada, general)

    with published() as told:
        at_once(*[partial(reactions.react, reactor=bob, message_id=message.pk, emoji="👍")] * 8)

    assert (names(told), given(message)) == (["message.reacted"], {"👍": [bob.pk]})


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_when_20_people_react_at_once_each_event_holds_all_before_it(
    workspace: Workspace, general: Channel, ada: User
) -> None:
    message, people = say(ada, general), [bring(make_user(f"person{number}"), workspace) for number in range(20)]
    put_in(general, *people)

    with published() as told:
        at_once(*[partial(reactions.react, reactor=user, message_id=message.pk, emoji="👍") for user in people])

    sets = [event.data["reactions"][0]["user_ids"] for event in told]
    assert sorted(sets[-1]) == sorted(user.pk for user in people)
    assert all(later[:-1] == earlier for earlier, later in pairwise(sets))
    revs = [event.data["rev"] for event in told]
    assert revs == list(range(revs[0], revs[0] + 20))


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_the_last_free_emoji_at_once_exactly_one_is_taken(
    general: Channel, ada: User, bob: User, grace: User
) -> None:
    message = say(ada, general)
    for one in SOME_EMOJI[: reactions.REACTIONS_PER_MESSAGE - 1]:
        reactions.react(reactor=ada, message_id=message.pk, emoji=one)

    def race(user: User, one: str) -> str:
        try:
            reactions.react(reactor=user, message_id=message.pk, emoji=one)
        except Conflict as refusal:
            return refusal.code
        return "given"

    got = at_once(*[partial(race, user, one) for user, one in zip((bob, grace), "🧲🧪", strict=True)])

    assert sorted(got) == ["given", "too_many_reactions"]
    assert len(given(message)) == reactions.REACTIONS_PER_MESSAGE


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_reaction_and_the_deletion_at_once_leave_no_reaction(general: Channel, ada: User, bob: User) -> None:
    def react(message: Message) -> None:
        with suppress(Message.DoesNotExist):
            reactions.react(reactor=bob, message_id=message.pk, emoji="👍")

    for _ in range(5):
        message = say(ada, general)

        at_once(partial(react, message), partial(delete_message, deleter=ada, message_id=message.pk))

        assert given(message) == {}
