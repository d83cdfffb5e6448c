"""The subscription socket of clients of AppSync, frame by frame."""

import base64
import json
import time
import uuid
from contextlib import closing
from http.client import HTTPConnection
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.mesh.classroom import SUBSCRIPTION, Place, School
from tests.server import Server

Json = dict[str, Any]
SECONDS = 10.0
API_KEY = "key-of-the-tests"


def header_of(key: str | None) -> Json:
    headers = {"host": "mesh.example.org", "x-amz-date": "20261121T090000Z", "x-api-key": key}
    return headers if key is not None else {"host": "mesh.example.org"}


def in_query(key: str | None = API_KEY, *, padded: bool = True) -> str:
    """As aws-appsync and the Ruby helper send it: not percent-encoded."""
    header = base64.b64encode(json.dumps(header_of(key)).encode()).decode()
    return f"?header={header if padded else header.rstrip('=')}&payload=e30="


def in_subprotocol(key: str = API_KEY) -> str:
    """As Amplify v6 sends it."""
    return "header-" + base64.urlsafe_b64encode(json.dumps(header_of(key)).encode()).decode().rstrip("=")


class GraphQLSocket:
    """Keeps all frames that came, in their order."""

    def __init__(
        self,
        server: Server,
        *,
        path: str = "/graphql/realtime",
        query: str | None = None,
        offered: tuple[str, ...] = ("graphql-ws",),
        begin: bool = True,
    ) -> None:
        self.frames: list[Json] = []
        self.connection = connect(
            f"{server.ws_url}{path}{in_query() if query is None else query}",
            subprotocols=[Subprotocol(name) for name in offered] or None,
            compression=None,
            max_size=None,
            ping_interval=None,
            max_queue=None,
            close_timeout=2,
            proxy=None,
            legacy=True,
        )
        if begin:
            self._begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.connection.close()

    def _begin(self) -> None:
        self.send(type="connection_init")
        try:
            assert self.read() == {"type": "connection_ack", "payload": {"connectionTimeoutMs": 300_000}}
            assert self.read() == {"type": "ka"}
        except BaseException:
            self.connection.close()
            raise

    def send(self, **frame: Any) -> None:
        self.connection.send(json.dumps(frame))

    def read(self, seconds: float = SECONDS) -> Json:
        text = self.connection.recv(timeout=seconds)
        assert isinstance(text, str), "frames are texts"
        frame = json.loads(text)
        assert isinstance(frame, dict), "each frame goes alone"
        self.frames.append(frame)
        return frame

    def next(self, kind: str, id: str | None = None, seconds: float = SECONDS) -> Json:
        """The next frame of this type, and id; others are passed over."""
        deadline = time.monotonic() + seconds
        while True:
            frame = self.read(max(0.01, deadline - time.monotonic()))
            if frame["type"] == kind and id in {None, frame.get("id")}:
                return frame

    def quiet(self, seconds: float = 0.5) -> bool:
        """Whether nothing comes for so long."""
        try:
            self.read(seconds)
        except TimeoutError:
            return True
        return False

    def start(
        self, variables: Json, *, query: str = SUBSCRIPTION, key: str | None = API_KEY, id: str | None = None
    ) -> str:
        """Ask for a subscription; its id. The answer is not awaited."""
        id = id or str(uuid.uuid4())
        extensions = {"extensions": {"authorization": header_of(key)}} if key is not None else {}
        data = json.dumps({"query": query, "variables": variables})
        self.send(type="start", id=id, payload={"data": data, **extensions})
        return id

    def subscribe(self, place: Place, *, query: str = SUBSCRIPTION) -> str:
        id = self.start(place.names, query=query)
        assert self.read() == {"type": "start_ack", "id": id}
        return id

    def message(self, id: str | None = None) -> Json:
        """The next message of a group."""
        return dict(self.next("data", id)["payload"]["data"]["onMessageInGroup"])

    def closed(self, seconds: float = SECONDS) -> int:
        """Read on until the server closes; with which code."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.read(max(0.01, deadline - time.monotonic()))
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else 1006


def school_at(server: Server, key: str = API_KEY) -> School:
    """Clients that send over HTTP."""

    def send(document: str, variables: Json) -> Json:
        body = json.dumps({"query": document, "variables": variables, "operationName": None})
        with closing(HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
            connection.request("POST", "/graphql", body, {"x-api-key": key, "content-type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        assert answer.status == 200, content
        return dict(json.loads(content))

    return School(send)
