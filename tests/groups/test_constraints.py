"""What the database itself refuses, whatever the code above it does."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from groups.models import ApiToken, Channel, ChannelMember, Invite, Message, ReadCursor, User, Workspace
from groups.models.channel import Kind
from realtime import clock
from tests.cast import make_user, say


def refused(name: str, change: Callable[[], Any]) -> None:
    with pytest.raises(IntegrityError) as refusal, transaction.atomic():
        change()
    # SQLite names the columns of a unique constraint and not the constraint.
    assert name in str(refusal.value) or (connection.vendor == "sqlite" and "UNIQUE" in str(refusal.value))


def a_channel(workspace: Workspace, **fields: Any) -> Channel:
    return Channel.objects.create(
        workspace=workspace, created_by=workspace.created_by, created_at=clock.now(), **fields
    )


def test_two_usernames_differ_in_more_than_case(ada: User) -> None:
    refused("one_user_per_name_in_any_case", lambda: make_user("ADA"))


def test_two_channel_names_of_a_workspace_differ_in_more_than_case(workspace: Workspace, general: Channel) -> None:
    refused("one_channel_per_name_in_any_case", lambda: a_channel(workspace, kind=Kind.PRIVATE, name="GENERAL"))


def test_a_set_of_people_has_one_direct_channel(workspace: Workspace, direct: Channel) -> None:
    refused(
        "one_direct_channel_per_members",
        lambda: a_channel(workspace, kind=Kind.DIRECT, direct_key=direct.direct_key),
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": Kind.DIRECT},
        {"kind": Kind.DIRECT, "direct_key": "1,2", "name": "tea"},
        {"kind": Kind.PUBLIC},
        {"kind": Kind.PUBLIC, "name": "tea", "direct_key": "1,2"},
    ],
)
def test_a_channel_has_a_name_or_members_for_a_name(workspace: Workspace, fields: dict[str, Any]) -> None:
    refused("a_direct_channel_has_members_for_a_name", lambda: a_channel(workspace, **fields))


def test_a_channel_kind_is_known(workspace: Workspace) -> None:
    refused("a_channel_kind_is_known", lambda: a_channel(workspace, kind="room", name="tea"))


def test_the_rev_of_the_members_is_one_of_the_channel(general: Channel) -> None:
    refused("members_rev_is_a_rev", lambda: Channel.objects.update(members_rev=general.rev + 1))


def test_roles_are_known(general: Channel) -> None:
    refused("a_channel_role_is_known", lambda: general.members.update(role="king"))
    refused("a_workspace_role_is_known", lambda: general.workspace.members.update(role="king"))


def test_somebody_is_a_member_once(general: Channel, ada: User) -> None:
    refused(
        "one_membership_per_channel_and_user",
        lambda: ChannelMember.objects.create(channel=general, user=ada, joined_rev=1, joined_at=clock.now()),
    )
    refused(
        "one_membership_per_workspace_and_user",
        lambda: general.workspace.members.create(user=ada, joined_rev=1, joined_at=clock.now()),
    )


def test_somebody_has_one_cursor_per_channel(general: Channel, ada: User) -> None:
    refused("one_cursor_per_user_and_channel", lambda: ReadCursor.objects.create(user=ada, channel=general))


def test_a_key_of_an_author_belongs_to_one_message(general: Channel, ada: User) -> None:
    say(ada, general, client_msg_id="m-1")
    other = say(ada, general)

    refused("one_message_per_client_id", lambda: Message.objects.filter(pk=other.pk).update(client_msg_id="m-1"))


def test_a_deleted_message_has_no_text(general: Channel, ada: User) -> None:
    say(ada, general)

    refused(
        "the_text_of_a_deleted_message_is_erased",
        lambda: Message.objects.update(deleted_at=clock.now(), deleted_by=ada),
    )


def test_a_deletion_has_a_moment_and_a_person(general: Channel, ada: User) -> None:
    say(ada, general)

    refused("a_deletion_has_a_moment", lambda: Message.objects.update(body="", html="", deleted_at=clock.now()))
    refused("a_deletion_has_a_moment", lambda: Message.objects.update(body="", html="", deleted_by=ada))


def test_an_invite_is_not_used_too_often(workspace: Workspace, grace: User) -> None:
    now = clock.now()
    workspace.invites.create(
        token_hash="0" * 64, created_by=grace, created_at=now, expires_at=now + timedelta(days=1), max_uses=1
    )

    refused("an_invite_is_not_used_too_often", lambda: Invite.objects.update(uses=2))


def test_secrets_are_unique(workspace: Workspace, grace: User) -> None:
    now = clock.now()
    fields = {"token_hash": "0" * 64, "created_at": now, "expires_at": now}
    workspace.invites.create(created_by=grace, **fields)
    ApiToken.objects.create(owner=grace, name="a", prefix="msh", scopes=["read"], **fields)

    refused("token_hash", lambda: workspace.invites.create(created_by=grace, **fields))
    refused(
        "token_hash", lambda: ApiToken.objects.create(owner=grace, name="b", prefix="msh", scopes=["read"], **fields)
    )


def test_a_workspace_has_a_name(workspace: Workspace) -> None:
    refused("a_workspace_has_a_name", lambda: Workspace.objects.update(name=""))


def test_who_wrote_something_cannot_be_removed_from_history(general: Channel, ada: User) -> None:
    say(ada, general)

    with pytest.raises(IntegrityError):
        ada.delete()
