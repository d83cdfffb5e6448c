"""Mentions: whom a message names, who is told of it, and what becomes of that when its text changes."""

from functools import partial
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from groups.actions.channels import archive_channel
from groups.actions.cursors import mark_read
from groups.actions.membership import add_members, join_channel, leave_channel, mute_channel, remove_member
from groups.actions.mentions import MENTIONS_PER_MESSAGE
from groups.actions.messages import delete_message, edit_message
from groups.actions.sending import Draft, Sent, send_message, send_messages
from groups.models import Channel, ChannelMember, Mention, Message, ThreadFollower, User, Workspace
from realtime.backends import leases
from realtime.errors import Conflict, RateLimited, Unavailable
from realtime.relay import user_stream
from tests.cast import Api, Told, at_once, bring, ids, make_user, names, published, say, stored
from tests.presence.conftest import attach, memory

__all__ = ["memory"]


def mentioned(message: Message) -> dict[int, str]:
    """Whom the message names, as it is stored."""
    return dict(message.mentions.values_list("user_id", "kind"))


def told_who(told: list[Told], name: str = "mention.created") -> set[int]:
    """Who is told, none of them twice."""
    user_ids = [user_id for event in told if event.name == name for user_id in event.user_ids]
    assert len(user_ids) == len(set(user_ids))
    return set(user_ids)


def crowd(channel: Channel, count: int) -> list[User]:
    """More members, who were there before."""
    made = User.objects.bulk_create(User(username=f"member{number}") for number in range(count))
    ChannelMember.objects.bulk_create(
        ChannelMember(channel=channel, user=user, joined_rev=1, joined_at=channel.created_at) for user in made
    )
    return made


def online(*people: User) -> None:
    for user in people:
        attach(user)
    leases().confirm(leases().claim(100))


def count_of(call: Any, channel: Channel) -> int:
    """The number that somebody's sidebar shows."""
    [row] = [row for row in call("channel.list").body["channels"] if row["id"] == channel.pk]
    return int(row["mention_count"])


def test_who_is_named_is_told_alone_after_the_message(api: Api, general: Channel, ada: User, bob: User) -> None:
    with published() as told:
        message = api(ada)("message.send", channel_id=general.pk, body="hello @bob").body["message"]

    assert names(told) == ["message.created", "mention.created"]
    assert (told[1].user_ids, told[1].order) == (ids(bob), f"channel:{general.pk}")
    mention = {"kind": "user", "message_id": message["id"], "channel_id": general.pk, "rev": message["rev"]}
    assert told[1].data == {"mention": mention, "message": message}


def test_who_was_removed_when_it_leaves_is_not_told(general: Channel, grace: User, ada: User, bob: User) -> None:
    """As after an outage, in which it waited in the outbox."""
    with published() as told:
        message = say(ada, general, "@bob look")
        edit_message(editor=ada, message_id=message.pk, body="look")
        remove_member(remover=grace, channel_id=general.pk, user_id=bob.pk)
    assert (told_who(told), told_who(told, "mention.deleted")) == (set(), set())


def test_the_page_gets_a_name_as_a_link_to_a_person_and_programs_the_text(
    api: Api, general: Channel, ada: User, bob: User
) -> None:
    message = api(ada)("message.send", channel_id=general.pk, body="hello @Bob, @eve").body["message"]

    assert message["body"] == "hello @Bob, @eve"
    assert message["html"] == f'<p>hello <span class="mention" data-user-id="{bob.pk}">@Bob</span>, @eve</p>'


@pytest.mark.parametrize(
    "body", ["@bob", "@BOB!", "**@bob**, @grace", "@bob: see", "a @bob/@grace b", "@bob @bob @BoB"]
)
def test_a_member_is_named_once_however_it_is_written(general: Channel, ada: User, bob: User, body: str) -> None:
    with published() as told:
        message = say(ada, general, body)

    assert mentioned(message)[bob.pk] == "user"
    assert bob.pk in told_who(told)


