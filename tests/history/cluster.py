"""The system under test: workers that share a PostgreSQL and a Redis, and what may be done to them."""

import asyncio
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.conftest import GENEROUS
from tests.history.journal import Outage, now
from tests.history.world import Account, Place, World
from tests.server import Server
from tests.services import RedisServer

NAMES = ("grace", "ada", "bob", "mia", "gus", "ivy", "joan", "kurt", "lena", "max")
LEASE_SECONDS = 7.0
"""Longer than any of the drops that the nemesis makes, short enough for many to leave and come back in a run."""
SWEEP_SECONDS = 0.5
CLASSROOM_KEY, STRANGERS_KEY, STRANGERS_DOMAIN = "classroom-key", "strangers-key", "elsewhere"
SETTINGS: dict[str, Any] = GENEROUS | {
    "SWEEP_SECONDS": SWEEP_SECONDS,
    "PING_SECONDS": 2,
    "PONG_SECONDS": 2,
    "LEASE_SECONDS": LEASE_SECONDS,
    "STATUS_TEXT_PER_MINUTE": 100_000,
    "AWAY_PER_MINUTE": 100_000,
    "REACT_PER_MINUTE": 100_000,
    "GROUP_MENTIONS_PER_HOUR": 100_000,
    "LOG_LEVEL": "WARNING",
    "MESH_API_KEYS": f"{CLASSROOM_KEY},{STRANGERS_KEY}={STRANGERS_DOMAIN}",
    "MESH_MAX_CONNECTION_TIME_SECONDS": 100_000,
}
STARTS = 3

_FOUND = """
import json
from groups.actions.channels import create_channel
from groups.actions.direct import open_direct_channel
from groups.actions.membership import add_members, join_channel
from groups.actions.tokens import create_token
from groups.actions.workspaces import create_workspace, invite_to_workspace, join_open_workspace, set_role
from groups.models import Workspace
people = [User.objects.create(username=name, display_name=name.capitalize()) for name in {names!r}]
grace, ada, *others = people
workspace = create_workspace(creator=grace, name="Engines")
Workspace.objects.filter(pk=workspace.pk).update(open=True)
for person in [ada, *others]:
    join_open_workspace(user=person, workspace_id=workspace.pk)
Workspace.objects.filter(pk=workspace.pk).update(open=False)
set_role(setter=grace, workspace_id=workspace.pk, user_id=ada.pk, role="admin")
invite = invite_to_workspace(inviter=grace, workspace_id=workspace.pk, days=1)
channels = [
    create_channel(creator=grace, workspace_id=workspace.pk, kind=kind, name=name)
    for kind, name in [("public", "general"), ("public", "lounge"), ("private", "secret"), ("private", "den")]
]
for channel in channels[:2]:
    for person in [ada, *others]:
        join_channel(user=person, channel_id=channel.pk)
for channel, members in zip(channels[2:], [[ada, *others[:5]], [ada, *others[-3:]]]):
    add_members(adder=grace, channel_id=channel.pk, user_ids=[person.pk for person in members])
channels.append(
    open_direct_channel(creator=grace, workspace_id=workspace.pk, other_ids=[person.pk for person in others[-2:]])
)
tokens = [create_token(owner=person, name="history", scopes=("read", "write"), days=1)[1] for person in people]
print(json.dumps({{
    "workspace_id": workspace.pk,
    "invite": invite.token,
    "accounts": [
        [person.pk, person.username, token, list(person.channel_memberships.values_list("channel_id", flat=True))]
        for person, token in zip(people, tokens)
    ],
    "places": [[channel.pk, channel.kind] for channel in channels],
}}))
"""


@dataclass
class Cluster:
    servers: Sequence[Server]
    redis: RedisServer

    @property
    def ports(self) -> list[int]:
        return [server.port for server in self.servers]

    def start(self) -> None:
        """All at once: a start is mostly imports."""
        with ThreadPoolExecutor() as pool:
            for started in [pool.submit(server.start) for server in self.servers]:
                started.result()

    def found(self, names: Sequence[str]) -> World:
        """People in a workspace: the first owns it and the second is an admin. Two public channels of all, two private
        ones and a direct one of some.
        """
        printed = self.servers[0].manage("shell", "--verbosity=0", f"--command={_FOUND.format(names=list(names))}")
        founded = json.loads(printed.strip().splitlines()[-1])
        accounts = [Account(pk, name, token, frozenset(joined)) for pk, name, token, joined in founded["accounts"]]
        places = {pk: Place(pk, kind) for pk, kind in founded["places"]}
        return World(founded["workspace_id"], founded["invite"], accounts, places)

    def verify(self, command: str) -> str | None:
        """What a command of manage.py has to say against the database, if it has."""
        try:
            self.servers[0].manage(command)
        except RuntimeError as error:
            return str(error)
        return None

    async def kill(self, worker: int) -> None:
        await asyncio.to_thread(self.servers[worker].kill)

    async def heal(self) -> None:
        """Whatever is dead starts again."""
        for server in self.servers:
            if not server.running:
                await _start(server.start)

    async def restart_redis(self, *, away_seconds: float) -> Outage:
        """Kill it, and bring it back with nothing in it."""
        asked_at = now()
        await asyncio.to_thread(self.redis.kill)
        gone_at = now()
        await asyncio.sleep(away_seconds)
        await _start(self.redis.start)
        return Outage(asked_at, gone_at, now())

    async def pause_redis(self, *, seconds: float) -> None:
        self.redis.pause()
        try:
            await asyncio.sleep(seconds)
        finally:
            self.redis.go_on()


async def _start(start: Callable[[], None]) -> None:
    """Start something on the port that it had. While it was dead, a connection of somebody else may have taken that."""
    for _ in range(STARTS - 1):
        with suppress(RuntimeError):
            return await asyncio.to_thread(start)
    await asyncio.to_thread(start)
