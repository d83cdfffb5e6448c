"""Who is told of whose presence. With everybody of everybody it would grow with the square of a workspace.

A user's changes are told to themself, to all members of those of their workspaces that have at most PRESENCE_MEMBERS,
to those they share a direct channel with, and to those who watch them. All of them share a workspace with the user, and
a channel of it where they are guests.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import Count, F

from groups.models import ChannelMember, User, WorkspaceMember, people
from groups.models.channel import Kind
from groups.models.workspace import Role
from presence import watching


def told_of(user_ids: Collection[int]) -> dict[int, set[int]]:
    """For each user the ids of those who are told of them."""
    watchers = watching.watchers_of(user_ids)
    sight = _Sight.of(user_ids, set().union(*watchers.values()))
    told = _told_without_asking(user_ids, sight)
    for user_id, theirs in watchers.items():
        told[user_id] |= {watcher for watcher in theirs if sight.sees(watcher, user_id)}
    return told


def heard_of_by(user: User) -> set[int]:
    """The ids of those whose changes a user is told, themself too."""
    seen = people.visible_to(user.pk).filter(workspace__in=_small(user.workspace_memberships.values("workspace")))
    direct = ChannelMember.objects.filter(
        channel__kind=Kind.DIRECT,
        channel__members__user=user,
        channel__workspace__members__user=F("user"),
    ).filter(channel__workspace__members__user=user)
    heard = {user.pk, *seen.values_list("user_id", flat=True), *direct.values_list("user_id", flat=True)}
    return heard | shared_with(user, watching.watched_by(user.pk))


def shared_with(user: User, user_ids: Iterable[int]) -> set[int]:
    """Of these users those who share a workspace with a user, and the user themself: whose presence they may see."""
    asked = set(user_ids)
    shared = people.visible_to(user.pk).filter(user__in=asked)
    return set(shared.values_list("user_id", flat=True)) | (asked & {user.pk})


class _Sight(NamedTuple):
    """Who may see whom, as far as some users are concerned."""

    roles: defaultdict[int, dict[int, str]]
    """user -> workspace -> role, of these users and of who may watch them."""
    beside: set[tuple[int, int, int]]
    """(user, guest, workspace) of guests who share a channel with one of these users."""

    @classmethod
    def of(cls, user_ids: Collection[int], watchers: Collection[int]) -> "_Sight":
        roles: defaultdict[int, dict[int, str]] = defaultdict(dict)
        memberships = WorkspaceMember.objects.filter(user__in={*user_ids, *watchers})
        for user_id, workspace_id, role in memberships.values_list("user_id", "workspace_id", "role"):
            roles[user_id][workspace_id] = role
        return cls(roles, people.guests_beside(user_ids))

    def sees(self, other_id: int, user_id: int) -> bool:
        return any(
            self.roles[other_id][workspace_id] != Role.GUEST or (user_id, other_id, workspace_id) in self.beside
            for workspace_id in self.roles[other_id].keys() & self.roles[user_id].keys()
        )


def _told_without_asking(user_ids: Collection[int], sight: _Sight) -> dict[int, set[int]]:
    told = {user_id: {user_id} for user_id in user_ids}
    members = _members_of_small(set().union(*(sight.roles[user_id] for user_id in user_ids)))
    for user_id in user_ids:
        told[user_id].update(*(members[workspace_id] for workspace_id in sight.roles[user_id]))
    for user_id, guest_id, workspace_id in sight.beside:
        if workspace_id in members and workspace_id in sight.roles[user_id]:
            told[user_id].add(guest_id)
    direct = ChannelMember.objects.filter(
        channel__kind=Kind.DIRECT,
        channel__members__user__in=user_ids,
        channel__workspace__members__user=F("user"),
    )
    for user_id, peer_id, workspace_id in direct.values_list(
        "channel__members__user_id", "user_id", "channel__workspace_id"
    ):
        if workspace_id in sight.roles[user_id]:
            told[user_id].add(peer_id)
    return told


def _members_of_small(workspace_ids: Collection[int]) -> defaultdict[int, set[int]]:
    """The members, without guests, of those workspaces that have at most PRESENCE_MEMBERS."""
    members: defaultdict[int, set[int]] = defaultdict(set)
    rows = WorkspaceMember.objects.filter(workspace__in=_small(workspace_ids)).exclude(role=Role.GUEST)
    for workspace_id, user_id in rows.values_list("workspace_id", "user_id"):
        members[workspace_id].add(user_id)
    return members


def _small(workspace_ids: Any) -> list[int]:
    """Those of these workspaces that have at most PRESENCE_MEMBERS.

    Asked for by itself: within a query PostgreSQL may count a large workspace again for each of its members.
    """
    counts = WorkspaceMember.objects.filter(workspace__in=workspace_ids).values("workspace")
    small = counts.annotate(count=Count("pk")).filter(count__lte=settings.PRESENCE_MEMBERS)
    return list(small.order_by().values_list("workspace", flat=True))