@pytest.mark.parametrize(
    "body",
    [
        *("`@bob`", "```\n@bob\n```", "    @bob", "ada@bob", "write to x@bob.org", "@bobby", "@bob-the-builder"),
        *("[here](https://example.org/@bob)", "https://example.org/@bob", "<https://example.org/@bob>", "> @bob said"),
        *("\\@bob", "@eve", "@", "@nobody", "bob"),
    ],
)
def test_what_names_no_member_tells_nobody_and_stays_text(general: Channel, ada: User, eve: User, body: str) -> None:
    with published() as told:
        message = say(ada, general, body)

    assert (names(told), mentioned(message)) == (["message.created"], {})
    assert "<span" not in message.html


def test_a_longer_name_is_another_person(workspace: Workspace, general: Channel, ada: User, bob: User) -> None:
    bobby, dotted = bring(make_user("bobby"), workspace), bring(make_user("bob."), workspace)
    add_members(adder=general.created_by, channel_id=general.pk, user_ids=[bobby.pk, dotted.pk])

    assert mentioned(say(ada, general, "@bobby")) == {bobby.pk: "user"}
    assert mentioned(say(ada, general, "@bob.")) == {dotted.pk: "user"}
    assert mentioned(say(ada, general, "@bob, and so on")) == {bob.pk: "user"}


def test_names_in_other_scripts_are_found(workspace: Workspace, general: Channel, ada: User, bob: User) -> None:
    yamada, emile = bring(make_user("山田"), workspace), bring(make_user("Émile"), workspace)
    add_members(adder=general.created_by, channel_id=general.pk, user_ids=[yamada.pk, emile.pk])

    assert set(mentioned(say(ada, general, "@山田 と @bobさん、@Émile"))) == ids(yamada, bob, emile)
    assert set(mentioned(say(ada, general, "an accent of its own: @E\u0301MILE"))) == ids(emile)


def test_only_members_of_the_channel_are_named(
    general: Channel, lounge: Channel, secret: Channel, grace: User, bob: User, gus: User
) -> None:
    for channel in (lounge, secret):
        with published() as told:
            message = say(grace, channel, "@bob @gus @grace")

        assert (names(told), mentioned(message)) == (["message.created"], {})
        assert f'data-user-id="{bob.pk}"' not in message.html


def test_who_is_deactivated_is_not_named(general: Channel, ada: User, bob: User) -> None:
    User.objects.filter(pk=bob.pk).update(is_active=False)

    assert mentioned(say(ada, general, "@bob @channel")) == {general.created_by_id: "channel"}


def test_nobody_is_told_of_naming_themself(general: Channel, ada: User) -> None:
    with published() as told:
        message = say(ada, general, "I, @ada")

    assert (names(told), mentioned(message)) == (["message.created"], {})
    assert f'data-user-id="{ada.pk}"' in message.html


def test_channel_tells_everybody_in_it_but_the_author_and_who_muted_it(
    general: Channel, grace: User, ada: User, bob: User, mia: User
) -> None:
    mute_channel(user=mia, channel_id=general.pk, muted=True)

    with published() as told:
        message = say(ada, general, "@channel lunch?")

    assert mentioned(message) == {grace.pk: "channel", bob.pk: "channel"}
    assert (names(told), told[1].user_ids) == (["message.created", "mention.created"], ids(grace, bob))
    assert (told[1].data["mention"]["kind"], told[1].data["message"]["id"]) == ("channel", message.pk)
    assert message.html == '<p><span class="mention mention-group">@channel</span> lunch?</p>'


def test_who_muted_a_channel_is_named_by_name(general: Channel, ada: User, bob: User) -> None:
    mute_channel(user=bob, channel_id=general.pk, muted=True)

    assert mentioned(say(ada, general, "@channel, but @bob too"))[bob.pk] == "user"


