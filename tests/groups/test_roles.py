"""Who may do what: each cell of the tables in groups/roles.py, tried through the API."""

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from django.core.exceptions import PermissionDenied

from groups import roles
from groups.actions.membership import add_members
from groups.actions.messages import edit_message
from groups.actions.moderation import silence_member
from groups.models import Channel, ChannelMember, Mention, MeshDomain, Message, User, Workspace, WorkspaceMember
from groups.models.channel import ChannelRole
from groups.models.workspace import Role
from groups.roles import OVER, RIGHTS, Deed
from meshsite import protocol
from realtime import clock
from realtime.errors import problem_of
from tests.cast import Answer, Api, Door, bring, make_user, say, stored

PLACES = {
    Deed.MANAGE_CHANNEL,
    Deed.ADD_TO_CHANNEL,
    Deed.DELETE_MESSAGE,
    Deed.SEE_VERSIONS,
    Deed.PIN,
    Deed.MENTION_GROUP,
}
"""Deeds that are done in a channel."""


class Scene(NamedTuple):
    call: Door
    actor: User
    workspace: Workspace
    general: Channel
    lounge: Channel
    bob: User
    message: Message


Try = Callable[[Scene], Answer]


def silenced(scene: Scene, user: User) -> Answer:
    """As a door would answer: moderators have one in the admin site alone."""
    until = clock.now() + timedelta(hours=1)
    try:
        silence_member(
            moderator=scene.actor, workspace_id=scene.workspace.pk, user_id=user.pk, until=until, reason="noise"
        )
    except Exception as error:
        problem = problem_of(error)
        assert problem is not None
        return Answer(problem.status, {"code": problem.code}, {})
    return Answer(200, {}, {})


def mentions_everybody(scene: Scene) -> Answer:
    """A guest's `@channel` is plain text, so the answer is whether it reached somebody."""
    answer = scene.call("message.send", channel_id=scene.general.pk, body="@channel lunch?")
    assert answer.status == 200
    reached = Mention.objects.filter(message=answer.body["message"]["id"], user=scene.bob).exists()
    return answer if reached else Answer(403, {"code": "forbidden"}, {})


def in_channel(verb: str, **more: Any) -> Try:
    return lambda scene: scene.call(f"channel.{verb}", channel_id=scene.general.pk, **more)


def in_workspace(verb: str, **more: Any) -> Try:
    return lambda scene: scene.call(f"workspace.{verb}", workspace_id=scene.workspace.pk, **more)


def to_bob(verb: str, **more: Any) -> Try:
    return lambda scene: scene.call(f"{verb}", user_id=scene.bob.pk, **_place(verb, scene), **more)


def _place(verb: str, scene: Scene) -> dict[str, int]:
    if verb.startswith("workspace."):
        return {"workspace_id": scene.workspace.pk}
    return {"channel_id": scene.general.pk}


def to_message(verb: str) -> Try:
    return lambda scene: scene.call(f"message.{verb}", message_id=scene.message.pk)


def adds_somebody(scene: Scene) -> Answer:
    nina = bring(make_user("nina"), scene.workspace)
    return scene.call("channel.add_members", channel_id=scene.general.pk, user_ids=[nina.pk])


def creates(kind: str) -> Try:
    return in_workspace_channel(kind=kind, name="tea")


def in_workspace_channel(**more: Any) -> Try:
    return lambda scene: scene.call("channel.create", workspace_id=scene.workspace.pk, **more)


def in_classroom(verb: str, **more: Any) -> Try:
    return lambda scene: scene.call(f"classroom.{verb}", domain=_domain_of(scene), **more)


def makes_key(scene: Scene) -> Answer:
    domains = [_domain_of(scene)]
    return scene.call("classroom.make_key", workspace_id=scene.workspace.pk, label="3B", domains=domains)


def _domain_of(scene: Scene) -> str:
    MeshDomain.objects.get_or_create(name="school", workspace=scene.workspace)
    return "school"


TRIES: dict[Deed, list[Try]] = {
    Deed.UPDATE_WORKSPACE: [in_workspace("update", name="Looms"), in_workspace("update", open=True)],
    Deed.INVITE: [in_workspace("invite"), in_workspace("invites")],
    Deed.SET_ROLE: [to_bob("workspace.set_role", role="moderator")],
    Deed.REMOVE_MEMBER: [to_bob("workspace.remove_member")],
    Deed.SILENCE_MEMBER: [lambda scene: silenced(scene, scene.bob)],
    Deed.TAKE_DOMAIN: [lambda scene: scene.call("classroom.take_domain", workspace_id=scene.workspace.pk)],
    Deed.RUN_CLASSROOM: [
        in_classroom("groups"),
        in_classroom("set_polls", polls=True),
        in_classroom("start_group", host_id="mine"),
        lambda scene: scene.call("classroom.keys", workspace_id=scene.workspace.pk),
        makes_key,
    ],
    Deed.CREATE_CHANNEL: [creates("public"), creates("private")],
    Deed.JOIN_CHANNEL: [lambda scene: scene.call("channel.join", channel_id=scene.lounge.pk)],
    Deed.MANAGE_CHANNEL: [
        in_channel("update", topic="Looms"),
        in_channel("update", name="looms"),
        in_channel("update", kind="private"),
        in_channel("archive"),
        to_bob("channel.remove_member"),
    ],
    Deed.ADD_TO_CHANNEL: [adds_somebody],
    Deed.DELETE_MESSAGE: [to_message("delete")],
    Deed.SEE_VERSIONS: [to_message("versions")],
    Deed.PIN: [to_message("pin")],
    Deed.MENTION_GROUP: [mentions_everybody],
}
CELLS = [
    pytest.param(deed, attempt, role, id=f"{deed}-{number}-{role}")
    for deed, attempts in TRIES.items()
    for number, attempt in enumerate(attempts)
    for role in Role
]


