from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from groups.actions import moderation
from groups.admin.measures import Measure, MeasuresAdmin, ReadOnlyAdmin
from groups.models import ApiToken, User


def _deactivate(moderator: User, user: User, *, reason: str) -> None:
    moderation.deactivate_user(moderator=moderator, user_id=user.pk, reason=reason)


def _reactivate(moderator: User, user: User, *, reason: str) -> None:
    moderation.reactivate_user(moderator=moderator, user_id=user.pk, reason=reason)


def _revoke(moderator: User, token: ApiToken, *, reason: str) -> None:
    moderation.revoke_token(moderator=moderator, token_id=token.pk, reason=reason)


@admin.register(User)
class UserAdmin(MeasuresAdmin, DjangoUserAdmin):  # type: ignore[type-arg] # generic only in the stubs
    """Accounts. Names are changed by their owners, which everybody sees; here are passwords and rights of the site."""

    measures = (
        Measure(
            "deactivate",
            _("Deactivate"),
            _("Nobody signs in to them any more; what they have open ends at once. What they wrote stays."),
            "groups.change_user",
            _deactivate,
        ),
        Measure(
            "reactivate",
            _("Open again"),
            _("They may sign in again with their password. Tokens and sign-ins of before stay ended."),
            "groups.change_user",
            _reactivate,
        ),
    )
    list_display = ("username", "display_name", "email", "is_active", "is_staff", "last_login")
    search_fields = ("username", "display_name", "email")
    fieldsets = (
        (None, {"fields": ("username", "password", "email")}),
        (_("Profile"), {"fields": ("display_name", "time_zone", "language", "demo")}),
        (_("Permissions"), {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        (_("Important dates"), {"fields": ("last_login", "date_joined")}),
    )
    profile_fields = ("display_name", "time_zone", "language", "demo", "is_active", "last_login", "date_joined")

    def audit_target(self, object_id: str) -> str:
        return f"user:{object_id}"

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.profile_fields if obj is None else ("username", *self.profile_fields)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Accounts are deactivated: what they wrote belongs to the history of others."""
        return False


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    measures = (
        Measure(
            "revoke",
            _("Revoke"),
            _("Programs that use them are refused at once, and what they have open ends."),
            "groups.change_apitoken",
            _revoke,
        ),
    )
    list_display = ("owner", "name", "prefix", "scopes", "expires_at", "last_used_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    search_fields = ("owner__username", "name")
    list_select_related = ("owner",)
    # Not the hash, which helps nobody.
    fields = ("owner", "name", "prefix", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at")

    def audit_target(self, object_id: str) -> str:
        return f"token:{object_id}"