def test_here_tells_those_who_are_online_now(
    memory: str, general: Channel, grace: User, ada: User, bob: User, mia: User
) -> None:
    online(ada, bob, mia)
    leases().set_away(user_stream(mia.pk), None, away=True)
    leases().claim(100)

    with published() as told:
        message = say(ada, general, "@here lunch?")

    assert mentioned(message) == {bob.pk: "here"}
    assert [(event.name, event.user_ids) for event in told][1:] == [("mention.created", ids(bob))]


def test_a_message_is_sent_while_nobody_knows_who_is_here(
    memory: str, general: Channel, ada: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_holders: list[str]) -> Any:
        raise Unavailable("Redis")

    online(bob)
    monkeypatch.setattr(leases(), "statuses", away)

    message = say(ada, general, "@here lunch?")

    assert mentioned(message) == {}
    assert "mention-group" in message.html


def test_by_name_goes_before_channel_and_channel_before_here(
    memory: str, general: Channel, grace: User, ada: User, bob: User, mia: User
) -> None:
    online(grace, bob)

    with published() as told:
        message = say(ada, general, "@here @bob @channel")

    assert mentioned(message) == {grace.pk: "channel", bob.pk: "user", mia.pk: "channel"}
    assert told_who(told) == ids(grace, bob, mia)
    assert [event.data["mention"]["kind"] for event in told[1:]] == ["user", "channel"]


def test_what_a_guest_writes_names_people_and_no_group(
    general: Channel, workspace: Workspace, ada: User, bob: User, gus: User
) -> None:
    add_members(adder=general.created_by, channel_id=general.pk, user_ids=[gus.pk])

    with published() as told:
        message = say(gus, general, "@channel @here @bob")

    assert (mentioned(message), told_who(told)) == ({bob.pk: "user"}, ids(bob))
    assert message.html == f'<p>@channel @here <span class="mention" data-user-id="{bob.pk}">@bob</span></p>'
    edited = edit_message(editor=gus, message_id=message.pk, body="@channel now")
    assert (mentioned(message), edited.html) == ({}, "<p>@channel now</p>")


def test_a_guest_is_named_where_they_are(general: Channel, ada: User, gus: User) -> None:
    add_members(adder=general.created_by, channel_id=general.pk, user_ids=[gus.pk])

    assert gus.pk in mentioned(say(ada, general, "@gus"))


def test_a_direct_channel_has_names_and_groups_too(direct: Channel, ada: User, bob: User) -> None:
    assert mentioned(say(ada, direct, "@bob")) == {bob.pk: "user"}
    assert mentioned(say(ada, direct, "@channel")) == {bob.pk: "channel"}


def test_a_message_names_50_people_and_no_more(api: Api, general: Channel, ada: User) -> None:
    people = [f"@{user.username}" for user in crowd(general, MENTIONS_PER_MESSAGE + 1)]
    call, before = api(ada), Message.objects.count()

    refused = call("message.send", channel_id=general.pk, body=" ".join(people))

    assert (refused.said, list(refused.body["errors"])) == ((400, "too_many_mentions"), ["body"])
    assert (Message.objects.count(), Mention.objects.count()) == (before, 0)
    fine = call("message.send", channel_id=general.pk, body=" ".join([*people[:-1], *people[:-1], "@nobody"]))
    assert Mention.objects.filter(message=fine.body["message"]["id"]).count() == MENTIONS_PER_MESSAGE


def test_a_large_channel_is_told_after_a_confirmation(
    api: Api, general: Channel, ada: User, settings: LazySettings
) -> None:
    settings.GROUP_MENTION_CONFIRM = 2
    call, draft = api(ada), {"channel_id": general.pk, "body": "@channel lunch?", "client_msg_id": "m-1"}
    before = stored()

    refused = call("message.send", **draft)

    assert refused.said == (409, "mention_unconfirmed")
    assert "2 people" in refused.body["detail"]
    assert stored() == before
    sent = call("message.send", **draft, confirm_mentions=True)
    assert (sent.body["duplicate"], Mention.objects.count()) == (False, 2)
    assert call("message.send", **draft).body == {"message": sent.body["message"], "duplicate": True}


