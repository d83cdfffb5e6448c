"""The end of an account, and its return."""

from typing import Any

import orjson
from django.db import transaction

from groups.actions.audit import record
from groups.actions.profiles import lock_user, tell_profile
from groups.actions.workspaces import check_owned_without
from groups.models import ApiToken, Invite, User
from groups.models.audit import AuditAction
from realtime import clock
from realtime.control import close_user
from realtime.relay import when_placed
from realtime.streams import Entry


def deactivate_user(*, user: User, moderator: User | None = None, reason: str = "") -> User:
    """End an account: its sign-ins, tokens, invites, sockets and polls, for good. What they wrote stays.

    They stay a member everywhere, so that their name stays beside what they wrote. It is in the audit log, without a
    moderator as a deed of the operator. Once more changes nothing. Raises Conflict where they are the last owner of a
    workspace, with its name.
    """
    with transaction.atomic():
        check_owned_without(user)
        locked = lock_user(user)
        if locked.is_active:
            now = clock.now()
            locked.is_active, locked.sign_ins_ended_at = False, now
            locked.save(update_fields=["is_active", "sign_ins_ended_at"])
            ApiToken.objects.usable_by(locked).update(revoked_at=now)
            Invite.objects.usable().filter(created_by=locked).update(revoked_at=now)
            tell_profile(locked)
            _record(AuditAction.USER_DEACTIVATED, locked, moderator, reason)

        def close() -> None:
            close_user(locked.pk)

        transaction.on_commit(close, robust=True)
    return locked


def reactivate_user(*, user: User, moderator: User | None = None, reason: str = "") -> User:
    """Let somebody sign in again. Their tokens and invites do not come back. Once more changes nothing."""
    with transaction.atomic():
        locked = lock_user(user)
        if not locked.is_active:
            locked.is_active = True
            locked.save(update_fields=["is_active"])
            tell_profile(locked)
            _record(AuditAction.USER_REACTIVATED, locked, moderator, reason)
    return locked


def _record(action: AuditAction, user: User, moderator: User | None, reason: str) -> None:
    record(actor=moderator, action=action, target=f"user:{user.pk}", workspace_id=None, reason=reason)


@when_placed("user.updated")
def _close_here(entry: Entry) -> None:
    """A command in a process of its own reaches the sessions of a server with streams in memory only by its event."""
    told: dict[str, Any] = orjson.loads(b"{" + entry.body)["data"]["user"]
    if not told["active"] and User.objects.filter(pk=told["id"], is_active=False).exists():
        close_user(told["id"])
