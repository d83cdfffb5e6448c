from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from groups.actions.moderation import delete_message
from groups.admin.measures import Measure, ReadOnlyAdmin
from groups.models import Message, User

AROUND = 10
"""Messages before and after the one that is looked at."""


TEXT_CHARACTERS = 120
"""Of a message, where it is one of many. Among those around it, it is shown whole."""


class StateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("shown", _("Not deleted")), ("edited", _("Edited")), ("deleted", _("Deleted"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "shown":
                return queryset.filter(deleted_at=None)
            case "edited":
                return queryset.filter(deleted_at=None, edited_at__isnull=False)
            case "deleted":
                return queryset.filter(deleted_at__isnull=False)
        return queryset


def _delete(moderator: User, message: Message, *, reason: str) -> None:
    delete_message(moderator=moderator, message_id=message.pk, reason=reason)


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    """Find messages, see what was said around them, and delete them: open pages lose the text at once."""

    measures = (
        Measure(
            "delete",
            _("Delete"),
            _("The text, earlier texts and reactions are erased for everybody. A mark stays where the message was."),
            "groups.delete_message",
            _delete,
        ),
    )
    list_display = ("id", "shown_text", "author", "channel", "created_at")
    list_filter = (StateFilter, "channel__kind", "channel__workspace", "created_at")
    search_fields = ("body", "author__username", "author__display_name", "channel__name")
    search_help_text = _("Words of the text, a username, or a channel")
    date_hierarchy = "created_at"
    list_select_related = ("author", "channel")
    ordering = ("-id",)
    fields = ("channel", "author", "shown_text", "created_at", "edited_at", "deleted_at", "deleted_by", "thread_root")
    readonly_fields = ("shown_text",)
    change_form_template = "admin/groups/message/change_form.html"

    @admin.display(description=_("text"))
    def shown_text(self, message: Message) -> str:
        return str(_("(deleted)")) if message.deleted else message.body[:TEXT_CHARACTERS]

    def audit_target(self, object_id: str) -> str:
        return f"message:{object_id}"

    def row_text(self, row: Message) -> str:
        return f"{row.author} {_('in')} {row.channel}: {self.shown_text(row)}"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        message = self.get_object(request, object_id)
        extra = dict(extra_context or {})
        # The view itself answers for a message that does not exist, and for somebody who may not see it.
        if isinstance(message, Message) and self.has_view_permission(request, message):
            extra |= {"message": message, "around": _around(message), "versions": message.versions.order_by("pk")}
        return super().change_view(request, object_id, form_url, extra)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("author", "channel__workspace")


def _around(message: Message) -> list[Message]:
    """The channel before and after a message, deleted ones too."""
    rows = message.channel.messages.select_related("author", "deleted_by")
    before = rows.filter(pk__lt=message.pk).order_by("-pk")[:AROUND]
    after = rows.filter(pk__gte=message.pk).order_by("pk")[: AROUND + 1]
    return [*reversed(before), *after]