def test_a_channel_of_20_needs_no_confirmation(api: Api, general: Channel, ada: User) -> None:
    call = api(ada)
    crowd(general, 17)
    assert call("message.send", channel_id=general.pk, body="@channel").status == 200

    crowd_of_one = User.objects.create(username="the 21st")
    ChannelMember.objects.create(channel=general, user=crowd_of_one, joined_rev=1, joined_at=general.created_at)

    assert call("message.send", channel_id=general.pk, body="@channel").said == (409, "mention_unconfirmed")
    assert call("message.send", channel_id=general.pk, body="@here").said == (409, "mention_unconfirmed")
    assert call("message.send", channel_id=general.pk, body="`@channel` and @bob").status == 200


def test_the_text_of_a_refusal_names_those_who_would_be_told(
    memory: str, api: Api, general: Channel, ada: User, bob: User, settings: LazySettings
) -> None:
    settings.GROUP_MENTION_CONFIRM = 2
    online(ada, bob)

    refused = api(ada)("message.send", channel_id=general.pk, body="@here")

    assert "1 person" in refused.body["detail"]


def test_groups_are_called_only_so_often(api: Api, general: Channel, ada: User, bob: User, settings: Any) -> None:
    settings.GROUP_MENTIONS_PER_HOUR = 2
    call = api(ada)
    say(ada, general, "@channel"), say(ada, general, "@here")
    before = Message.objects.count()

    refused = call("message.send", channel_id=general.pk, body="@channel")

    assert refused.said == (429, "rate_limited")
    assert 1000 < refused.body["retry_after"] <= 1800
    assert Message.objects.count() == before
    assert call("message.send", channel_id=general.pk, body="@bob alone").status == 200
    assert api(bob)("message.send", channel_id=general.pk, body="@channel").status == 200


def test_what_is_not_sent_spends_nothing(
    api: Api, general: Channel, lounge: Channel, grace: User, ada: User, gus: User, settings: LazySettings
) -> None:
    settings.GROUP_MENTIONS_PER_HOUR, settings.GROUP_MENTION_CONFIRM = 1, 2
    add_members(adder=grace, channel_id=general.pk, user_ids=[gus.pk])
    archive_channel(archiver=grace, channel_id=lounge.pk)
    for body, more in [("@channel", {}), ("@channel", {}), ("`@here`", {"confirm_mentions": True})]:
        api(ada)("message.send", channel_id=general.pk, body=body, **more)
    assert api(ada)("message.send", channel_id=lounge.pk, body="@channel", confirm_mentions=True).status == 404
    assert api(gus)("message.send", channel_id=general.pk, body="@channel", confirm_mentions=True).status == 200
    assert api(grace)("message.send", channel_id=lounge.pk, body="@channel", confirm_mentions=True).status == 409

    assert api(ada)("message.send", channel_id=general.pk, body="@channel", confirm_mentions=True).status == 200
    assert api(grace)("message.send", channel_id=general.pk, body="@channel", confirm_mentions=True).status == 200
    assert api(ada)("message.send", channel_id=general.pk, body="@here", confirm_mentions=True).status == 429


def test_a_retry_tells_nobody_and_spends_nothing(general: Channel, ada: User, settings: LazySettings) -> None:
    settings.GROUP_MENTIONS_PER_HOUR = 2
    once = partial(send_message, author=ada, channel_id=general.pk, body="@channel @bob", client_msg_id="m-1")
    once()
    before = stored()

    with published() as told:
        again = [once() for _ in range(3)]

    assert ([sent.duplicate for sent in again], told) == ([True] * 3, [])
    assert stored() == before
    say(ada, general, "@channel: the second of two")


def test_two_of_the_same_in_one_batch_are_one(general: Channel, ada: User, bob: User, settings: LazySettings) -> None:
    settings.GROUP_MENTIONS_PER_HOUR = 2
    draft = Draft(ada, general.pk, "@channel", client_msg_id="m-1")

    with published() as told:
        outcomes = send_messages([draft, draft])

    assert [outcome.duplicate for outcome in outcomes if isinstance(outcome, Sent)] == [False, True]
    assert names(told) == ["message.created", "mention.created"]
    say(ada, general, "@channel: the second of two")


