"""Whatever people do in whatever order: what the events lead to is what a fresh login shows."""

import json
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from hypothesis.strategies import integers, sampled_from

from groups import audiences
from groups.actions.workspaces import create_workspace, invite_to_workspace
from groups.models import Channel, Message, User, Workspace
from groups.models.workspace import Role
from realtime import limits, relay
from realtime.commands import METHODS
from realtime.events import EVENTS
from realtime.models import OutboxEvent
from tests.cast import Door, bring, make_channel, make_user, token_of
from tests.mirror import APPLY, Mirror, differences

NAMES = ("grace", "mia", "ada", "bob", "gus", "eve")
BODIES = ("hello", "@bob look", "@ada and @bob", "@channel tea", "@here `@ada`", "a@ada.example", "**bold** @gus")
EMOJI = ("👍", "🎉", "❤️")


Deed = Callable[["Conversation", int, int], dict[str, Any]]


def _message(those: "Conversation", a: int, b: int) -> dict[str, Any]:
    return {"message_id": those.message(a)}


def _channel(those: "Conversation", a: int, b: int) -> dict[str, Any]:
    return {"channel_id": those.channel(a)}


def _member(those: "Conversation", a: int, b: int) -> dict[str, Any]:
    return {"channel_id": those.channel(a), "user_id": those.person(b)}


DEEDS: dict[str, tuple[str, Deed]] = {
    "say": ("message.send", lambda those, a, b: {"channel_id": those.channel(a), "body": BODIES[b % len(BODIES)]}),
    "say again": (
        "message.send",
        lambda those, a, b: {"channel_id": those.channel(a), "body": "once", "client_msg_id": f"key {b % 3}"},
    ),
    "reply": (
        "message.send",
        lambda those, a, b: {
            "channel_id": those.channel_of(a),
            "thread_root_id": those.message(a),
            "body": BODIES[b % len(BODIES)],
        },
    ),
    "edit": ("message.update", lambda those, a, b: {"message_id": those.message(a), "body": BODIES[b % len(BODIES)]}),
    "delete": ("message.delete", _message),
    "react": ("message.react", lambda those, a, b: {"message_id": those.message(a), "emoji": EMOJI[b % 3]}),
    "toggle": ("message.toggle_react", lambda those, a, b: {"message_id": those.message(a), "emoji": EMOJI[b % 3]}),
    "pin": ("message.pin", _message),
    "unpin": ("message.unpin", _message),
    "read": (
        "read.mark",
        lambda those, a, b: {"channel_id": those.channel_of(a), "last_read_id": those.message(a)},
    ),
    "unread": (
        "read.mark_unread",
        lambda those, a, b: {"channel_id": those.channel_of(a), "message_id": those.message(a)},
    ),
    "follow": ("thread.follow", _message),
    "unfollow": ("thread.unfollow", _message),
    "read a thread": (
        "thread.mark_read",
        lambda those, a, b: {"message_id": those.message(a), "last_read_id": those.message(b)},
    ),
    "make a channel": (
        "channel.create",
        lambda those, a, b: {
            "workspace_id": those.workspace.pk,
            "kind": ("public", "private")[a % 2],
            "name": f"channel {b}",
        },
    ),
    "open a direct channel": (
        "channel.create",
        lambda those, a, b: {
            "workspace_id": those.workspace.pk,
            "kind": "direct",
            "peer_ids": [those.person(a), those.person(b)],
        },
    ),
    "join": ("channel.join", _channel),
    "leave": ("channel.leave", _channel),
    "add": ("channel.add_members", lambda those, a, b: {"channel_id": those.channel(a), "user_ids": [those.person(b)]}),
    "remove": ("channel.remove_member", _member),
    "rename": ("channel.update", lambda those, a, b: {"channel_id": those.channel(a), "name": f"channel {b}"}),
    "convert": (
        "channel.update",
        lambda those, a, b: {"channel_id": those.channel(a), "kind": ("public", "private")[b % 2]},
    ),
    "archive": ("channel.archive", lambda those, a, b: {"channel_id": those.channel(a), "archived": b % 3 > 0}),
    "mute": ("channel.mute", lambda those, a, b: {"channel_id": those.channel(a), "muted": b % 2 > 0}),
    "notify": (
        "channel.mute",
        lambda those, a, b: {"channel_id": those.channel(a), "notify": ("all", "mentions", "nothing")[b % 3]},
    ),
    "rename the workspace": (
        "workspace.update",
        lambda those, a, b: {"workspace_id": those.workspace.pk, "name": f"Engines {a}"},
    ),
    "give a role": (
        "workspace.set_role",
        lambda those, a, b: {
            "workspace_id": those.workspace.pk,
            "user_id": those.person(a),
            "role": Role.values[b % len(Role.values)],
        },
    ),
    "send away": (
        "workspace.remove_member",
        lambda those, a, b: {"workspace_id": those.workspace.pk, "user_id": those.person(a)},
    ),
    "leave the workspace": ("workspace.leave", lambda those, a, b: {"workspace_id": those.workspace.pk}),
    "come in": ("workspace.join", lambda those, a, b: {"token": those.invite}),
    "be called": ("user.update", lambda those, a, b: {"display_name": f"Somebody {a}"}),
}


