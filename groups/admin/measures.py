"""Measures: what moderators do in the admin site, to one row or many, each after a page that asks for the reason."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, ValidationError
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from groups.actions.moderation import REASON_CHARACTERS
from groups.models import User
from realtime.errors import Conflict, problem_of

Text = str | Promise

AT_ONCE = 500
"""Rows that one measure is taken on; each is a transaction of its own."""
NAMED = 5
"""Rows whose refusal is told one by one."""


class ReasonForm(forms.Form):
    required_css_class = "required"

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=REASON_CHARACTERS,
        widget=forms.Textarea(attrs={"rows": 3, "autofocus": True}),
        help_text=gettext_lazy("It stays in the audit log for good, so do not repeat what was written."),
    )


@dataclass(frozen=True)
class Measure:
    """`take` calls one action: `take(moderator, row, **fields of the form)`."""

    name: str
    label: Text
    consequence: Text
    """What it does, for the page that asks whether to."""
    permission: str
    """Over the whole site, "groups.delete_message"."""
    take: Callable[..., object]
    form: type[ReasonForm] = ReasonForm


class MeasuresAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # generic only in the stubs
    """With measures as buttons of one row and as actions of many."""

    measures: tuple[Measure, ...] = ()
    change_form_template = "admin/groups/change_form.html"

    def row_text(self, row: Any) -> str:
        """What the page that asks for the reason says of a row."""
        return str(row)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = dict(super().get_actions(request))
        for measure in self._measures_of(request):
            actions[measure.name] = (partial(_take_on_many, measure=measure), measure.name, measure.label)
        return actions

    def get_urls(self) -> list[URLPattern]:
        opts = self.opts
        one = path(
            "<int:pk>/measures/<slug:name>/",
            self.admin_site.admin_view(self.measure_view),
            name=f"{opts.app_label}_{opts.model_name}_measure",
        )
        return [one, *super().get_urls()]

    def measure_view(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """A measure on one row."""
        measure = next((one for one in self._measures_of(request) if one.name == name), None)
        if measure is None:
            raise PermissionDenied
        rows = self.get_queryset(request).filter(pk=pk)
        if not rows.exists():
            raise Http404
        return self.take(request, measure, rows, back=self._list_url())

    def take(self, request: HttpRequest, measure: Measure, rows: QuerySet[Any], *, back: str) -> HttpResponse:
        """Ask for the reason, then take the measure on each row. What refuses one does not touch the others."""
        # One more than may be, to see that there are too many.
        found = list(rows[: AT_ONCE + 1])
        if len(found) > AT_ONCE:
            self.message_user(request, _("Choose at most %d at once.") % AT_ONCE, messages.ERROR)
            return HttpResponseRedirect(back)
        form = measure.form(request.POST if "confirmed" in request.POST else None)
        if not form.is_valid():
            return self._ask(request, measure, found, form)
        refused = []
        for row in found:
            try:
                measure.take(moderator_of(request), row, **form.cleaned_data)
            except (PermissionDenied, ValidationError, ObjectDoesNotExist, Conflict) as error:
                problem = problem_of(error)
                refused.append(f"{row}: {problem.detail if problem else error}")
        self._report(request, measure, len(found) - len(refused), refused)
        return HttpResponseRedirect(back)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        """With links to the measures, and to what the audit log has of the row."""
        extra = dict(extra_context or {})
        if object_id.isdecimal():
            extra["measures"] = [
                (measure.label, reverse(self._url_name("measure"), args=[object_id, measure.name]))
                for measure in self._measures_of(request)
            ]
            extra["audit_url"] = self._audit_url(request, object_id)
        return super().change_view(request, object_id, form_url, extra)

    def audit_target(self, object_id: str) -> str | None:
        """How the audit log names a row; None where it names none of the kind."""
        return None

    def _audit_url(self, request: HttpRequest, object_id: str) -> str | None:
        target = self.audit_target(object_id)
        if target is None or not request.user.has_perm("groups.view_auditentry"):
            return None
        return f"{reverse('admin:groups_auditentry_changelist')}?target__exact={target}"

    def _measures_of(self, request: HttpRequest) -> list[Measure]:
        return [measure for measure in self.measures if request.user.has_perm(measure.permission)]

    def _ask(self, request: HttpRequest, measure: Measure, rows: list[Any], form: ReasonForm) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": measure.label,
            "opts": self.opts,
            "measure": measure,
            "rows": [(row.pk, self.row_text(row)) for row in rows],
            "form": form,
            "action_checkbox_name": ACTION_CHECKBOX_NAME,
            "list_url": self._list_url(),
        }
        return TemplateResponse(request, "admin/groups/measure.html", context)

    def _report(self, request: HttpRequest, measure: Measure, done: int, refused: list[str]) -> None:
        if done:
            told = ngettext("%(measure)s: done for %(count)d.", "%(measure)s: done for %(count)d.", done)
            self.message_user(request, told % {"measure": measure.label, "count": done}, messages.SUCCESS)
        for text in refused[:NAMED]:
            self.message_user(request, text, messages.ERROR)
        if len(refused) > NAMED:
            self.message_user(request, _("And %d more were refused.") % (len(refused) - NAMED), messages.ERROR)

    def _list_url(self) -> str:
        return reverse(self._url_name("changelist"))

    def _url_name(self, page: str) -> str:
        return f"admin:{self.opts.app_label}_{self.opts.model_name}_{page}"


class ReadOnlyAdmin(MeasuresAdmin):
    """To look at, and to take measures. A raw form would go around the rules."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def moderator_of(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


def _take_on_many(
    modeladmin: MeasuresAdmin, request: HttpRequest, rows: QuerySet[Any], *, measure: Measure
) -> HttpResponse:
    # Back to the same page of the list, with its filters.
    return modeladmin.take(request, measure, rows, back=request.get_full_path())
