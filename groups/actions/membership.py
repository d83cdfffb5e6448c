"""Who is in a channel, and how each member wants to be told of it."""

from collections.abc import Iterable, Sequence

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Subquery
from django.utils.translation import gettext as _

from groups import roles
from groups.actions.locks import check_named, check_writable, lock_channel, lock_with_workspace, lock_workspace
from groups.audiences import members_of
from groups.events import ChannelAdded, ChannelMemberJoined, ChannelMemberLeft, ChannelRemoved, ChannelUpdated
from groups.models import Channel, ChannelMember, ReadCursor, ThreadFollower, User, Workspace, WorkspaceMember
from groups.models.channel import ChannelRole, Notify
from groups.models.sidebar import direct_people
from groups.models.workspace import Role
from groups.payloads import OwnChannelPayload, OwnChannelSettingsPayload, channel_payload, profile_payload
from groups.roles import Deed
from realtime import clock
from realtime.events import Event
from realtime.publish import Audience, Publication, publish_all, users

ADD_MEMBERS = 10_000
"""Added by one call."""
TOLD_ONE_BY_ONE = 20
"""Of more who come at once, the others are told how many members there are now, and not who came."""


def join_channel(*, user: User, channel_id: int) -> Channel:
    """Join a public channel. A member who joins again changes nothing."""
    with transaction.atomic():
        seen = Channel.objects.visible_to(user).get(pk=channel_id)
        lock_workspace(user, seen.workspace_id)
        channel = Channel.objects.select_for_update().get(pk=channel_id)
        if not channel.members.filter(user=user).exists():
            Channel.objects.browsable_by(user).get(pk=channel_id)
            add(channel, [user], role=ChannelRole.MEMBER)
    return channel


def leave_channel(*, user: User, channel_id: int) -> Channel:
    """Leave a public or private channel. Raises Conflict for a direct one, whose members are fixed."""
    with transaction.atomic():
        channel = lock_channel(user, channel_id)
        check_named(channel)
        take_out([channel], user)
    return channel


def add_members(*, adder: User, channel_id: int, user_ids: Iterable[int]) -> Channel:
    """Put people of the workspace into a public or private channel. Who is a member already stays as they are.

    Raises ValidationError for somebody who is not in the workspace or cannot sign in any more, and adds nobody then.
    """
    asked = set(user_ids)
    with transaction.atomic():
        channel = lock_with_workspace(adder, channel_id)
        check_named(channel)
        roles.check(adder, Deed.ADD_TO_CHANNEL, channel)
        check_writable(channel)
        found = active_members(channel.workspace_id, asked)
        if len(found) != len(asked):
            raise ValidationError({"user_ids": _("Somebody is not a member of this workspace.")})
        already = set(channel.members.values_list("user_id", flat=True))
        if added := [user for user in found if user.pk not in already]:
            add(channel, added, role=ChannelRole.MEMBER)
    return channel


def remove_member(*, remover: User, channel_id: int, user_id: int) -> Channel:
    """Take somebody else out of a public or private channel. Who is not in it is a repeat, which changes nothing."""
    with transaction.atomic():
        channel = lock_channel(remover, channel_id)
        check_named(channel)
        roles.check(remover, Deed.MANAGE_CHANNEL, channel)
        if user_id == remover.pk:
            raise ValidationError({"user_id": _("To go yourself, leave the channel.")})
        member = channel.members.filter(user=user_id).select_related("user").first()
        if member is not None:
            take_out([channel], member.user)
    return channel


def remove_from_all(*, workspace: Workspace, user: User) -> None:
    """Take somebody who leaves a workspace out of all its channels, direct ones too.

    The caller holds the workspace's lock, so that nobody adds them anywhere meanwhile.
    """
    found = workspace.channels.filter(members__user=user).values("pk")
    take_out(list(Channel.objects.select_for_update().filter(pk__in=found).order_by("pk")), user)


def mute_channel(*, user: User, channel_id: int, muted: bool | None = None, notify: str | None = None) -> Channel:
    """Change how a member is told of a channel; what is not given stays. Only they are told."""
    with transaction.atomic():
        channel = lock_channel(user, channel_id)
        member = channel.members.get(user=user)
        before = member.muted, member.notify
        member.muted = member.muted if muted is None else muted
        member.notify = member.notify if notify is None else notify
        if (member.muted, member.notify) != before:
            member.save(update_fields=["muted", "notify"])
            publish_all([_settings(member)])
    return channel


