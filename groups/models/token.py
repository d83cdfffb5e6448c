from collections.abc import Iterable
from typing import Self

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from groups.models import secrets
from groups.models.user import User
from realtime import clock


class Scope(models.TextChoices):
    READ = "read", _("read")
    WRITE = "write", _("write")
    MODERATE = "moderate", _("moderate")


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def usable(self) -> Self:
        return self.filter(revoked_at=None, expires_at__gt=clock.now())

    def usable_by(self, user: User) -> Self:
        return self.usable().filter(owner=user).order_by("-pk")

    def for_tokens(self, tokens: Iterable[str]) -> Self:
        return self.filter(token_hash__in=[secrets.digest(token) for token in tokens])


class ApiToken(models.Model):
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_tokens")
    name = models.CharField(_("name"), max_length=80)
    prefix = models.CharField(_("begins with"), max_length=12)
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(_("scopes"))
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(_("expires at"))
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def usable(self) -> bool:
        return self.revoked_at is None and self.expires_at > clock.now()

    @property
    def credential(self) -> str:
        """How the sessions that it opens name it."""
        return f"token:{self.pk}"
