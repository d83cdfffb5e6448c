"""The events of the chat. The fields are the keys of `data`; `about` lets replay ask rights and current text."""

from dataclasses import dataclass

from groups.payloads import (
    MessagePayload,
    OwnChannelPayload,
    UserPayload,
    WorkspacePayload,
)
from realtime.events import Event
from realtime.streams import ERASED


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
    rev: int

    @property
    def about(self) -> dict[str, int]:
        return {"channel": self.channel_id, ERASED: self.message_id}


@dataclass(frozen=True)
class ChannelAdded(Event, name="channel.added"):
    """You are now a member of a channel. Audience: who was added."""

    channel: OwnChannelPayload

    @property
    def about(self) -> dict[str, int]:
        return {"channel": self.channel["id"]}


@dataclass(frozen=True)
class ChannelRemoved(Event, name="channel.removed"):
    """You are no longer a member of a channel and hear nothing of it any more. Audience: who left or was removed."""

    channel_id: int


@dataclass(frozen=True)
class ChannelMemberJoined(Event, name="channel.member_joined"):
    """Somebody joined a channel. Audience: the members from before."""

    channel_id: int
    user: UserPayload
    member_count: int

    @property
    def about(self) -> dict[str, int]:
        return {"channel": self.channel_id}


@dataclass(frozen=True)
class ChannelMemberLeft(Event, name="channel.member_left"):
    """Somebody left a channel. Audience: the members who stay."""

    channel_id: int
    user_id: int
    member_count: int

    @property
    def about(self) -> dict[str, int]:
        return {"channel": self.channel_id}


@dataclass(frozen=True)
class ReadUpdated(Event, name="read.updated"):
    """Your read cursor moved. Audience: your own sessions only."""

    channel_id: int
    last_read_id: int
    unread_count: int
    mention_count: int

    @property
    def about(self) -> dict[str, int]:
        return {"channel": self.channel_id}


@dataclass(frozen=True)
class WorkspaceMemberJoined(Event, name="workspace.member_joined"):
    """Somebody joined a workspace. Audience: all its members, the one who joined too."""

    workspace: WorkspacePayload
    user: UserPayload
    role: str

    @property
    def about(self) -> dict[str, int]:
        return {"workspace": self.workspace["id"]}


def _about_message(message: MessagePayload) -> dict[str, int]:
    return {"channel": message["channel_id"], "message": message["id"], "rev": message["rev"]}