def active_members(workspace_id: int, user_ids: Iterable[int]) -> list[User]:
    """Those of these users who are in a workspace and can sign in, by id."""
    members = User.objects.filter(is_active=True, workspace_memberships__workspace=workspace_id)
    return list(members.filter(pk__in=set(user_ids)).order_by("pk"))


def add(channel: Channel, added: Sequence[User], *, role: ChannelRole) -> None:
    """Add people under the channel's lock: they start with nothing unread, and everybody is told."""
    now, rev = clock.now(), channel.next_members_rev()
    latest_id = channel.messages.order_by("-pk").values_list("pk", flat=True).first() or 0
    ChannelMember.objects.bulk_create(
        ChannelMember(channel=channel, user=user, role=role, joined_rev=rev, joined_at=now) for user in added
    )
    ReadCursor.objects.bulk_create(ReadCursor(channel=channel, user=user, last_read_id=latest_id) for user in added)
    channel.save(update_fields=["rev", "members_rev"])
    count = channel.members.count()
    own = _first_sight(channel, count=count, role=role, latest_id=latest_id)
    told: list[tuple[Event, Audience]] = [(ChannelAdded(own), users(user.pk for user in added))]
    others = members_of(channel)
    if len(added) > TOLD_ONE_BY_ONE:
        told.append((ChannelUpdated(channel_payload(channel, count)), others))
    elif count > len(added):
        told += [(ChannelMemberJoined(channel.pk, profile_payload(user), count), others) for user in added]
    publish_all([Publication(event, to, channel.order) for event, to in told])


def take_out(channels: Sequence[Channel], user: User) -> None:
    """Take a member out of channels under their locks: who stays is told, and they hear nothing of them any more."""
    channel_ids = [channel.pk for channel in channels]
    ChannelMember.objects.filter(channel__in=channel_ids, user=user).delete()
    ReadCursor.objects.filter(channel__in=channel_ids, user=user).delete()
    ThreadFollower.objects.followed_in(channel_ids, user).delete()
    for channel in channels:
        channel.next_members_rev()
    Channel.objects.filter(pk__in=channel_ids).update(rev=F("rev") + 1, members_rev=F("rev") + 1)
    staying = ChannelMember.objects.filter(channel__in=channel_ids).values_list("channel").annotate(Count("pk"))
    counts: dict[int, int] = dict(staying.order_by())
    told: list[Publication] = []
    for channel in channels:
        left = ChannelMemberLeft(channel.pk, user.pk, counts.get(channel.pk, 0))
        told.append(Publication(left, members_of(channel), channel.order))
        told.append(Publication(ChannelRemoved(channel.pk), users([user.pk]), channel.order))
    publish_all(told)
    _let_somebody_manage(channels)


def _let_somebody_manage(channels: Sequence[Channel]) -> None:
    """Channels whose last admin went get who has been there longest, so that somebody may rename or archive them."""
    named = [channel.pk for channel in channels if not channel.is_direct]
    managed = ChannelMember.objects.filter(channel=OuterRef("pk"), role=ChannelRole.ADMIN)
    # Not guests, who may not manage anything.
    able = ChannelMember.objects.filter(
        channel=OuterRef("pk"),
        user__workspace_memberships__in=WorkspaceMember.objects.filter(
            workspace=OuterRef(OuterRef("workspace"))
        ).exclude(role=Role.GUEST),
    )
    heir = Subquery(able.order_by("joined_rev", "pk").values("pk")[:1])
    left_alone = Channel.objects.filter(~Exists(managed), pk__in=named).annotate(heir=heir)
    heirs = [pk for pk in left_alone.values_list("heir", flat=True) if pk is not None]
    ChannelMember.objects.filter(pk__in=heirs).update(role=ChannelRole.ADMIN)
    publish_all([_settings(member) for member in ChannelMember.objects.filter(pk__in=heirs)])


def _settings(member: ChannelMember) -> Publication:
    own: OwnChannelSettingsPayload = {
        "id": member.channel_id,
        "role": member.role,
        "muted": member.muted,
        "notify": member.notify,
    }
    return Publication(ChannelUpdated(own), users([member.user_id]), Channel(pk=member.channel_id).order)


def _first_sight(channel: Channel, *, count: int, role: ChannelRole, latest_id: int) -> OwnChannelPayload:
    return {
        **channel_payload(channel, count, direct_people([channel]).get(channel.pk, [])),
        "role": role,
        "muted": False,
        "notify": Notify.ALL,
        "last_read_id": latest_id,
        "read_version": 0,
        "unread_count": 0,
        "mention_count": 0,
        "latest_message_id": latest_id,
    }
