from collections.abc import Collection
from datetime import timedelta
from typing import NamedTuple

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from groups import roles
from groups.actions.audit import record
from groups.actions.locks import lock_workspace
from groups.actions.membership import remove_from_all
from groups.actions.silence import silence_on_return, tell_silence
from groups.audiences import members_of, witnesses_in
from groups.events import SyncReset, WorkspaceMemberJoined, WorkspaceMemberLeft, WorkspaceUpdated
from groups.models import Invite, User, Workspace, WorkspaceMember, people, secrets
from groups.models.audit import AuditAction
from groups.models.workspace import Role
from groups.payloads import WorkspacePayload, user_payload, workspace_payload
from groups.roles import Deed
from realtime import clock
from realtime.errors import Conflict
from realtime.publish import publish, users

OPEN_INVITES = 1_000
"""Of one workspace at a time that can be used."""


class Invited(NamedTuple):
    invite: Invite
    token: str
    """Shown once; only its hash is stored."""


def create_workspace(*, creator: User, name: str, open: bool = False) -> Workspace:
    """Make a workspace; its creator owns it."""
    name = _checked_name(name)
    with transaction.atomic():
        workspace = Workspace.objects.create(name=name, open=open, created_by=creator, created_at=clock.now())
        _add(workspace, creator, role=Role.OWNER)
    return workspace


def update_workspace(
    *, editor: User, workspace_id: int, name: str | None = None, open: bool | None = None
) -> Workspace:
    """Rename a workspace, or open it to everybody with an account. What is as it was tells nobody."""
    name = None if name is None else _checked_name(name)
    with transaction.atomic():
        workspace = lock_workspace(editor, workspace_id)
        roles.check(editor, Deed.UPDATE_WORKSPACE, workspace)
        before = workspace.name, workspace.open
        workspace.name = workspace.name if name is None else name
        workspace.open = workspace.open if open is None else open
        if (workspace.name, workspace.open) != before:
            workspace.next_rev()
            workspace.save(update_fields=["name", "open", "rev"])
            _tell(workspace)
    return workspace


def set_role(*, setter: User, workspace_id: int, user_id: int, role: str) -> WorkspaceMember:
    """Give a member another role. The same again changes nothing.

    Who becomes a guest or ceases to be one sees other people than before, and is told to look at everything anew.
    Raises Conflict for the last owner, WorkspaceMember.DoesNotExist for somebody who is not in the workspace.
    """
    with transaction.atomic():
        workspace = lock_workspace(setter, workspace_id)
        roles.check(setter, Deed.SET_ROLE, workspace)
        member = workspace.members.select_related("user").get(user=user_id)
        if not roles.allowed_over(Deed.SET_ROLE, roles.role_in(workspace_id, setter), member.role, role):
            raise PermissionDenied(_("Only owners may change the roles of owners and admins."))
        if member.role == role:
            return member
        before, member.role = member.role, role
        if before == Role.OWNER:
            _check_owned_without(workspace, member.user)
        member.save(update_fields=["role"])
        if role not in roles.RIGHTS[Deed.INVITE].roles:
            _revoke_invites_of(workspace, member.user)
        # A change of the members: who is a guest decides who hears of what.
        workspace.next_members_rev()
        workspace.save(update_fields=["rev", "members_rev"])
        unaware = _unaware_of(workspace, member.user)
        changed = WorkspaceUpdated(_payload(workspace), {"user_id": user_id, "role": role})
        publish(changed, to=witnesses_in(workspace, unaware), order=workspace.order)
        if Role.GUEST in (before, role):
            publish(SyncReset("role_changed"), to=users([user_id]), order=workspace.order)
    return member


def remove_member(
    *, remover: User, workspace_id: int, user_id: int, as_moderator: bool = False, reason: str = ""
) -> Workspace:
    """Take somebody else out of a workspace and all its channels. Who is not in it is a repeat, which changes nothing.

    `as_moderator` is for doors that have checked a right over the whole site, as the admin site does. The removal is in
    the audit log, with the reason. Raises Conflict for the last owner.
    """
    with transaction.atomic():
        if as_moderator:
            workspace = Workspace.objects.select_for_update().get(pk=workspace_id)
        else:
            workspace = lock_workspace(remover, workspace_id)
            roles.check(remover, Deed.REMOVE_MEMBER, workspace)
            if user_id == remover.pk:
                raise ValidationError({"user_id": _("To go yourself, leave the workspace.")})
        member = workspace.members.filter(user=user_id).select_related("user").first()
        if member is None:
            return workspace
        role = roles.role_in(workspace_id, remover)
        if not as_moderator and not roles.allowed_over(Deed.REMOVE_MEMBER, role, member.role):
            raise PermissionDenied(_("You may not remove somebody of this role."))
        _remove(workspace, member)
        record(
            actor=remover,
            action=AuditAction.MEMBER_REMOVED,
            target=f"user:{user_id}",
            workspace_id=workspace_id,
            reason=reason,
            role=member.role,
        )
    return workspace


def leave_workspace(*, user: User, workspace_id: int) -> Workspace:
    """Leave a workspace and all its channels. Raises Conflict for the last owner."""
    with transaction.atomic():
        workspace = lock_workspace(user, workspace_id)
        _remove(workspace, workspace.members.select_related("user").get(user=user))
    return workspace


