"""One JSON shape for answers and events. The classes are the documentation: OpenAPI is made from them."""

from collections.abc import Iterable
from operator import attrgetter
from typing import Any, NotRequired, TypedDict

from groups.models import Channel, Message, User, Workspace, WorkspaceMember
from groups.models.channel import Kind
from realtime import clock


class UserPayload(TypedDict):
    id: int
    username: str
    display_name: str
    avatar_url: str | None


class ProfilePayload(UserPayload):
    active: bool
    """False for an account that was deactivated."""
    time_zone: str
    """A name of the IANA database, "Asia/Tokyo"; empty when it was not set."""


class MePayload(ProfilePayload):
    email: str
    staff: bool
    language: str
    """A code, "ja"; empty for the language of the browser."""


class WorkspacePayload(TypedDict):
    id: int
    name: str
    open: bool
    member_count: int


class WorkspaceMemberRolePayload(TypedDict):
    user_id: int
    role: str


class OwnWorkspacePayload(WorkspacePayload):
    role: str
    silenced_until: str | None
    """A moderator lets you only read until then; it may be over."""


class ChannelPayload(TypedDict):
    id: int
    workspace_id: int
    kind: str
    name: str
    topic: str
    archived: bool
    member_count: int
    rev: int
    members: NotRequired[list[ProfilePayload]]
    """Only of a direct channel."""


class OwnChannelSettingsPayload(TypedDict):
    id: int
    role: str
    muted: bool
    notify: str


class OwnChannelPayload(ChannelPayload):
    role: str
    muted: bool
    notify: str
    """all, mentions or nothing: what to notify of."""
    last_read_id: int
    read_version: int
    """Of `last_read_id`; the `version` of read.updated."""
    unread_count: int
    mention_count: int
    latest_message_id: int


class ReactionPayload(TypedDict):
    emoji: str
    user_ids: list[int]


class MessagePayload(TypedDict):
    id: int
    channel_id: int
    author: UserPayload
    body: str
    html: str
    created_at: str
    edited_at: str | None
    deleted: bool
    thread_root_id: int | None
    reply_count: int
    reactions: list[ReactionPayload]
    pinned: bool
    client_msg_id: str | None
    rev: int


class MentionPayload(TypedDict):
    kind: str
    """user, channel or here."""
    message_id: int
    channel_id: int
    rev: int


class OwnThreadPayload(TypedDict):
    """A thread as one follower sees it. Of two, the one with the higher `rev` of the channel is true."""

    thread_root_id: int
    channel_id: int
    following: bool
    last_read_id: int
    unread_count: int
    reply_count: int
    latest_reply_id: int
    rev: int


class MemberPayload(TypedDict):
    user: ProfilePayload
    role: str
    joined_at: str


def user_payload(user: User) -> UserPayload:
    return {"id": user.pk, "username": user.username, "display_name": user.shown_name, "avatar_url": user.avatar_url}


def profile_payload(user: User) -> ProfilePayload:
    return {**user_payload(user), "active": user.is_active, "time_zone": user.time_zone}


def me_payload(user: User) -> MePayload:
    return {**profile_payload(user), "email": user.email, "staff": user.is_staff, "language": user.language}


def workspace_payload(workspace: Workspace, member_count: int) -> WorkspacePayload:
    return {"id": workspace.pk, "name": workspace.name, "open": workspace.open, "member_count": member_count}


def own_workspace_payload(workspace: Workspace, member_count: int, member: WorkspaceMember) -> OwnWorkspacePayload:
    until = member.silenced_until
    return {
        **workspace_payload(workspace, member_count),
        "role": member.role,
        "silenced_until": None if until is None else clock.stamp(until),
    }


def channel_payload(channel: Channel, member_count: int, members: Iterable[User] = ()) -> ChannelPayload:
    payload: ChannelPayload = {
        "id": channel.pk,
        "workspace_id": channel.workspace_id,
        "kind": channel.kind,
        "name": channel.name,
        "topic": channel.topic,
        "archived": channel.archived_at is not None,
        "member_count": member_count,
        "rev": channel.rev,
    }
    if channel.kind == Kind.DIRECT:
        payload["members"] = [profile_payload(user) for user in members]
    return payload


def own_channel_payload(channel: Any, members: Iterable[User] = ()) -> OwnChannelPayload:
    """Of a row of `groups.models.sidebar.with_state_of`."""
    return {
        **channel_payload(channel, channel.member_count, members),
        "role": channel.my_role,
        "muted": channel.my_muted,
        "notify": channel.my_notify,
        "last_read_id": channel.my_last_read_id,
        "read_version": channel.my_read_version,
        "unread_count": channel.my_unread_count,
        "mention_count": channel.my_mention_count,
        "latest_message_id": channel.latest_message_id,
    }


def message_payload(message: Message, *, new: bool = False) -> MessagePayload:
    """Of a row of `MessageQuerySet.with_payload`, or of a `new` one, which nobody has reacted to."""
    return {
        "id": message.pk,
        "channel_id": message.channel_id,
        "author": user_payload(message.author),
        "body": message.body,
        "html": message.html,
        "created_at": clock.stamp(message.created_at),
        "edited_at": None if message.edited_at is None else clock.stamp(message.edited_at),
        "deleted": message.deleted,
        "thread_root_id": message.thread_root_id,
        "reply_count": message.reply_count,
        "reactions": [] if new else reaction_payloads(message),
        "pinned": message.pinned_at is not None,
        "client_msg_id": message.client_msg_id,
        "rev": message.rev,
    }


def own_thread_payload(follower: Any) -> OwnThreadPayload:
    """Of a row of `ThreadFollowerQuerySet.with_state`. Who does not follow has nothing unread."""
    return {
        "thread_root_id": follower.root_id,
        "channel_id": follower.channel_id,
        "following": follower.following,
        "last_read_id": follower.last_read_id,
        "unread_count": follower.unread_count if follower.following else 0,
        "reply_count": follower.reply_count,
        "latest_reply_id": follower.latest_reply_id,
        "rev": follower.rev,
    }


def mention_payload(kind: str, message: Message) -> MentionPayload:
    return {"kind": kind, "message_id": message.pk, "channel_id": message.channel_id, "rev": message.rev}


def reaction_payloads(message: Message) -> list[ReactionPayload]:
    """All reactions, in the order in which each emoji was first given. Reads `message.reactions`, once prefetched."""
    by_emoji: dict[str, list[int]] = {}
    for reaction in sorted(message.reactions.all(), key=attrgetter("pk")):
        by_emoji.setdefault(reaction.emoji, []).append(reaction.user_id)
    return [{"emoji": emoji, "user_ids": user_ids} for emoji, user_ids in by_emoji.items()]
