"""What moderators do to others: each with a reason, each in the audit log, each told live.

`as_moderator` is for doors that have checked a right over the whole site, as the admin site does; without it the role
in the workspace decides. Nobody does any of it to themself, and a moderator of the site not to an owner.
"""

from datetime import datetime, timedelta

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from groups import roles
from groups.actions import messages, tokens, users, workspaces
from groups.actions.audit import record
from groups.actions.locks import lock_workspace
from groups.actions.silence import tell_silence
from groups.models import ApiToken, Invite, Message, User, Workspace, WorkspaceMember
from groups.models.audit import AuditAction
from groups.models.workspace import Role
from groups.roles import Deed
from realtime import clock

REASON_CHARACTERS = 500
SILENCE = timedelta(days=366)
"""The longest; who should be quiet for ever is removed."""


def delete_message(*, moderator: User, message_id: int, reason: str) -> Message:
    """Delete a message of any channel of the site. One that is deleted already stays as it is."""
    return messages.delete_message(
        deleter=moderator, message_id=message_id, as_moderator=True, reason=checked_reason(reason)
    )


def silence_member(
    *, moderator: User, workspace_id: int, user_id: int, until: datetime, reason: str, as_moderator: bool = False
) -> WorkspaceMember:
    """Let a member only read in a workspace until a moment. The same moment again changes nothing."""
    reason = checked_reason(reason)
    now = clock.now()
    if not now < until <= now + SILENCE:
        days = {"days": SILENCE.days}
        raise ValidationError({"until": _("Choose a moment within the next %(days)d days.") % days})
    with transaction.atomic():
        member = _lock_member(moderator, workspace_id, user_id, as_moderator=as_moderator)
        if member.silenced_until != until:
            _set_silence(member, until)
            record(
                actor=moderator,
                action=AuditAction.MEMBER_SILENCED,
                target=f"user:{user_id}",
                workspace_id=workspace_id,
                reason=reason,
                until=until.isoformat(),
            )
            tell_silence(member)
    return member


def unsilence_member(
    *, moderator: User, workspace_id: int, user_id: int, reason: str, as_moderator: bool = False
) -> WorkspaceMember:
    """Let a member write again before their silence ends. Of somebody who may write it changes nothing."""
    reason = checked_reason(reason)
    with transaction.atomic():
        member = _lock_member(moderator, workspace_id, user_id, as_moderator=as_moderator)
        if member.silenced_until is not None and member.silenced_until > clock.now():
            _set_silence(member, None)
            record(
                actor=moderator,
                action=AuditAction.MEMBER_UNSILENCED,
                target=f"user:{user_id}",
                workspace_id=workspace_id,
                reason=reason,
            )
            tell_silence(member)
    return member


def remove_member(*, moderator: User, workspace_id: int, user_id: int, reason: str) -> Workspace:
    """Take somebody out of a workspace of the site, with all its channels. Who is gone already changes nothing."""
    reason = checked_reason(reason)
    with transaction.atomic():
        workspace = Workspace.objects.select_for_update().get(pk=workspace_id)
        if (member := workspace.members.filter(user=user_id).first()) is not None:
            _check_subject(moderator, member)
            workspaces.remove_member(
                remover=moderator, workspace_id=workspace_id, user_id=user_id, as_moderator=True, reason=reason
            )
    return workspace


def revoke_invite(*, moderator: User, invite_id: int, reason: str) -> Invite:
    """End an invite of any workspace of the site now. One that is revoked already stays as it is."""
    reason = checked_reason(reason)
    with transaction.atomic():
        workspace_id = Invite.objects.values_list("workspace_id", flat=True).get(pk=invite_id)
        Workspace.objects.select_for_update().get(pk=workspace_id)
        invite = Invite.objects.get(pk=invite_id)
        if invite.revoked_at is None:
            invite.revoked_at = clock.now()
            invite.save(update_fields=["revoked_at"])
            record(
                actor=moderator,
                action=AuditAction.INVITE_REVOKED,
                target=f"invite:{invite_id}",
                workspace_id=workspace_id,
                reason=reason,
            )
    return invite


def revoke_token(*, moderator: User, token_id: int, reason: str) -> ApiToken:
    """End somebody's token now, with what it opened. One that is revoked already stays as it is."""
    reason = checked_reason(reason)
    with transaction.atomic():
        token = ApiToken.objects.select_for_update().get(pk=token_id)
        if token.revoked_at is None:
            token = tokens.revoke_token(owner=token.owner, token_id=token_id)
            record(
                actor=moderator,
                action=AuditAction.TOKEN_REVOKED,
                target=f"token:{token_id}",
                workspace_id=None,
                reason=reason,
                owner_id=token.owner_id,
            )
    return token


def deactivate_user(*, moderator: User, user_id: int, reason: str) -> User:
    """End an account: sign-ins, tokens and what it has open. One that is deactivated already stays as it is."""
    reason = checked_reason(reason)
    return users.deactivate_user(user=_account(moderator, user_id), moderator=moderator, reason=reason)


def reactivate_user(*, moderator: User, user_id: int, reason: str) -> User:
    """Let an account be used again. What its end took away stays away; an active one stays as it is."""
    reason = checked_reason(reason)
    return users.reactivate_user(user=_account(moderator, user_id), moderator=moderator, reason=reason)


def checked_reason(reason: str) -> str:
    """The reason as it is kept. Raises ValidationError when there is none or too much of it."""
    reason = reason.strip()
    if not reason:
        raise ValidationError({"reason": _("Say why: others will read it.")})
    if len(reason) > REASON_CHARACTERS:
        limit = {"limit": REASON_CHARACTERS}
        raise ValidationError({"reason": _("At most %(limit)d characters.") % limit})
    return reason


def _lock_member(moderator: User, workspace_id: int, user_id: int, *, as_moderator: bool) -> WorkspaceMember:
    """A member to whom the moderator may do something, and their workspace, which stays locked."""
    if as_moderator:
        workspace = Workspace.objects.select_for_update().get(pk=workspace_id)
    else:
        workspace = lock_workspace(moderator, workspace_id)
        roles.check(moderator, Deed.SILENCE_MEMBER, workspace)
    member = workspace.members.select_related("user").get(user=user_id)
    member.workspace = workspace
    if as_moderator:
        _check_subject(moderator, member)
    elif user_id == moderator.pk:
        raise PermissionDenied(_("Nobody moderates themself."))
    elif not roles.allowed_over(Deed.SILENCE_MEMBER, roles.role_in(workspace_id, moderator), member.role):
        raise PermissionDenied(_("You may not silence somebody of this role."))
    return member


def _check_subject(moderator: User, member: WorkspaceMember) -> None:
    """What even a moderator of the site may not."""
    if member.user_id == moderator.pk:
        raise PermissionDenied(_("Nobody moderates themself."))
    if member.role == Role.OWNER:
        raise PermissionDenied(_("Owners are not moderated. An administrator may deactivate the account."))


def _account(moderator: User, user_id: int) -> User:
    user = User.objects.get(pk=user_id)
    if user == moderator:
        raise PermissionDenied(_("Nobody moderates themself."))
    if user.is_superuser and not moderator.is_superuser:
        raise PermissionDenied(_("Only a superuser may do this to a superuser."))
    return user


def _set_silence(member: WorkspaceMember, until: datetime | None) -> None:
    member.silenced_until = until
    member.save(update_fields=["silenced_until"])
    member.workspace.next_rev()
    member.workspace.save(update_fields=["rev"])
