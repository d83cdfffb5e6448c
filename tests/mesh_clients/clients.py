"""Clients of AppSync that are not ours, under one face: one from PyPI, and two from npm in a process of their own."""

import asyncio
import itertools
import json
import os
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Protocol, Self

from gql import Client
from gql.client import AsyncClientSession
from gql.graphql_request import GraphQLRequest
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.appsync_auth import AppSyncApiKeyAuthentication
from gql.transport.appsync_websockets import AppSyncWebsocketsTransport
from gql.transport.exceptions import TransportQueryError

from tests.mesh_clients import documents
from tests.server import ROOT

Json = dict[str, Any]
Kind = Literal["gql", "amplify", "appsync"]
HERE: Final = Path(__file__).parent
BUILD: Final = ROOT / "build" / "mesh_clients"
PACKAGES: Final[Mapping[str, list[str]]] = {
    "amplify": ["aws-amplify@6.22.1", "ws@8.23.0"],
    # graphql as old as what its Apollo was made for.
    "appsync": ["aws-appsync@4.1.10", "graphql@14.7.0", "graphql-tag@2.12.6", "ws@8.23.0"],
}
SECONDS: Final = 15.0
"""Longer than anything takes, and than these clients wait themselves."""


class Refused(Exception):
    """The errors of an answer, as the library hands them on."""

    def __init__(self, errors: list[Json]) -> None:
        super().__init__(errors)
        self.type = errors[0].get("errorType")
        self.message = errors[0].get("message")


class AppSyncClient(Protocol):
    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *_: object) -> None: ...
    async def ask(self, document: str, **variables: object) -> Any:
        """Run a query or mutation; the value of its field. Raises Refused."""
        ...

    async def subscribe(self, *, group_id: str, domain: str) -> None:
        """Follow a group; it has begun when this returns."""
        ...

    async def heard(self) -> Json:
        """The next message of the group."""
        ...


def client_of(kind: Kind, *, endpoint: str, key: str, certificate: Path) -> AppSyncClient:
    if kind == "gql":
        return GqlClient(endpoint=endpoint, key=key, certificate=certificate)
    return NodeClient(kind, endpoint=endpoint, key=key, certificate=certificate)


class GqlClient:
    """The AppSync transports of PyPI's gql. It asks for the schema, and checks our documents against it."""

    def __init__(self, *, endpoint: str, key: str, certificate: Path) -> None:
        tls = ssl.create_default_context(cafile=str(certificate))
        auth = AppSyncApiKeyAuthentication(host=endpoint.split("/")[2], api_key=key)
        self._client = Client(
            transport=AIOHTTPTransport(url=endpoint, auth=auth, ssl=tls), fetch_schema_from_transport=True
        )
        # Of its own accord it asks at the endpoint itself, as AppSync's own domains want it.
        self._realtime = _Realtime(url=endpoint, auth=auth, ssl=tls)
        self._subscriptions = Client(transport=self._realtime)
        self._heard: asyncio.Queue[Json] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._session: AsyncClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = await self._client.connect_async()  # type: ignore[no-untyped-call]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._client.close_async()  # type: ignore[no-untyped-call]

    async def ask(self, document: str, **variables: object) -> Any:
        assert self._session
        try:
            answer = await self._session.execute(GraphQLRequest(document, variable_values=variables))
        except TransportQueryError as refused:
            raise Refused(list(refused.errors or [])) from None
        return next(iter(answer.values()))

    async def subscribe(self, *, group_id: str, domain: str) -> None:
        self._task = asyncio.create_task(self._follow({"groupId": group_id, "domain": domain}))
        started = asyncio.create_task(self._realtime.started.wait())
        await asyncio.wait([started, self._task], timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            await self._task
        assert started.done(), "the subscription did not begin"

    async def heard(self) -> Json:
        return await asyncio.wait_for(self._heard.get(), SECONDS)

    async def _follow(self, variables: Json) -> None:
        async with self._subscriptions as session:
            async for answer in session.subscribe(GraphQLRequest(documents.SUBSCRIBE, variable_values=variables)):
                self._heard.put_nowait(answer["onMessageInGroup"])


class _Realtime(AppSyncWebsocketsTransport):
    """It does not say when a subscription has begun."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.started = asyncio.Event()

    def _parse_answer(self, answer: str) -> Any:
        parsed = super()._parse_answer(answer)
        if parsed[0] == "start_ack":
            self.started.set()
        return parsed


class NodeClient:
    """A library from npm, driven by Node. What it did is in `frames`: the types of all that came over its socket."""

    def __init__(self, kind: Literal["amplify", "appsync"], *, endpoint: str, key: str, certificate: Path) -> None:
        self._program = HERE / f"{kind}.cjs"
        self._environment = os.environ | {
            "NODE_PATH": str(install(kind)),
            "NODE_EXTRA_CA_CERTS": str(certificate),
            "WIRE": str(HERE / "wire.cjs"),
            "ENDPOINT": endpoint,
            "KEY": key,
        }
        self.frames: list[str] = []
        self._refs = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Json]] = {}
        self._heard: asyncio.Queue[Json | Exception] = asyncio.Queue()
        self._started = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            "node",
            str(self._program),
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 22,
        )
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process
        assert self._task
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._task

    async def ask(self, document: str, **variables: object) -> Any:
        ref = next(self._refs)
        future = self._answers[ref] = asyncio.get_running_loop().create_future()
        await self._order({"ref": ref, "document": document, "variables": variables})
        answer = await asyncio.wait_for(future, SECONDS)
        if answer.get("errors"):
            raise Refused(answer["errors"])
        return next(value for name, value in answer["data"].items() if name != "__typename")

    async def subscribe(self, *, group_id: str, domain: str) -> None:
        await self._order({"follow": documents.SUBSCRIBE, "variables": {"groupId": group_id, "domain": domain}})
        await asyncio.wait_for(self._started.wait(), SECONDS)

    async def heard(self) -> Json:
        message = await asyncio.wait_for(self._heard.get(), SECONDS)
        if isinstance(message, Exception):
            raise message
        return message

    async def _order(self, order: Json) -> None:
        assert self._process
        assert self._process.stdin
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()

    async def _read(self) -> None:
        assert self._process
        assert self._process.stdout
        async for line in self._process.stdout:
            told = json.loads(line)
            if "ref" in told:
                self._answers.pop(told["ref"]).set_result(told)
            elif "heard" in told:
                self._heard.put_nowait(told["heard"]["onMessageInGroup"])
            elif "failed" in told:
                self._heard.put_nowait(RuntimeError(told["failed"]))
            elif "started" in told:
                self._started.set()
            else:
                self.frames.append(told["frame"])


def install(kind: str) -> Path:
    """Fetch a library from npm into the build directory, once; where Node finds it."""
    place = BUILD / kind
    if not place.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUILD, prefix=f"{kind}-") as made:
            words = ["npm", "install", "--prefix", made, "--no-audit", "--no-fund", "--ignore-scripts"]
            subprocess.run([*words, "--loglevel=error", *PACKAGES[kind]], check=True, stdout=subprocess.DEVNULL)
            # Whole or not at all: another run may be fetching it, too.
            if not place.exists():
                shutil.move(made, place)
                Path(made).mkdir()
    return place / "node_modules"