def test_in_a_batch_each_text_names_in_its_own_channel_and_with_its_own_outcome(
    general: Channel, lounge: Channel, direct: Channel, grace: User, ada: User, bob: User, settings: LazySettings
) -> None:
    settings.GROUP_MENTION_CONFIRM = 2
    drafts = [
        Draft(ada, general.pk, "@bob"),
        Draft(grace, lounge.pk, "@bob"),
        Draft(bob, direct.pk, "@ada @grace"),
        Draft(bob, general.pk, "@channel"),
        Draft(grace, general.pk, "@channel", confirm_mentions=True),
        Draft(bob, general.pk, "nobody"),
        Draft(ada, lounge.pk, "@channel"),
    ]

    with published() as told:
        outcomes = send_messages(drafts)

    stored_of = [mentioned(one.message) if isinstance(one, Sent) else type(one) for one in outcomes]
    assert stored_of[:3] == [{bob.pk: "user"}, {}, {ada.pk: "user"}]
    assert stored_of[3] is Conflict
    assert stored_of[4:6] == [{ada.pk: "channel", bob.pk: "channel"}, {}]
    assert isinstance(outcomes[6], Exception)
    assert names(told) == [
        *("message.created", "mention.created", "message.created", "message.created", "mention.created"),
        *("message.created", "mention.created", "message.created"),
    ]


def test_an_edit_that_adds_a_name_tells_that_one(general: Channel, grace: User, ada: User, bob: User) -> None:
    message = say(ada, general, "hello @bob")

    with published() as told:
        edited = edit_message(editor=ada, message_id=message.pk, body="hello @bob and @grace")

    assert names(told) == ["message.updated", "mention.created"]
    assert told[1].user_ids == ids(grace)
    assert told[1].data["mention"] == {
        "kind": "user",
        "message_id": message.pk,
        "channel_id": general.pk,
        "rev": edited.rev,
    }
    assert told[1].data["message"] == told[0].data["message"]
    assert mentioned(message) == {bob.pk: "user", grace.pk: "user"}


def test_an_edit_that_removes_a_name_tells_that_one(general: Channel, grace: User, ada: User, bob: User) -> None:
    message = say(ada, general, "hello @bob and @grace")

    with published() as told:
        edited = edit_message(editor=ada, message_id=message.pk, body="hello @grace")

    assert names(told) == ["message.updated", "mention.deleted"]
    assert told[1].user_ids == ids(bob)
    assert told[1].data == {"message_id": message.pk, "channel_id": general.pk, "rev": edited.rev}
    assert mentioned(message) == {grace.pk: "user"}


def test_an_edit_that_names_the_same_tells_nobody_else(general: Channel, ada: User, bob: User) -> None:
    message = say(ada, general, "hello @bob")

    with published() as told:
        edit_message(editor=ada, message_id=message.pk, body="good morning, @Bob")
        edit_message(editor=ada, message_id=message.pk, body="good morning, @Bob")

    assert (names(told), mentioned(message)) == (["message.updated"], {bob.pk: "user"})


def test_an_edit_that_takes_the_last_name_out_leaves_none(general: Channel, ada: User, bob: User) -> None:
    message = say(ada, general, "hello @bob")

    edited = edit_message(editor=ada, message_id=message.pk, body="hello `@bob`")

    assert (mentioned(message), edited.html) == ({}, "<p>hello <code>@bob</code></p>")


