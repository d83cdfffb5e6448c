from django.conf import settings
from django.db import models

from groups.models.channel import Channel


class ReadCursor(models.Model):
    """How far a member has read a channel. It exists while they are a member, and goes back only when they say so."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="read_cursors")
    channel = models.ForeignKey(Channel, models.CASCADE, related_name="read_cursors")
    last_read_id = models.PositiveBigIntegerField(default=0)
    version = models.PositiveBigIntegerField(default=0)
    """Rises with each move: of two positions the one with the higher version is true, whichever way it moved."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "channel"], name="one_cursor_per_user_and_channel")]

    def __str__(self) -> str:
        return f"{self.user} has read {self.channel} up to {self.last_read_id}"
