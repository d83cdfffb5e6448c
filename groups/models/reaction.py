from django.conf import settings
from django.db import models

from groups.models.message import Message


class Reaction(models.Model):
    message = models.ForeignKey(Message, models.CASCADE, related_name="reactions")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    emoji = models.CharField(max_length=32)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["message", "user", "emoji"], name="one_reaction_per_user_and_emoji"),
        ]

    def __str__(self) -> str:
        return f"{self.emoji} of {self.user}"
