"""Who may do what: the one table. docs/roles.md shows it, and tests/groups/test_roles.py tries each of its cells.

What somebody may see is not in here: that is the scope of each QuerySet, and what they may not see they cannot ask for.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from django.core.exceptions import PermissionDenied
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from groups.models import Channel, ChannelMember, User, Workspace, WorkspaceMember
from groups.models.channel import ChannelRole
from groups.models.workspace import Role


class Deed(StrEnum):
    """What a role decides. In a workspace the first ones, in a channel that one is in the others."""

    UPDATE_WORKSPACE = "update_workspace"
    INVITE = "invite"
    SET_ROLE = "set_role"
    REMOVE_MEMBER = "remove_member"
    SILENCE_MEMBER = "silence_member"
    TAKE_DOMAIN = "take_domain"
    RUN_CLASSROOM = "run_classroom"
    CREATE_CHANNEL = "create_channel"
    JOIN_CHANNEL = "join_channel"

    MANAGE_CHANNEL = "manage_channel"
    ADD_TO_CHANNEL = "add_to_channel"
    DELETE_MESSAGE = "delete_message"
    SEE_VERSIONS = "see_versions"
    PIN = "pin"
    MENTION_GROUP = "mention_group"


class Right(NamedTuple):
    what: str
    """For docs/roles.md."""
    roles: frozenset[Role]
    refusal: str | Promise
    channel_admins: bool = False
    """Admins of a channel may do it there, whatever their role in the workspace, unless they are guests."""


_EVERYBODY: Final = frozenset(Role)
_ALL_BUT_GUESTS: Final = _EVERYBODY - {Role.GUEST}
_MODERATORS: Final = frozenset({Role.OWNER, Role.ADMIN, Role.MODERATOR})
_MANAGERS: Final = frozenset({Role.OWNER, Role.ADMIN})

RIGHTS: Final[dict[Deed, Right]] = {
    Deed.UPDATE_WORKSPACE: Right(
        "Rename the workspace; open it to everybody with an account",
        _MANAGERS,
        _("Only owners and admins may change the workspace."),
    ),
    Deed.INVITE: Right(
        "Make invites, see the open ones and revoke them", _MANAGERS, _("Only owners and admins may invite.")
    ),
    Deed.SET_ROLE: Right(
        "Give a member another role (to whom: below)", _MANAGERS, _("Only owners and admins may change roles.")
    ),
    Deed.REMOVE_MEMBER: Right(
        "Remove a member from the workspace (whom: below)", _MODERATORS, _("Only moderators may remove members.")
    ),
    Deed.SILENCE_MEMBER: Right(
        "Let a member only read for a time (whom: below)", _MODERATORS, _("Only moderators may silence members.")
    ),
    Deed.TAKE_DOMAIN: Right(
        "Take the classroom domain of one's own address into the workspace",
        _MANAGERS,
        _("Only owners and admins may take a domain."),
    ),
    Deed.RUN_CLASSROOM: Right(
        "Look after the workspace's classrooms: see, start and stop groups, let a school poll, make and revoke keys",
        _MODERATORS,
        _("Only moderators may look after classrooms."),
    ),
    Deed.CREATE_CHANNEL: Right("Make public and private channels", _ALL_BUT_GUESTS, _("Guests cannot make channels.")),
    Deed.JOIN_CHANNEL: Right(
        "Browse and join public channels", _ALL_BUT_GUESTS, _("Guests cannot join channels. Somebody has to add them.")
    ),
    Deed.MANAGE_CHANNEL: Right(
        "Rename a channel, change its topic, make it private, archive it, remove members",
        _MANAGERS,
        _("Only the channel's admins and those of the workspace may do this."),
        channel_admins=True,
    ),
    Deed.ADD_TO_CHANNEL: Right("Add people to a channel", _ALL_BUT_GUESTS, _("Guests cannot add people.")),
    Deed.DELETE_MESSAGE: Right(
        "Delete somebody else's message",
        _MODERATORS,
        _("Only its author or a moderator may delete a message."),
        channel_admins=True,
    ),
    Deed.SEE_VERSIONS: Right(
        "See the earlier texts of somebody else's message",
        _MODERATORS,
        _("Only its author or a moderator may see the earlier texts."),
        channel_admins=True,
    ),
    Deed.PIN: Right("Pin messages and take pins off", _ALL_BUT_GUESTS, _("Guests cannot pin messages.")),
    Deed.MENTION_GROUP: Right(
        "Reach people by `@channel` and `@here`", _ALL_BUT_GUESTS, _("Guests cannot mention everybody.")
    ),
}

_BELOW_ADMINS: Final = frozenset({Role.MODERATOR, Role.MEMBER, Role.GUEST})
_BELOW_MODERATORS: Final = frozenset({Role.MEMBER, Role.GUEST})

OVER: Final[dict[Deed, dict[Role, frozenset[Role]]]] = {
    Deed.SET_ROLE: {Role.OWNER: _EVERYBODY, Role.ADMIN: _BELOW_ADMINS},
    Deed.REMOVE_MEMBER: {Role.OWNER: _EVERYBODY, Role.ADMIN: _BELOW_ADMINS, Role.MODERATOR: _BELOW_MODERATORS},
    Deed.SILENCE_MEMBER: {Role.OWNER: _EVERYBODY, Role.ADMIN: _BELOW_ADMINS, Role.MODERATOR: _BELOW_MODERATORS},
}
"""What is done to a member: to whom of which role each role may do it. A role to give counts as well as one to take."""


def allowed(deed: Deed, role: str | None, channel_role: str | None = None) -> bool:
    """Whether a role in the workspace allows it, with the role in the channel where it is done; None for no member."""
    if role is None:
        return False
    right = RIGHTS[deed]
    admin = right.channel_admins and channel_role == ChannelRole.ADMIN and role != Role.GUEST
    return admin or role in right.roles


def allowed_over(deed: Deed, role: str | None, *others: str) -> bool:
    """Whether a role allows it to members of these other roles."""
    over = OVER[deed].get(Role(role), frozenset()) if role is not None else frozenset()
    return all(other in over for other in others)


def role_in(workspace_id: int, user: User) -> str | None:
    """The role of a user in a workspace; None when they are not in it."""
    return WorkspaceMember.objects.filter(workspace=workspace_id, user=user).values_list("role", flat=True).first()


def may(user: User, deed: Deed, place: Workspace | Channel) -> bool:
    """Whether a user may do it in a workspace or a channel. One query, two for a channel."""
    if isinstance(place, Workspace):
        return allowed(deed, role_in(place.pk, user))
    membership = ChannelMember.objects.filter(channel=place, user=user).values_list("role", flat=True).first()
    return membership is not None and allowed(deed, role_in(place.workspace_id, user), membership)


def check(user: User, deed: Deed, place: Workspace | Channel) -> None:
    """Raises PermissionDenied, with the sentence of the table, for a deed that a user may not do there."""
    if not may(user, deed, place):
        raise PermissionDenied(RIGHTS[deed].refusal)
