"""message.send, update, delete and get."""

from typing import Any

import pytest
from django.conf import LazySettings
from django.db import transaction

from groups.actions.membership import leave_channel
from groups.actions.messages import delete_message, edit_message
from groups.actions.sending import send_message
from groups.models import Channel, Message, User
from tests.cast import Api, ids, names, published, say, stored

MESSAGE_FIELDS = {
    *("id", "channel_id", "author", "body", "html", "created_at", "edited_at", "deleted", "thread_root_id"),
    *("reply_count", "reactions", "pinned", "client_msg_id", "rev"),
}


def test_a_sent_message_has_the_shape_of_the_contract(api: Api, general: Channel, ada: User) -> None:
    answer = api(ada)("message.send", channel_id=general.pk, body="**hi**", client_msg_id="m-1")

    message = answer.body["message"]
    assert (answer.status, set(answer.body), answer.body["duplicate"]) == (200, {"message", "duplicate"}, False)
    assert set(message) == MESSAGE_FIELDS
    assert message["author"] == {"id": ada.pk, "username": "ada", "display_name": "Ada", "avatar_url": None}
    told = {name: message[name] for name in ("channel_id", "body", "html", "client_msg_id", "deleted", "edited_at")}
    assert told == {
        "channel_id": general.pk,
        "body": "**hi**",
        "html": "<p><strong>hi</strong></p>",
        "client_msg_id": "m-1",
        "deleted": False,
        "edited_at": None,
    }


def test_times_on_the_wire_are_utc_with_milliseconds(api: Api, general: Channel, ada: User) -> None:
    sent = api(ada)("message.send", channel_id=general.pk, body="hi").body["message"]

    stamp = Message.objects.get().created_at
    assert sent["created_at"] == f"{stamp:%Y-%m-%dT%H:%M:%S}.{stamp.microsecond // 1000:03d}Z"


def test_every_member_is_told_once_of_a_message_its_author_too(
    general: Channel, grace: User, ada: User, bob: User, eve: User
) -> None:
    with published() as told:
        say(ada, general, "hello")

    assert names(told) == ["message.created"]
    assert told[0].user_ids == ids(grace, ada, bob)
    assert told[0].order == f"channel:{general.pk}"


def test_the_event_of_a_message_has_the_shape_of_the_answer(api: Api, general: Channel, ada: User) -> None:
    with published() as told:
        answer = api(ada)("message.send", channel_id=general.pk, body="hello")

    assert told[0].data == {"message": answer.body["message"]}


def test_nothing_is_told_of_a_message_that_was_rolled_back(general: Channel, ada: User) -> None:
    with published() as told, transaction.atomic():
        say(ada, general)
        transaction.set_rollback(True)

    assert told == []
    assert not Message.objects.exists()


def test_a_retry_returns_the_first_message_and_tells_nobody(api: Api, general: Channel, ada: User) -> None:
    call = {"channel_id": general.pk, "body": "once", "client_msg_id": "m-1"}
    first = api(ada)("message.send", **call)

    with published() as told:
        again = api(ada)("message.send", **call)

    assert again.body == {"message": first.body["message"], "duplicate": True}
    assert (told, Message.objects.count()) == ([], 1)


def test_a_retry_after_an_edit_returns_the_message_as_it_is_now(general: Channel, ada: User) -> None:
    first = say(ada, general, "once", client_msg_id="m-1")
    edit_message(editor=ada, message_id=first.pk, body="better")

    again = send_message(author=ada, channel_id=general.pk, body="once", client_msg_id="m-1")

    assert (again.message.pk, again.message.body, again.duplicate) == (first.pk, "better", True)


def test_a_retry_after_a_deletion_does_not_bring_the_message_back(general: Channel, ada: User) -> None:
    first = say(ada, general, "once", client_msg_id="m-1")
    delete_message(deleter=ada, message_id=first.pk)

    with published() as told:
        again = send_message(author=ada, channel_id=general.pk, body="once", client_msg_id="m-1")

    assert (again.message.pk, again.message.body, again.message.deleted, again.duplicate) == (first.pk, "", True, True)
    assert told == []


def test_the_same_key_with_another_text_is_a_conflict(api: Api, general: Channel, ada: User) -> None:
    say(ada, general, "once", client_msg_id="m-1")

    answer = api(ada)("message.send", channel_id=general.pk, body="twice", client_msg_id="m-1")

    assert answer.said == (409, "idempotency_conflict")
    assert Message.objects.count() == 1


