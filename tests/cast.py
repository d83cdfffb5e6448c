"""The cast, which never changes: ada and bob are members, eve is not; grace owns, mia moderates, gus is a guest.

Three ways to look: `api` calls as somebody, `published` sees what leaves, `stored` sees what is there.
"""

import itertools
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from django.apps import apps
from django.core.cache import cache
from django.db import connection
from django.db.models import Max
from django.http import HttpResponse
from django.test import Client

from groups import audiences
from groups.actions.channels import create_channel
from groups.actions.direct import open_direct_channel
from groups.actions.membership import join_channel
from groups.actions.sending import send_message
from groups.actions.tokens import create_token
from groups.actions.workspaces import create_workspace, invite_to_workspace, join_workspace
from groups.models import Channel, Message, User, Workspace, WorkspaceMember
from groups.models.workspace import Role
from presence import typists, watching
from realtime import limits, relay
from realtime.models import OutboxEvent

PROBLEM_TYPE = "application/problem+json"
_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def _fresh_process(settings: Any) -> None:
    """What a process remembers of users, by ids that the next test gives to others."""
    limits.forget_all()
    audiences.forget_all()
    typists.forget_all()
    watching.forget_all()
    cache.clear()
    # A test that does not try the limit must not meet it.
    settings.SEND_BURST = 1000
    settings.REACT_PER_MINUTE = 100_000
    # The real one takes half a second, on purpose.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def make_user(username: str, **fields: Any) -> User:
    return User.objects.create_user(
        username, email=f"{username}@example.org", display_name=username.capitalize(), **fields
    )


def bring(user: User, workspace: Workspace, *, role: Role = Role.MEMBER) -> User:
    """Let somebody into a workspace by an invite of its founder."""
    invited = invite_to_workspace(inviter=workspace.created_by, workspace_id=workspace.pk, days=1)
    join_workspace(user=user, token=invited.token)
    if role != Role.MEMBER:
        WorkspaceMember.objects.filter(workspace=workspace, user=user).update(role=role)
    return user


def say(author: User, channel: Channel, body: str = "hello", **more: Any) -> Message:
    return send_message(author=author, channel_id=channel.pk, body=body, **more).message


def reply_to(root: Message, author: User, body: str = "reply") -> Message:
    return say(author, root.channel, body, thread_root_id=root.pk)


@pytest.fixture
def grace(db: None) -> User:
    """Owner of the workspace, admin of its channels."""
    return make_user("grace")


@pytest.fixture
def eve(db: None) -> User:
    """A stranger: she has an account and is nowhere a member."""
    return make_user("eve")


@pytest.fixture
def workspace(grace: User) -> Workspace:
    return create_workspace(creator=grace, name="Engines")


@pytest.fixture
def ada(workspace: Workspace) -> User:
    return bring(make_user("ada"), workspace)


@pytest.fixture
def bob(workspace: Workspace) -> User:
    return bring(make_user("bob"), workspace)


@pytest.fixture
def gus(workspace: Workspace) -> User:
    """A guest of the workspace, in no channel."""
    return bring(make_user("gus"), workspace, role=Role.GUEST)


@pytest.fixture
def general(workspace: Workspace, grace: User, ada: User, bob: User) -> Channel:
    """A public channel with grace, its admin, and ada and bob."""
    channel = make_channel(grace, workspace, "general", topic="What everybody should know")
    for user in (ada, bob):
        join_channel(user=user, channel_id=channel.pk)
    channel.refresh_from_db()
    return channel


@pytest.fixture
def mia(workspace: Workspace, general: Channel) -> User:
    """A moderator of the workspace, in `general`."""
    mia = bring(make_user("mia"), workspace, role=Role.MODERATOR)
    join_channel(user=mia, channel_id=general.pk)
    return mia


@pytest.fixture
def lounge(workspace: Workspace, grace: User) -> Channel:
    """A public channel that only grace has joined."""
    return make_channel(grace, workspace, "lounge")


@pytest.fixture
def secret(workspace: Workspace, grace: User) -> Channel:
    """A private channel of grace."""
    return make_channel(grace, workspace, "secret", kind="private")


@pytest.fixture
def direct(workspace: Workspace, ada: User, bob: User) -> Channel:
    """The direct channel of ada and bob."""
    return open_direct_channel(creator=ada, workspace_id=workspace.pk, other_ids=[bob.pk])


