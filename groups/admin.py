"""The admin site of moderators. What has rules goes through the actions, so that open pages see it at once."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from groups.actions.messages import delete_message
from groups.actions.users import deactivate_user
from groups.models import ApiToken, Channel, Invite, Message, User, Workspace

admin.site.site_header = admin.site.site_title = "Meshsite"


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # generic only in the stubs
    """To look at. Changes have actions of their own, which a raw form would go around."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    """Find messages and delete them: a deletion leaves a tombstone and reaches open browsers live."""

    list_display = ("id", "shown_text", "author", "channel", "created_at", "edited_at", "deleted_at")
    list_filter = (("deleted_at", admin.EmptyFieldListFilter), "channel__workspace", "created_at")
    search_fields = ("body", "author__username", "author__display_name", "channel__name")
    search_help_text = _("Words of the text, a username, or a channel")
    date_hierarchy = "created_at"
    list_select_related = ("author", "channel")
    ordering = ("-id",)
    fields = (
        *("channel", "author", "body", "created_at", "edited_at"),
        *("thread_root", "deleted_at", "deleted_by", "client_msg_id"),
    )

    @admin.display(description=_("text"))
    def shown_text(self, message: Message) -> str:
        return str(_("(deleted)")) if message.deleted else message.body[:120]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    def delete_model(self, request: HttpRequest, obj: Message) -> None:
        delete_message(deleter=_moderator(request), message_id=obj.pk, as_moderator=True)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Message]) -> None:
        for message_id in queryset.values_list("pk", flat=True):
            delete_message(deleter=_moderator(request), message_id=message_id, as_moderator=True)

    def get_deleted_objects(
        self, objs: Sequence[Message] | QuerySet[Message], request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """The messages alone: a tombstone takes nothing with it, so there is nothing else to warn of."""
        told = [f"{message}: {self.shown_text(message)}" for message in objs]
        missing = set() if self.has_delete_permission(request) else {str(Message._meta.verbose_name)}
        return told, {str(Message._meta.verbose_name_plural): len(told)}, missing, []


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
    list_display = ("workspace", "created_by", "created_at", "expires_at", "uses", "max_uses", "revoked_at")


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    list_display = ("owner", "name", "prefix", "scopes", "expires_at", "last_used_at", "revoked_at")
    search_fields = ("owner__username", "name")


@admin.register(User)
class UserAdmin(DjangoUserAdmin):  # type: ignore[type-arg] # generic only in the stubs
    list_display = ("username", "display_name", "email", "is_active", "is_staff", "last_login")
    search_fields = ("username", "display_name", "email")
    fieldsets = (*(DjangoUserAdmin.fieldsets or ()), (_("Profile"), {"fields": ("display_name", "demo")}))
    readonly_fields = ("demo",)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if "is_active" in form.changed_data and not obj.is_active:
            deactivate_user(user=obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Accounts are deactivated: what they wrote belongs to the history of others."""
        return False


def _moderator(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user
