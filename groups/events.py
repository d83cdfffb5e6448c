"""The events of the chat. The fields are the keys of `data`; `about` lets replay ask rights and current text."""

from dataclasses import dataclass

from groups.payloads import (
    ChannelPayload,
    MentionPayload,
    MePayload,
    MessagePayload,
    OwnChannelPayload,
    OwnChannelSettingsPayload,
    OwnThreadPayload,
    OwnWorkspacePayload,
    ProfilePayload,
    ReactionPayload,
    UserPayload,
    WorkspaceMemberRolePayload,
    WorkspacePayload,
)
from realtime.events import Event
from realtime.streams import ERASED

PROFILE = "profile"
"""In `about`: whose names and picture it shows, which stand beside what they wrote, too."""
LEFT = "left"
"""In `about`: who left, and may know that they did."""


@dataclass(frozen=True)
class MessageCreated(Event, name="message.created"):
    """A message was sent. Audience: members of the channel, the author's own sessions too."""

    message: MessagePayload

    @property
    def about(self) -> dict[str, int]:
        return _about_message(self.message)


@dataclass(frozen=True)
class MessageUpdated(Event, name="message.updated"):
    """A message was edited, or its replies changed in number. Audience: members of the channel."""

    message: MessagePayload

    @property
    def about(self) -> dict[str, int]:
        return _about_message(self.message)


@dataclass(frozen=True)
class MessageDeleted(Event, name="message.deleted"):
    """A message was deleted; its text is gone everywhere. Audience: members of the channel."""

    message_id: int
    channel_id: int
    author_id: int
    thread_root_id: int | None
    rev: int

    @property
    def about(self) -> dict[str, int]:
        return {"channel": self.channel_id, ERASED: self.message_id}


@dataclass(frozen=True)
class MessageReacted(Event, name="message.reacted"):
    """Reactions to a message changed; these are all of them now. Audience: members of the channel."""

    message_id: int
    channel_id: int
    reactions: list[ReactionPayload]
    rev: int

    @property
    def about(self) -> dict[str, int]:
        return {"channel": self.channel_id}


@dataclass(frozen=True)
class MessagePinned(Event, name="message.pinned"):
    """A message was pinned, or unpinned. Audience: members of the channel."""

    message_id: int
    channel_id: int
    pinned: bool
    user_id: int
    """Who did it."""
    rev: int

    @property
    def about(self) -> dict[str, int]:
        return {"channel": self.channel_id}


@dataclass(frozen=True)
class MentionCreated(Event, name="mention.created"):
    """A message names you. Comes after the event of the message. Audience: who is named, without the author."""

    mention: MentionPayload
    message: MessagePayload

    @property
    def about(self) -> dict[str, int]:
        return _about_message(self.message)


@dataclass(frozen=True)
class MentionDeleted(Event, name="mention.deleted"):
    """A message that named you does so no more: it was deleted or edited. Audience: who was named."""

    message_id: int
    channel_id: int
    rev: int

    @property
    def about(self) -> dict[str, int]:
        return {"channel": self.channel_id}


@dataclass(frozen=True)
class ThreadUpdated(Event, name="thread.updated"):
    """A thread that you follow has a new reply or lost one, or your own state of it changed. Audience: its followers,
    each with their own numbers.
    """

    thread: OwnThreadPayload

    @property
    def about(self) -> dict[str, int]:
        return {"channel": self.thread["channel_id"]}


@dataclass(frozen=True)
class ChannelAdded(Event, name="channel.added"):
    """You are now a member of a channel. Audience: who was added."""

    channel: OwnChannelPayload

    @property
    def about(self) -> dict[str, int]:
        return {"channel": self.channel["id"]}


@dataclass(frozen=True)
class ChannelUpdated(Event, name="channel.updated"):
    """A channel changed. Audience: its members; of a member's own settings that member alone."""

    channel: ChannelPayload | OwnChannelSettingsPayload

    @property
    def about(self) -> dict[str, int]:
        return {"channel": self.channel["id"]}


@dataclass(frozen=True)
class ChannelRemoved(Event, name="channel.removed"):
    """You are no longer a member of a channel and hear nothing of it any more. Audience: who left or was removed."""

    channel_id: int


@dataclass(frozen=True)
class ChannelMemberJoined(Event, name="channel.member_joined"):
    """Somebody joined a channel. Audience: the members from before.

    Of many who come at once channel.updated tells only how many members there are then.
    """

    channel_id: int
    user: ProfilePayload
    member_count: int

    @property
    def about(self) -> dict[str, int]:
        return {"channel": self.channel_id}


@dataclass(frozen=True)
class ChannelMemberLeft(Event, name="channel.member_left"):
    """Somebody left a channel. Audience: the members who stay.

    A direct channel stays named after who left its workspace; of their profile it shows the username alone.
    """

    channel_id: int
    user_id: int
    member_count: int

    @property
    def about(self) -> dict[str, int]:
        return {"channel": self.channel_id}


@dataclass(frozen=True)
class ReadUpdated(Event, name="read.updated"):
    """Your read cursor moved. Audience: your own sessions only.

    Of two positions the one with the higher `version` is true. The counts hold every change up to `rev` of the channel.
    """

    channel_id: int
    last_read_id: int
    version: int
    unread_count: int
    mention_count: int
    rev: int

    @property
    def about(self) -> dict[str, int]:
        return {"channel": self.channel_id}


@dataclass(frozen=True)
class WorkspaceMemberJoined(Event, name="workspace.member_joined"):
    """Somebody joined a workspace. Audience: all its members but guests, and the one who joined."""

    workspace: WorkspacePayload
    user: UserPayload
    role: str

    @property
    def about(self) -> dict[str, int]:
        return {"workspace": self.workspace["id"], "user": self.user["id"]}


@dataclass(frozen=True)
class WorkspaceUpdated(Event, name="workspace.updated"):
    """A workspace changed, or a member's role in it.

    Audience: its members; of a role those who see the member; when you are silenced, or no more, you alone.
    """

    workspace: WorkspacePayload | OwnWorkspacePayload
    member: WorkspaceMemberRolePayload | None

    @property
    def about(self) -> dict[str, int]:
        about = {"workspace": self.workspace["id"]}
        return about if self.member is None else about | {"user": self.member["user_id"]}


@dataclass(frozen=True)
class WorkspaceMemberLeft(Event, name="workspace.member_left"):
    """Somebody left a workspace or was removed. Audience: who stays and saw them, and the one who left."""

    workspace_id: int
    user_id: int
    member_count: int

    @property
    def about(self) -> dict[str, int]:
        return {"workspace": self.workspace_id, LEFT: self.user_id}


@dataclass(frozen=True)
class UserUpdated(Event, name="user.updated"):
    """A profile changed, or the account ended. Audience: who sees them or reads their words; themself, with more."""

    user: ProfilePayload | MePayload

    @property
    def about(self) -> dict[str, int]:
        return {PROFILE: self.user["id"]}


@dataclass(frozen=True)
class SyncReset(Event, name="sync.reset"):
    """More changed for you than events tell: take client.boot and message.changes again. Audience: one user."""

    reason: str


def _about_message(message: MessagePayload) -> dict[str, int]:
    return {"channel": message["channel_id"], "message": message["id"], "rev": message["rev"]}
