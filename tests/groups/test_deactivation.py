"""The end of an account: what it had is closed for good, what it wrote stays, and others know."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from groups.actions.direct import open_direct_channel
from groups.actions.sending import send_message
from groups.actions.users import deactivate_user, reactivate_user
from groups.actions.workspaces import invite_to_workspace, set_role
from groups.models import AuditEntry, Channel, Invite, Mention, User, Workspace
from groups.models.workspace import Role
from realtime.errors import Conflict
from tests.cast import Api, at_once, ids, names, published, say, stored


def test_who_sees_them_is_told_and_the_audit_log_has_it(
    workspace: Workspace, general: Channel, grace: User, ada: User, bob: User, gus: User, eve: User
) -> None:
    with published() as told:
        deactivate_user(user=ada, moderator=grace, reason="left the company")

    assert [(event.name, event.user_ids, event.data["user"]["active"]) for event in told] == [
        ("user.updated", ids(ada), False),
        ("user.updated", ids(grace, bob), False),
    ]
    assert "email" not in told[1].data["user"]
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.target) == (grace, "user.deactivated", f"user:{ada.pk}")


def test_once_more_changes_nothing_and_tells_nobody(general: Channel, ada: User) -> None:
    deactivate_user(user=ada)
    before = stored()

    deactivate_user(user=ada)

    assert stored() == before


def test_tokens_and_sign_ins_end_and_do_not_come_back(api: Api, client: Client, general: Channel, ada: User) -> None:
    call = api(ada)
    ada.set_password("engines and looms")
    ada.save()
    client.login(username="ada", password="engines and looms")
    assert (call("user.me").status, client.get("/api/user.me").status_code) == (200, 200)

    deactivate_user(user=ada)
    assert call("user.me").said == (401, "not_signed_in")
    assert client.get("/api/user.me").status_code == 401
    assert not Client().login(username="ada", password="engines and looms")

    reactivate_user(user=ada)
    assert call("user.me").said == (401, "not_signed_in")
    assert client.get("/api/user.me").status_code == 401
    again = Client()
    assert again.login(username="ada", password="engines and looms")
    assert again.get("/api/user.me").status_code == 200


def test_their_invites_end(workspace: Workspace, grace: User, ada: User, bob: User) -> None:
    set_role(setter=grace, workspace_id=workspace.pk, user_id=ada.pk, role=Role.ADMIN)
    theirs = invite_to_workspace(inviter=ada, workspace_id=workspace.pk, days=1).invite
    others = invite_to_workspace(inviter=grace, workspace_id=workspace.pk, days=1).invite

    deactivate_user(user=ada)

    usable = set(Invite.objects.usable().values_list("pk", flat=True))
    assert others.pk in usable
    assert theirs.pk not in usable


def test_what_they_wrote_stays_and_lists_mark_them(
    api: Api, workspace: Workspace, general: Channel, ada: User, bob: User
) -> None:
    message = say(ada, general, "hello")
    deactivate_user(user=ada)
    call = api(bob)

    assert call("message.get", message_id=message.pk).body["message"]["body"] == "hello"
    for answer in (
        call("channel.members", channel_id=general.pk),
        call("workspace.members", workspace_id=workspace.pk),
    ):
        assert {row["user"]["username"] for row in answer.body["members"] if not row["user"]["active"]} == {"ada"}
    listed = call("user.list", workspace_id=workspace.pk).body["users"]
    assert [one["username"] for one in listed if not one["active"]] == ["ada"]
    assert call("user.get", user_id=ada.pk).body["user"]["active"] is False


def test_nobody_adds_mentions_or_opens_a_direct_channel_with_them(
    api: Api, workspace: Workspace, lounge: Channel, general: Channel, grace: User, ada: User, bob: User
) -> None:
    deactivate_user(user=ada)
    call = api(grace)

    assert call("channel.add_members", channel_id=lounge.pk, user_ids=[ada.pk]).said == (400, "invalid")
    opened = call("channel.create", workspace_id=workspace.pk, kind="direct", peer_ids=[ada.pk])
    assert opened.said == (400, "invalid")
    say(bob, general, "hello @ada and @channel")
    assert not Mention.objects.filter(user=ada).exists()


def test_a_direct_channel_with_them_is_read_and_not_written(
    api: Api, direct: Channel, ada: User, bob: User, settings: Any
) -> None:
    message = say(ada, direct, "hello")
    deactivate_user(user=ada)
    call = api(bob)
    before = stored()["groups.Message"]

    assert call("message.send", channel_id=direct.pk, body="are you there?").said == (409, "nobody_there")
    assert call("typing.relay", channel_id=direct.pk, state="start").said == (409, "nobody_there")
    assert stored()["groups.Message"] == before
    listed = call("message.list", channel_id=direct.pk).body["messages"]
    assert [one["id"] for one in listed] == [message.pk]
    [shown] = [one for one in call("channel.list").body["channels"] if one["id"] == direct.pk]
    assert {one["username"]: one["active"] for one in shown["members"]} == {"ada": False, "bob": True}

    reactivate_user(user=ada)
    assert call("message.send", channel_id=direct.pk, body="welcome back").status == 200


def test_a_direct_channel_with_others_too_goes_on(
    api: Api, workspace: Workspace, grace: User, ada: User, bob: User
) -> None:
    three = open_direct_channel(creator=bob, workspace_id=workspace.pk, other_ids=[ada.pk, grace.pk])
    alone = open_direct_channel(creator=bob, workspace_id=workspace.pk, other_ids=[])
    deactivate_user(user=ada)
    call = api(bob)

    assert call("message.send", channel_id=three.pk, body="hello").status == 200
    assert call("message.send", channel_id=alone.pk, body="a note").status == 200


def test_a_retry_of_what_was_sent_before_gets_the_first_message(direct: Channel, ada: User, bob: User) -> None:
    first = say(bob, direct, "hello", client_msg_id="one")
    deactivate_user(user=ada)

    again = send_message(author=bob, channel_id=direct.pk, body="hello", client_msg_id="one")

    assert (again.message.pk, again.duplicate) == (first.pk, True)


def test_the_last_owner_of_a_workspace_is_not_deactivated(workspace: Workspace, grace: User, ada: User) -> None:
    before = stored()

    with pytest.raises(Conflict, match="last owner of “Engines”") as refusal:
        deactivate_user(user=grace)

    assert refusal.value.code == "last_owner"
    assert stored() == before
    set_role(setter=grace, workspace_id=workspace.pk, user_id=ada.pk, role=Role.OWNER)
    assert not deactivate_user(user=grace).is_active


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_two_owners_who_are_deactivated_at_once_one_stays(workspace: Workspace, grace: User, ada: User) -> None:
    set_role(setter=grace, workspace_id=workspace.pk, user_id=ada.pk, role=Role.OWNER)

    def end(user: User) -> Callable[[], bool]:
        def call() -> bool:
            try:
                deactivate_user(user=user)
            except Conflict:
                return False
            return True

        return call

    assert sorted(at_once(end(grace), end(ada))) == [False, True]
    assert workspace.members.filter(role=Role.OWNER, user__is_active=True).count() == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_who_is_deactivated_twice_at_once_is_told_of_once(general: Channel, ada: User) -> None:
    with published() as told:
        at_once(*[lambda: deactivate_user(user=ada)] * 4)

    assert names(told) == ["user.updated", "user.updated"]
    assert AuditEntry.objects.count() == 1


def test_the_command_ends_an_account_and_opens_it_again(general: Channel, ada: User, bob: User) -> None:
    out = StringIO()
    with published() as told:
        call_command("deactivate_user", "ADA", reason="left", stdout=out)
        call_command("reactivate_user", "ada", stdout=out)

    assert out.getvalue() == "ada is deactivated.\nada may sign in again.\n"
    assert [event.data["user"]["active"] for event in told] == [False, False, True, True]
    entries = AuditEntry.objects.order_by("number")
    assert [(entry.actor, entry.action, entry.reason) for entry in entries] == [
        (None, "user.deactivated", "left"),
        (None, "user.reactivated", "command line"),
    ]


def test_the_command_says_what_is_wrong(workspace: Workspace, grace: User) -> None:
    with pytest.raises(CommandError, match="no user 'nobody'"):
        call_command("deactivate_user", "nobody")
    with pytest.raises(CommandError, match="last owner of “Engines”"):
        call_command("deactivate_user", "grace")
    assert User.objects.get(pk=grace.pk).is_active
