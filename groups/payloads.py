"""One JSON shape for answers and events. The classes are the documentation: OpenAPI is made from them."""

from collections.abc import Iterable
from typing import Any, NotRequired, TypedDict

from groups.models import Channel, Message, User, Workspace
from groups.models.channel import Kind
from realtime import clock


class UserPayload(TypedDict):
    id: int
    username: str
    display_name: str
    avatar_url: str | None


class MePayload(UserPayload):
    email: str
    staff: bool


class WorkspacePayload(TypedDict):
    id: int
    name: str
    open: bool
    member_count: int


class OwnWorkspacePayload(WorkspacePayload):
    role: str


class ChannelPayload(TypedDict):
    id: int
    workspace_id: int
    kind: str
    name: str
    topic: str
    archived: bool
    member_count: int
    rev: int
    members: NotRequired[list[UserPayload]]
    """Only of a direct channel."""


class OwnChannelPayload(ChannelPayload):
    role: str
    last_read_id: int
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


class MemberPayload(TypedDict):
    user: UserPayload
    role: str
    joined_at: str


def user_payload(user: User) -> UserPayload:
    return {"id": user.pk, "username": user.username, "display_name": user.shown_name, "avatar_url": None}


def me_payload(user: User) -> MePayload:
    return {**user_payload(user), "email": user.email, "staff": user.is_staff}


def workspace_payload(workspace: Workspace, member_count: int) -> WorkspacePayload:
    return {"id": workspace.pk, "name": workspace.name, "open": workspace.open, "member_count": member_count}


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
        payload["members"] = [user_payload(user) for user in members]
    return payload


def own_channel_payload(channel: Any, members: Iterable[User] = ()) -> OwnChannelPayload:
    """Of a row of `groups.models.sidebar.with_state_of`."""
    return {
        **channel_payload(channel, channel.member_count, members),
        "role": channel.my_role,
        "last_read_id": channel.my_last_read_id,
        "unread_count": channel.my_unread_count,
        "mention_count": 0,
        "latest_message_id": channel.latest_message_id,
    }


def message_payload(message: Message) -> MessagePayload:
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
        "reactions": [],
        "pinned": False,
        "client_msg_id": message.client_msg_id,
        "rev": message.rev,
    }
