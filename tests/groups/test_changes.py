"""message.changes: what a client that was away has missed, by the channel's change counter."""

import random
from typing import Any

from groups.actions.cursors import mark_read
from groups.actions.messages import delete_message, edit_message
from groups.models import Channel, Message, ReadCursor, User
from tests.cast import Api, Door, say


def catch_up(call: Door, channel: Channel, since_rev: int, **more: Any) -> tuple[list[dict[str, Any]], int]:
    """All pages after a rev; where to go on."""
    changes: list[dict[str, Any]] = []
    while True:
        body = call("message.changes", channel_id=channel.pk, since_rev=since_rev, **more).body
        changes += body["changes"]
        since_rev = body["rev"]
        if not body["has_more"]:
            return changes, since_rev


def test_changes_come_in_their_order_as_the_messages_are_now(api: Api, general: Channel, ada: User, bob: User) -> None:
    first, second, third = (say(ada, general, body) for body in ("first", "second", "third"))
    general.refresh_from_db()
    since_rev = general.rev
    edit_message(editor=ada, message_id=third.pk, body="third, edited")
    delete_message(deleter=ada, message_id=first.pk)
    fourth = say(ada, general, "fourth")

    answer = api(bob)("message.changes", channel_id=general.pk, since_rev=since_rev).body

    assert [(row["id"], row["body"], row["deleted"]) for row in answer["changes"]] == [
        (third.pk, "third, edited", False),
        (first.pk, "", True),
        (fourth.pk, "fourth", False),
    ]
    assert (set(answer), answer["rev"], answer["has_more"]) == ({"changes", "rev", "has_more"}, fourth.rev, False)
    assert second.pk not in {row["id"] for row in answer["changes"]}


def test_nothing_is_new_after_the_rev_of_the_answer(api: Api, general: Channel, ada: User) -> None:
    say(ada, general)
    call = api(ada)
    _, rev = catch_up(call, general, 0)

    assert catch_up(call, general, rev) == ([], rev)


def test_members_who_come_and_go_move_the_rev_alone(api: Api, general: Channel, ada: User, bob: User) -> None:
    call = api(ada)
    _, rev = catch_up(call, general, 0)
    api(bob)("channel.leave", channel_id=general.pk)

    changes, after = catch_up(call, general, rev)

    assert (changes, after > rev) == ([], True)


def test_a_copy_that_follows_the_changes_equals_a_fresh_look(api: Api, general: Channel, ada: User, bob: User) -> None:
    chance = random.Random(7)
    call, copy, rev = api(bob), dict[int, dict[str, Any]](), 0
    for turn in range(60):
        shown = list(Message.objects.shown().values_list("pk", flat=True))
        match chance.choice(["say", "say", "edit", "delete", "look"]):
            case "edit" if shown:
                edit_message(editor=ada, message_id=chance.choice(shown), body=f"edited in turn {turn}")
            case "delete" if shown:
                delete_message(deleter=ada, message_id=chance.choice(shown))
            case "look":
                changes, rev = catch_up(call, general, rev, limit=2)
                copy.update({row["id"]: row for row in changes})
            case _:
                say(ada, general, f"said in turn {turn}")

    changes, rev = catch_up(call, general, rev, limit=2)
    copy.update({row["id"]: row for row in changes})

    fresh = call("message.list", channel_id=general.pk, since_id=0, limit=200).body["messages"]
    assert [row for _, row in sorted(copy.items()) if not row["deleted"]] == fresh


def test_changes_are_for_members(api: Api, general: Channel, lounge: Channel, ada: User, eve: User) -> None:
    assert api(ada)("message.changes", channel_id=lounge.pk, since_rev=0).said == (403, "not_a_member")
    assert api(eve)("message.changes", channel_id=general.pk, since_rev=0).said == (404, "not_found")


def test_a_rev_of_the_future_gives_nothing(api: Api, general: Channel, ada: User) -> None:
    say(ada, general)

    answer = api(ada)("message.changes", channel_id=general.pk, since_rev=10**9)

    assert (answer.body["changes"], answer.body["has_more"]) == ([], False)


def test_reading_is_no_change_of_the_channel(api: Api, general: Channel, ada: User, bob: User) -> None:
    message = say(ada, general)
    general.refresh_from_db()

    mark_read(reader=bob, channel_id=general.pk, last_read_id=message.pk)

    assert Channel.objects.get(pk=general.pk).rev == general.rev
    assert ReadCursor.objects.get(user=bob).last_read_id == message.pk
