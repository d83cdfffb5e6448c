"""Direct channels: one per set of people in a workspace, made when somebody first asks for it."""

from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from groups.actions.locks import lock_workspace
from groups.actions.membership import active_members, add
from groups.actions.silence import check_not_silenced
from groups.models import Channel, User, Workspace, people
from groups.models.channel import ChannelRole, Kind
from realtime import clock

DIRECT_MEMBERS = range(1, 10)
"""Oneself alone is a notepad."""


def open_direct_channel(*, creator: User, workspace_id: int, other_ids: Sequence[int]) -> Channel:
    """The direct channel of exactly these people and the creator. Asking again, from whichever side, gives the same.

    Who was out of the workspace meanwhile has it back. Raises ValidationError for somebody who is not in the workspace,
    cannot sign in any more, or whom the creator, as a guest, does not see.
    """
    Workspace.objects.open_to(creator).get(pk=workspace_id)
    member_ids = sorted({creator.pk, *other_ids})
    if len(member_ids) not in DIRECT_MEMBERS:
        raise ValidationError({"peer_ids": _("A direct channel has at most %d members.") % DIRECT_MEMBERS[-1]})
    key = ",".join(map(str, member_ids))
    with transaction.atomic():
        workspace = lock_workspace(creator, workspace_id)
        members = active_members(workspace_id, member_ids)
        seen = people.visible_to(creator.pk).filter(workspace=workspace, user__in=member_ids)
        if not len(members) == seen.count() == len(member_ids):
            raise ValidationError({"peer_ids": _("Somebody is not a member of this workspace.")})
        channel = workspace.channels.select_for_update().filter(kind=Kind.DIRECT, direct_key=key).first()
        if channel is None:
            check_not_silenced(creator, workspace_id)
            channel = workspace.channels.create(
                kind=Kind.DIRECT, direct_key=key, created_by=creator, created_at=clock.now()
            )
        present = set(channel.members.values_list("user_id", flat=True))
        if missing := [user for user in members if user.pk not in present]:
            add(channel, missing, role=ChannelRole.MEMBER)
    return channel