def test_an_edit_that_keeps_a_group_calls_nobody_again(
    general: Channel, workspace: Workspace, grace: User, ada: User, bob: User, settings: LazySettings
) -> None:
    settings.GROUP_MENTIONS_PER_HOUR, settings.GROUP_MENTION_CONFIRM = 1, 2
    message = say(ada, general, "@channel lnch", confirm_mentions=True)
    newcomer = bring(make_user("newcomer"), workspace)
    join_channel(user=newcomer, channel_id=general.pk)

    with published() as told:
        edited = edit_message(editor=ada, message_id=message.pk, body="@channel lunch, @grace")

    assert names(told) == ["message.updated"]
    assert mentioned(message) == {grace.pk: "user", bob.pk: "channel"}
    assert "mention-group" in edited.html


def test_who_is_named_no_more_is_still_told_by_a_group_that_stays(general: Channel, ada: User, bob: User) -> None:
    message = say(ada, general, "@channel and @bob")

    with published() as told:
        edit_message(editor=ada, message_id=message.pk, body="@channel")

    assert (names(told), mentioned(message)[bob.pk]) == (["message.updated"], "channel")


def test_an_edit_that_adds_a_group_needs_what_a_message_needs(
    api: Api, general: Channel, grace: User, ada: User, bob: User, settings: LazySettings
) -> None:
    settings.GROUP_MENTIONS_PER_HOUR, settings.GROUP_MENTION_CONFIRM = 1, 2
    message, other = say(ada, general, "lunch, @bob?"), say(ada, general, "dinner?")
    call = api(ada)

    refused = call("message.update", message_id=message.pk, body="@channel lunch, @bob?")
    with published() as told:
        done = call("message.update", message_id=message.pk, body="@channel lunch, @bob?", confirm_mentions=True)

    assert (refused.said, done.status) == ((409, "mention_unconfirmed"), 200)
    assert [(event.name, event.user_ids) for event in told][1:] == [("mention.created", ids(grace))]
    limited = call("message.update", message_id=other.pk, body="@channel dinner?", confirm_mentions=True)
    assert limited.said == (429, "rate_limited")
    assert call("message.update", message_id=message.pk, body="@channel lunch, @bob?").status == 200


def test_an_edit_of_others_spends_nothing(api: Api, general: Channel, ada: User, bob: User, settings: Any) -> None:
    settings.GROUP_MENTIONS_PER_HOUR = 1
    message = say(ada, general, "lunch?")

    assert api(bob)("message.update", message_id=message.pk, body="@channel").said == (403, "forbidden")
    assert api(bob)("message.send", channel_id=general.pk, body="@channel").status == 200


def test_an_edit_with_too_many_names_changes_nothing(api: Api, general: Channel, ada: User, bob: User) -> None:
    people = [f"@{user.username}" for user in crowd(general, MENTIONS_PER_MESSAGE + 1)]
    message, call = say(ada, general, "@bob"), api(ada)
    before = stored()

    assert call("message.update", message_id=message.pk, body=" ".join(people)).said == (400, "too_many_mentions")
    assert stored() == before


def test_a_deletion_tells_those_who_were_named_after_the_message(
    general: Channel, grace: User, ada: User, bob: User
) -> None:
    message = say(ada, general, "@bob @channel")

    with published() as told:
        deleted = delete_message(deleter=grace, message_id=message.pk)

    assert names(told)[:2] == ["message.deleted", "mention.deleted"]
    assert told[1].user_ids == ids(grace, bob)
    assert told[1].data == {"message_id": message.pk, "channel_id": general.pk, "rev": deleted.rev}
    assert not Mention.objects.exists()


def test_a_repeated_deletion_tells_those_who_were_named_once(general: Channel, ada: User, bob: User) -> None:
    message = say(ada, general, "@bob")
    delete_message(deleter=ada, message_id=message.pk)

    with published() as told:
        delete_message(deleter=ada, message_id=message.pk)

    assert told == []


def test_who_left_hears_nothing_of_a_text_that_named_them(general: Channel, grace: User, ada: User, bob: User) -> None:
    edited, deleted = say(ada, general, "@bob @grace"), say(ada, general, "@bob")
    leave_channel(user=bob, channel_id=general.pk)

    with published() as told:
        edit_message(editor=ada, message_id=edited.pk, body="nobody")
        delete_message(deleter=ada, message_id=deleted.pk)

    assert told_who(told, "mention.deleted") == ids(grace)
    assert not Mention.objects.exists()


