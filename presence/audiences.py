"""Who is told of whose presence. With everybody of everybody it would grow with the square of a workspace.

A user's changes are told to themself, to all members of those of their workspaces that have at most PRESENCE_MEMBERS,
to those they share a direct channel with, and to those who watch them. All of them share a workspace with the user.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable

from django.conf import settings
from django.db.models import Count, F

from groups.models import ChannelMember, User, WorkspaceMember
from groups.models.channel import Kind
from presence import watching


def told_of(user_ids: Collection[int]) -> dict[int, set[int]]:
    """For each user the ids of those who are told of them."""
    watchers = watching.watchers_of(user_ids)
    workspaces = _workspaces_of({*user_ids, *set().union(*watchers.values())})
    told = _told_without_asking(user_ids, workspaces)
    for user_id, theirs in watchers.items():
        told[user_id] |= {watcher for watcher in theirs if workspaces[watcher] & workspaces[user_id]}
    return told


def heard_of_by(user: User) -> set[int]:
    """The ids of those whose changes a user is told, themself too."""
    # Workspaces and direct channels tell both sides of each other.
    told = _told_without_asking([user.pk], _workspaces_of([user.pk]))[user.pk]
    return told | shared_with(user, watching.watched_by(user.pk))


def shared_with(user: User, user_ids: Iterable[int]) -> set[int]:
    """Of these users those who share a workspace with a user, and the user themself: whose presence they may see."""
    asked = set(user_ids)
    shared = WorkspaceMember.objects.filter(user__in=asked, workspace__members__user=user)
    return set(shared.values_list("user_id", flat=True)) | (asked & {user.pk})


def _told_without_asking(user_ids: Collection[int], workspaces: defaultdict[int, set[int]]) -> dict[int, set[int]]:
    """`workspaces` are those of these users at least."""
    told = {user_id: {user_id} for user_id in user_ids}
    members = _members_of_small(set().union(*(workspaces[user_id] for user_id in user_ids)))
    for user_id in user_ids:
        told[user_id].update(*(members[workspace_id] for workspace_id in workspaces[user_id]))
    direct = ChannelMember.objects.filter(
        channel__kind=Kind.DIRECT,
        channel__members__user__in=user_ids,
        channel__workspace__members__user=F("user"),
    )
    for user_id, peer_id, workspace_id in direct.values_list(
        "channel__members__user_id", "user_id", "channel__workspace_id"
    ):
        if workspace_id in workspaces[user_id]:
            told[user_id].add(peer_id)
    return told


def _workspaces_of(user_ids: Collection[int]) -> defaultdict[int, set[int]]:
    workspaces: defaultdict[int, set[int]] = defaultdict(set)
    memberships = WorkspaceMember.objects.filter(user__in=user_ids)
    for user_id, workspace_id in memberships.values_list("user_id", "workspace_id"):
        workspaces[user_id].add(workspace_id)
    return workspaces


def _members_of_small(workspace_ids: Collection[int]) -> defaultdict[int, set[int]]:
    """The members of those workspaces that have at most PRESENCE_MEMBERS."""
    memberships = WorkspaceMember.objects.filter(workspace__in=workspace_ids)
    counts = memberships.values("workspace").annotate(count=Count("pk"))
    small = counts.filter(count__lte=settings.PRESENCE_MEMBERS).values("workspace")
    members: defaultdict[int, set[int]] = defaultdict(set)
    rows = WorkspaceMember.objects.filter(workspace__in=small)
    for workspace_id, user_id in rows.values_list("workspace_id", "user_id"):
        members[workspace_id].add(user_id)
    return members
