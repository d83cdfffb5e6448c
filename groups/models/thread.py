from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Count, F, OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce

from groups.models.channel import ChannelMember
from groups.models.message import Message
from groups.models.user import User


class ThreadFollowerQuerySet(models.QuerySet["ThreadFollower"]):
    def followed_in(self, channel_ids: Collection[int], user: User) -> Self:
        """What a user follows in channels, which ends with the membership. That they unfollowed is kept."""
        return self.filter(root__channel__in=channel_ids, user=user, following=True)

    def told(self) -> Self:
        """Who is told of the thread: who follows it and may still read it."""
        members = ChannelMember.objects.filter(channel=OuterRef("root__channel"), user=OuterRef("user"))
        return self.filter(models.Exists(members), following=True)

    def followed_by(self, user: User) -> Self:
        """The threads that a user follows and may still read. One that lost its root and all its replies is gone."""
        return self.filter(
            Q(root__deleted_at=None) | Q(root__reply_count__gt=0),
            user=user,
            following=True,
            root__channel__members__user=user,
        )

    def unread(self) -> Self:
        """With something that counts as unread."""
        return self.filter(models.Exists(_unread()))

    def with_state(self) -> models.QuerySet[Any]:
        """With everything that a thread's row shows to its follower: `with_thread`, and `unread_count`."""
        counts = _unread().order_by().values("thread_root").annotate(count=Count("pk")).values("count")
        rows: models.QuerySet[Any] = self.with_thread().annotate(unread_count=Coalesce(Subquery(counts), Value(0)))
        return rows

    def with_thread(self) -> models.QuerySet[Any]:
        """Each with `channel_id`, `reply_count`, `latest_reply_id` (of a deleted one too; 0 when there is none),
        `newest_id`, which is the root's where there is no reply, the `rev` of the channel that these hold, and its
        `members_rev`.
        """
        latest = Message.objects.filter(thread_root=OuterRef("root")).order_by("-pk").values("pk")[:1]
        return self.annotate(
            channel_id=F("root__channel_id"),
            rev=F("root__channel__rev"),
            members_rev=F("root__channel__members_rev"),
            reply_count=F("root__reply_count"),
            latest_reply_id=Coalesce(Subquery(latest), Value(0)),
            newest_id=Coalesce(Subquery(latest), F("root_id")),
        )

    def states(self) -> list[Any]:
        """The rows of `with_state`, for many followers of few threads: it reads each reply once, not once for each.

        The caller holds the locks of the channels, as it takes two statements.
        """
        rows = list(self.with_thread().order_by("pk"))
        replies = Message.objects.shown().filter(
            thread_root__in={row.root_id for row in rows},
            pk__gt=min((row.last_read_id for row in rows), default=0),
        )
        in_thread: defaultdict[int, list[int]] = defaultdict(list)
        own: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for root_id, pk, author_id in replies.order_by("pk").values_list("thread_root_id", "pk", "author_id"):
            in_thread[root_id].append(pk)
            own[root_id, author_id].append(pk)
        for row in rows:
            after = _after(row.last_read_id, in_thread[row.root_id])
            row.unread_count = after - _after(row.last_read_id, own[row.root_id, row.user_id])
        return rows


class ThreadFollower(models.Model):
    """Who is told of replies, and how far they have read them. The row stays after unfollowing: it remembers that."""

    root = models.ForeignKey(Message, models.CASCADE, related_name="followers")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="followed_threads")
    following = models.BooleanField(default=True)
    last_read_id = models.PositiveBigIntegerField(default=0)

    objects = ThreadFollowerQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["root", "user"], name="one_follower_per_thread_and_user")]
        indexes = [models.Index(fields=["user", "following"], name="threads_by_follower")]

    def __str__(self) -> str:
        return f"{self.user} follows {self.root_id}"


def _unread() -> models.QuerySet[Message]:
    """Of the follower in the outer query: replies after the cursor, not own, not deleted."""
    replies = Message.objects.shown().filter(thread_root=OuterRef("root"), pk__gt=OuterRef("last_read_id"))
    return replies.exclude(author=OuterRef("user"))


def _after(pk: int, ascending: list[int]) -> int:
    return len(ascending) - bisect_right(ascending, pk)