def invite_to_workspace(
    *, inviter: User, workspace_id: int, days: int, max_uses: int | None = None, role: str = Role.MEMBER
) -> Invited:
    """Make an invite link, for members or guests. Raises Conflict above OPEN_INVITES."""
    if role not in (Role.MEMBER, Role.GUEST):
        raise ValidationError({"role": _("An invite makes members or guests.")})
    with transaction.atomic():
        workspace = lock_workspace(inviter, workspace_id)
        roles.check(inviter, Deed.INVITE, workspace)
        if workspace.invites.usable().count() >= OPEN_INVITES:
            raise Conflict("too_many_invites", _("There are too many open invites. Revoke some first."))
        now, token = clock.now(), secrets.make("inv")
        invite = Invite.objects.create(
            workspace=workspace,
            token_hash=secrets.digest(token),
            role=role,
            created_by=inviter,
            created_at=now,
            expires_at=now + timedelta(days=days),
            max_uses=max_uses,
        )
    return Invited(invite, token)


def revoke_invite(*, revoker: User, invite_id: int) -> Invite:
    """End an invite now: nobody joins by it any more. Revoking it again changes nothing."""
    with transaction.atomic():
        found = Invite.objects.in_workspaces_of(revoker).get(pk=invite_id)
        workspace = lock_workspace(revoker, found.workspace_id)
        roles.check(revoker, Deed.INVITE, workspace)
        workspace.invites.filter(pk=invite_id, revoked_at=None).update(revoked_at=clock.now())
        return workspace.invites.get(pk=invite_id)


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
        _add(workspace, user, role=invite.role)
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


def check_owned_without(user: User) -> None:
    """Raises Conflict where somebody is the last owner of a workspace. It locks those that they own."""
    owned = Workspace.objects.filter(members__user=user, members__role=Role.OWNER).values("pk")
    for workspace in Workspace.objects.select_for_update().filter(pk__in=owned).order_by("pk"):
        _check_owned_without(workspace, user)


def _checked_name(name: str) -> str:
    name = " ".join(name.split())
    if not name:
        raise ValidationError({"name": _("Give the workspace a name.")})
    return name


def _add(workspace: Workspace, user: User, *, role: str) -> None:
    # Read again under a lock, so that they are told of as they are now, and nobody comes who was just deactivated.
    user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if not user.is_active:
        raise PermissionDenied(_("The account was deactivated."))
    rev = workspace.next_members_rev()
    member = WorkspaceMember.objects.create(
        workspace=workspace,
        user=user,
        role=role,
        silenced_until=silence_on_return(user, workspace.pk),
        joined_rev=rev,
        joined_at=clock.now(),
    )
    workspace.save(update_fields=["rev", "members_rev"])
    unaware = _unaware_of(workspace, user)
    joined = WorkspaceMemberJoined(workspace=_payload(workspace), user=user_payload(user), role=role)
    publish(joined, to=witnesses_in(workspace, unaware), order=workspace.order)
    _tell_count(workspace, unaware)
    if member.silenced_until is not None:
        tell_silence(member)


def _remove(workspace: Workspace, member: WorkspaceMember) -> None:
    user = member.user
    if member.role == Role.OWNER:
        _check_owned_without(workspace, user)
    # Who saw them is decided by the channels that they are about to lose.
    unaware = _unaware_of(workspace, user)
    remove_from_all(workspace=workspace, user=user)
    member.delete()
    _revoke_invites_of(workspace, user)
    workspace.next_members_rev()
    workspace.save(update_fields=["rev", "members_rev"])
    left = WorkspaceMemberLeft(workspace.pk, user.pk, workspace.members.count())
    publish(left, to=witnesses_in(workspace, unaware), order=workspace.order)
    publish(left, to=users([user.pk]), order=workspace.order)
    _tell_count(workspace, unaware)


def _check_owned_without(workspace: Workspace, owner: User) -> None:
    """Raises Conflict when nobody else could manage the workspace. The caller holds its lock."""
    others = workspace.members.filter(role=Role.OWNER, user__is_active=True).exclude(user=owner)
    if not others.exists():
        told = _("%(user)s is the last owner of “%(workspace)s”. Make somebody else an owner first.")
        raise Conflict("last_owner", told % {"user": owner.shown_name, "workspace": workspace.name})


def _revoke_invites_of(workspace: Workspace, user: User) -> None:
    """Of somebody who may invite no more: their links would let them, or whomever they like, in again."""
    workspace.invites.usable().filter(created_by=user).update(revoked_at=clock.now())


def _unaware_of(workspace: Workspace, user: User) -> set[int]:
    """The guests who may not know of a member."""
    guests = set(workspace.members.filter(role=Role.GUEST).values_list("user_id", flat=True)) - {user.pk}
    if not guests:
        return guests
    aware = people.who_see(user.pk).filter(workspace=workspace, user__in=guests)
    return guests - set(aware.values_list("user_id", flat=True))


def _tell_count(workspace: Workspace, unaware: Collection[int]) -> None:
    """Guests who may not know who came or went still see how many there are."""
    if unaware:
        publish(WorkspaceUpdated(_payload(workspace), None), to=users(unaware), order=workspace.order)


def _tell(workspace: Workspace) -> None:
    publish(WorkspaceUpdated(_payload(workspace), None), to=members_of(workspace), order=workspace.order)


def _payload(workspace: Workspace) -> WorkspacePayload:
    return workspace_payload(workspace, workspace.members.count())
