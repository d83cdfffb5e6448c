"""What moderators do to others: each with a reason, each in the audit log, each told live, and who was silenced."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from groups.actions import moderation
from groups.actions.channels import archive_channel
from groups.actions.messages import delete_message
from groups.actions.sending import Draft, Sent, send_messages
from groups.actions.workspaces import (
    create_workspace,
    invite_to_workspace,
    join_open_workspace,
    join_workspace,
    leave_workspace,
    remove_member,
    update_workspace,
)
from groups.models import ApiToken, AuditEntry, Channel, Invite, Message, User, Workspace, WorkspaceMember
from groups.models.audit import AuditAction
from groups.models.workspace import Role
from realtime import clock
from realtime.errors import Silenced
from tests.cast import Api, at_once, bring, ids, make_channel, make_user, names, published, say, stored, token_of

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """`at(HOUR)`: it is 10 o'clock. It begins at 9."""

    def set_clock(later: timedelta) -> None:
        monkeypatch.setattr(clock, "now", lambda: NOW + later)

    set_clock(timedelta())
    return set_clock


@pytest.fixture
def nora(db: None) -> User:
    """Moderates the site, and is a member of nothing."""
    return make_user("nora", is_staff=True)


def silence(moderator: User, workspace: Workspace, user: User, for_: timedelta = HOUR, **more: Any) -> WorkspaceMember:
    return moderation.silence_member(
        moderator=moderator,
        workspace_id=workspace.pk,
        user_id=user.pk,
        until=clock.now() + for_,
        reason="insults",
        **{"as_moderator": True} | more,
    )


def unsilence(moderator: User, workspace: Workspace, user: User, **more: Any) -> WorkspaceMember:
    return moderation.unsilence_member(
        moderator=moderator,
        workspace_id=workspace.pk,
        user_id=user.pk,
        reason="said sorry",
        **{"as_moderator": True} | more,
    )


def remove(moderator: User, workspace: Workspace, user: User) -> Workspace:
    return moderation.remove_member(moderator=moderator, workspace_id=workspace.pk, user_id=user.pk, reason="spam")


def written() -> list[tuple[Any, ...]]:
    entries = AuditEntry.objects.order_by("number")
    return [
        (entry.actor, entry.action, entry.target, entry.workspace_id, entry.reason, entry.details) for entry in entries
    ]


Deed = Callable[[], object]


def test_a_deletion_by_a_moderator_is_written_down_without_the_text(
    nora: User, general: Channel, ada: User, bob: User, grace: User
) -> None:
    message = say(ada, general, "unspeakable")

    with published() as told:
        moderation.delete_message(moderator=nora, message_id=message.pk, reason=" insult ")

    where = {"channel_id": general.pk, "author_id": ada.pk}
    workspace_id = general.workspace_id
    assert written() == [
        (nora, AuditAction.MESSAGE_DELETED, f"message:{message.pk}", workspace_id, "insult", where),
    ]
    assert (told[0].name, told[0].user_ids) == ("message.deleted", ids(ada, bob, grace))
    assert "unspeakable" not in str(stored()["groups.AuditEntry"])


def test_deleting_again_writes_nothing(nora: User, general: Channel, ada: User) -> None:
    message = say(ada, general)
    delete_message(deleter=ada, message_id=message.pk)

    with published() as told:
        moderation.delete_message(moderator=nora, message_id=message.pk, reason="insult")

    assert (told, written()) == ([], [])


def test_a_deletion_in_the_page_by_somebody_else_is_written_down_too(
    api: Api, general: Channel, ada: User, mia: User
) -> None:
    own, other = say(ada, general), say(ada, general)

    assert api(ada)("message.delete", message_id=own.pk).status == 200
    assert api(mia)("message.delete", message_id=other.pk).status == 200

    assert [(actor, target) for actor, _action, target, *_rest in written()] == [(mia, f"message:{other.pk}")]


@pytest.mark.parametrize("reason", ["", " \n ", "x" * 501])
def test_nothing_happens_without_a_reason(
    nora: User, general: Channel, ada: User, reason: str, workspace: Workspace
) -> None:
    message = say(ada, general)
    invite = invite_to_workspace(inviter=workspace.created_by, workspace_id=workspace.pk, days=1).invite
    token_of(ada)
    member: dict[str, Any] = {"moderator": nora, "workspace_id": workspace.pk, "user_id": ada.pk, "reason": reason}
    before = stored()

    deeds: list[Deed] = [
        lambda: moderation.delete_message(moderator=nora, message_id=message.pk, reason=reason),
        lambda: moderation.silence_member(**member, until=clock.now() + HOUR, as_moderator=True),
        lambda: moderation.unsilence_member(**member, as_moderator=True),
        lambda: moderation.remove_member(**member),
        lambda: moderation.revoke_invite(moderator=nora, invite_id=invite.pk, reason=reason),
        lambda: moderation.revoke_token(moderator=nora, token_id=ApiToken.objects.get().pk, reason=reason),
        lambda: moderation.deactivate_user(moderator=nora, user_id=ada.pk, reason=reason),
        lambda: moderation.reactivate_user(moderator=nora, user_id=ada.pk, reason=reason),
    ]
    for deed in deeds:
        with pytest.raises(ValidationError) as refused:
            deed()
        assert set(refused.value.error_dict) == {"reason"}
    assert stored() == before


