from datetime import timedelta
from typing import NamedTuple

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from groups.audiences import members_of
from groups.events import WorkspaceMemberJoined
from groups.models import Invite, User, Workspace, WorkspaceMember, secrets
from groups.models.workspace import MANAGERS, Role
from groups.payloads import user_payload, workspace_payload
from realtime import clock
from realtime.publish import publish


class Invited(NamedTuple):
    invite: Invite
    token: str
    """Shown once; only its hash is stored."""


def create_workspace(*, creator: User, name: str, open: bool = False) -> Workspace:
    """Make a workspace; its creator owns it."""
    name = " ".join(name.split())
    if not name:
        raise ValidationError({"name": _("Give the workspace a name.")})
    with transaction.atomic():
        workspace = Workspace.objects.create(name=name, open=open, created_by=creator, created_at=clock.now())
        _add(workspace, creator, role=Role.OWNER)
    return workspace


def invite_to_workspace(*, inviter: User, workspace_id: int, days: int, max_uses: int | None = None) -> Invited:
    """Make an invite link. Owners and admins may."""
    workspace = Workspace.objects.open_to(inviter).get(pk=workspace_id)
    if not workspace.members.filter(user=inviter, role__in=MANAGERS).exists():
        raise PermissionDenied(_("Only owners and admins may invite."))
    now, token = clock.now(), secrets.make("inv")
    invite = Invite.objects.create(
        workspace=workspace,
        token_hash=secrets.digest(token),
        created_by=inviter,
        created_at=now,
        expires_at=now + timedelta(days=days),
        max_uses=max_uses,
    )
    return Invited(invite, token)


def join_workspace(*, user: User, token: str) -> Workspace:
    """Use an invite. A member who uses one again changes nothing and uses nothing up.

    Raises Invite.DoesNotExist for an unknown one, ValidationError (invite_unusable) for one that is used up, expired or
    revoked. Of concurrent uses of the last one exactly one wins.
    """
    invite = Invite.objects.for_token(token).select_related("workspace").get()
    with transaction.atomic():
        workspace = Workspace.objects.select_for_update().get(pk=invite.workspace_id)
        if workspace.members.filter(user=user).exists():
            return workspace
        if not Invite.objects.usable().filter(pk=invite.pk).update(uses=F("uses") + 1):
            unusable = _("This invite is used up, expired or revoked. Ask for a new one.")
            raise ValidationError({"token": ValidationError(unusable, code="invite_unusable")})
        _add(workspace, user, role=Role.MEMBER)
    return workspace


def join_open_workspace(*, user: User, workspace_id: int) -> Workspace:
    """Join a workspace that is open to everybody with an account. A member who joins again changes nothing."""
    with transaction.atomic():
        workspace = Workspace.objects.select_for_update().get(pk=workspace_id)
        if workspace.members.filter(user=user).exists():
            return workspace
        if not workspace.open:
            raise Workspace.DoesNotExist
        _add(workspace, user, role=Role.MEMBER)
    return workspace


def _add(workspace: Workspace, user: User, *, role: Role) -> None:
    rev = workspace.next_members_rev()
    WorkspaceMember.objects.create(workspace=workspace, user=user, role=role, joined_rev=rev, joined_at=clock.now())
    workspace.save(update_fields=["rev", "members_rev"])
    payload = workspace_payload(workspace, workspace.members.count())
    joined = WorkspaceMemberJoined(workspace=payload, user=user_payload(user), role=role)
    publish(joined, to=members_of(workspace), order=workspace.order)