def test_the_same_key_in_another_channel_is_a_conflict(
    api: Api, general: Channel, lounge: Channel, grace: User
) -> None:
    say(grace, general, "once", client_msg_id="m-1")

    answer = api(grace)("message.send", channel_id=lounge.pk, body="once", client_msg_id="m-1")

    assert answer.said == (409, "idempotency_conflict")
    assert not lounge.messages.exists()


def test_the_same_key_in_another_thread_is_a_conflict(api: Api, general: Channel, ada: User) -> None:
    root = say(ada, general, "root")
    say(ada, general, "once", client_msg_id="m-1")

    answer = api(ada)("message.send", channel_id=general.pk, body="once", client_msg_id="m-1", thread_root_id=root.pk)

    assert answer.said == (409, "idempotency_conflict")


def test_two_people_may_use_the_same_key(general: Channel, ada: User, bob: User) -> None:
    ours = say(ada, general, "once", client_msg_id="m-1"), say(bob, general, "once", client_msg_id="m-1")

    assert ours[0].pk != ours[1].pk


def test_messages_without_a_key_are_never_the_same(general: Channel, ada: User) -> None:
    assert say(ada, general, "again").pk != say(ada, general, "again").pk


def test_who_left_gets_no_answer_to_a_retry(api: Api, general: Channel, ada: User) -> None:
    say(ada, general, "once", client_msg_id="m-1")
    leave_channel(user=ada, channel_id=general.pk)

    answer = api(ada)("message.send", channel_id=general.pk, body="once", client_msg_id="m-1")

    assert answer.said == (403, "not_a_member")


@pytest.mark.parametrize("body", ["", " ", "\n\t\u3000", "\r\n"])
def test_an_empty_message_is_refused(api: Api, general: Channel, ada: User, body: str) -> None:
    before = stored()

    answer = api(ada)("message.send", channel_id=general.pk, body=body)

    assert answer.said == (400, "invalid")
    assert list(answer.body["errors"]) == ["body"]
    assert {**stored(), "groups.ApiToken": None} == {**before, "groups.ApiToken": None}


def test_a_message_may_have_4000_characters_and_no_more(api: Api, general: Channel, ada: User) -> None:
    call = api(ada)

    assert call("message.send", channel_id=general.pk, body="語" * 4000).status == 200
    assert call("message.send", channel_id=general.pk, body="語" * 4001).said == (400, "invalid")


def test_line_ends_are_counted_and_kept_as_one_character(api: Api, general: Channel, ada: User) -> None:
    answer = api(ada)("message.send", channel_id=general.pk, body="a\r\nb\rc\nd")

    assert answer.body["message"]["body"] == "a\nb\nc\nd"


def test_too_many_messages_are_refused_with_the_time_to_wait(
    api: Api, general: Channel, ada: User, bob: User, settings: LazySettings
) -> None:
    settings.SEND_BURST, settings.SEND_PER_MINUTE = 2, 60
    call = api(ada)
    say(ada, general), say(ada, general)

    answer = call("message.send", channel_id=general.pk, body="third")

    assert answer.said == (429, "rate_limited")
    assert 0 < answer.body["retry_after"] <= 1
    assert answer.headers["retry-after"] == "1"
    assert api(bob)("message.send", channel_id=general.pk, body="mine").status == 200


def test_a_refused_message_is_not_stored_and_tells_nobody(
    api: Api, general: Channel, ada: User, settings: LazySettings
) -> None:
    settings.SEND_BURST = 1
    say(ada, general)

    with published() as told:
        api(ada)("message.send", channel_id=general.pk, body="second")

    assert (told, Message.objects.count()) == ([], 1)


def test_a_stranger_cannot_tell_a_channel_from_none(api: Api, general: Channel, eve: User) -> None:
    call = api(eve)

    theirs = call("message.send", channel_id=general.pk, body="hi")
    none = call("message.send", channel_id=10**9, body="hi")

    assert theirs.said == (404, "not_found")
    assert theirs.body == none.body


def test_a_private_channel_is_unknown_to_other_members_of_the_workspace(api: Api, secret: Channel, ada: User) -> None:
    assert api(ada)("message.send", channel_id=secret.pk, body="hi").said == (404, "not_found")


def test_a_direct_channel_is_unknown_to_others(api: Api, direct: Channel, grace: User) -> None:
    assert api(grace)("message.send", channel_id=direct.pk, body="hi").said == (404, "not_found")