def test_who_is_silenced_is_told_alone_and_until_when(
    at: Any, nora: User, api: Api, general: Channel, ada: User, bob: User
) -> None:
    with published() as told:
        silence(nora, general.workspace, ada)

    until = "2026-11-21T10:00:00.000Z"
    assert [(event.name, event.user_ids) for event in told] == [("workspace.updated", ids(ada))]
    assert (told[0].data["workspace"]["silenced_until"], told[0].data["member"]) == (until, None)
    [own] = api(ada)("client.boot").body["workspaces"]
    assert told[0].data["workspace"] == own
    assert [row["silenced_until"] for row in api(bob)("client.boot").body["workspaces"]] == [None]
    assert written() == [
        (
            nora,
            AuditAction.MEMBER_SILENCED,
            f"user:{ada.pk}",
            general.workspace_id,
            "insults",
            {"until": "2026-11-21T10:00:00+00:00"},
        )
    ]


def test_the_same_silence_again_changes_nothing(at: Any, nora: User, workspace: Workspace, ada: User) -> None:
    silence(nora, workspace, ada)
    before = stored()

    with published() as told:
        silence(nora, workspace, ada)

    assert told == []
    assert stored() == before


def writing_of(user: User, api: Api, general: Channel, message: Message, other_id: int) -> dict[str, tuple[int, str]]:
    """What each call that writes is answered, for somebody who wrote `message`."""
    calls: list[tuple[str, dict[str, Any]]] = [
        ("message.send", {"channel_id": general.pk, "body": "again"}),
        ("message.update", {"message_id": message.pk, "body": "changed"}),
        ("message.react", {"message_id": message.pk, "emoji": "👍"}),
        ("message.unreact", {"message_id": message.pk, "emoji": "👍"}),
        ("message.toggle_react", {"message_id": message.pk, "emoji": "👍"}),
        ("message.pin", {"message_id": message.pk}),
        ("message.unpin", {"message_id": message.pk}),
        ("typing.relay", {"channel_id": general.pk, "state": "start"}),
        ("channel.create", {"workspace_id": general.workspace_id, "kind": "public", "name": "mine"}),
        ("channel.create", {"workspace_id": general.workspace_id, "kind": "direct", "peer_ids": [other_id]}),
    ]
    answers = {}
    for method, params in calls:
        answer = api(user)(method, **params)
        answers[f"{method} {params.get('kind', '')}".strip()] = (answer.status, answer.body.get("code", ""))
    return answers


def test_who_is_silenced_writes_nothing_anywhere_in_the_workspace(
    at: Any, nora: User, api: Api, general: Channel, ada: User, bob: User
) -> None:
    message = say(ada, general)
    silence(nora, general.workspace, ada)
    before = stored()

    answers = writing_of(ada, api, general, message, bob.pk)

    assert answers == dict.fromkeys(answers, (403, "silenced"))
    after = stored()
    assert {table for table in before if before[table] != after[table]} <= {"groups.ApiToken"}


def test_an_admin_of_a_channel_who_is_silenced_does_not_rename_it(
    at: Any, nora: User, api: Api, workspace: Workspace, ada: User
) -> None:
    hers = make_channel(ada, workspace, "hers")
    silence(nora, workspace, ada)

    assert api(ada)("channel.update", channel_id=hers.pk, topic="shouting on").said == (403, "silenced")


def test_the_refusal_says_until_when(at: Any, nora: User, api: Api, general: Channel, ada: User) -> None:
    silence(nora, general.workspace, ada)

    answer = api(ada)("message.send", channel_id=general.pk, body="again")

    assert answer.body["detail"] == "You may only read here until 2026-11-21 10:00 UTC."


