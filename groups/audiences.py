"""Who hears of an event: members of a channel or a workspace, as of the event's own place in its order."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from groups.models import Channel, ChannelMember, User, Workspace, WorkspaceMember, people
from realtime import clock
from realtime.publish import Audience, audience_kind

KEPT = 512
"""Member lists kept in the memory of a process."""
KEPT_SECONDS = 5.0
"""An event that an outage held up is told to those who are members now, not to those of before the outage."""


class _Known(NamedTuple):
    members_rev: int
    joined_revs: dict[int, int]
    """Who is a member since when."""
    everybody: tuple[int, ...]
    newest_joined_rev: int
    until: float

    def up_to(self, joined_rev: int) -> tuple[int, ...]:
        """Without who joined later: they are not told, as their first sight holds the event already."""
        if joined_rev >= self.newest_joined_rev:
            return self.everybody
        return tuple(user_id for user_id, joined in self.joined_revs.items() if joined <= joined_rev)


_known: dict[tuple[str, int], _Known] = {}


def members_of(row: Channel | Workspace) -> Audience:
    """The members at this moment. The caller holds the row's lock and has raised its `rev` for the event."""
    kind = "channel" if isinstance(row, Channel) else "workspace"
    return Audience(kind, {"id": row.pk, "rev": row.rev, "members_rev": row.members_rev})


def everybody_in(row: Channel | Workspace) -> Audience:
    """The members at this moment, for what has no place in the row's order."""
    to = members_of(row)
    # As if it were an event after the last: who joined with that one is told of this.
    return Audience(to.kind, to.of | {"rev": row.rev + 1})


def those_in(channel: Channel, user_ids: Iterable[int]) -> Audience:
    """Those of these users who are members still when the event leaves: it may have waited in an outage."""
    return Audience("those_in", {"id": channel.pk, "members_rev": channel.members_rev, "ids": sorted(set(user_ids))})


def witnesses_in(workspace: Workspace, unaware: Collection[int]) -> Audience:
    """The members at this moment, as `members_of`, without guests who may not know of whom it is about."""
    to = members_of(workspace)
    return Audience(to.kind, to.of | {"without": sorted(unaware)}) if unaware else to


def who_know(user: User) -> Audience:
    """Whoever else sees a user in a workspace when the event leaves, or reads what they once wrote."""
    return Audience("who_know", {"id": user.pk})


def forget_all() -> None:
    """Start anew; for tests, whose databases give the same ids to others."""
    _known.clear()


@audience_kind("channel")
def _members_of_channel(*, id: int, rev: int, members_rev: int) -> Iterable[int]:
    """Without those who joined with the event itself: they are told of the channel instead, as it is then."""
    return _members("channel", id, members_rev).up_to(rev - 1)


@audience_kind("those_in")
def _those_in_channel(*, id: int, members_rev: int, ids: Collection[int]) -> Iterable[int]:
    members = _members("channel", id, members_rev).joined_revs
    return [user_id for user_id in ids if user_id in members]


@audience_kind("workspace")
def _members_of_workspace(*, id: int, rev: int, members_rev: int, without: Collection[int] = ()) -> Iterable[int]:
    members = _members("workspace", id, members_rev).up_to(rev)
    return set(members) - set(without) if without else members


@audience_kind("who_know")
def _who_know(*, id: int) -> Iterable[int]:
    seeing, reading = people.who_see(id), people.readers_of(id)
    return {*seeing.values_list("user_id", flat=True), *reading.values_list("user_id", flat=True)} - {id}


def _members(kind: str, pk: int, members_rev: int) -> _Known:
    known = _known.get((kind, pk))
    if known is None or known.members_rev != members_rev or known.until < clock.monotonic():
        known = _read(kind, pk)
    return known


def _read(kind: str, pk: int) -> _Known:
    # The rev before the members: a change in between makes the list newer than its rev, so it is read again for the
    # next event. The other way round, somebody who left could be told for long.
    if kind == "channel":
        members_rev = Channel.objects.filter(pk=pk).values_list("members_rev", flat=True).first()
        joined_revs = dict(ChannelMember.objects.filter(channel=pk).values_list("user_id", "joined_rev"))
    else:
        members_rev = Workspace.objects.filter(pk=pk).values_list("members_rev", flat=True).first()
        joined_revs = dict(WorkspaceMember.objects.filter(workspace=pk).values_list("user_id", "joined_rev"))
    if len(_known) >= KEPT:
        _known.clear()
    newest_joined_rev = max(joined_revs.values(), default=0)
    found = _Known(
        members_rev or 0, joined_revs, tuple(joined_revs), newest_joined_rev, clock.monotonic() + KEPT_SECONDS
    )
    _known[kind, pk] = found
    return found
