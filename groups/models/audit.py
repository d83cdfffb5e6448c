from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class AuditEntry(models.Model):
    """What a moderator did, to whom and why. Only ever added to: the database refuses to change or delete a row.

    Each entry holds the hash of the one before it, so that a change of any of them breaks the chain.
    """

    number = models.PositiveBigIntegerField(_("number"), primary_key=True)
    """1, 2, 3 … without gaps."""
    at = models.DateTimeField(_("at"))
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("actor")
    )
    """None for a command of the operator."""
    action = models.CharField(_("action"), max_length=40)
    target = models.CharField(_("target"), max_length=80)
    """What it was done to: "message:9", "user:7"."""
    workspace_id = models.PositiveBigIntegerField(null=True, verbose_name=_("workspace"))
    reason = models.TextField(_("reason"))
    details = models.JSONField(_("details"), default=dict)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit log")

    def __str__(self) -> str:
        return f"{self.number}: {self.action} {self.target}"


class AuditHead(models.Model):
    """The end of the chain, one row: its lock gives the order, and it tells when the log was cut short."""

    number = models.PositiveBigIntegerField(default=0)
    hash = models.CharField(max_length=64, default="0" * 64)

    def __str__(self) -> str:
        return f"{self.number} {self.hash}"