def test_others_and_other_workspaces_are_not_silenced(
    at: Any, nora: User, api: Api, general: Channel, ada: User, bob: User
) -> None:
    silence(nora, general.workspace, ada)
    home = api(ada)("workspace.create", name="Home").body["workspace"]["id"]

    assert api(ada)("channel.create", workspace_id=home, kind="public", name="mine").status == 200
    answers = writing_of(bob, api, general, say(bob, general), ada.pk)
    assert answers == dict.fromkeys(answers, (200, ""))


def test_a_silence_ends_by_itself(at: Any, nora: User, general: Channel, ada: User) -> None:
    silence(nora, general.workspace, ada)

    at(HOUR)

    assert say(ada, general, "sorry").body == "sorry"


def test_who_may_write_again_is_told_and_does(at: Any, nora: User, api: Api, general: Channel, ada: User) -> None:
    silence(nora, general.workspace, ada)

    with published() as told:
        unsilence(nora, general.workspace, ada)

    assert [(event.name, event.user_ids) for event in told] == [("workspace.updated", ids(ada))]
    assert told[0].data["workspace"] == api(ada)("client.boot").body["workspaces"][0]
    assert say(ada, general, "thank you").body == "thank you"
    assert written()[-1][1:3] == (AuditAction.MEMBER_UNSILENCED, f"user:{ada.pk}")


def test_letting_write_who_may_already_changes_nothing(at: Any, nora: User, workspace: Workspace, ada: User) -> None:
    silence(nora, workspace, ada)
    at(HOUR)
    before = stored()

    with published() as told:
        unsilence(nora, workspace, ada)

    assert told == []
    assert stored() == before


def test_a_retry_of_what_was_sent_before_the_silence_is_answered(
    at: Any, nora: User, general: Channel, ada: User
) -> None:
    first = say(ada, general, "hello", client_msg_id="k1")
    silence(nora, general.workspace, ada)

    assert say(ada, general, "hello", client_msg_id="k1").pk == first.pk


def test_one_who_is_silenced_does_not_stop_others_who_send_at_the_same_time(
    at: Any, nora: User, general: Channel, ada: User, bob: User
) -> None:
    silence(nora, general.workspace, ada)

    refused, sent = send_messages([Draft(ada, general.pk, "one"), Draft(bob, general.pk, "two")])

    assert isinstance(refused, Silenced)
    assert isinstance(sent, Sent)


def test_a_silence_costs_sending_no_query(at: Any, nora: User, general: Channel, ada: User, bob: User) -> None:
    def queries(body: str) -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            say(bob, general, body)
        return [query["sql"] for query in captured.captured_queries]

    queries("warm")
    calm = queries("calm")
    silence(nora, general.workspace, ada)

    assert len(queries("after")) == len(calm)
    assert len([sql for sql in calm if "silenced_until" in sql]) == 1
    assert "groups_channelmember" in next(sql for sql in calm if "silenced_until" in sql)


def test_leaving_and_coming_back_does_not_end_a_silence(
    at: Any, nora: User, api: Api, general: Channel, grace: User, ada: User
) -> None:
    update_workspace(editor=grace, workspace_id=general.workspace_id, open=True)
    silence(nora, general.workspace, ada)
    leave_workspace(user=ada, workspace_id=general.workspace_id)

    with published() as told:
        join_open_workspace(user=ada, workspace_id=general.workspace_id)

    assert api(ada)("channel.join", channel_id=general.pk).status == 200
    assert api(ada)("message.send", channel_id=general.pk, body="again").said == (403, "silenced")
    own = [event.data["workspace"] for event in told if event.user_ids == ids(ada)]
    assert own[-1] == api(ada)("client.boot").body["workspaces"][0]


def test_who_comes_back_after_the_silence_or_its_end_may_write(
    at: Any, nora: User, general: Channel, grace: User, ada: User, bob: User
) -> None:
    silence(nora, general.workspace, ada)
    silence(nora, general.workspace, bob, 2 * HOUR)
    unsilence(nora, general.workspace, bob)
    for user in (ada, bob):
        leave_workspace(user=user, workspace_id=general.workspace_id)

    at(HOUR)
    for user in (ada, bob):
        bring(user, general.workspace)

    assert not WorkspaceMember.objects.filter(silenced_until__isnull=False).exists()


@pytest.mark.parametrize("for_", [timedelta(), -HOUR, timedelta(days=367)])
def test_a_silence_ends_in_the_future_and_not_too_far_away(
    at: Any, nora: User, workspace: Workspace, ada: User, for_: timedelta
) -> None:
    with pytest.raises(ValidationError):
        silence(nora, workspace, ada, for_)


def test_nobody_moderates_themself_or_an_owner(
    at: Any, nora: User, grace: User, workspace: Workspace, ada: User
) -> None:
    bring(nora, workspace)
    before = stored()

    for subject in (nora, grace):
        for deed in (silence, unsilence, remove):
            with pytest.raises(PermissionDenied):
                deed(nora, workspace, subject)

    assert stored() == before


