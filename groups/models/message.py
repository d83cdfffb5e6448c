from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from groups.models.channel import Channel
from groups.models.user import User


class MessageQuerySet(models.QuerySet["Message"]):
    def open_to(self, user: User) -> Self:
        """The messages that a user may read."""
        return self.filter(channel__members__user=user)

    def shown(self) -> Self:
        return self.filter(deleted_at=None)

    def unread_by(self, user: User) -> Self:
        """What counts as unread when it is after the user's cursor: not own, not deleted."""
        return self.shown().exclude(author=user)

    def since(self, since_id: int, limit: int) -> tuple[list["Message"], bool, int]:
        """Up to `limit` shown messages after an id, ascending; whether there are more; where to go on.

        Deleted messages are left out without holding the cursor back, so a reader passes them.
        """
        newest_id = self.order_by("-pk").values_list("pk", flat=True).first() or 0
        rows = list(self.shown().filter(pk__gt=since_id).order_by("pk")[: limit + 1])
        if len(rows) > limit:
            return rows[:limit], True, rows[limit - 1].pk
        # Read before the rows: what was sent in between is beyond it or among the rows.
        return rows, False, max(since_id, newest_id, rows[-1].pk if rows else 0)

    def before(self, before_id: int | None, limit: int) -> tuple[list["Message"], bool]:
        """The `limit` shown messages before an id, or the newest, ascending; whether there are more."""
        rows = self.shown() if before_id is None else self.shown().filter(pk__lt=before_id)
        newest_first = list(rows.order_by("-pk")[: limit + 1])
        return newest_first[:limit][::-1], len(newest_first) > limit

    def changed_since(self, since_rev: int, limit: int) -> tuple[list["Message"], bool]:
        """Up to `limit` messages of one channel that changed after a rev, deleted ones too, in the order of their last
        change; whether there are more.
        """
        rows = list(self.filter(rev__gt=since_rev).order_by("rev")[: limit + 1])
        return rows[:limit], len(rows) > limit

    def pinned(self) -> Self:
        """The newest pin first."""
        return self.shown().filter(pinned_at__isnull=False).order_by("-pinned_at", "-pk")

    def with_payload(self) -> Self:
        """With everything that `message_payload` shows of each."""
        return self.select_related("author").prefetch_related("reactions")


class Message(models.Model):
    channel = models.ForeignKey(Channel, models.CASCADE, related_name="messages", db_index=False)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="messages")
    body = models.TextField(_("text"), blank=True)
    html = models.TextField(blank=True)
    """`body` rendered and cleaned; safe to show."""
    thread_root = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="replies", db_index=False
    )
    reply_count = models.PositiveIntegerField(default=0)
    client_msg_id = models.CharField(max_length=64, null=True, blank=True)  # noqa: DJ001 - unique where it is given
    content_hash = models.BinaryField(max_length=32)
    """SHA-256 of what was first sent, so that a retry is known after an edit or a deletion too."""
    rev = models.PositiveBigIntegerField()
    """The channel's rev at the last change of this message."""
    created_at = models.DateTimeField(_("sent at"))
    edited_at = models.DateTimeField(_("edited at"), null=True, blank=True)
    pinned_at = models.DateTimeField(_("pinned at"), null=True, blank=True)
    pinned_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    deleted_at = models.DateTimeField(_("deleted at"), null=True, blank=True)
    deleted_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")

    objects = MessageQuerySet.as_manager()

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        indexes = [
            models.Index(fields=["channel", "id"], name="messages_by_channel_and_id"),
            models.Index(fields=["channel", "rev"], name="messages_by_channel_and_rev"),
            models.Index(
                fields=["channel", "id", "author"], condition=Q(deleted_at=None), name="shown_messages_by_channel"
            ),
            models.Index(fields=["thread_root", "id"], name="messages_by_thread_and_id"),
            models.Index(
                fields=["channel", "pinned_at"], condition=Q(pinned_at__isnull=False), name="pinned_messages_by_channel"
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["author", "client_msg_id"], name="one_message_per_client_id"),
            models.CheckConstraint(
                condition=Q(deleted_at=None) | Q(body="", html=""), name="the_text_of_a_deleted_message_is_erased"
            ),
            models.CheckConstraint(
                condition=Q(deleted_at=None, deleted_by=None) | Q(deleted_at__isnull=False, deleted_by__isnull=False),
                name="a_deletion_has_a_moment_and_a_person",
            ),
            models.CheckConstraint(
                condition=Q(pinned_at=None, pinned_by=None) | Q(pinned_at__isnull=False, pinned_by__isnull=False),
                name="a_pin_has_a_moment_and_a_person",
            ),
            models.CheckConstraint(
                condition=Q(deleted_at=None) | Q(pinned_at=None), name="a_deleted_message_is_not_pinned"
            ),
        ]

    def __str__(self) -> str:
        # Without the text: the admin's log keeps this, and would keep what was deleted.
        return f"{self._meta.verbose_name} {self.pk}"

    @property
    def deleted(self) -> bool:
        return self.deleted_at is not None


class MessageVersion(models.Model):
    """A text that an edit replaced."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="versions")
    body = models.TextField(_("text"))
    replaced_at = models.DateTimeField(_("replaced at"))

    class Meta:
        verbose_name = _("earlier text")
        verbose_name_plural = _("earlier texts")

    def __str__(self) -> str:
        return self.body[:60]
