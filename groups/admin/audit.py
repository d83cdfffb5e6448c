from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from groups.admin.measures import ReadOnlyAdmin
from groups.models import AuditEntry, User, Workspace

PAGES = {"token": "apitoken"}
"""The admin page of what a target names."""


class ActorFilter(admin.SimpleListFilter):
    """Those who did something; a filter of all users would be long."""

    title = _("actor")
    parameter_name = "actor"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        actors = User.objects.filter(pk__in=AuditEntry.objects.order_by().values("actor").distinct())
        return [(str(user.pk), user.username) for user in actors.order_by("username")[:100]]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        return queryset.filter(actor=value) if value is not None and value.isdecimal() else queryset


class WorkspaceFilter(admin.SimpleListFilter):
    title = _("workspace")
    parameter_name = "workspace"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        seen = AuditEntry.objects.order_by().values("workspace_id").distinct()
        return [(str(row.pk), row.name) for row in Workspace.objects.filter(pk__in=seen).order_by("name")[:100]]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        return queryset.filter(workspace_id=value) if value is not None and value.isdecimal() else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who did what, when and why. `manage.py verify_audit` says whether it is still as it was written."""

    list_display = ("number", "at", "shown_actor", "action", "shown_target", "about", "reason")
    list_filter = ("action", ActorFilter, WorkspaceFilter)
    search_fields = ("target", "reason", "actor__username")
    search_help_text = _("A target (user:7, message:9), words of the reason, or who did it")
    date_hierarchy = "at"
    list_select_related = ("actor",)
    ordering = ("-number",)
    fields = (
        *("number", "at", "shown_actor", "action", "shown_target", "about", "workspace", "reason", "shown_details"),
        *("previous_hash", "hash"),
    )
    readonly_fields = ("shown_actor", "shown_target", "about", "workspace", "shown_details")

    @admin.display(description=_("actor"), ordering="actor__username")
    def shown_actor(self, entry: AuditEntry) -> str:
        return str(_("the operator") if entry.actor is None else entry.actor)

    @admin.display(description=_("target"), ordering="target")
    def shown_target(self, entry: AuditEntry) -> str:
        kind, _colon, pk = entry.target.partition(":")
        try:
            url = reverse(f"admin:groups_{PAGES.get(kind, kind)}_change", args=[pk])
        except NoReverseMatch:
            return entry.target
        return format_html('<a href="{}">{}</a>', url, entry.target)

    @admin.display(description=_("of"))
    def about(self, entry: Any) -> str:
        """Whose it is or was. A list has read all names at once."""
        named = getattr(entry, "named", None)
        if named is None:
            named = User.objects.in_bulk([_subject_id(entry)])
        subject = named.get(_subject_id(entry))
        return "-" if subject is None else str(subject)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        named = User.objects.in_bulk([_subject_id(entry) for entry in changelist.result_list])
        for entry in changelist.result_list:
            entry.named = named
        return changelist

    def audit_target(self, object_id: str) -> str | None:
        return AuditEntry.objects.filter(pk=object_id).values_list("target", flat=True).first()

    @admin.display(description=_("workspace"))
    def workspace(self, entry: AuditEntry) -> str:
        if entry.workspace_id is None:
            return "-"
        return str(Workspace.objects.filter(pk=entry.workspace_id).first() or entry.workspace_id)

    @admin.display(description=_("details"))
    def shown_details(self, entry: AuditEntry) -> str:
        return ", ".join(f"{name}: {value}" for name, value in entry.details.items()) or "-"


def _subject_id(entry: AuditEntry) -> int:
    """Of the user to whom it was done: the member, the author of the message, the owner of the token. 0 for nobody."""
    kind, _colon, pk = entry.target.partition(":")
    of = pk if kind == "user" else entry.details.get("author_id", entry.details.get("owner_id", 0))
    return int(of)
