from collections.abc import Iterable, Sequence

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from groups.audiences import members_of
from groups.events import ChannelAdded, ChannelMemberJoined, ChannelMemberLeft, ChannelRemoved
from groups.models import Channel, ChannelMember, Message, ReadCursor, User, Workspace
from groups.models.channel import ChannelRole, Kind, Notify
from groups.models.workspace import Role
from groups.payloads import OwnChannelPayload, channel_payload, user_payload
from realtime import clock
from realtime.errors import Conflict, NotAMember
from realtime.publish import publish, users

DIRECT_MEMBERS = range(1, 10)
"""Oneself alone is a notepad."""


def lock_channel(member: User, channel_id: int) -> Channel:
    """The channel of a member, locked until the transaction ends: what follows happens in the order of its commits.

    Raises Channel.DoesNotExist when the user may not know of it, NotAMember when they have to join first.
    """
    # First the lock, then the question: a removal that commits while this waits must be seen.
    channel = Channel.objects.select_for_update().filter(pk=channel_id).first()
    if channel is None or not ChannelMember.objects.filter(channel=channel, user=member).exists():
        raise refusal_of(member, channel_id)
    return channel


def refusal_of(user: User, channel_id: int) -> Exception:
    """Why somebody who is not a member may not: they may join first, or may not even know that the channel exists."""
    known = Channel.objects.visible_to(user).filter(pk=channel_id).exists()
    return NotAMember() if known else Channel.DoesNotExist()


def lock_channel_of(message_id: int) -> Channel:
    """The channel of a message, locked, for somebody whose right does not come from being a member."""
    channel_id = Message.objects.values_list("channel_id", flat=True).get(pk=message_id)
    return Channel.objects.select_for_update().get(pk=channel_id)


def create_channel(*, creator: User, workspace_id: int, kind: str, name: str, topic: str = "") -> Channel:
    """Make a public or private channel; its creator is its admin. Raises Conflict when the name is taken."""
    if kind not in (Kind.PUBLIC, Kind.PRIVATE):
        raise ValidationError({"kind": _("A channel with a name is public or private.")})
    name = _checked_name(name)
    workspace = Workspace.objects.open_to(creator).get(pk=workspace_id)
    if workspace.members.filter(user=creator, role=Role.GUEST).exists():
        raise PermissionDenied(_("Guests cannot make channels."))
    try:
        with transaction.atomic():
            channel = _create(workspace, creator, kind=kind, name=name, topic=topic.strip())
            _add(channel, [creator], role=ChannelRole.ADMIN)
    except IntegrityError:
        if workspace.channels.filter(name__iexact=name).exclude(kind=Kind.DIRECT).exists():
            raise Conflict("name_taken", _("There is a channel of this name already.")) from None
        raise
    return channel


def open_direct_channel(*, creator: User, workspace_id: int, other_ids: Sequence[int]) -> Channel:
    """The direct channel of exactly these people and the creator: one per member set, made when it is first asked for.

    Raises ValidationError for somebody who is not in the workspace or cannot sign in any more.
    """
    workspace = Workspace.objects.open_to(creator).get(pk=workspace_id)
    member_ids = sorted({creator.pk, *other_ids})
    if len(member_ids) not in DIRECT_MEMBERS:
        raise ValidationError({"peer_ids": _("A direct channel has at most %d members.") % DIRECT_MEMBERS[-1]})
    members = list(User.objects.filter(pk__in=member_ids, is_active=True, workspace_memberships__workspace=workspace))
    if len(members) != len(member_ids):
        raise ValidationError({"peer_ids": _("Somebody is not a member of this workspace.")})
    key = ",".join(map(str, member_ids))
    found = workspace.channels.filter(kind=Kind.DIRECT, direct_key=key)
    if (channel := found.first()) is not None:
        return channel
    try:
        with transaction.atomic():
            channel = _create(workspace, creator, kind=Kind.DIRECT, direct_key=key)
            _add(channel, members, role=ChannelRole.MEMBER)
            return channel
    except IntegrityError:
        # The other side asked at the same moment and was first.
        return found.get()


def join_channel(*, user: User, channel_id: int) -> Channel:
    """Join a public channel. A member who joins again changes nothing."""
    with transaction.atomic():
        Channel.objects.visible_to(user).get(pk=channel_id)
        channel = Channel.objects.select_for_update().get(pk=channel_id)
        if channel.members.filter(user=user).exists():
            return channel
        Channel.objects.browsable_by(user).get(pk=channel_id)
        _add(channel, [user], role=ChannelRole.MEMBER)
    return channel


def leave_channel(*, user: User, channel_id: int) -> Channel:
    """Leave a public or private channel. Raises Conflict for a direct one, whose members are fixed."""
    with transaction.atomic():
        channel = lock_channel(user, channel_id)
        if channel.kind == Kind.DIRECT:
            raise Conflict("direct_channel", _("The members of a direct channel are fixed."))
        _remove(channel, user)
    return channel


def _checked_name(name: str) -> str:
    name = " ".join(name.removeprefix("#").split())
    if not name:
        raise ValidationError({"name": _("Give the channel a name.")})
    return name


def _create(workspace: Workspace, creator: User, *, kind: str, **named: str) -> Channel:
    now = clock.now()
    return Channel.objects.create(workspace=workspace, kind=kind, created_by=creator, created_at=now, **named)


def _add(channel: Channel, added: Sequence[User], *, role: ChannelRole) -> None:
    """Add people under the channel's lock: they start with nothing unread, and everybody is told."""
    now, rev = clock.now(), channel.next_members_rev()
    latest_id = channel.messages.order_by("-pk").values_list("pk", flat=True).first() or 0
    ChannelMember.objects.bulk_create(
        ChannelMember(channel=channel, user=user, role=role, joined_rev=rev, joined_at=now) for user in added
    )
    ReadCursor.objects.bulk_create(ReadCursor(channel=channel, user=user, last_read_id=latest_id) for user in added)
    channel.save(update_fields=["rev", "members_rev"])
    count = channel.members.count()
    members = [member.user for member in channel.members.select_related("user")] if channel.kind == Kind.DIRECT else []
    own = _first_sight(channel, members, count=count, role=role, latest_id=latest_id)
    publish(ChannelAdded(own), to=users(user.pk for user in added), order=channel.order)
    if count > len(added):
        for user in added:
            joined = ChannelMemberJoined(channel_id=channel.pk, user=user_payload(user), member_count=count)
            publish(joined, to=members_of(channel), order=channel.order)


def _remove(channel: Channel, user: User) -> None:
    channel.members.filter(user=user).delete()
    ReadCursor.objects.filter(channel=channel, user=user).delete()
    channel.next_members_rev()
    channel.save(update_fields=["rev", "members_rev"])
    left = ChannelMemberLeft(channel_id=channel.pk, user_id=user.pk, member_count=channel.members.count())
    publish(left, to=members_of(channel), order=channel.order)
    publish(ChannelRemoved(channel_id=channel.pk), to=users([user.pk]), order=channel.order)


def _first_sight(
    channel: Channel, members: Iterable[User], *, count: int, role: ChannelRole, latest_id: int
) -> OwnChannelPayload:
    return {
        **channel_payload(channel, count, members),
        "role": role,
        "muted": False,
        "notify": Notify.ALL,
        "last_read_id": latest_id,
        "read_version": 0,
        "unread_count": 0,
        "mention_count": 0,
        "latest_message_id": latest_id,
    }
