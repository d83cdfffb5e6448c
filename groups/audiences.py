"""Who hears of an event: members of a channel or a workspace, as of the event's own place in its order."""

from collections.abc import Iterable
from typing import NamedTuple

from groups.models import Channel, ChannelMember, Workspace, WorkspaceMember
from realtime import clock
from realtime.publish import Audience, audience_kind

KEPT = 512
"""Member lists kept in the memory of a process."""
KEPT_SECONDS = 5.0
"""An event that an outage held up is told to those who are members now, not to those of before the outage."""


class _Known(NamedTuple):
    members_rev: int
    joined_revs: dict[int, int]
    until: float


_known: dict[tuple[str, int], _Known] = {}


def members_of(row: Channel | Workspace) -> Audience:
    """The members at this moment. The caller holds the row's lock and has raised its `rev` for the event."""
    kind = "channel" if isinstance(row, Channel) else "workspace"
    return Audience(kind, {"id": row.pk, "rev": row.rev, "members_rev": row.members_rev})


def forget_all() -> None:
    """Start anew; for tests, whose databases give the same ids to others."""
    _known.clear()


@audience_kind("channel")
def _members_of_channel(*, id: int, rev: int, members_rev: int) -> Iterable[int]:
    """Without those who joined with the event itself: they are told of the channel instead, as it is then."""
    joined_revs = _joined_revs("channel", id, members_rev)
    return [user_id for user_id, joined_rev in joined_revs.items() if joined_rev < rev]


@audience_kind("workspace")
def _members_of_workspace(*, id: int, rev: int, members_rev: int) -> Iterable[int]:
    joined_revs = _joined_revs("workspace", id, members_rev)
    return [user_id for user_id, joined_rev in joined_revs.items() if joined_rev <= rev]


def _joined_revs(kind: str, pk: int, members_rev: int) -> dict[int, int]:
    """Who is a member since when. Who joined after an event is not told of it: their first sight holds it already."""
    known = _known.get((kind, pk))
    if known is None or known.members_rev != members_rev or known.until < clock.monotonic():
        known = _read(kind, pk)
    return known.joined_revs


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
    found = _Known(members_rev or 0, joined_revs, clock.monotonic() + KEPT_SECONDS)
    _known[kind, pk] = found
    return found
