"""Public and private channels: made, renamed, made private, archived."""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from groups import roles
from groups.actions.locks import (
    check_named,
    check_writable,
    lock_channel,
    lock_with_workspace,
    lock_workspace,
)
from groups.actions.membership import add
from groups.actions.silence import check_not_silenced
from groups.audiences import members_of
from groups.events import ChannelUpdated
from groups.models import Channel, User, Workspace
from groups.models.channel import ChannelRole, Kind
from groups.payloads import channel_payload
from groups.roles import Deed
from groups.spelling import checked_line, checked_name
from realtime import clock
from realtime.errors import Conflict
from realtime.publish import publish

NAME_CHARACTERS = 80
TOPIC_CHARACTERS = 250


def create_channel(*, creator: User, workspace_id: int, kind: str, name: str, topic: str = "") -> Channel:
    """Make a public or private channel; its creator is its admin. Raises Conflict when the name is taken."""
    if kind not in (Kind.PUBLIC, Kind.PRIVATE):
        raise ValidationError({"kind": _("A channel with a name is public or private.")})
    name = _checked_name(name)
    with transaction.atomic():
        workspace = lock_workspace(creator, workspace_id)
        roles.check(creator, Deed.CREATE_CHANNEL, workspace)
        check_not_silenced(creator, workspace_id)
        _check_free(workspace, name, creator)
        channel = workspace.channels.create(
            kind=kind, name=name, topic=_checked_topic(topic), created_by=creator, created_at=clock.now()
        )
        add(channel, [creator], role=ChannelRole.ADMIN)
    return channel


def update_channel(
    *, editor: User, channel_id: int, name: str | None = None, topic: str | None = None, kind: str | None = None
) -> Channel:
    """Rename a channel, change its topic, or make a public one private; what is not given stays.

    Never the other way round: what was written in a private channel was written in confidence. Raises Conflict for
    that, for an archived channel, and for a name that is taken.
    """
    name = None if name is None else _checked_name(name)
    topic = None if topic is None else _checked_topic(topic)
    with transaction.atomic():
        channel = lock_with_workspace(editor, channel_id)
        check_named(channel)
        roles.check(editor, Deed.MANAGE_CHANNEL, channel)
        check_writable(channel)
        check_not_silenced(editor, channel.workspace_id)
        if kind not in (None, channel.kind, Kind.PRIVATE):
            raise Conflict("conversion_refused", _("A private channel stays private."))
        before = channel.name, channel.topic, channel.kind
        channel.name = channel.name if name is None else name
        channel.topic = channel.topic if topic is None else topic
        channel.kind = kind or channel.kind
        if channel.name != before[0]:
            _check_free(channel.workspace, channel.name, editor, besides=channel)
        if (channel.name, channel.topic, channel.kind) != before:
            _save(channel, "name", "name_key", "name_look", "topic", "kind")
    return channel


def archive_channel(*, archiver: User, channel_id: int, archived: bool = True) -> Channel:
    """Archive a public or private channel, or bring it back. In an archived one nothing can be written."""
    with transaction.atomic():
        channel = lock_channel(archiver, channel_id)
        check_named(channel)
        roles.check(archiver, Deed.MANAGE_CHANNEL, channel)
        if (channel.archived_at is not None) != archived:
            channel.archived_at = clock.now() if archived else None
            _save(channel, "archived_at")
    return channel


def _checked_name(name: str) -> str:
    name = checked_name(name.strip().removeprefix("#"), field="name", most=NAME_CHARACTERS)
    if not name:
        raise ValidationError({"name": _("Give the channel a name.")})
    return name


def _checked_topic(topic: str) -> str:
    return checked_line(topic, field="topic", most=TOPIC_CHARACTERS)


def _check_free(workspace: Workspace, name: str, user: User, *, besides: Channel | None = None) -> None:
    """Raises Conflict for a name that another channel has, or that looks like it, and says which to who may know of it.

    The caller holds the workspace's lock.
    """
    like = workspace.channels.called(name)
    if besides is not None:
        like = like.exclude(pk=besides.pk)
    if not like.exists():
        return
    seen = like.filter(pk__in=Channel.objects.visible_to(user).values("pk")).first()
    if seen is None:
        raise Conflict("name_taken", _("There is a channel of this name already."))
    raise Conflict("name_taken", _("The channel #%(name)s has this name, or looks the same.") % {"name": seen.name})


def _save(channel: Channel, *changed: str) -> None:
    channel.next_rev()
    channel.save(update_fields=[*changed, "rev"])
    payload = channel_payload(channel, channel.members.count())
    publish(ChannelUpdated(payload), to=members_of(channel), order=channel.order)
