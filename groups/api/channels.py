from typing import Any, TypedDict

from django.utils.translation import gettext as _
from rest_framework import serializers

from groups.actions.channels import (
    NAME_CHARACTERS,
    TOPIC_CHARACTERS,
    archive_channel,
    create_channel,
    update_channel,
)
from groups.actions.direct import open_direct_channel
from groups.actions.locks import refusal_of
from groups.actions.membership import (
    ADD_MEMBERS,
    add_members,
    join_channel,
    leave_channel,
    mute_channel,
    remove_member,
)
from groups.api.callers import user_of
from groups.api.fields import Fact, Text, cursor_field, id_field, ids_field, limit_field
from groups.models import Channel, User, Workspace
from groups.models.channel import Kind, Notify
from groups.models.sidebar import direct_people, with_state_of
from groups.payloads import MemberPayload, OwnChannelPayload, own_channel_payload, profile_payload
from realtime import clock
from realtime.commands import Caller, Params, method


class ChannelAnswer(TypedDict):
    channel: OwnChannelPayload


class ChannelsAnswer(TypedDict):
    channels: list[OwnChannelPayload]


class BrowsedPayload(TypedDict):
    id: int
    name: str
    topic: str
    member_count: int
    joined: bool


class BrowseAnswer(TypedDict):
    channels: list[BrowsedPayload]
    has_more: bool
    next_after_id: int


class LeftAnswer(TypedDict):
    channel_id: int


class MembersAnswer(TypedDict):
    members: list[MemberPayload]
    has_more: bool
    next_after_id: int


def readable_channel(caller: Caller, channel_id: int) -> Channel:
    """A channel whose messages the caller may read. DoesNotExist when they may not know of it, else NotAMember."""
    user = user_of(caller)
    channel = Channel.objects.open_to(user).filter(pk=channel_id).first()
    if channel is None:
        raise refusal_of(user, channel_id)
    return channel


def own_channels(user: User, **of: Any) -> list[OwnChannelPayload]:
    """The user's channels with everything their sidebar shows."""
    rows = list(with_state_of(user, Channel.objects.open_to(user).filter(**of)).order_by("workspace", "name", "pk"))
    people = direct_people(rows)
    return [own_channel_payload(row, people.get(row.pk, [])) for row in rows]


class ChannelCreateParams(Params):
    workspace_id = id_field()
    kind = serializers.ChoiceField(choices=Kind.choices)
    name = Text(max_length=NAME_CHARACTERS, required=False, allow_blank=True, default="")
    topic = Text(max_length=TOPIC_CHARACTERS, required=False, allow_blank=True, default="")
    peer_ids = serializers.ListField(child=id_field(), required=False, max_length=8)

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        direct = values["kind"] == Kind.DIRECT
        if direct != ("peer_ids" in values) or (direct and (values["name"] or values["topic"])):
            raise serializers.ValidationError(_("A direct channel has peer_ids; the others have a name and a topic."))
        return values


@method("channel.create", params=ChannelCreateParams, answer=ChannelAnswer, scope="write")
def create(caller: Caller, params: dict[str, Any]) -> ChannelAnswer:
    """Make a channel. A direct one exists once per set of members: asking again gives the same."""
    user, workspace_id = user_of(caller), params["workspace_id"]
    if params["kind"] == Kind.DIRECT:
        channel = open_direct_channel(creator=user, workspace_id=workspace_id, other_ids=params["peer_ids"])
    else:
        channel = create_channel(
            creator=user,
            workspace_id=workspace_id,
            kind=params["kind"],
            name=params["name"],
            topic=params["topic"],
        )
    return _channel(user, channel)


class ChannelParams(Params):
    channel_id = id_field()


class ChannelUpdateParams(ChannelParams):
    name = Text(max_length=NAME_CHARACTERS, required=False)
    topic = Text(max_length=TOPIC_CHARACTERS, required=False, allow_blank=True)
    kind = serializers.ChoiceField(choices=Kind.choices, required=False)

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        return with_a_change(values, "name", "topic", "kind")


def with_a_change(values: dict[str, Any], *names: str) -> dict[str, Any]:
    """The parameters, of which at least one says what to change."""
    if not values.keys() & set(names):
        raise serializers.ValidationError(_("Say what to change: %s.") % ", ".join(names))
    return values


@method("channel.update", params=ChannelUpdateParams, answer=ChannelAnswer, scope="write")
def update(caller: Caller, params: dict[str, Any]) -> ChannelAnswer:
    """Rename a channel, change its topic, or make a public one private; never the other way round.

    Its admins may, and those of the workspace who are in it.
    """
    user = user_of(caller)
    return _channel(user, update_channel(editor=user, **params))


class ChannelArchiveParams(ChannelParams):
    archived = Fact(default=True)


@method("channel.archive", params=ChannelArchiveParams, answer=ChannelAnswer, scope="write")
def archive(caller: Caller, params: dict[str, Any]) -> ChannelAnswer:
    """Archive a channel, or bring it back with `archived: false`. Who may rename it may.

    Its members go on reading it; nothing is written there, nobody joins, and `channel.browse` leaves it out.
    """
    user = user_of(caller)
    return _channel(user, archive_channel(archiver=user, **params))


