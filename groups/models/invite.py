from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from groups.models import secrets
from groups.models.user import User
from groups.models.workspace import Role, Workspace
from realtime import clock


class InviteQuerySet(models.QuerySet["Invite"]):
    def for_token(self, token: str) -> Self:
        return self.filter(token_hash=secrets.digest(token))

    def in_workspaces_of(self, user: User) -> Self:
        """The invites of the workspaces that a user is in."""
        return self.filter(workspace__members__user=user)

    def usable(self) -> Self:
        """Not revoked, not expired, and with uses left."""
        uses_left = Q(max_uses=None) | Q(uses__lt=F("max_uses"))
        return self.filter(uses_left, revoked_at=None, expires_at__gt=clock.now())


class Invite(models.Model):
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="invites")
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    role = models.CharField(_("role"), max_length=16, choices=Role, default=Role.MEMBER)
    """Whoever uses it begins with this: member or guest."""
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(_("expires at"))
    max_uses = models.PositiveIntegerField(_("may be used"), null=True, blank=True)
    uses = models.PositiveIntegerField(_("was used"), default=0)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)

    objects = InviteQuerySet.as_manager()

    class Meta:
        verbose_name = _("invite")
        verbose_name_plural = _("invites")
        constraints = [
            models.CheckConstraint(
                condition=Q(max_uses=None) | Q(uses__lte=F("max_uses")), name="an_invite_is_not_used_too_often"
            ),
            models.CheckConstraint(condition=Q(role__in=[Role.MEMBER, Role.GUEST]), name="an_invite_gives_no_power"),
        ]

    def __str__(self) -> str:
        return f"{self.workspace} ({self.uses})"