def test_who_is_not_there_cannot_be_silenced(at: Any, nora: User, workspace: Workspace, eve: User) -> None:
    for deed in (silence, unsilence):
        with pytest.raises(ObjectDoesNotExist):
            deed(nora, workspace, eve)


def test_a_role_in_the_workspace_decides_without_a_right_over_the_site(
    at: Any, workspace: Workspace, mia: User, grace: User, ada: User, bob: User, eve: User
) -> None:
    for moderator, subject, error in [
        (eve, ada, Workspace.DoesNotExist),
        (bob, ada, PermissionDenied),
        (mia, grace, PermissionDenied),
        (mia, mia, PermissionDenied),
    ]:
        for deed in (silence, unsilence):
            with pytest.raises(error):
                deed(moderator, workspace, subject, as_moderator=False)

    silence(mia, workspace, ada, as_moderator=False)
    unsilence(grace, workspace, ada, as_moderator=False)
    assert [(actor, action) for actor, action, *_rest in written()] == [
        (mia, AuditAction.MEMBER_SILENCED),
        (grace, AuditAction.MEMBER_UNSILENCED),
    ]


def test_a_moderator_of_the_workspace_silences_through_the_api(
    at: Any, api: Api, general: Channel, mia: User, ada: User, bob: User, eve: User
) -> None:
    member = {"workspace_id": general.workspace_id, "user_id": ada.pk, "reason": "insults"}

    answer = api(mia)("workspace.silence_member", **member, minutes=60)
    assert answer.body == {
        "workspace_id": general.workspace_id,
        "user_id": ada.pk,
        "silenced_until": "2026-11-21T10:00:00.000Z",
    }
    for door, said in ((api(bob), (403, "forbidden")), (api(ada), (403, "forbidden")), (api(eve), (404, "not_found"))):
        assert door("workspace.silence_member", **member, minutes=60).said == said
        assert door("workspace.unsilence_member", **member).said == said
    assert api(mia)("workspace.unsilence_member", **member).body["silenced_until"] is None
    assert [(actor, action, reason) for actor, action, _target, _id, reason, _details in written()] == [
        (mia, AuditAction.MEMBER_SILENCED, "insults"),
        (mia, AuditAction.MEMBER_UNSILENCED, "insults"),
    ]


def test_a_list_of_members_says_who_is_silenced_to_those_alone_who_may_end_it(
    at: Any, api: Api, general: Channel, grace: User, mia: User, ada: User, bob: User
) -> None:
    workspace_id = general.workspace_id
    for user in (ada, mia):
        silence = {"workspace_id": workspace_id, "user_id": user.pk, "reason": "insults", "minutes": 60}
        assert api(grace)("workspace.silence_member", **silence).status == 200

    def told(reader: User) -> set[str]:
        listed = api(reader)("user.list", workspace_id=workspace_id).body["users"]
        return {row["username"] for row in listed if row["silenced_until"] is not None}

    assert (told(grace), told(mia), told(ada), told(bob)) == ({"ada", "mia"}, {"ada"}, set(), set())


@pytest.mark.parametrize(
    "wrong", [{"minutes": 0}, {"minutes": 366 * 24 * 60 + 1}, {"minutes": "60"}, {"reason": " "}, {"reason": "x" * 501}]
)
def test_a_silence_through_the_api_needs_a_time_and_a_reason(
    at: Any, api: Api, general: Channel, mia: User, ada: User, wrong: dict[str, Any]
) -> None:
    right = {"workspace_id": general.workspace_id, "user_id": ada.pk, "reason": "insults", "minutes": 60}

    assert api(mia)("workspace.silence_member", **right | wrong).said == (400, "invalid")
    assert not WorkspaceMember.objects.filter(silenced_until__isnull=False).exists()


def test_reasons_of_the_page_are_written_down(api: Api, general: Channel, mia: User, ada: User) -> None:
    message = say(ada, general)

    api(mia)("message.delete", message_id=message.pk, reason="insult")
    api(mia)("workspace.remove_member", workspace_id=general.workspace_id, user_id=ada.pk, reason="spam")

    assert [entry[4] for entry in written()] == ["insult", "spam"]


