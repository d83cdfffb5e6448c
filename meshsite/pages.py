"""The pages that people see. What is live on them comes through the API and the socket."""

from contextlib import suppress
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.i18n import set_language as set_language_of_browser

from groups.actions.profiles import update_profile
from groups.actions.tokens import DAYS, create_token
from groups.actions.tokens import revoke_token as end_token
from groups.actions.workspaces import join_workspace
from groups.mesh.classroom_readings import looks_after_any
from groups.models import ApiToken, Invite, User
from groups.models.token import Scope
from realtime.errors import RateLimited

SCOPES = {
    Scope.READ: gettext_lazy("Read what you can read"),
    Scope.WRITE: gettext_lazy("Send messages and make channels as you"),
    Scope.MODERATE: gettext_lazy("Moderate where you may"),
}


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        return render(request, "pages/welcome.html")
    return render(request, "app.html", {"teaches": looks_after_any(_reader(request))})


@login_required
@require_safe
def message_link(request: HttpRequest, channel_id: int, message_id: int) -> HttpResponse:
    """The address of a message. Which the reader may see, and where it is, the page finds out."""
    return redirect(f"{reverse('home')}#/channels/{channel_id}/{message_id}")


class TokenForm(forms.Form):
    name = forms.CharField(max_length=80)
    scopes = forms.MultipleChoiceField(choices=list(SCOPES.items()), initial=[Scope.READ, Scope.WRITE])
    days = forms.IntegerField(min_value=DAYS[0], max_value=DAYS[-1], initial=30)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """The caller's API tokens. The answer to the form is the only page that ever shows the new one."""
    owner = _reader(request)
    form = TokenForm(request.POST or None)
    secret = None
    if request.method == "POST" and form.is_valid():
        try:
            _token, secret = create_token(owner=owner, **form.cleaned_data)
        except ValidationError as refusal:
            form.add_error(None, refusal)
        else:
            form = TokenForm()
    context = {"form": form, "secret": secret, "tokens": ApiToken.objects.usable_by(owner)}
    return render(request, "pages/tokens.html", context, status=400 if form.errors else 200)


@login_required
@require_POST
def revoke_token(request: HttpRequest, token_id: int) -> HttpResponse:
    owner = _reader(request)
    get_object_or_404(ApiToken, pk=token_id, owner=owner)
    token = end_token(owner=owner, token_id=token_id)
    messages.success(request, _("“%s” no longer works.") % token.name)
    return redirect("tokens")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def join(request: HttpRequest, token: str) -> HttpResponse:
    """An invitation. Whoever has the link may see to which workspace it leads; joining needs an account."""
    invite = Invite.objects.usable().for_token(token).select_related("workspace").first()
    if request.method == "POST":
        if not request.user.is_authenticated:
            return redirect(f"{reverse('account_login')}?{urlencode({'next': request.path})}")
        try:
            workspace = join_workspace(user=_reader(request), token=token)
        except (Invite.DoesNotExist, ValidationError):
            invite = None
        else:
            return redirect(f"{reverse('home')}#/workspaces/{workspace.pk}")
    context: dict[str, Any] = {"invite": invite, "next": urlencode({"next": request.path})}
    return render(request, "pages/join.html", context, status=200 if invite else 404)


@login_required
@require_safe
def classroom(request: HttpRequest) -> HttpResponse:
    """The teacher's page."""
    if not looks_after_any(_reader(request)):
        raise PermissionDenied
    return render(request, "classroom/teacher.html")


@require_safe
def classroom_try(request: HttpRequest) -> HttpResponse:
    """A client to try classrooms with. A key is all that it needs; where programs are tried out there is one in it."""
    keys = [key for key in settings.MESH_API_KEYS if "=" not in key] if settings.DEBUG else []
    return render(request, "classroom/try.html", {"key": keys[0] if keys else ""})


@require_POST
def set_language(request: HttpRequest) -> HttpResponse:
    """Choose the language of the pages: for this browser, and for the whole account of who is signed in."""
    language = request.POST.get("language", "")
    if request.user.is_authenticated and language in dict(settings.LANGUAGES):
        with suppress(RateLimited):
            update_profile(user=_reader(request), language=language)
    return set_language_of_browser(request)


def _reader(request: HttpRequest) -> User:
    """Who looks at a page that asks for an account."""
    return cast(User, request.user)
