"""Two people on the shared server, a channel of theirs, and a network that can be made worse."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from meshsite_client import SyncClient, Timing

from tests.clients.gate import Gate
from tests.server import Server

QUICK = Timing(probe_seconds=0.3, backoff_first_seconds=0.05)
"""Nobody waits long for the next attempt."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Place:
    """A server, and alice's and bob's way into it."""

    server: Server
    alice: str = field(repr=False)
    bob: str = field(repr=False)

    @property
    def url(self) -> str:
        return self.server.url

    def new_channel(self) -> int:
        """A public channel of alice and bob alone."""
        with SyncClient(self.url, token=self.alice) as alice, SyncClient(self.url, token=self.bob) as bob:
            workspace_id = alice.call("client.boot")["workspaces"][0]["id"]
            params = {"workspace_id": workspace_id, "kind": "public", "name": f"clients-{next(_numbers)}"}
            channel_id: int = alice.call("channel.create", params)["channel"]["id"]
            bob.call("channel.join", {"channel_id": channel_id})
        return channel_id


def settle(server: Server) -> Place:
    def token(name: str) -> str:
        return server.manage("create_token", name, "--scopes", "read,write").strip()

    return Place(server, token("alice"), token("bob"))


@pytest.fixture(scope="session")
def place(server: Server) -> Place:
    return settle(server)


@pytest.fixture
def channel_id(place: Place) -> int:
    return place.new_channel()


@pytest.fixture
def gate(place: Place) -> Iterator[Gate]:
    with Gate(place.url) as gate:
        yield gate
