from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _


class User(AbstractUser):
    display_name = models.CharField(_("display name"), max_length=80, blank=True)
    demo = models.BooleanField(_("demo account"), default=False, help_text=_("May sign in only while DEBUG is on."))

    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [models.UniqueConstraint(Lower("username"), name="one_user_per_name_in_any_case")]

    @property
    def shown_name(self) -> str:
        return self.display_name or self.username

    @property
    def may_sign_in(self) -> bool:
        """Active, and not left over from a demo: its password is known to everybody."""
        return self.is_active and (settings.DEBUG or not self.demo)
