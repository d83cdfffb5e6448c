from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Count, F, Q
from django.utils.translation import gettext_lazy as _

from groups.models.name_key import NameKey
from groups.models.revised import Revised
from groups.models.user import User
from groups.models.workspace import Role, Workspace
from groups.spelling import look_of, spelling_of


class Kind(models.TextChoices):
    PUBLIC = "public", _("public")
    PRIVATE = "private", _("private")
    DIRECT = "direct", _("direct")


class ChannelRole(models.TextChoices):
    ADMIN = "admin", _("admin")
    MEMBER = "member", _("member")


class Notify(models.TextChoices):
    """What of a channel a member wants to be told of while they look elsewhere."""

    ALL = "all", _("every message")
    MENTIONS = "mentions", _("mentions")
    NOTHING = "nothing", _("nothing")


class ChannelQuerySet(models.QuerySet["Channel"]):
    def open_to(self, user: User) -> Self:
        """The channels that a user is a member of: they may read and write there."""
        return self.filter(members__user=user)

    def browsable_by(self, user: User) -> Self:
        """Public channels of the user's workspaces; guests see only what they are put in."""
        workspaces = Workspace.objects.filter(
            members__in=user.workspace_memberships.exclude(role=Role.GUEST),
        )
        return self.filter(kind=Kind.PUBLIC, archived_at=None, workspace__in=workspaces)

    def called(self, name: str) -> Self:
        """Channels of this name, or of one that nobody can tell from it."""
        return self.exclude(kind=Kind.DIRECT).filter(Q(name_key=spelling_of(name)) | Q(name_look=look_of(name)))

    def deserted(self) -> Self:
        """Direct channels of several people of whom at most one is left: the others went, or their accounts ended."""
        left = Q(members__user__is_active=True)
        several = self.filter(kind=Kind.DIRECT, direct_key__contains=",")
        return several.annotate(left=Count("members", filter=left)).filter(left__lte=1)

    def visible_to(self, user: User) -> Self:
        """Channels of which a user may know that they exist."""
        return self.filter(
            Q(pk__in=self.model.objects.open_to(user).values("pk"))
            | Q(pk__in=self.model.objects.browsable_by(user).values("pk"))
        )


class Channel(Revised):
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="channels")
    kind = models.CharField(_("kind"), max_length=8, choices=Kind)
    name = models.CharField(_("name"), max_length=80, blank=True)
    name_key = NameKey(of="name", by="spelling")
    name_look = NameKey(of="name", by="look")
    topic = models.CharField(_("topic"), max_length=250, blank=True)
    direct_key = models.CharField(max_length=200, blank=True, editable=False)
    """The sorted ids of a direct channel's members, "3,7": one channel per member set."""
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", editable=False)
    created_at = models.DateTimeField(editable=False)

    objects = ChannelQuerySet.as_manager()

    class Meta:
        verbose_name = _("channel")
        verbose_name_plural = _("channels")
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "name_key"], condition=~Q(kind="direct"), name="one_channel_per_name_in_any_case"
            ),
            models.UniqueConstraint(
                fields=["workspace", "name_look"], condition=~Q(kind="direct"), name="one_channel_per_look_of_a_name"
            ),
            models.UniqueConstraint(
                fields=["workspace", "direct_key"], condition=Q(kind="direct"), name="one_direct_channel_per_members"
            ),
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="a_channel_kind_is_known"),
            models.CheckConstraint(
                condition=(Q(kind="direct", name="") & ~Q(direct_key=""))
                | (~Q(kind="direct") & ~Q(name="") & Q(direct_key="")),
                name="a_direct_channel_has_members_for_a_name",
            ),
            models.CheckConstraint(condition=Q(members_rev__lte=F("rev")), name="members_rev_is_a_rev"),
        ]

    def __str__(self) -> str:
        return f"#{self.name}" if self.name else f"direct {self.direct_key}"

    @property
    def is_direct(self) -> bool:
        return self.kind == Kind.DIRECT

    @property
    def direct_ids(self) -> list[int]:
        """The ids of the people whose direct channel it is, of those too who left the workspace since; else none."""
        return [int(user_id) for user_id in self.direct_key.split(",") if user_id]


class ChannelMember(models.Model):
    channel = models.ForeignKey(Channel, models.CASCADE, related_name="members")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="channel_memberships")
    role = models.CharField(_("role"), max_length=8, choices=ChannelRole, default=ChannelRole.MEMBER)
    muted = models.BooleanField(_("muted"), default=False)
    """Its unread messages are counted and not shown; `@channel` and `@here` do not reach them."""
    notify = models.CharField(_("notifications"), max_length=8, choices=Notify, default=Notify.ALL)
    joined_rev = models.PositiveBigIntegerField()
    """The channel's rev when they joined: they are told of what came after it."""
    joined_at = models.DateTimeField()

    class Meta:
        verbose_name = _("channel member")
        verbose_name_plural = _("channel members")
        constraints = [
            models.UniqueConstraint(fields=["channel", "user"], name="one_membership_per_channel_and_user"),
            models.CheckConstraint(condition=Q(role__in=ChannelRole.values), name="a_channel_role_is_known"),
            models.CheckConstraint(condition=Q(notify__in=Notify.values), name="a_notification_level_is_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.channel}"
