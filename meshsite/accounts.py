"""What django-allauth is told about accounts here."""

from typing import Any

from allauth.account import signals
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.auth_backends import AuthenticationBackend
from allauth.core.exceptions import ImmediateHttpResponse
from django.contrib import messages
from django.contrib.auth.signals import user_logged_out
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from groups.models import User
from groups.models.user import check_username
from groups.spelling import look_of, spelling_of
from meshsite.credentials import credential_of_session
from realtime.control import check_user_again, close_credential

RESERVED = {"me", "admin", "channel", "here", "everyone", "all"}
"""Words that mean something else in a path or a mention."""
_RESERVED_KEYS = {key_of(word) for word in RESERVED for key_of in (spelling_of, look_of)}


class Backend(AuthenticationBackend):
    def user_can_authenticate(self, user: User) -> bool:
        return user.may_sign_in


class Adapter(DefaultAccountAdapter):
    def clean_username(self, username: str, shallow: bool = False) -> str:
        username = super().clean_username(username, shallow=shallow)
        if {spelling_of(username), look_of(username)} & _RESERVED_KEYS:
            raise ValidationError(_("This name is reserved. Choose another one."))
        if not shallow:
            check_username(username)
        return username

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        try:
            with transaction.atomic():
                saved: User = super().save_user(request, user, form, commit)
        except IntegrityError:
            # The form came twice at once, as by a double click, and the other one was first.
            messages.error(request, self.error_messages["username_taken"])
            raise ImmediateHttpResponse(redirect("account_login")) from None
        return saved

    def pre_login(self, request: HttpRequest, user: User, **about: Any) -> HttpResponse | None:
        # allauth signs in whom the backend refused, and only then looks at is_active.
        answer: HttpResponse | None = super().pre_login(request, user, **about)
        if answer is None and not user.may_sign_in:
            answer = self.respond_user_inactive(request, user)
        return answer


# Signals, because pages and the admin site sign out through Django's own function, which offers nothing else.
@receiver(user_logged_out)
def _end_sessions(request: HttpRequest, user: User | None, **kwargs: Any) -> None:
    if user is not None and request.session.session_key:
        close_credential(credential_of_session(request.session.session_key))


@receiver([signals.password_changed, signals.password_set, signals.password_reset])
def _check_again(user: User, **kwargs: Any) -> None:
    """A new password ends the other sign-ins."""
    check_user_again(user.pk)
