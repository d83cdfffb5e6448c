"""Who may only read in a workspace for a time: asked by everything that writes there."""

from datetime import datetime

from django.db.models import OuterRef, Subquery

from groups.events import WorkspaceUpdated
from groups.models import AuditEntry, User, WorkspaceMember
from groups.models.audit import AuditAction
from groups.payloads import own_workspace_payload
from realtime import clock
from realtime.errors import Silenced
from realtime.publish import publish, users


def check_not_silenced(writer: User, workspace_id: int) -> None:
    """Raises Silenced for a member whom a moderator lets only read now."""
    members = WorkspaceMember.objects.filter(workspace=workspace_id, user=writer, silenced_until__gt=clock.now())
    if (until := members.values_list("silenced_until", flat=True).first()) is not None:
        raise Silenced(until)


def silenced_until(*, workspace: OuterRef | int, user: OuterRef | User) -> Subquery:
    """Until when a member is or was silenced, for a query that is made anyway."""
    members = WorkspaceMember.objects.filter(workspace=workspace, user=user)
    return Subquery(members.values("silenced_until")[:1])


def check_silence(until: datetime | None, now: datetime) -> None:
    """Raises Silenced when what `silenced_until` read is still to come."""
    if until is not None and until > now:
        raise Silenced(until)


def tell_silence(member: WorkspaceMember) -> None:
    """Tell a member, alone, until when they may only read. The caller holds the workspace's lock."""
    workspace = member.workspace
    own = own_workspace_payload(workspace, workspace.members.count(), member)
    publish(WorkspaceUpdated(own, None), to=users([member.user_id]), order=workspace.order)


def silence_on_return(user: User, workspace_id: int) -> datetime | None:
    """The silence of somebody who left a workspace and comes back: leaving does not end it."""
    silences = [AuditAction.MEMBER_SILENCED, AuditAction.MEMBER_UNSILENCED]
    latest = (
        AuditEntry.objects.filter(target=f"user:{user.pk}", workspace_id=workspace_id, action__in=silences)
        .order_by("-number")
        .first()
    )
    if latest is None or latest.action != AuditAction.MEMBER_SILENCED:
        return None
    until = datetime.fromisoformat(latest.details["until"])
    return until if until > clock.now() else None