class WorkspaceFilterParams(Params):
    workspace_id = id_field(required=False)


@method("channel.list", params=WorkspaceFilterParams, answer=ChannelsAnswer, scope="read")
def list_channels(caller: Caller, params: dict[str, Any]) -> ChannelsAnswer:
    """The channels that I am a member of, archived ones too, with my unread counts."""
    user = user_of(caller)
    if "workspace_id" in params:
        Workspace.objects.open_to(user).get(pk=params["workspace_id"])
    return {"channels": own_channels(user, **params)}


class ChannelBrowseParams(Params):
    workspace_id = id_field()
    after_id = cursor_field(default=0)
    limit = limit_field(default=200)


@method("channel.browse", params=ChannelBrowseParams, answer=BrowseAnswer, scope="read")
def browse(caller: Caller, params: dict[str, Any]) -> BrowseAnswer:
    """The public channels of a workspace that are not archived, mine and those that I may join."""
    user = user_of(caller)
    workspace = Workspace.objects.open_to(user).get(pk=params["workspace_id"])
    found = Channel.objects.browsable_by(user).filter(workspace=workspace, pk__gt=params["after_id"])
    rows = list(with_state_of(user, found).order_by("pk")[: params["limit"] + 1])
    page = rows[: params["limit"]]
    return {
        "channels": [
            {
                "id": row.pk,
                "name": row.name,
                "topic": row.topic,
                "member_count": row.member_count,
                "joined": row.my_role is not None,
            }
            for row in page
        ],
        "has_more": len(rows) > len(page),
        "next_after_id": page[-1].pk if page else params["after_id"],
    }


@method("channel.join", params=ChannelParams, answer=ChannelAnswer, scope="write")
def join(caller: Caller, params: dict[str, Any]) -> ChannelAnswer:
    """Join a public channel."""
    user = user_of(caller)
    return _channel(user, join_channel(user=user, **params))


@method("channel.leave", params=ChannelParams, answer=LeftAnswer, scope="write")
def leave(caller: Caller, params: dict[str, Any]) -> LeftAnswer:
    """Leave a channel. Its messages stay; I hear nothing of it any more."""
    return {"channel_id": leave_channel(user=user_of(caller), **params).pk}


class ChannelAddParams(ChannelParams):
    user_ids = ids_field(most=ADD_MEMBERS, allow_empty=False)


@method("channel.add_members", params=ChannelAddParams, answer=ChannelAnswer, scope="write")
def add(caller: Caller, params: dict[str, Any]) -> ChannelAnswer:
    """Put people of the workspace into a channel that I am in. Guests may not. Who is in it already stays so."""
    user = user_of(caller)
    return _channel(user, add_members(adder=user, **params))


class ChannelRemoveParams(ChannelParams):
    user_id = id_field()


@method("channel.remove_member", params=ChannelRemoveParams, answer=ChannelAnswer, scope="write")
def remove(caller: Caller, params: dict[str, Any]) -> ChannelAnswer:
    """Take somebody else out of a channel. Its admins may, and those of the workspace who are in it."""
    user = user_of(caller)
    return _channel(user, remove_member(remover=user, **params))


class ChannelMuteParams(ChannelParams):
    muted = Fact(required=False)
    notify = serializers.ChoiceField(choices=Notify.choices, required=False)

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        return with_a_change(values, "muted", "notify")


@method("channel.mute", params=ChannelMuteParams, answer=ChannelAnswer, scope="write")
def mute(caller: Caller, params: dict[str, Any]) -> ChannelAnswer:
    """Choose for myself whether a channel is muted, and what of it I want to be notified of.

    A muted channel is counted as before; clients show no number, and `@channel` and `@here` do not reach me there.
    """
    user = user_of(caller)
    return _channel(user, mute_channel(user=user, **params))


class ChannelMembersParams(ChannelParams):
    after_id = cursor_field(default=0)
    limit = limit_field(default=100)


@method("channel.members", params=ChannelMembersParams, answer=MembersAnswer, scope="read")
def members(caller: Caller, params: dict[str, Any]) -> MembersAnswer:
    """The members of a channel, by user id, from `after_id` on."""
    channel = readable_channel(caller, params["channel_id"])
    return members_page(channel.members, params["after_id"], params["limit"])


def members_page(members: Any, after_id: int, limit: int) -> MembersAnswer:
    """A page of the members of a channel or a workspace."""
    rows = list(members.filter(user__gt=after_id).select_related("user").order_by("user")[: limit + 1])
    page = rows[:limit]
    return {
        "members": [
            {"user": profile_payload(row.user), "role": row.role, "joined_at": clock.stamp(row.joined_at)}
            for row in page
        ],
        "has_more": len(rows) > limit,
        "next_after_id": page[-1].user_id if page else after_id,
    }


def _channel(user: User, channel: Channel) -> ChannelAnswer:
    return {"channel": own_channels(user, pk=channel.pk)[0]}
