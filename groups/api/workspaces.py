from typing import Any, TypedDict

from django.utils.translation import gettext as _
from rest_framework import serializers

from groups.actions.moderation import REASON_CHARACTERS
from groups.actions.workspaces import (
    create_workspace,
    invite_to_workspace,
    join_open_workspace,
    join_workspace,
    leave_workspace,
    remove_member,
    revoke_invite,
    set_role,
    update_workspace,
)
from groups.api.callers import user_of
from groups.api.channels import MembersAnswer, members_page
from groups.api.fields import Fact, Text, Whole, cursor_field, id_field, limit_field
from groups.models import Invite, User, Workspace, people
from groups.models.workspace import Role
from groups.payloads import (
    OwnWorkspacePayload,
    UserPayload,
    WorkspaceMemberRolePayload,
    WorkspacePayload,
    own_workspace_payload,
    user_payload,
    workspace_payload,
)
from groups.roles import Deed, check
from realtime import clock
from realtime.commands import Caller, Params, method


class WorkspaceAnswer(TypedDict):
    workspace: OwnWorkspacePayload


class WorkspacesAnswer(TypedDict):
    workspaces: list[OwnWorkspacePayload]
    open_workspaces: list[WorkspacePayload]


class InvitePayload(TypedDict):
    id: int
    role: str
    """With which whoever uses it begins: member or guest."""
    created_by: UserPayload
    created_at: str
    expires_at: str
    max_uses: int | None
    uses: int
    revoked: bool


class NewInvitePayload(InvitePayload):
    token: str
    url: str


class NewInviteAnswer(TypedDict):
    invite: NewInvitePayload


class InviteAnswer(TypedDict):
    invite: InvitePayload


class InvitesAnswer(TypedDict):
    invites: list[InvitePayload]
    has_more: bool
    next_before_id: int


class MemberRoleAnswer(TypedDict):
    member: WorkspaceMemberRolePayload


class RemovedAnswer(TypedDict):
    workspace_id: int
    user_id: int


class LeftAnswer(TypedDict):
    workspace_id: int


def own_workspaces(user: User) -> list[OwnWorkspacePayload]:
    mine = {member.workspace_id: member for member in user.workspace_memberships.all()}
    rows = Workspace.objects.filter(pk__in=mine).with_member_count().order_by("pk")
    return [own_workspace_payload(row, row.member_count, mine[row.pk]) for row in rows]


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


class WorkspaceParams(Params):
    workspace_id = id_field()


class WorkspaceUpdateParams(WorkspaceParams):
    name = Text(max_length=80, required=False)
    open = Fact(required=False)

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if len(values) == 1:
            raise serializers.ValidationError(_("Give a name, or open."))
        return values


@method("workspace.update", params=WorkspaceUpdateParams, answer=WorkspaceAnswer, scope="write")
def update(caller: Caller, params: dict[str, Any]) -> WorkspaceAnswer:
    """Rename a workspace, or open it to everybody with an account. Its owners and admins may."""
    user = user_of(caller)
    return _workspace(user, update_workspace(editor=user, **params))


class WorkspaceMemberParams(WorkspaceParams):
    user_id = id_field()


class WorkspaceRoleParams(WorkspaceMemberParams):
    role = serializers.ChoiceField(choices=Role.choices)


@method("workspace.set_role", params=WorkspaceRoleParams, answer=MemberRoleAnswer, scope="write")
def change_role(caller: Caller, params: dict[str, Any]) -> MemberRoleAnswer:
    """Give a member another role. Owners may give each role, admins those below theirs."""
    member = set_role(setter=user_of(caller), **params)
    return {"member": {"user_id": member.user_id, "role": member.role}}


class WorkspaceRemoveParams(WorkspaceMemberParams):
    reason = Text(max_length=REASON_CHARACTERS, required=False)


