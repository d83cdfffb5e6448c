"""Who sees whom. Members of a workspace see everybody in it; guests see those with whom they share a channel there."""

from collections.abc import Collection

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from groups.models.channel import ChannelMember
from groups.models.message import Message
from groups.models.workspace import Role, WorkspaceMember


def visible_to(user_id: int) -> QuerySet[WorkspaceMember]:
    """The memberships that a user sees, in all their workspaces; their own too."""
    mine = WorkspaceMember.objects.filter(user=user_id)
    as_member = Q(workspace__in=mine.exclude(role=Role.GUEST).values("workspace"))
    as_guest = Q(workspace__in=mine.filter(role=Role.GUEST).values("workspace"))
    return WorkspaceMember.objects.filter(as_member | as_guest & (Q(user=user_id) | _shares_a_channel_with(user_id)))


def who_see(user_id: int) -> QuerySet[WorkspaceMember]:
    """The memberships of those who see a user, in all their workspaces; the user's own too."""
    workspaces = WorkspaceMember.objects.filter(user=user_id).values("workspace")
    seeing = ~Q(role=Role.GUEST) | Q(user=user_id) | _shares_a_channel_with(user_id)
    return WorkspaceMember.objects.filter(seeing, workspace__in=workspaces)


def readers_of(user_id: int) -> QuerySet[ChannelMember]:
    """Who reads what a user wrote, and so how they are called, although they may not see them any more."""
    return ChannelMember.objects.filter(channel__in=Message.objects.filter(author=user_id).values("channel"))


def authors_read_by(user_id: int, author_ids: Collection[int]) -> set[int]:
    """Those of these users who wrote something that a user may read."""
    written = Message.objects.filter(author__in=author_ids, channel__members__user=user_id)
    return set(written.order_by().values_list("author_id", flat=True).distinct())


def guests_beside(user_ids: Collection[int]) -> set[tuple[int, int, int]]:
    """(user, guest, workspace) for each of these users and each guest who shares a channel of a workspace with them."""
    shared = ChannelMember.objects.filter(
        user__workspace_memberships__workspace=F("channel__workspace"),
        user__workspace_memberships__role=Role.GUEST,
        channel__members__user__in=user_ids,
    )
    return set(shared.values_list("channel__members__user_id", "user_id", "channel__workspace_id").distinct())


def _shares_a_channel_with(user_id: int) -> Exists:
    shared = ChannelMember.objects.filter(
        user=OuterRef("user"), channel__workspace=OuterRef("workspace"), channel__members__user=user_id
    )
    return Exists(shared)