def test_a_public_channel_has_to_be_joined_first(api: Api, lounge: Channel, ada: User) -> None:
    assert api(ada)("message.send", channel_id=lounge.pk, body="hi").said == (403, "not_a_member")


def test_a_public_channel_is_unknown_to_a_guest(api: Api, lounge: Channel, gus: User) -> None:
    assert api(gus)("message.send", channel_id=lounge.pk, body="hi").said == (404, "not_found")


def test_a_reply_counts_at_its_root_and_both_are_told_in_order(general: Channel, ada: User, bob: User) -> None:
    root = say(ada, general, "root")

    with published() as told:
        reply = say(bob, general, "reply", thread_root_id=root.pk)

    assert names(told) == ["message.created", "message.updated", "thread.updated", "thread.updated"]
    assert told[0].data["message"]["thread_root_id"] == root.pk
    updated = told[1].data["message"]
    assert (updated["id"], updated["reply_count"], updated["rev"]) == (root.pk, 1, reply.rev + 1)


def test_a_reply_needs_a_root_of_the_same_channel_that_is_no_reply(
    api: Api, general: Channel, lounge: Channel, grace: User
) -> None:
    elsewhere, root = say(grace, lounge), say(grace, general)
    reply = say(grace, general, thread_root_id=root.pk)
    call = api(grace)

    for wrong in (elsewhere, reply):
        answer = call("message.send", channel_id=general.pk, body="hi", thread_root_id=wrong.pk)
        assert (answer.said, list(answer.body["errors"])) == ((400, "invalid"), ["thread_root_id"])


def test_the_author_edits_and_every_member_is_told(
    api: Api, general: Channel, grace: User, ada: User, bob: User
) -> None:
    message = say(ada, general, "hello")

    with published() as told:
        answer = api(ada)("message.update", message_id=message.pk, body="goodbye")

    edited = answer.body["message"]
    assert (edited["id"], edited["body"], edited["html"]) == (message.pk, "goodbye", "<p>goodbye</p>")
    assert edited["edited_at"] is not None
    assert [(event.name, event.data, event.user_ids) for event in told] == [
        ("message.updated", {"message": edited}, ids(grace, ada, bob))
    ]


def test_an_edit_keeps_the_earlier_text(general: Channel, ada: User) -> None:
    message = say(ada, general, "first")
    edit_message(editor=ada, message_id=message.pk, body="second")
    edit_message(editor=ada, message_id=message.pk, body="third")

    assert list(message.versions.order_by("pk").values_list("body", flat=True)) == ["first", "second"]


def test_a_repeated_edit_changes_nothing_and_tells_nobody(general: Channel, ada: User) -> None:
    message = say(ada, general, "first")
    edit_message(editor=ada, message_id=message.pk, body="second")
    before = stored()

    edit_message(editor=ada, message_id=message.pk, body="second")

    assert stored() == before


@pytest.mark.parametrize("name", ["bob", "grace", "mia"])
def test_only_its_author_edits_a_message(
    api: Api, request: pytest.FixtureRequest, general: Channel, ada: User, name: str
) -> None:
    message = say(ada, general, "mine")
    other: User = request.getfixturevalue(name)

    answer = api(other)("message.update", message_id=message.pk, body="theirs")

    assert answer.said == (403, "forbidden")
    assert Message.objects.get().body == "mine"


@pytest.mark.parametrize("name", ["ada", "grace", "mia"])
def test_author_channel_admin_and_moderator_delete(
    api: Api, request: pytest.FixtureRequest, general: Channel, ada: User, name: str
) -> None:
    message = say(ada, general, "mine")
    deleter: User = request.getfixturevalue(name)

    answer = api(deleter)("message.delete", message_id=message.pk)

    assert answer.body == {"message_id": message.pk, "channel_id": general.pk}
    message.refresh_from_db()
    assert (message.body, message.html, message.deleted_by) == ("", "", deleter)


def test_another_member_may_not_delete(api: Api, general: Channel, ada: User, bob: User) -> None:
    message = say(ada, general, "mine")

    assert api(bob)("message.delete", message_id=message.pk).said == (403, "forbidden")
    assert Message.objects.get().body == "mine"


