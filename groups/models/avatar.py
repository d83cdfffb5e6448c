from django.conf import settings
from django.db import models


class Avatar(models.Model):
    """The picture of a user, small and made anew from what they sent: in the database, so that every worker has it."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="avatar")
    digest = models.CharField(max_length=64, unique=True)
    """See `groups.avatars.digest_of`."""
    image = models.BinaryField()
    """WebP."""

    def __str__(self) -> str:
        return f"{self.user}"