def test_who_is_named_in_a_reply_follows_its_thread(general: Channel, grace: User, ada: User, bob: User) -> None:
    root = say(ada, general, "root")
    reply = say(ada, general, "@bob, and @channel", thread_root_id=root.pk)
    followers = ThreadFollower.objects.filter(root=root, following=True)

    assert set(followers.values_list("user_id", flat=True)) == ids(ada, bob)
    edit_message(editor=ada, message_id=reply.pk, body="@bob, @grace and @channel")
    assert grace.pk in followers.values_list("user_id", flat=True)


def test_the_number_of_mentions_is_what_was_told(api: Api, general: Channel, ada: User, bob: User) -> None:
    call = api(bob)
    first, second = say(ada, general, "@bob"), say(ada, general, "@channel")
    say(ada, general, "nobody"), say(bob, general, "@bob")
    assert count_of(call, general) == 2

    edit_message(editor=ada, message_id=first.pk, body="nobody")
    assert count_of(call, general) == 1
    edit_message(editor=ada, message_id=first.pk, body="@bob after all")
    delete_message(deleter=ada, message_id=second.pk)
    assert count_of(call, general) == 1
    mark_read(reader=bob, channel_id=general.pk, last_read_id=first.pk)
    assert count_of(call, general) == 0


def test_who_joins_has_no_mentions(api: Api, general: Channel, ada: User, bob: User) -> None:
    say(ada, general, "@bob")
    leave_channel(user=bob, channel_id=general.pk)
    join_channel(user=bob, channel_id=general.pk)

    assert count_of(api(bob), general) == 0


def test_mentions_are_listed_newest_first_in_pages(api: Api, general: Channel, ada: User, bob: User) -> None:
    first, second, third = [say(ada, general, body) for body in ("@bob", "@channel", "**@bob**")]
    call = api(bob)

    page = call("mention.list", limit=2).body

    assert [row["message_id"] for row in page["mentions"]] == [third.pk, second.pk]
    assert (page["has_more"], page["next_before_id"]) == (True, second.pk)
    rest = call("mention.list", limit=2, before_id=page["next_before_id"]).body
    assert rest == {
        "mentions": [
            {
                "kind": "user",
                "message_id": first.pk,
                "channel_id": general.pk,
                "rev": first.rev,
                "message": call("message.get", message_id=first.pk).body["message"],
            }
        ],
        "has_more": False,
        "next_before_id": first.pk,
    }
    assert call("mention.list", before_id=first.pk).body == {"mentions": [], "has_more": False, "next_before_id": 0}


def test_a_listed_mention_is_what_was_told(api: Api, general: Channel, ada: User, bob: User) -> None:
    with published() as told:
        say(ada, general, "@bob")

    [listed] = api(bob)("mention.list").body["mentions"]

    assert listed == {**told[1].data["mention"], "message": told[1].data["message"]}


def test_a_page_of_mentions_costs_the_same_however_long_it_is(api: Api, general: Channel, ada: User, bob: User) -> None:
    call = api(bob)
    call("mention.list")
    costs = []
    for _ in range(2):
        for _ in range(5):
            say(ada, general, "@bob")
        with CaptureQueriesContext(connection) as queries:
            call("mention.list")
        costs.append(len(queries))

    assert costs[0] == costs[1]


def test_a_stranger_lists_no_mentions_of_others(
    api: Api, general: Channel, ada: User, bob: User, mia: User, eve: User
) -> None:
    say(ada, general, "@bob")
    leave_channel(user=mia, channel_id=general.pk)

    for stranger in (eve, mia, ada):
        assert api(stranger)("mention.list").body["mentions"] == []
    assert api()("mention.list").said == (401, "not_signed_in")
    assert len(api(bob)("mention.list").body["mentions"]) == 1


