"""The locks under which the chat changes. The workspace's comes first, then those of channels by id."""

from collections.abc import Iterable

from django.utils.translation import gettext as _

from groups.models import Channel, ChannelMember, Message, User, Workspace
from realtime.errors import Conflict, NotAMember


def lock_workspace(member: User, workspace_id: int) -> Workspace:
    """The workspace of a member, locked until the transaction ends: nobody comes or goes, no name is given meanwhile.

    Raises Workspace.DoesNotExist when the user is not in it.
    """
    # First the lock, then the question: a removal that commits while this waits must be seen.
    workspace = Workspace.objects.select_for_update().get(pk=workspace_id)
    if not workspace.members.filter(user=member).exists():
        raise Workspace.DoesNotExist
    return workspace


def lock_channel(member: User, channel_id: int) -> Channel:
    """The channel of a member, locked until the transaction ends: what follows happens in the order of its commits.

    Raises Channel.DoesNotExist when the user may not know of it, NotAMember when they have to join first.
    """
    channel = Channel.objects.select_for_update().filter(pk=channel_id).first()
    if channel is None or not ChannelMember.objects.filter(channel=channel, user=member).exists():
        raise refusal_of(member, channel_id)
    return channel


def lock_with_workspace(member: User, channel_id: int) -> Channel:
    """`lock_channel` under the workspace's lock, for what changes a name or who is in the channel."""
    workspace_id = Channel.objects.open_to(member).filter(pk=channel_id).values_list("workspace_id", flat=True).first()
    if workspace_id is None:
        raise refusal_of(member, channel_id)
    lock_workspace(member, workspace_id)
    return lock_channel(member, channel_id)


def lock_channel_of(message_id: int) -> Channel:
    """The channel of a message, locked, for somebody whose right does not come from being a member."""
    channel_id = Message.objects.values_list("channel_id", flat=True).get(pk=message_id)
    return Channel.objects.select_for_update().get(pk=channel_id)


def refusal_of(user: User, channel_id: int) -> Exception:
    """Why somebody who is not a member may not: they may join first, or may not even know that the channel exists."""
    known = Channel.objects.visible_to(user).filter(pk=channel_id).exists()
    return NotAMember() if known else Channel.DoesNotExist()


def check_writable(channel: Channel) -> None:
    """Raises Conflict for an archived channel."""
    if channel.archived_at is not None:
        raise Conflict("channel_archived", _("The channel is archived."))


def check_answerable(channel: Channel) -> None:
    """Raises Conflict for a direct channel in which nobody else is left to read what is sent."""
    if channel.pk in deserted_among([channel]):
        raise nobody_there()


def nobody_there() -> Conflict:
    return Conflict("nobody_there", _("Nobody else is left here who could read it."))


def deserted_among(channels: Iterable[Channel]) -> set[int]:
    """The ids of those in which nobody else is left. No query where none of them is direct."""
    direct = [channel.pk for channel in channels if channel.is_direct]
    return set(Channel.objects.deserted().filter(pk__in=direct).values_list("pk", flat=True)) if direct else set()


def check_named(channel: Channel) -> None:
    """Raises Conflict for a direct channel, which has no name and whose members are fixed."""
    if channel.is_direct:
        raise Conflict("direct_channel", _("The members of a direct channel are fixed."))
