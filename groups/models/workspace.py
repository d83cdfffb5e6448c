from typing import Any, Self

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from groups.models.revised import Revised
from groups.models.user import User


class Role(models.TextChoices):
    OWNER = "owner", _("owner")
    ADMIN = "admin", _("admin")
    MODERATOR = "moderator", _("moderator")
    MEMBER = "member", _("member")
    GUEST = "guest", _("guest")


class WorkspaceQuerySet(models.QuerySet["Workspace"]):
    def open_to(self, user: User) -> Self:
        """The workspaces that a user is a member of."""
        return self.filter(members__user=user)

    def joinable_by(self, user: User) -> Self:
        """Open workspaces that a user may join without an invite."""
        return self.filter(open=True).exclude(members__user=user)

    def with_member_count(self) -> models.QuerySet[Any]:
        return self.annotate(member_count=models.Count("members"))


class Workspace(Revised):
    name = models.CharField(_("name"), max_length=80)
    open = models.BooleanField(_("open"), default=False, help_text=_("Everybody with an account may join."))
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", editable=False)
    created_at = models.DateTimeField(editable=False)

    objects = WorkspaceQuerySet.as_manager()

    class Meta:
        verbose_name = _("workspace")
        verbose_name_plural = _("workspaces")
        constraints = [models.CheckConstraint(condition=~models.Q(name=""), name="a_workspace_has_a_name")]

    def __str__(self) -> str:
        return self.name


class WorkspaceMember(models.Model):
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="members")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="workspace_memberships")
    role = models.CharField(_("role"), max_length=16, choices=Role, default=Role.MEMBER)
    silenced_until = models.DateTimeField(_("silenced until"), null=True, blank=True)
    """A moderator let them only read until then."""
    joined_rev = models.PositiveBigIntegerField()
    joined_at = models.DateTimeField()

    class Meta:
        verbose_name = _("workspace member")
        verbose_name_plural = _("workspace members")
        constraints = [
            models.UniqueConstraint(fields=["workspace", "user"], name="one_membership_per_workspace_and_user"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="a_workspace_role_is_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.workspace}"
