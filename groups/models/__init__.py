"""What is persisted. Constraints carry the invariants, QuerySets carry the reads."""

from groups.models.audit import AuditEntry, AuditHead
from groups.models.avatar import Avatar
from groups.models.channel import Channel, ChannelMember
from groups.models.cursor import ReadCursor
from groups.models.invite import Invite
from groups.models.mention import Mention
from groups.models.mesh import MeshBinding, MeshDomain, MeshGroup, MeshKey, MeshNode, MeshReceipt, MeshValue
from groups.models.message import Message, MessageVersion
from groups.models.reaction import Reaction
from groups.models.thread import ThreadFollower
from groups.models.token import ApiToken
from groups.models.user import User
from groups.models.workspace import Workspace, WorkspaceMember

__all__ = [
    "ApiToken",
    "AuditEntry",
    "AuditHead",
    "Avatar",
    "Channel",
    "ChannelMember",
    "Invite",
    "Mention",
    "MeshBinding",
    "MeshDomain",
    "MeshGroup",
    "MeshKey",
    "MeshNode",
    "MeshReceipt",
    "MeshValue",
    "Message",
    "MessageVersion",
    "Reaction",
    "ReadCursor",
    "ThreadFollower",
    "User",
    "Workspace",
    "WorkspaceMember",
]
