"""message.versions: the texts that edits replaced, and who sees them."""

from typing import Any

from groups.actions.membership import add_members
from groups.actions.messages import delete_message, edit_message
from groups.api import versions
from groups.models import Channel, ChannelMember, Message, MessageVersion, User
from groups.models.channel import ChannelRole
from tests.cast import Api, say


def edited(author: User, channel: Channel, *bodies: str) -> Message:
    """A message that got each of these texts in turn."""
    message = say(author, channel, bodies[0])
    for body in bodies[1:]:
        edit_message(editor=author, message_id=message.pk, body=body)
    return message


def bodies(answer: Any) -> list[str]:
    assert answer.status == 200, answer
    return [version["body"] for version in answer.body["versions"]]


def test_the_earlier_texts_come_oldest_first_and_rendered(api: Api, general: Channel, ada: User) -> None:
    message = edited(ada, general, "one", "**two**", "three")

    answer = api(ada)("message.versions", message_id=message.pk)

    assert set(answer.body) == {"versions"}
    assert [(version["body"], version["html"]) for version in answer.body["versions"]] == [
        ("one", "<p>one</p>"),
        ("**two**", "<p><strong>two</strong></p>"),
    ]
    times = [version["replaced_at"] for version in answer.body["versions"]]
    last_edited_at = api(ada)("message.get", message_id=message.pk).body["message"]["edited_at"]
    assert times == sorted(times)
    assert times[-1] == last_edited_at


def test_a_message_that_was_never_edited_has_none(api: Api, general: Channel, ada: User) -> None:
    assert bodies(api(ada)("message.versions", message_id=say(ada, general).pk)) == []


def test_an_edit_to_the_same_text_keeps_nothing(api: Api, general: Channel, ada: User) -> None:
    assert bodies(api(ada)("message.versions", message_id=edited(ada, general, "one", "one").pk)) == []


def test_markup_in_an_earlier_text_is_harmless(api: Api, general: Channel, ada: User) -> None:
    message = edited(ada, general, "<script>alert(1)</script> [x](javascript:alert(1))", "two")

    [version] = api(ada)("message.versions", message_id=message.pk).body["versions"]

    assert "<script" not in version["html"]
    assert 'href="javascript' not in version["html"]


def test_the_author_the_admins_of_the_channel_and_moderators_see_them(
    api: Api, general: Channel, grace: User, ada: User, bob: User, mia: User
) -> None:
    message = edited(ada, general, "one", "two")

    for user in (ada, grace, mia):
        assert bodies(api(user)("message.versions", message_id=message.pk)) == ["one"]
    assert api(bob)("message.versions", message_id=message.pk).said == (403, "forbidden")

    ChannelMember.objects.filter(channel=general, user=bob).update(role=ChannelRole.ADMIN)
    assert bodies(api(bob)("message.versions", message_id=message.pk)) == ["one"]


def test_a_guest_sees_those_of_their_own_message_alone(
    api: Api, general: Channel, grace: User, ada: User, gus: User
) -> None:
    add_members(adder=grace, channel_id=general.pk, user_ids=[gus.pk])

    assert bodies(api(gus)("message.versions", message_id=edited(gus, general, "one", "two").pk)) == ["one"]
    message = edited(ada, general, "one", "two")
    assert api(gus)("message.versions", message_id=message.pk).said == (403, "forbidden")


def test_a_stranger_does_not_find_the_message(api: Api, general: Channel, ada: User, eve: User) -> None:
    message = edited(ada, general, "one", "two")
    assert not general.members.filter(user=eve).exists()

    assert api(eve)("message.versions", message_id=message.pk).said == (404, "not_found")


def test_a_moderator_who_is_not_in_the_channel_does_not_find_the_message(
    api: Api, secret: Channel, grace: User, mia: User
) -> None:
    message = edited(grace, secret, "one", "two")

    assert api(mia)("message.versions", message_id=message.pk).said == (404, "not_found")


def test_an_author_who_left_does_not_find_the_message(api: Api, general: Channel, ada: User) -> None:
    message = edited(ada, general, "one", "two")
    api(ada)("channel.leave", channel_id=general.pk)

    assert api(ada)("message.versions", message_id=message.pk).said == (404, "not_found")


def test_a_deletion_erases_them(api: Api, general: Channel, grace: User, ada: User) -> None:
    message, other = edited(ada, general, "unspeakable", "two"), edited(ada, general, "one", "two")
    delete_message(deleter=ada, message_id=message.pk)

    assert bodies(api(grace)("message.versions", message_id=message.pk)) == []
    assert list(MessageVersion.objects.values_list("message", "body")) == [(other.pk, "one")]


def test_of_a_message_that_was_edited_very_often_the_last_are_shown(
    api: Api, general: Channel, ada: User, django_assert_num_queries: Any
) -> None:
    count = versions.VERSIONS_LISTED + 5
    message = edited(ada, general, *[str(number) for number in range(count + 1)])
    call = api(ada)
    call("user.me")

    with django_assert_num_queries(3):  # token, message, versions
        answer = call("message.versions", message_id=message.pk)

    assert bodies(answer) == [str(number) for number in range(5, count)]


def test_a_get_gives_what_a_post_gives(api: Api, general: Channel, ada: User) -> None:
    message, call = edited(ada, general, "one", "two"), api(ada)

    got = call.get("message.versions", message_id=message.pk)

    assert got.body == call("message.versions", message_id=message.pk).body
