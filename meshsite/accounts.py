"""What django-allauth is told about accounts here."""

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.auth_backends import AuthenticationBackend
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from groups.models import User

RESERVED = {"me", "admin", "channel", "here", "everyone", "all"}
"""Words that mean something else in a path or a mention."""


class Backend(AuthenticationBackend):
    def user_can_authenticate(self, user: User) -> bool:
        return user.may_sign_in


class Adapter(DefaultAccountAdapter):
    def clean_username(self, username: str, shallow: bool = False) -> str:
        username = super().clean_username(username, shallow=shallow)
        if username.lower() in RESERVED:
            raise ValidationError(_("This name is reserved. Choose another one."))
        return username
