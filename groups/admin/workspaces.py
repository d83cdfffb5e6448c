from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from groups.actions import moderation
from groups.admin.measures import Measure, ReadOnlyAdmin, ReasonForm
from groups.models import Channel, Invite, User, Workspace, WorkspaceMember
from realtime import clock

MINUTES = [
    (10, _("10 minutes")),
    (60, _("1 hour")),
    (8 * 60, _("8 hours")),
    (24 * 60, _("1 day")),
    (7 * 24 * 60, _("1 week")),
    (30 * 24 * 60, _("30 days")),
]


class SilenceForm(ReasonForm):
    minutes = forms.TypedChoiceField(label=_("For"), choices=MINUTES, coerce=int, initial=60)


def _silence(moderator: User, member: WorkspaceMember, *, minutes: int, reason: str) -> None:
    moderation.silence_member(
        moderator=moderator,
        workspace_id=member.workspace_id,
        user_id=member.user_id,
        until=clock.now() + timedelta(minutes=minutes),
        reason=reason,
        as_moderator=True,
    )


def _unsilence(moderator: User, member: WorkspaceMember, *, reason: str) -> None:
    moderation.unsilence_member(
        moderator=moderator,
        workspace_id=member.workspace_id,
        user_id=member.user_id,
        reason=reason,
        as_moderator=True,
    )


def _remove(moderator: User, member: WorkspaceMember, *, reason: str) -> None:
    moderation.remove_member(
        moderator=moderator, workspace_id=member.workspace_id, user_id=member.user_id, reason=reason
    )


def _revoke(moderator: User, invite: Invite, *, reason: str) -> None:
    moderation.revoke_invite(moderator=moderator, invite_id=invite.pk, reason=reason)


class SilencedNow(admin.SimpleListFilter):
    title = _("muted")
    parameter_name = "silenced"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("now", _("Now"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(silenced_until__gt=clock.now()) if self.value() == "now" else queryset


@admin.register(WorkspaceMember)
class WorkspaceMemberAdmin(ReadOnlyAdmin):
    """Who is in which workspace: mute them for a time, or remove them."""

    measures = (
        Measure(
            "silence",
            _("Mute (may only read)"),
            _("They may read, and write nothing in this workspace, until the time is over. They see until when."),
            "groups.change_workspacemember",
            _silence,
            SilenceForm,
        ),
        Measure(
            "unsilence",
            _("Let write again"),
            _("They may write again at once."),
            "groups.change_workspacemember",
            _unsilence,
        ),
        Measure(
            "remove",
            _("Remove from the workspace"),
            _("They lose the workspace with all its channels at once. What they wrote stays."),
            "groups.delete_workspacemember",
            _remove,
        ),
    )
    list_display = ("user", "workspace", "role", "silence", "joined_at")
    list_filter = (SilencedNow, "role", "workspace")
    search_fields = ("user__username", "user__display_name", "workspace__name")
    search_help_text = _("A username, a name, or a workspace")
    list_select_related = ("user", "workspace")
    ordering = ("workspace_id", "user__username")
    fields = ("user", "workspace", "role", "silence", "joined_at")
    readonly_fields = ("silence",)

    @admin.display(description=_("muted until"), ordering="silenced_until")
    def silence(self, member: WorkspaceMember) -> str:
        until = member.silenced_until
        if until is None or until <= clock.now():
            return "-"
        return date_format(localtime(until), "DATETIME_FORMAT")

    def audit_target(self, object_id: str) -> str:
        user_id = WorkspaceMember.objects.filter(pk=object_id).values_list("user_id", flat=True).first()
        return f"user:{user_id}"


@admin.register(Workspace)
class WorkspaceAdmin(ReadOnlyAdmin):
    list_display = ("name", "open", "created_by", "created_at")
    search_fields = ("name",)


@admin.register(Channel)
class ChannelAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "workspace", "kind", "topic", "created_at", "archived_at")
    list_filter = ("kind", "workspace")
    search_fields = ("name", "topic")


@admin.register(Invite)
class InviteAdmin(ReadOnlyAdmin):
    measures = (
        Measure(
            "revoke",
            _("Revoke"),
            _("Nobody joins by these links any more. Who has joined stays."),
            "groups.change_invite",
            _revoke,
        ),
    )
    list_display = ("workspace", "role", "created_by", "created_at", "expires_at", "uses", "max_uses", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), "workspace")
    list_select_related = ("workspace", "created_by")
    # Not the hash, which helps nobody.
    fields = ("workspace", "role", "created_by", "created_at", "expires_at", "uses", "max_uses", "revoked_at")

    def audit_target(self, object_id: str) -> str:
        return f"invite:{object_id}"
