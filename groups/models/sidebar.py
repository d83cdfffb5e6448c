from collections.abc import Iterable
from typing import Any

from django.db.models import Count, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from groups.models.channel import Channel, ChannelMember
from groups.models.mention import Mention
from groups.models.message import Message
from groups.models.user import User


def with_state_of(user: User, channels: QuerySet[Channel]) -> QuerySet[Any]:
    """Channels with what their row in a user's sidebar shows.

    Each has `my_role` (None for a channel that the user is not in), `my_muted`, `my_notify`, `my_last_read_id`,
    `my_read_version`, `my_unread_count`, `my_mention_count`, `latest_message_id` (0 when there is none) and
    `member_count`.
    """
    mine = ChannelMember.objects.filter(channel=OuterRef("pk"), user=user)
    cursor = user.read_cursors.filter(channel=OuterRef("pk"))
    messages = Message.objects.filter(channel=OuterRef("pk"))
    placed = channels.annotate(
        my_role=Subquery(mine.values("role")[:1]),
        my_muted=Coalesce(Subquery(mine.values("muted")[:1]), Value(False)),
        my_notify=Subquery(mine.values("notify")[:1]),
        my_read_version=Coalesce(Subquery(cursor.values("version")[:1]), Value(0)),
        my_last_read_id=Coalesce(Subquery(cursor.values("last_read_id")[:1]), Value(0)),
        latest_message_id=Coalesce(Subquery(messages.order_by("-pk").values("pk")[:1]), Value(0)),
        member_count=_counted(ChannelMember.objects.filter(channel=OuterRef("pk")), by="channel"),
    )
    return with_counts_after(OuterRef("my_last_read_id"), user, placed)


def with_counts_after(last_read_id: int | OuterRef, user: User, channels: QuerySet[Any]) -> QuerySet[Any]:
    """Channels with `my_unread_count` and `my_mention_count` of what comes after a message."""
    after = Message.objects.filter(channel=OuterRef("pk"), pk__gt=last_read_id)
    mentions = Mention.objects.filter(user=user, channel=OuterRef("pk"), message__gt=last_read_id)
    counted: QuerySet[Any] = channels.annotate(
        my_unread_count=_counted(after.unread_by(user), by="channel"),
        my_mention_count=_counted(mentions, by="channel"),
    )
    return counted


def direct_people(channels: Iterable[Channel]) -> dict[int, list[User]]:
    """By the id of each direct channel the people it is named after, by id.

    Of who left the workspace only the name: a profile is shown to who shares a workspace.
    """
    named = {channel.pk: channel.direct_ids for channel in channels if channel.is_direct}
    members = ChannelMember.objects.filter(channel__in=named).select_related("user")
    present = {(member.channel_id, member.user_id): member.user for member in members}
    gone = {user_id for pk, user_ids in named.items() for user_id in user_ids if (pk, user_id) not in present}
    names = dict(User.objects.filter(pk__in=gone).values_list("pk", "username"))
    former = {pk: User(pk=pk, username=username, is_active=False) for pk, username in names.items()}
    shown = {pk: [present.get((pk, user_id), former.get(user_id)) for user_id in ids] for pk, ids in named.items()}
    return {pk: [user for user in people if user is not None] for pk, people in shown.items()}


def _counted(rows: QuerySet[Any], *, by: str) -> Coalesce:
    counts = rows.order_by().values(by).annotate(count=Count("pk")).values("count")
    return Coalesce(Subquery(counts), Value(0))
