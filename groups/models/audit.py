import hashlib
import json
from datetime import UTC
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

NO_HASH = "0" * 64
"""Before the first entry."""
HEAD = 1
"""The id of the only AuditHead."""


class AuditAction(models.TextChoices):
    """What is written down, `<noun>.<what became of it>`."""

    MESSAGE_DELETED = "message.deleted", _("message deleted")
    MEMBER_SILENCED = "member.silenced", _("member muted")
    MEMBER_UNSILENCED = "member.unsilenced", _("member may write again")
    MEMBER_REMOVED = "member.removed", _("member removed")
    USER_DEACTIVATED = "user.deactivated", _("account deactivated")
    USER_REACTIVATED = "user.reactivated", _("account opened again")
    INVITE_REVOKED = "invite.revoked", _("invite revoked")
    TOKEN_REVOKED = "token.revoked", _("token revoked")
    DOMAIN_ASSIGNED = "domain.assigned", _("classroom domain given to a workspace")
    KEY_REVOKED = "key.revoked", _("classroom key revoked")


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
    action = models.CharField(_("action"), max_length=40, choices=AuditAction)
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
        indexes = [models.Index(fields=["target", "number"], name="audit_entries_by_target")]

    def __str__(self) -> str:
        return f"{self.number}: {self.action} {self.target}"

    @property
    def canonical(self) -> bytes:
        """All fields but the hashes as JSON: keys sorted, no spaces, ASCII alone; `at` in UTC with microseconds.

        docs/moderation.md has it for those who check a log with a program of their own.
        """
        fields: dict[str, Any] = {
            "number": self.number,
            "at": self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "actor_id": self.actor_id,
            "action": str(self.action),
            "target": self.target,
            "workspace_id": self.workspace_id,
            "reason": self.reason,
            "details": self.details,
        }
        return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

    @property
    def right_hash(self) -> str:
        """SHA-256 over the previous hash, a line feed and the canonical bytes."""
        return hashlib.sha256(self.previous_hash.encode() + b"\n" + self.canonical).hexdigest()


class AuditHead(models.Model):
    """The end of the chain, one row: its lock gives the order, and it tells when the log was cut short."""

    number = models.PositiveBigIntegerField(default=0)
    hash = models.CharField(max_length=64, default=NO_HASH)

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"
