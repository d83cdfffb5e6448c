from datetime import datetime
from typing import NamedTuple, Self, cast

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from realtime import clock, leases


class Status(models.TextChoices):
    ONLINE = "online", _("online")
    AWAY = "away", _("away")
    OFFLINE = "offline", _("offline")


class StatusText(NamedTuple):
    """What somebody says of themself beside their status."""

    text: str = ""
    emoji: str = ""
    expires_at: datetime | None = None


class PresenceQuerySet(models.QuerySet["Presence"]):
    def here(self) -> Self:
        """Whom others were told to be online or away."""
        return self.exclude(told_status=Status.OFFLINE)

    def expired(self) -> Self:
        """Whose text has ended."""
        return self.filter(status_expires_at__lte=clock.now())


class Presence(models.Model):
    """What others are told of a user beside what the leases say. A user without a row was never told of."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="presence")
    status_text = models.CharField(_("status text"), max_length=100, blank=True)
    status_emoji = models.CharField(_("status emoji"), max_length=32, blank=True)
    status_expires_at = models.DateTimeField(_("status ends at"), null=True, blank=True)
    untold_since = models.DateTimeField(null=True, blank=True, editable=False)
    """Since when the text is another one than was told."""
    told_status = models.CharField(max_length=8, choices=Status, default=Status.OFFLINE, editable=False)
    told_version = models.PositiveBigIntegerField(default=0, editable=False)

    objects = PresenceQuerySet.as_manager()

    class Meta:
        verbose_name = _("presence")
        verbose_name_plural = _("presences")
        indexes = [
            models.Index(
                fields=["status_expires_at"], condition=Q(status_expires_at__isnull=False), name="texts_that_end"
            ),
            models.Index(fields=["untold_since"], condition=Q(untold_since__isnull=False), name="texts_to_tell"),
            models.Index(fields=["told_status"], condition=~Q(told_status="offline"), name="who_was_told_to_be_here"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(told_status__in=Status.values), name="a_told_status_is_known"),
            models.CheckConstraint(
                condition=Q(status_expires_at=None) | ~Q(status_text="", status_emoji=""),
                name="only_a_status_text_ends",
            ),
        ]

    def __str__(self) -> str:
        return f"{self._meta.verbose_name} {self.pk}"

    @property
    def told(self) -> leases.Status:
        return cast(leases.Status, self.told_status)

    @property
    def shown(self) -> StatusText:
        """The text, which is empty from the moment that it ends."""
        if self.status_expires_at is not None and self.status_expires_at <= clock.now():
            return StatusText()
        return StatusText(self.status_text, self.status_emoji, self.status_expires_at)
