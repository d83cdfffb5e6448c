"""Every method, called by people who may not: a stranger, a token that lacks the scope, nobody at all."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from groups.actions.threads import follow_thread
from groups.actions.workspaces import invite_to_workspace
from groups.mesh.classrooms import make_key, start_group
from groups.models import Channel, Invite, MeshDomain, MeshGroup, MeshKey, Message, User, Workspace
from realtime.commands import METHODS
from tests.cast import Api, Door, published, say, stored

OWN = {
    # Of the caller alone, or of nobody yet.
    *("client.boot", "realtime.ticket", "user.me", "user.update", "user.set_avatar", "workspace.create"),
    *("presence.leave", "presence.set_away", "presence.set_status_text"),
    # They leave out what the caller may not see, which their own tests prove.
    *(
        "channel.list",
        "classroom.domains",
        "classroom.hosted_groups",
        "mention.list",
        "presence.list",
        "presence.watch",
        "thread.list",
        "workspace.list",
    ),
    # In a group of classrooms everybody with an account or a key is a stranger: its own tests prove who may do what.
    *(name for name in METHODS if name.startswith("mesh.")),
}


class Scene(NamedTuple):
    """A private channel of grace with ada in it, and what is there."""

    workspace: Workspace
    secret: Channel
    message: Message
    invite: Invite
    ada: User
    group: MeshGroup
    key: MeshKey

    def params(self, name: str) -> dict[str, Any]:
        """Of a call that is well formed and names what is there."""
        known: dict[str, Callable[[], Any]] = {
            "workspace_id": lambda: self.workspace.pk,
            "channel_id": lambda: self.secret.pk,
            "message_id": lambda: self.message.pk,
            "user_id": lambda: self.ada.pk,
            "invite_id": lambda: self.invite.pk,
            "user_ids": lambda: [self.ada.pk],
            "last_read_id": lambda: self.message.pk,
            "since_rev": lambda: 0,
            "body": lambda: "hello",
            "emoji": lambda: "👍",
            "state": lambda: "start",
            "role": lambda: "member",
            "reason": lambda: "because",
            "minutes": lambda: 5,
            "domain": lambda: self.group.domain,
            "domains": lambda: [self.group.domain],
            "group_id": lambda: str(self.group.pk),
            "host_id": lambda: "mine",
            "key_id": lambda: self.key.pk,
            "label": lambda: "mine",
            "polls": lambda: True,
        }
        asked = {
            field: known[field]()
            for field, of in METHODS[name].params().fields.items()
            if of.required and field in known
        }
        more: dict[str, dict[str, Any]] = {
            "channel.create": {"kind": "private", "name": "mine"},
            "channel.mute": {"muted": True},
            "channel.update": {"topic": "mine"},
            "workspace.join": {"workspace_id": self.workspace.pk},
            "workspace.update": {"name": "mine"},
        }
        return asked | more.get(name, {})


@pytest.fixture
def scene(api: Api, workspace: Workspace, secret: Channel, grace: User, ada: User) -> Scene:
    api(grace)("channel.add_members", channel_id=secret.pk, user_ids=[ada.pk])
    message = say(ada, secret, "nobody else shall read this")
    say(grace, secret, "an answer", thread_root_id=message.pk)
    follow_thread(follower=ada, message_id=message.pk)
    invite = invite_to_workspace(inviter=grace, workspace_id=workspace.pk, days=1).invite
    MeshDomain.objects.create(name="school", workspace=workspace)
    group = start_group(teacher=grace, domain="school", host_id="hers")
    key = make_key(teacher=grace, workspace_id=workspace.pk, label="3B", domains=["school"]).key
    return Scene(workspace, secret, message, invite, ada, group, key)


@pytest.mark.parametrize("name", sorted(METHODS.keys() - OWN))
def test_a_stranger_is_told_that_it_is_not_there(api: Api, scene: Scene, eve: User, name: str) -> None:
    stranger = api(eve)
    stranger("user.me")
    params, before = scene.params(name), stored()

    with published() as told:
        answer = stranger(name, **params)

    assert answer.said == (404, "not_found"), answer.body
    assert told == []
    assert stored() == before
    assert "nobody else" not in str(answer.body)


@pytest.mark.parametrize("name", sorted(METHODS.keys() - OWN - {"workspace.join", "channel.join"}))
def test_it_is_there_for_somebody_who_may_see_it(api: Api, scene: Scene, grace: User, name: str) -> None:
    """Else the stranger would prove nothing."""
    answer = api(grace)(name, **scene.params(name))

    assert answer.status != 404, answer.body


@pytest.mark.parametrize("name", sorted(METHODS))
def test_without_credentials_there_is_nothing(api: Api, scene: Scene, name: str) -> None:
    params, before = scene.params(name), stored()

    assert api()(name, **params).status == 401
    assert stored() == before


@pytest.mark.parametrize("name", sorted(name for name, method in METHODS.items() if method.scope == "write"))
def test_a_token_to_read_changes_nothing(api: Api, scene: Scene, grace: User, name: str) -> None:
    reader: Door = api(grace, "read")
    reader("user.me")
    params, before = scene.params(name), stored()

    assert reader(name, **params).said == (403, "forbidden")
    assert stored() == before
