from django.conf import settings
from django.db import models

from groups.models.message import Message


class ThreadFollower(models.Model):
    """Who is told of replies, and how far they have read them. The row stays after unfollowing: it remembers that."""

    root = models.ForeignKey(Message, models.CASCADE, related_name="followers")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="followed_threads")
    following = models.BooleanField(default=True)
    last_read_id = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["root", "user"], name="one_follower_per_thread_and_user")]
        indexes = [models.Index(fields=["user", "following"], name="threads_by_follower")]

    def __str__(self) -> str:
        return f"{self.user} follows {self.root_id}"