class Conversation(RuleBasedStateMachine):
    """Six people, each with a client that knows only events. `a` and `b` choose what a deed is done to."""

    workspace: Workspace
    invite: str

    def __init__(self) -> None:
        super().__init__()
        self.undone = transaction.atomic()
        self.undone.__enter__()
        audiences.forget_all()
        limits.forget_all()
        self.people = [make_user(name) for name in NAMES]
        grace, mia, ada, bob, gus, _eve = self.people
        self.workspace = create_workspace(creator=grace, name="Engines")
        for person, role in ((mia, Role.MODERATOR), (ada, Role.MEMBER), (bob, Role.MEMBER), (gus, Role.GUEST)):
            bring(person, self.workspace, role=role)
        self.invite = invite_to_workspace(inviter=grace, workspace_id=self.workspace.pk, days=1).token
        make_channel(grace, self.workspace, "general")
        self.doors = {person.pk: _door(person) for person in self.people}
        self.mirrors = {person.pk: Mirror(self.doors[person.pk]) for person in self.people}
        self.told_up_to = 0
        self._left_the_outbox()
        self.done: list[str] = []

    @rule(who=integers(0, 5), name=sampled_from(sorted(DEEDS)), a=integers(0, 30), b=integers(0, 30))
    def do(self, who: int, name: str, a: int, b: int) -> None:
        """One person does one thing, allowed or not. Everybody is told."""
        method, deed = DEEDS[name]
        actor = self.people[who]
        params = deed(self, a, b)
        answer = self.doors[actor.pk](method, **params)
        self.done.append(f"{actor}: {method} {params} -> {answer.status} {answer.body}")
        for row in self._left_the_outbox():
            of = dict(row.audience)
            data = json.loads("{" + row.body)["data"]
            for user_id in relay.RESOLVERS[of.pop("kind")](**of):
                self.mirrors[user_id].apply(row.name, data)
        self._agree(self.people[b % len(self.people)])

    def teardown(self) -> None:
        try:
            for person in self.people:
                self._agree(person)
        finally:
            transaction.set_rollback(True)
            self.undone.__exit__(None, None, None)

    def person(self, number: int) -> int:
        return self.people[number % len(self.people)].pk

    def channel(self, number: int) -> int:
        ids = Channel.objects.order_by("pk").values_list("pk", flat=True)
        return ids[number % len(ids)]

    def message(self, number: int) -> int:
        """One of the newest, deleted ones too."""
        ids = list(Message.objects.order_by("-pk").values_list("pk", flat=True)[:8])
        return ids[number % len(ids)] if ids else 1

    def channel_of(self, number: int) -> int:
        message = Message.objects.filter(pk=self.message(number)).first()
        return message.channel_id if message else self.channel(number)

    def _left_the_outbox(self) -> list[OutboxEvent]:
        rows = list(OutboxEvent.objects.filter(pk__gt=self.told_up_to).order_by("pk"))
        self.told_up_to = rows[-1].pk if rows else self.told_up_to
        return rows

    def _agree(self, person: User) -> None:
        told = differences(self.mirrors[person.pk].facts, Mirror(self.doors[person.pk]).facts)
        assert not told, "\n".join([f"{person}:", *told, "after", *self.done])


def test_events_lead_to_what_a_fresh_login_shows(db: None) -> None:
    run_state_machine_as_test(
        Conversation,
        settings=settings(
            max_examples=20,
            stateful_step_count=30,
            deadline=None,
            print_blob=True,
            # Shrinking takes minutes; the deeds are in the message, and a seed brings them again.
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_every_deed_is_a_method() -> None:
    assert {method for method, _deed in DEEDS.values()} <= set(METHODS)


def test_a_client_can_follow_every_event() -> None:
    of_users = {name for name in EVENTS if not name.startswith("mesh.")}
    assert set(APPLY) == of_users


def _door(person: User) -> Door:
    return Door(Client(), {"Authorization": f"Bearer {token_of(person)}"})