def test_a_removal_is_told_and_written_down(
    nora: User, api: Api, general: Channel, direct: Channel, grace: User, ada: User, bob: User
) -> None:
    with published() as told:
        remove(nora, general.workspace, ada)

    assert written() == [
        (nora, AuditAction.MEMBER_REMOVED, f"user:{ada.pk}", general.workspace_id, "spam", {"role": Role.MEMBER}),
    ]
    own = [event for event in told if ada.pk in event.user_ids]
    assert {event.name for event in own} >= {"channel.removed", "workspace.member_left"}
    assert "workspace.member_left" in names([event for event in told if bob.pk in event.user_ids])
    assert api(ada)("message.list", channel_id=direct.pk).said == (404, "not_found")


def test_removing_who_is_gone_writes_nothing(nora: User, general: Channel, ada: User) -> None:
    remove(nora, general.workspace, ada)
    before = stored()

    with published() as told:
        remove(nora, general.workspace, ada)

    assert told == []
    assert stored() == before


def test_a_removal_by_a_workspace_role_is_written_down_too(workspace: Workspace, mia: User, ada: User) -> None:
    remove_member(remover=mia, workspace_id=workspace.pk, user_id=ada.pk)

    assert [(actor, action) for actor, action, *_rest in written()] == [(mia, AuditAction.MEMBER_REMOVED)]


def test_a_revoked_invite_lets_nobody_in(nora: User, workspace: Workspace, grace: User, eve: User) -> None:
    invite, token = invite_to_workspace(inviter=grace, workspace_id=workspace.pk, days=1)

    for _ in range(2):
        moderation.revoke_invite(moderator=nora, invite_id=invite.pk, reason="it was posted in public")

    with pytest.raises(ValidationError):
        join_workspace(user=eve, token=token)
    assert [entry[1:3] for entry in written()] == [(AuditAction.INVITE_REVOKED, f"invite:{invite.pk}")]
    with pytest.raises(Invite.DoesNotExist):
        moderation.revoke_invite(moderator=nora, invite_id=invite.pk + 1, reason="none")


def test_a_revoked_token_is_refused(nora: User, api: Api, ada: User) -> None:
    door = api(ada)
    assert door("client.boot").status == 200
    token = ApiToken.objects.get()

    for _ in range(2):
        moderation.revoke_token(moderator=nora, token_id=token.pk, reason="leaked")

    assert door("client.boot").status == 401
    assert [entry[1:] for entry in written()] == [
        (AuditAction.TOKEN_REVOKED, f"token:{token.pk}", None, "leaked", {"owner_id": ada.pk})
    ]


def test_a_deactivated_account_is_closed_and_may_be_opened_again(nora: User, api: Api, ada: User) -> None:
    door = api(ada)

    for _ in range(2):
        moderation.deactivate_user(moderator=nora, user_id=ada.pk, reason="left the company")
    assert door("client.boot").status == 401
    for _ in range(2):
        moderation.reactivate_user(moderator=nora, user_id=ada.pk, reason="came back")

    ada.refresh_from_db()
    assert ada.is_active
    assert [entry[1:5] for entry in written()] == [
        (AuditAction.USER_DEACTIVATED, f"user:{ada.pk}", None, "left the company"),
        (AuditAction.USER_REACTIVATED, f"user:{ada.pk}", None, "came back"),
    ]


def test_no_account_is_closed_by_itself_or_a_superusers_by_somebody_else(nora: User) -> None:
    root = User.objects.create_superuser("root")

    for subject in (nora, root):
        with pytest.raises(PermissionDenied):
            moderation.deactivate_user(moderator=nora, user_id=subject.pk, reason="a coup")

    assert User.objects.filter(is_active=True).count() == 2


def test_edits_in_an_archived_channel_are_refused_for_the_archive_first(
    at: Any, nora: User, api: Api, general: Channel, grace: User, ada: User
) -> None:
    message = say(ada, general)
    archive_channel(archiver=grace, channel_id=general.pk)
    silence(nora, general.workspace, ada)

    assert api(ada)("message.update", message_id=message.pk, body="x").said == (409, "channel_archived")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_moderators_who_delete_at_once_one_does_and_one_entry_is_written() -> None:

    grace, nora = make_user("grace"), make_user("nora", is_staff=True)
    workspace = create_workspace(creator=grace, name="Engines")
    message = say(grace, make_channel(grace, workspace, "general"))

    at_once(
        *[lambda: moderation.delete_message(moderator=nora, message_id=message.pk, reason="twice") for _ in range(4)]
    )

    assert len(written()) == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_moderators_who_remove_at_once_one_does_and_one_entry_is_written() -> None:

    grace, ada, nora = make_user("grace"), make_user("ada"), make_user("nora", is_staff=True)
    workspace = create_workspace(creator=grace, name="Engines")
    bring(ada, workspace)

    at_once(*[lambda: remove(nora, workspace, ada) for _ in range(4)])

    assert len(written()) == 1