def test_every_member_is_told_of_a_deletion_without_the_text(
    general: Channel, grace: User, ada: User, bob: User
) -> None:
    message = say(ada, general, "unspeakable")

    with published() as told:
        deleted = delete_message(deleter=ada, message_id=message.pk)

    assert names(told) == ["message.deleted"]
    assert told[0].user_ids == ids(grace, ada, bob)
    assert told[0].data == {
        "message_id": message.pk,
        "channel_id": general.pk,
        "author_id": message.author_id,
        "thread_root_id": None,
        "rev": deleted.rev,
    }


def test_a_repeated_deletion_answers_the_same_and_tells_nobody(api: Api, general: Channel, ada: User) -> None:
    message = say(ada, general)
    call = api(ada)
    first = call("message.delete", message_id=message.pk)
    before = stored()

    assert call("message.delete", message_id=message.pk).body == first.body
    assert stored() == before


def test_a_deletion_erases_the_earlier_texts_too(general: Channel, ada: User) -> None:
    message = say(ada, general, "unspeakable")
    edit_message(editor=ada, message_id=message.pk, body="fine")

    delete_message(deleter=ada, message_id=message.pk)

    assert not message.versions.exists()


def test_a_deleted_message_cannot_be_edited(api: Api, general: Channel, ada: User) -> None:
    message = say(ada, general)
    delete_message(deleter=ada, message_id=message.pk)

    assert api(ada)("message.update", message_id=message.pk, body="back").said == (404, "not_found")


def test_a_deleted_reply_no_longer_counts_at_its_root(general: Channel, ada: User) -> None:
    root = say(ada, general, "root")
    reply = say(ada, general, "reply", thread_root_id=root.pk)

    with published() as told:
        delete_message(deleter=ada, message_id=reply.pk)

    assert names(told) == ["message.deleted", "message.updated", "thread.updated"]
    assert told[1].data["message"]["reply_count"] == 0


def test_a_reply_to_a_deleted_root_can_still_be_deleted(general: Channel, ada: User) -> None:
    root = say(ada, general, "root")
    reply = say(ada, general, "reply", thread_root_id=root.pk)
    delete_message(deleter=ada, message_id=root.pk)

    delete_message(deleter=ada, message_id=reply.pk)

    root.refresh_from_db()
    assert (root.body, root.reply_count) == ("", 0)


@pytest.mark.parametrize("method", ["message.get", "message.update", "message.delete"])
def test_a_message_is_unknown_to_who_may_not_read_it(
    api: Api, general: Channel, secret: Channel, grace: User, ada: User, eve: User, method: str
) -> None:
    body = {"body": "x"} if method == "message.update" else {}
    public, private = say(grace, general), say(grace, secret)

    assert api(eve)(method, message_id=public.pk, **body).said == (404, "not_found")
    assert api(ada)(method, message_id=private.pk, **body).said == (404, "not_found")
    assert api(ada)(method, message_id=10**12, **body).said == (404, "not_found")


def test_who_left_no_longer_gets_deletes_or_edits_their_messages(api: Api, general: Channel, ada: User) -> None:
    message = say(ada, general)
    leave_channel(user=ada, channel_id=general.pk)
    call = api(ada)

    calls: list[tuple[str, dict[str, Any]]] = [
        ("message.get", {}),
        ("message.update", {"body": "x"}),
        ("message.delete", {}),
    ]
    for method, more in calls:
        assert call(method, message_id=message.pk, **more).said == (404, "not_found")


def test_getting_a_message_gives_what_sending_gave(api: Api, general: Channel, ada: User, bob: User) -> None:
    sent = api(ada)("message.send", channel_id=general.pk, body="hello").body["message"]

    assert api(bob)("message.get", message_id=sent["id"]).body == {"message": sent}
    assert api(bob).get("message.get", message_id=sent["id"]).body == {"message": sent}


def test_getting_a_deleted_message_gives_its_tombstone(api: Api, general: Channel, ada: User, bob: User) -> None:
    message = say(ada, general, "unspeakable")
    delete_message(deleter=ada, message_id=message.pk)

    got = api(bob)("message.get", message_id=message.pk).body["message"]

    assert (got["id"], got["deleted"], got["body"], got["html"]) == (message.pk, True, "", "")


def test_each_change_of_a_channel_has_a_higher_rev(general: Channel, ada: User) -> None:
    first = say(ada, general)
    second = say(ada, general)
    edited = edit_message(editor=ada, message_id=first.pk, body="better")
    deleted = delete_message(deleter=ada, message_id=second.pk)
    general.refresh_from_db()

    assert general.rev - 3 == first.rev == second.rev - 1 == edited.rev - 2 == deleted.rev - 3