@pytest.fixture
def scene(
    api: Api, workspace: Workspace, general: Channel, lounge: Channel, grace: User, bob: User
) -> Callable[..., Scene]:
    def make(role: Role, channel_role: ChannelRole = ChannelRole.MEMBER) -> Scene:
        actor = bring(make_user("actor"), workspace, role=role)
        add_members(adder=grace, channel_id=general.pk, user_ids=[actor.pk])
        ChannelMember.objects.filter(channel=general, user=actor).update(role=channel_role)
        message = say(bob, general, "hello")
        edit_message(editor=bob, message_id=message.pk, body="hello, edited")
        return Scene(api(actor), actor, workspace, general, lounge, bob, message)

    return make


def test_every_deed_is_tried() -> None:
    assert TRIES.keys() == RIGHTS.keys() == set(Deed)


@pytest.mark.parametrize(("deed", "attempt", "role"), CELLS)
def test_a_role_may_do_what_the_table_says(scene: Callable[..., Scene], deed: Deed, attempt: Try, role: Role) -> None:
    answer = attempt(scene(role))

    if role in RIGHTS[deed].roles:
        assert answer.status == 200, answer.body
    elif deed == Deed.JOIN_CHANNEL:
        # A guest may not even know of it.
        assert answer.said == (404, "not_found")
    else:
        assert answer.said == (403, "forbidden")


@pytest.mark.parametrize(("deed", "attempt", "role"), [cell for cell in CELLS if cell.values[0] in PLACES])
def test_a_channel_admin_may_do_in_the_channel_what_the_table_says(
    scene: Callable[..., Scene], deed: Deed, attempt: Try, role: Role
) -> None:
    answer = attempt(scene(role, ChannelRole.ADMIN))

    may = role in RIGHTS[deed].roles or (RIGHTS[deed].channel_admins and role != Role.GUEST)
    assert answer.status == (200 if may else 403), answer.body


@pytest.mark.parametrize(("deed", "attempt", "role"), [cell for cell in CELLS if cell.values[0] in PLACES])
def test_who_is_not_in_the_channel_does_nothing_there_whatever_their_role(
    scene: Callable[..., Scene], deed: Deed, attempt: Try, role: Role
) -> None:
    made = scene(role)
    made.general.members.filter(user=made.actor).delete()
    Channel.objects.filter(pk=made.general.pk).update(kind="private")
    before = stored()["groups.Channel"], stored()["groups.Message"]

    if deed == Deed.MENTION_GROUP:
        answer = made.call("message.send", channel_id=made.general.pk, body="@channel lunch?")
    else:
        answer = attempt(made)

    assert answer.said == (404, "not_found")
    assert (stored()["groups.Channel"], stored()["groups.Message"]) == before


def given(role: Role) -> Callable[[Scene, User], Answer]:
    def give(scene: Scene, user: User) -> Answer:
        return scene.call("workspace.set_role", workspace_id=scene.workspace.pk, user_id=user.pk, role=role)

    return give


def removed(scene: Scene, user: User) -> Answer:
    return scene.call("workspace.remove_member", workspace_id=scene.workspace.pk, user_id=user.pk)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("deed", [Deed.REMOVE_MEMBER, Deed.SILENCE_MEMBER])
def test_a_role_removes_and_silences_whom_the_table_says(scene: Callable[..., Scene], deed: Deed, role: Role) -> None:
    made = scene(role)
    for theirs in Role:
        other = bring(make_user(f"other-{theirs}"), made.workspace, role=theirs)

        answer = (removed if deed == Deed.REMOVE_MEMBER else silenced)(made, other)

        may = theirs in OVER[deed].get(role, ())
        assert answer.status == (200 if may else 403), (theirs, answer.body)
        member = WorkspaceMember.objects.filter(user=other).first()
        assert (member is None or member.silenced_until is not None) == may


@pytest.mark.parametrize("role", Role)
def test_a_role_gives_the_roles_that_the_table_says(scene: Callable[..., Scene], role: Role) -> None:
    made = scene(role)
    for theirs, wanted in itertools.product(Role, Role):
        WorkspaceMember.objects.filter(user=made.bob).update(role=theirs)

        answer = given(wanted)(made, made.bob)

        may = {theirs, wanted} <= OVER[Deed.SET_ROLE].get(role, frozenset())
        assert answer.status == (200 if may else 403), (theirs, wanted, answer.body)
        assert WorkspaceMember.objects.get(user=made.bob).role == (wanted if may else theirs)


def test_the_document_shows_the_table() -> None:
    rows = [line for line in protocol.ROLES.read_text().splitlines() if line.startswith("| ")]

    for right in RIGHTS.values():
        [row] = [row for row in rows if row.startswith(f"| {right.what} |")]
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[1:] == [
            *("yes" if role in right.roles else "" for role in Role),
            "yes" if right.channel_admins else "",
        ]


def test_every_refusal_says_who_may(workspace: Workspace, ada: User, general: Channel) -> None:
    with pytest.raises(PermissionDenied, match="Only owners and admins may invite"):
        roles.check(ada, Deed.INVITE, workspace)
    with pytest.raises(PermissionDenied, match="admins"):
        roles.check(ada, Deed.MANAGE_CHANNEL, general)