@method("workspace.remove_member", params=WorkspaceRemoveParams, answer=RemovedAnswer, scope="write")
def remove(caller: Caller, params: dict[str, Any]) -> RemovedAnswer:
    """Take somebody out of a workspace and all its channels. Who is not in it stays so.

    The audit log has the `reason`.
    """
    remove_member(remover=user_of(caller), **params)
    return {"workspace_id": params["workspace_id"], "user_id": params["user_id"]}


@method("workspace.leave", params=WorkspaceParams, answer=LeftAnswer, scope="write")
def leave(caller: Caller, params: dict[str, Any]) -> LeftAnswer:
    """Leave a workspace and all its channels. Its last owner cannot."""
    return {"workspace_id": leave_workspace(user=user_of(caller), **params).pk}


class WorkspaceInviteParams(WorkspaceParams):
    days = Whole(min_value=1, max_value=365, default=7)
    max_uses = Whole(min_value=1, max_value=100_000, required=False, allow_null=True)
    role = serializers.ChoiceField(choices=[Role.MEMBER, Role.GUEST], default=Role.MEMBER)


@method("workspace.invite", params=WorkspaceInviteParams, answer=NewInviteAnswer, scope="write")
def invite(caller: Caller, params: dict[str, Any]) -> NewInviteAnswer:
    """Make an invite. Its token is shown only in this answer; `url` is the page for it, below the server's address."""
    made = invite_to_workspace(inviter=user_of(caller), **params)
    return {"invite": {**_invite(made.invite), "token": made.token, "url": f"/join/{made.token}/"}}


class WorkspaceInvitesParams(WorkspaceParams):
    before_id = id_field(required=False)
    limit = limit_field(default=100)


@method("workspace.invites", params=WorkspaceInvitesParams, answer=InvitesAnswer, scope="read")
def invites(caller: Caller, params: dict[str, Any]) -> InvitesAnswer:
    """The invites of a workspace that can be used, the newest first, without their tokens."""
    user = user_of(caller)
    workspace = Workspace.objects.open_to(user).get(pk=params["workspace_id"])
    check(user, Deed.INVITE, workspace)
    usable = Invite.objects.usable().filter(workspace=workspace).select_related("created_by").order_by("-pk")
    if "before_id" in params:
        usable = usable.filter(pk__lt=params["before_id"])
    rows = list(usable[: params["limit"] + 1])
    page = rows[: params["limit"]]
    return {
        "invites": [_invite(row) for row in page],
        "has_more": len(rows) > len(page),
        "next_before_id": page[-1].pk if page else params.get("before_id", 0),
    }


class InviteParams(Params):
    invite_id = id_field()


@method("workspace.revoke_invite", params=InviteParams, answer=InviteAnswer, scope="write")
def revoke(caller: Caller, params: dict[str, Any]) -> InviteAnswer:
    """End an invite: nobody joins by it any more. Who joined stays."""
    return {"invite": _invite(revoke_invite(revoker=user_of(caller), **params))}


class WorkspaceMembersParams(WorkspaceParams):
    after_id = cursor_field(default=0)
    limit = limit_field(default=100)


@method("workspace.members", params=WorkspaceMembersParams, answer=MembersAnswer, scope="read")
def members(caller: Caller, params: dict[str, Any]) -> MembersAnswer:
    """The members of a workspace, by user id, from `after_id` on. Guests see those of their channels."""
    user = user_of(caller)
    workspace = Workspace.objects.open_to(user).get(pk=params["workspace_id"])
    seen = people.visible_to(user.pk).filter(workspace=workspace)
    return members_page(seen, params["after_id"], params["limit"])


def _invite(invite: Invite) -> InvitePayload:
    return {
        "id": invite.pk,
        "role": invite.role,
        "created_by": user_payload(invite.created_by),
        "created_at": clock.stamp(invite.created_at),
        "expires_at": clock.stamp(invite.expires_at),
        "max_uses": invite.max_uses,
        "uses": invite.uses,
        "revoked": invite.revoked_at is not None,
    }


def _workspace(user: User, workspace: Workspace) -> WorkspaceAnswer:
    return {"workspace": next(own for own in own_workspaces(user) if own["id"] == workspace.pk)}