def make_channel(creator: User, workspace: Workspace, name: str, *, kind: str = "public", topic: str = "") -> Channel:
    return create_channel(creator=creator, workspace_id=workspace.pk, kind=kind, name=name, topic=topic)


@dataclass(frozen=True)
class Answer:
    """Of one HTTP call."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def code(self) -> str:
        """The stable code of a refusal."""
        return str(self.body["code"])

    @property
    def said(self) -> tuple[int, str]:
        return self.status, self.code


def answer_of(status: int, content: bytes, headers: Mapping[str, str]) -> Answer:
    """Every answer of the API is a JSON object under 200 or a whole problem (RFC 9457) of the same status."""
    headers = {name.lower(): value for name, value in headers.items()}
    kind = headers.get("content-type", "").partition(";")[0]
    assert kind == ("application/json" if status == 200 else PROBLEM_TYPE), f"{status} {kind}: {content[:500]!r}"
    body = json.loads(content)
    if status != 200:
        assert status < 500, body
        assert body["status"] == status
        assert all(isinstance(body[name], str) and body[name] for name in ("type", "title", "code")), body
        assert set(body) <= {"type", "title", "status", "detail", "code", "errors", "retry_after"}, body
    return Answer(status, body, headers)


@dataclass(frozen=True)
class Door:
    """The HTTP API as one person sees it, in this process."""

    client: Client
    headers: Mapping[str, str]

    def __call__(self, method: str, **params: Any) -> Answer:
        """POST, as a program does."""
        return self.raw("POST", f"/api/{method}", json.dumps(params).encode())

    def get(self, method: str, **params: Any) -> Answer:
        return _answer(self.client.get(f"/api/{method}", params, headers=dict(self.headers)))

    def raw(
        self, verb: str, path: str, content: bytes = b"", content_type: str = "application/json", **headers: str
    ) -> Answer:
        headers = {**self.headers, **headers}
        return _answer(self.client.generic(verb, path, content, content_type, headers=headers))


def _answer(response: Any) -> Answer:
    assert isinstance(response, HttpResponse)
    return answer_of(response.status_code, response.content, dict(response.items()))


def token_of(user: User, *scopes: str) -> str:
    _, token = create_token(owner=user, name=f"test {next(_numbers)}", scopes=scopes or ("read", "write"), days=1)
    return token


Api = Callable[..., Door]


@pytest.fixture
def api(db: None) -> Api:
    """`api(ada)("message.send", ...)`: a call with a token of hers. `api()` has no credentials."""

    def door(user: User | None = None, *scopes: str) -> Door:
        return Door(Client(), {"Authorization": f"Bearer {token_of(user, *scopes)}"} if user else {})

    return door


@dataclass(frozen=True)
class Told:
    """One published event: what is told, to whom, under which order."""

    name: str
    data: dict[str, Any]
    user_ids: set[int]
    order: str


@contextmanager
def published() -> Iterator[list[Told]]:
    """The events that the block published, in their order. No hub runs in tests, so that they stay in the outbox."""
    before = OutboxEvent.objects.aggregate(newest=Max("pk"))["newest"] or 0
    told: list[Told] = []
    yield told
    for row in OutboxEvent.objects.filter(pk__gt=before).order_by("pk"):
        of = dict(row.audience)
        user_ids = set(relay.RESOLVERS[of.pop("kind")](**of))
        told.append(Told(row.name, json.loads("{" + row.body)["data"], user_ids, row.order_key))


def at_once(*jobs: Callable[[], Any]) -> list[Any]:
    """Run all in threads of their own that start together; what they return."""
    together, got = threading.Barrier(len(jobs)), []

    def run(job: Callable[[], Any]) -> None:
        try:
            together.wait(timeout=10)
            got.append(job())
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(got) == len(jobs)
    return got


def names(told: list[Told]) -> list[str]:
    return [event.name for event in told]


def ids(*users: User) -> set[int]:
    return {user.pk for user in users}


NOT_STATE = {"sessions.session", "admin.logentry", "contenttypes.contenttype", "auth.permission"}


def stored() -> dict[str, list[Any]]:
    """Every row of every table, to see that nothing changed. A token's last use is no change."""
    tables = [model for model in apps.get_models() if model._meta.label_lower not in NOT_STATE]
    return {
        model._meta.label: list(model._base_manager.order_by("pk").values_list(*_columns(model))) for model in tables
    }


def _columns(model: Any) -> list[str]:
    return [
        field.attname for field in model._meta.concrete_fields if field.attname not in {"last_used_at", "last_login"}
    ]
