from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from groups.admin.measures import Measure, ReadOnlyAdmin, ReasonForm
from groups.mesh import classrooms
from groups.models import MeshDomain, MeshGroup, MeshKey, User, Workspace


class AssignForm(ReasonForm):
    workspace = forms.ModelChoiceField(
        Workspace.objects.order_by("name", "pk"), label=_("Workspace"), required=False, empty_label=_("None")
    )


def _assign(moderator: User, domain: MeshDomain, *, workspace: Workspace | None, reason: str) -> None:
    classrooms.assign_domain(
        moderator=moderator,
        name=domain.name,
        workspace_id=None if workspace is None else workspace.pk,
        reason=reason,
    )


def _assign_of_group(moderator: User, group: MeshGroup, *, workspace: Workspace | None, reason: str) -> None:
    classrooms.assign_domain(
        moderator=moderator,
        name=group.domain,
        workspace_id=None if workspace is None else workspace.pk,
        reason=reason,
    )


def _revoke(moderator: User, key: MeshKey, *, reason: str) -> None:
    classrooms.end_key(moderator=moderator, key_id=key.pk, reason=reason)


ASSIGN = _("Give the domain to a workspace")
CONSEQUENCE = _(
    "Owners, admins and moderators of the workspace look after its groups from now on. "
    "Keys for it that another workspace made end at once."
)


@admin.register(MeshDomain)
class MeshDomainAdmin(ReadOnlyAdmin):
    """Domains that somebody looks after. Others are found by their groups, which have the same measure."""

    measures = (Measure("assign", ASSIGN, CONSEQUENCE, "groups.change_meshdomain", _assign, AssignForm),)
    list_display = ("name", "workspace", "polls")
    list_filter = (("workspace", admin.EmptyFieldListFilter), "polls")
    search_fields = ("name", "workspace__name")
    list_select_related = ("workspace",)
    ordering = ("name",)
    fields = ("name", "workspace", "polls")

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """A name that teachers type in, before there is a group in it."""
        return request.user.has_perm("groups.add_meshdomain")

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return ("name",) if obj is None else self.fields

    def audit_target(self, object_id: str) -> str:
        return f"meshdomain:{object_id}"


@admin.register(MeshGroup)
class MeshGroupAdmin(ReadOnlyAdmin):
    measures = (Measure("assign", ASSIGN, CONSEQUENCE, "groups.change_meshdomain", _assign_of_group, AssignForm),)
    list_display = ("name", "domain", "use_websocket", "created_at", "expires_at", "ended", "ended_at")
    list_filter = (("ended_at", admin.EmptyFieldListFilter), "ended", "use_websocket")
    search_fields = ("name", "domain")
    ordering = ("-created_at",)
    # Not the host's id, which is the proof of being the host.
    fields = ("name", "domain", "use_websocket", "created_at", "expires_at", "heartbeat_at", "ended", "ended_at")


@admin.register(MeshKey)
class MeshKeyAdmin(ReadOnlyAdmin):
    measures = (
        Measure(
            "revoke",
            _("Revoke"),
            _("Editors that use them are refused at once, and what they have open ends."),
            "groups.change_meshkey",
            _revoke,
        ),
    )
    list_display = ("label", "prefix", "workspace", "created_by", "created_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), "workspace")
    search_fields = ("label", "prefix", "workspace__name")
    list_select_related = ("workspace", "created_by")
    # Not the hash, which helps nobody.
    fields = ("label", "prefix", "domains", "workspace", "created_by", "created_at", "revoked_at")

    def audit_target(self, object_id: str) -> str:
        return f"meshkey:{object_id}"
