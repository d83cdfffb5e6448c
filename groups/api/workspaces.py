from typing import Any, TypedDict

from django.utils.translation import gettext as _
from rest_framework import serializers

from groups.actions.workspaces import (
    create_workspace,
    invite_to_workspace,
    join_open_workspace,
    join_workspace,
)
from groups.api.callers import user_of
from groups.api.channels import MembersAnswer, members_page
from groups.api.fields import Text, Whole, cursor_field, id_field, limit_field
from groups.models import User, Workspace
from groups.payloads import OwnWorkspacePayload, WorkspacePayload, workspace_payload
from realtime import clock
from realtime.commands import Caller, Params, method


class WorkspaceAnswer(TypedDict):
    workspace: OwnWorkspacePayload


class WorkspacesAnswer(TypedDict):
    workspaces: list[OwnWorkspacePayload]
    open_workspaces: list[WorkspacePayload]


class InvitePayload(TypedDict):
    id: int
    token: str
    url: str
    expires_at: str
    max_uses: int | None
    uses: int


class InviteAnswer(TypedDict):
    invite: InvitePayload


def own_workspaces(user: User) -> list[OwnWorkspacePayload]:
    roles = dict(user.workspace_memberships.values_list("workspace_id", "role"))
    rows = Workspace.objects.filter(pk__in=roles).with_member_count().order_by("pk")
    return [{**workspace_payload(row, row.member_count), "role": roles[row.pk]} for row in rows]


def joinable_workspaces(user: User) -> list[WorkspacePayload]:
    rows = Workspace.objects.joinable_by(user).with_member_count().order_by("pk")[:100]
    return [workspace_payload(row, row.member_count) for row in rows]


class WorkspaceCreateParams(Params):
    name = Text(max_length=80)


@method("workspace.create", params=WorkspaceCreateParams, answer=WorkspaceAnswer, scope="write")
def create(caller: Caller, params: dict[str, Any]) -> WorkspaceAnswer:
    """Make a workspace that I own."""
    user = user_of(caller)
    return _workspace(user, create_workspace(creator=user, **params))


class NoParams(Params):
    pass


@method("workspace.list", params=NoParams, answer=WorkspacesAnswer, scope="read")
def list_workspaces(caller: Caller, params: dict[str, Any]) -> WorkspacesAnswer:
    """My workspaces, and those that are open to everybody."""
    user = user_of(caller)
    return {"workspaces": own_workspaces(user), "open_workspaces": joinable_workspaces(user)}


class WorkspaceJoinParams(Params):
    token = Text(max_length=100, required=False)
    workspace_id = id_field(required=False)

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if len(values) != 1:
            raise serializers.ValidationError(
                _("Give the token of an invite, or the workspace_id of an open workspace.")
            )
        return values


@method("workspace.join", params=WorkspaceJoinParams, answer=WorkspaceAnswer, scope="write")
def join(caller: Caller, params: dict[str, Any]) -> WorkspaceAnswer:
    """Join with the `token` of an invite, or an open workspace by its id."""
    user = user_of(caller)
    if "token" in params:
        return _workspace(user, join_workspace(user=user, token=params["token"]))
    return _workspace(user, join_open_workspace(user=user, workspace_id=params["workspace_id"]))


class WorkspaceInviteParams(Params):
    workspace_id = id_field()
    days = Whole(min_value=1, max_value=365, default=7)
    max_uses = Whole(min_value=1, max_value=100_000, required=False, allow_null=True)


@method("workspace.invite", params=WorkspaceInviteParams, answer=InviteAnswer, scope="write")
def invite(caller: Caller, params: dict[str, Any]) -> InviteAnswer:
    """Make an invite. Its token is shown only in this answer; `url` is the page for it, below the server's address."""
    made = invite_to_workspace(inviter=user_of(caller), **params)
    return {
        "invite": {
            "id": made.invite.pk,
            "token": made.token,
            "url": f"/join/{made.token}/",
            "expires_at": clock.stamp(made.invite.expires_at),
            "max_uses": made.invite.max_uses,
            "uses": made.invite.uses,
        }
    }


class WorkspaceMembersParams(Params):
    workspace_id = id_field()
    after_id = cursor_field(default=0)
    limit = limit_field(default=100)


@method("workspace.members", params=WorkspaceMembersParams, answer=MembersAnswer, scope="read")
def members(caller: Caller, params: dict[str, Any]) -> MembersAnswer:
    """The members of a workspace, by user id, from `after_id` on."""
    workspace = Workspace.objects.open_to(user_of(caller)).get(pk=params["workspace_id"])
    return members_page(workspace.members, params["after_id"], params["limit"])


def _workspace(user: User, workspace: Workspace) -> WorkspaceAnswer:
    return {"workspace": next(own for own in own_workspaces(user) if own["id"] == workspace.pk)}
