"""What replay lets out of reactions and pins, and that a client which goes by `rev` ends right."""

import json
from collections.abc import Callable
from typing import Any

from groups.actions import reactions
from groups.actions.membership import leave_channel
from groups.actions.messages import delete_message, edit_message
from groups.actions.pins import pin_message, unpin_message
from groups.models import Channel, Message, User
from groups.replay import revise
from realtime.models import OutboxEvent
from realtime.streams import REDACTED, Entry
from tests.cast import Api, say


def entries_of(told: list[Any]) -> list[tuple[int, Entry]]:
    """As a stream holds what was published."""
    return [(seq, Entry(str(seq), row.name, row.body.encode(), row.about)) for seq, row in enumerate(told, start=1)]


def replayed(user: User, rows: list[Any]) -> list[dict[str, Any]]:
    """What the user's stream lets out of these rows of the outbox now."""
    return [json.loads(b"{" + entry.body) for _seq, entry in revise(user.pk, entries_of(rows))]


def test_replay_shows_a_message_with_its_reactions_and_pin_of_now(
    general: Channel, ada: User, bob: User, grace: User
) -> None:
    message = say(ada, general, "hello")
    rows = list(OutboxEvent.objects.order_by("pk"))[-1:]
    reactions.react(reactor=bob, message_id=message.pk, emoji="👍")
    pin_message(pinner=grace, message_id=message.pk)

    [created] = replayed(bob, rows)

    shown = created["data"]["message"]
    assert (shown["reactions"], shown["pinned"]) == ([{"emoji": "👍", "user_ids": [bob.pk]}], True)
    assert shown["rev"] == Message.objects.get(pk=message.pk).rev


def test_a_client_that_goes_by_rev_ends_right_after_a_replay(
    api: Api, general: Channel, ada: User, bob: User, grace: User
) -> None:
    before = OutboxEvent.objects.count()
    message = say(ada, general, "hello")
    steps: list[Callable[[], Any]] = [
        lambda: reactions.react(reactor=bob, message_id=message.pk, emoji="👍"),
        lambda: pin_message(pinner=grace, message_id=message.pk),
        lambda: reactions.react(reactor=ada, message_id=message.pk, emoji="👍"),
        lambda: edit_message(editor=ada, message_id=message.pk, body="hello, edited"),
        lambda: reactions.unreact(reactor=bob, message_id=message.pk, emoji="👍"),
        lambda: unpin_message(pinner=bob, message_id=message.pk),
    ]
    for step in steps:
        step()
        rows = list(OutboxEvent.objects.order_by("pk"))[before:]

        assert copied(replayed(bob, rows)) == api(bob)("message.get", message_id=message.pk).body["message"]
        revs = [row.about.get("rev") or json.loads("{" + row.body)["data"]["rev"] for row in rows]
        assert revs == sorted(set(revs))


def copied(frames: list[dict[str, Any]]) -> dict[str, Any]:
    """The message as a client knows it that takes the higher rev."""
    message: dict[str, Any] = {}
    for frame in frames:
        data = frame["data"]
        newer = data.get("message", data)
        if newer["rev"] <= message.get("rev", 0):
            continue
        match frame["event"]:
            case "message.created" | "message.updated":
                message = newer
            case "message.reacted":
                message |= {"reactions": data["reactions"], "rev": data["rev"]}
            case "message.pinned":
                message |= {"pinned": data["pinned"], "rev": data["rev"]}
            case name:
                raise AssertionError(name)
    return message


def test_replay_after_a_deletion_tells_of_reactions_and_pins_ids_and_emoji_alone(
    general: Channel, ada: User, bob: User, grace: User
) -> None:
    before = OutboxEvent.objects.count()
    message = say(ada, general, "unspeakable")
    reactions.react(reactor=bob, message_id=message.pk, emoji="👍")
    pin_message(pinner=grace, message_id=message.pk)
    delete_message(deleter=ada, message_id=message.pk)

    created, reacted, pinned, deleted = replayed(bob, list(OutboxEvent.objects.order_by("pk"))[before:])

    assert "unspeakable" not in json.dumps([created, reacted, pinned, deleted])
    shown = created["data"]["message"]
    assert (shown["deleted"], shown["body"], shown["reactions"], shown["pinned"]) == (True, "", [], False)
    assert set(reacted["data"]) == {"message_id", "channel_id", "reactions", "rev"}
    assert set(pinned["data"]) == {"message_id", "channel_id", "pinned", "user_id", "rev"}
    assert shown["rev"] > max(reacted["data"]["rev"], pinned["data"]["rev"])  # so a client passes them
    assert deleted["event"] == "message.deleted"


def test_who_lost_the_channel_is_told_of_no_reactions_in_replay(general: Channel, ada: User, bob: User) -> None:
    message = say(ada, general)
    reactions.react(reactor=ada, message_id=message.pk, emoji="👍")
    [row] = list(OutboxEvent.objects.order_by("pk"))[-1:]
    leave_channel(user=bob, channel_id=general.pk)

    [(_seq, entry)] = revise(bob.pk, entries_of([row]))

    assert entry.body == REDACTED
