"""What is persisted. Constraints carry the invariants, QuerySets carry the reads."""

from groups.models.channel import Channel, ChannelMember
from groups.models.cursor import ReadCursor
from groups.models.invite import Invite
from groups.models.message import Message, MessageVersion
from groups.models.token import ApiToken
from groups.models.user import User
from groups.models.workspace import Workspace, WorkspaceMember

__all__ = [
    "ApiToken",
    "Channel",
    "ChannelMember",
    "Invite",
    "Message",
    "MessageVersion",
    "ReadCursor",
    "User",
    "Workspace",
    "WorkspaceMember",
]