def test_who_left_lists_no_mentions_of_there(api: Api, general: Channel, ada: User, bob: User) -> None:
    say(ada, general, "@bob")
    leave_channel(user=bob, channel_id=general.pk)

    assert api(bob)("mention.list").body["mentions"] == []


def test_a_text_that_names_nobody_costs_what_it_always_did(general: Channel, ada: User, bob: User) -> None:
    with CaptureQueriesContext(connection) as plain:
        say(ada, general, "hello")
    with CaptureQueriesContext(connection) as naming:
        say(ada, general, "hello @bob, @grace and @nobody")

    assert not [query for query in plain.captured_queries if "groups_mention" in query["sql"]]
    assert len(naming) == len(plain) + 2
    message = say(ada, general, "hello")
    with CaptureQueriesContext(connection) as queries:
        edit_message(editor=ada, message_id=message.pk, body="good bye")
        delete_message(deleter=ada, message_id=message.pk)
    assert not [query for query in queries.captured_queries if "groups_mention" in query["sql"]]


def test_a_batch_asks_once_for_all_names(general: Channel, direct: Channel, ada: User, bob: User) -> None:
    costs = []
    for many in (1, 10):
        with CaptureQueriesContext(connection) as queries:
            send_messages([Draft(ada, channel.pk, "@bob") for channel in (general, direct) for _ in range(many)])
        costs.append(len(queries))

    assert costs[0] == costs[1]


def test_a_crowd_costs_no_more_queries_than_a_few(general: Channel, ada: User, settings: LazySettings) -> None:
    settings.GROUP_MENTION_CONFIRM = 10_000
    with CaptureQueriesContext(connection) as few:
        say(ada, general, "@channel")
    crowd(general, 150)

    with CaptureQueriesContext(connection) as many:
        message = say(ada, general, "@channel")

    assert (len(many), message.mentions.count()) == (len(few), 152)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_many_who_send_the_same_at_once_one_names(general: Channel, ada: User, bob: User) -> None:
    once = partial(send_message, author=ada, channel_id=general.pk, body="@channel @bob", client_msg_id="m-1")

    with published() as told:
        sent = at_once(*[once] * 6)

    assert sorted(one.duplicate for one in sent) == [False] + [True] * 5
    assert names(told) == ["message.created", "mention.created", "mention.created"]
    assert Mention.objects.count() == 2


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_retry_at_once_past_the_limit_is_still_a_retry(general: Channel, ada: User, settings: LazySettings) -> None:
    settings.GROUP_MENTIONS_PER_HOUR = 1
    once = partial(send_message, author=ada, channel_id=general.pk, body="@channel", client_msg_id="m-1")

    def told_of() -> str:
        try:
            return "duplicate" if once().duplicate else "sent"
        except RateLimited:
            return "limited"

    got = at_once(*[told_of] * 4)

    # Which of them spends is not which of them writes: a refused one may come before the one that is sent.
    assert got.count("sent") == 1
    assert once().duplicate


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_who_is_named_by_edits_at_once_is_told_once(general: Channel, grace: User, ada: User, bob: User) -> None:
    message = say(ada, general, "hello")

    with published() as told:
        at_once(
            *[
                partial(edit_message, editor=ada, message_id=message.pk, body=f"@bob and @grace, {number}")
                for number in range(4)
            ]
        )

    assert told_who(told) == ids(bob, grace)
    assert mentioned(message) == {bob.pk: "user", grace.pk: "user"}


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_who_leaves_while_they_are_named_is_told_first_or_not_at_all(
    general: Channel, grace: User, ada: User, bob: User
) -> None:
    with published() as told:
        at_once(
            partial(leave_channel, user=bob, channel_id=general.pk),
            *[partial(say, ada, general, "@bob") for _ in range(5)],
        )

    of_bob = [event.name for event in told if event.name in ("channel.removed", "mention.created")]
    assert of_bob[-1] == "channel.removed"
    assert Mention.objects.filter(user=bob).count() == of_bob.count("mention.created")
