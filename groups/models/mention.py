from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from groups.models.channel import Channel
from groups.models.message import Message
from groups.models.user import User


class MentionKind(models.TextChoices):
    USER = "user", _("by name")
    CHANNEL = "channel", "@channel"
    HERE = "here", "@here"


class MentionQuerySet(models.QuerySet["Mention"]):
    def open_to(self, user: User) -> Self:
        """The mentions of a user that they may still read."""
        return self.filter(user=user, channel__members__user=user)

    def before(self, before_id: int | None, limit: int) -> tuple[list["Mention"], bool]:
        """Up to `limit` mentions in messages before an id, or the newest, newest first; whether there are more."""
        rows = self if before_id is None else self.filter(message__lt=before_id)
        newest_first = list(rows.order_by("-message")[: limit + 1])
        return newest_first[:limit], len(newest_first) > limit

    def with_message(self) -> Self:
        """With everything that the payload shows of the message of each."""
        return self.select_related("message__author").prefetch_related("message__reactions")


class Mention(models.Model):
    """That a message names somebody: once per message and person. It goes with the text that named them."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="mentions")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="mentions")
    channel = models.ForeignKey(Channel, models.CASCADE, related_name="mentions", db_index=False)
    """Of the message: so that a sidebar counts each channel's mentions without reading its messages."""
    kind = models.CharField(max_length=8, choices=MentionKind)

    objects = MentionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["message", "user"], name="one_mention_per_message_and_user"),
            models.CheckConstraint(condition=Q(kind__in=MentionKind.values), name="a_kind_of_mention_is_known"),
        ]
        indexes = [
            models.Index(fields=["user", "message"], name="mentions_by_user_and_message"),
            models.Index(fields=["user", "channel", "message"], name="mentions_by_user_and_channel"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in message {self.message_id}"
