"""Clients of `/ws/user/me` for tests of real servers, and the people who hold them.

A `Socket` answers pings, takes arrays apart and fails at once when a `seq` is missing, repeated or out of order.
"""

import json
import os
import socket as tcp
import struct
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.cast import Answer, answer_of
from tests.server import Server

Frame = dict[str, Any]
PRESENCE = "presence.updated"
SECONDS = 10.0
"""How long something that has to come may take on the slowest machine."""


class Socket:
    """A program's socket. After each read, `frames` holds everything that came, `events` those with a seq."""

    def __init__(
        self,
        server: Server,
        *,
        path: str = "/ws/user/me",
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        origin: str | None = None,
        answers_pings: bool = True,
    ) -> None:
        self.frames: list[Frame] = []
        self.arrays = 0
        self._answers_pings = answers_pings
        self._seq: int | None = None
        self._refs = 0
        self._connection = connect(
            f"{server.ws_url}{path}" + (f"?{urlencode(query)}" if query else ""),
            additional_headers=headers,
            origin=None if origin is None else Origin(origin),
            compression=None,
            max_size=None,
            ping_interval=None,
            max_queue=None,  # a test that does not read must not keep the close frame waiting
            close_timeout=2,
            proxy=None,
            legacy=True,  # a connection that lives as long as this object, not as long as a block
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    @property
    def hello(self) -> Frame:
        """The hello, which is the first frame of all."""
        first = self.frames[0] if self.frames else self.read()
        assert first["type"] == "hello", first
        return first

    @property
    def seq(self) -> int:
        """Of the last event that came."""
        assert self._seq is not None, "no hello came"
        return self._seq

    @property
    def events(self) -> list[Frame]:
        """What came with a seq, but for presence: people come and go beside what a test does."""
        return [frame for frame in self.frames if frame["type"] == "event" and frame["event"] != PRESENCE]

    @property
    def presence(self) -> list[Frame]:
        """The data of each `presence.updated` that came."""
        return [frame["data"] for frame in self.frames if frame.get("event") == PRESENCE]

    @property
    def names(self) -> list[str]:
        return [event["event"] for event in self.events]

    @property
    def bodies(self) -> list[str]:
        """The texts of the messages that came, in their order."""
        return [event["data"]["message"]["body"] for event in self.events if event["event"] == "message.created"]

    def read(self, seconds: float = SECONDS) -> Frame:
        """One message of the server; of an array the last frame. Raises TimeoutError or ConnectionClosed."""
        text = self._connection.recv(timeout=seconds)
        assert isinstance(text, str), "the server sends text only"
        got = json.loads(text)
        if isinstance(got, list):
            assert len(got) > 1, "an array has at least two frames"
            self.arrays += 1
        for frame in got if isinstance(got, list) else [got]:
            self._take(frame)
        return self.frames[-1]

    def wait(self, matches: Callable[[Frame], bool], seconds: float = SECONDS) -> Frame:
        """The first frame of all that matches, as soon as it is there."""
        deadline, seen = time.monotonic() + seconds, 0
        while True:
            for frame in self.frames[seen:]:
                if matches(frame):
                    return frame
            seen = len(self.frames)
            try:
                self.read(max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                raise AssertionError(f"it did not come within {seconds} s; these did: {self.frames}") from None

    def event(self, name: str, seconds: float = SECONDS) -> Frame:
        """The first event of this name."""
        return self.wait(lambda frame: frame["type"] == "event" and frame["event"] == name, seconds)

    def send(self, frame: object) -> None:
        self.send_raw(json.dumps(frame))

    def send_raw(self, content: str | bytes) -> None:
        self._connection.send(content)

    def call(self, method: str, /, **params: Any) -> Frame:
        """Call a method and wait for its reply or error."""
        self._refs += 1
        ref = f"r{self._refs}"
        self.send({"type": "call", "ref": ref, "method": method, "params": params})
        return self.wait(lambda frame: frame.get("ref") == ref)

    def settle(self) -> Self:
        """Wait until everything is here that the server knew before: a reply comes after what was ready before it."""
        assert self.call("user.me")["ok"]
        return self

    def vanish(self) -> None:
        """End the connection without a close frame, as a lost network does."""
        with suppress(OSError):  # it ended already
            self._connection.socket.shutdown(tcp.SHUT_RDWR)

    def close_code(self, seconds: float = SECONDS) -> int:
        """Read until the server closes; the code that it gave, 1006 for none."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.read(max(0.0, deadline - time.monotonic()))
            except ConnectionClosed as closed:
                return 1006 if closed.rcvd is None else closed.rcvd.code
            except TimeoutError:
                raise AssertionError(f"it stayed open for {seconds} s; these came: {self.frames}") from None

    def _take(self, frame: Frame) -> None:
        self.frames.append(frame)
        if frame["type"] == "hello":
            self._seq = frame["seq"] - frame["replayed"]
        elif frame["type"] == "event":
            assert self._seq is not None, "an event came before the hello"
            assert frame["seq"] == self._seq + 1, f"seq {frame['seq']} came after {self._seq}"
            self._seq = frame["seq"]
        elif frame["type"] == "ping" and self._answers_pings:
            self.send({"type": "pong", "seq": self._seq})


@dataclass(frozen=True)
class Person:
    """Somebody with a token on a server."""

    server: Server
    http: httpx.Client
    id: int
    username: str
    token: str

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def try_call(self, method: str, /, **params: Any) -> Answer:
        """An API call over HTTP, whatever its answer."""
        answer = self.http.post(f"/api/{method}", content=json.dumps(params), headers=self.bearer | JSON)
        return answer_of(answer.status_code, answer.content, dict(answer.headers))

    def call(self, method: str, /, **params: Any) -> Any:
        """An API call over HTTP that has to work."""
        answer = self.try_call(method, **params)
        assert answer.status == 200, answer
        return answer.body

    def say(self, channel_id: int, body: str = "hello") -> Any:
        return self.call("message.send", channel_id=channel_id, body=body)["message"]

    def socket(self, **options: Any) -> Socket:
        """A socket of theirs that has said hello."""
        socket = Socket(self.server, headers=self.bearer, **options)
        assert socket.hello["user_id"] == self.id
        return socket


JSON = {"Content-Type": "application/json"}

_ENROL = """
import json
from groups.actions.tokens import create_token
enrolled = []
for name in json.loads({names!r}):
    user, _ = User.objects.get_or_create(username=name, defaults={{"display_name": name.capitalize()}})
    _, token = create_token(owner=user, name="test", scopes={scopes!r}, days=1)
    enrolled.append([user.pk, name, token])
print(json.dumps(enrolled))
"""


@contextmanager
def enrolled(server: Server, *names: str, scopes: tuple[str, ...] = ("read", "write")) -> Iterator[list[Person]]:
    """People with an account and a token; those with an account already get a token."""
    code = _ENROL.format(names=json.dumps(names), scopes=scopes)
    made = json.loads(server.manage("shell", "--verbosity=0", f"--command={code}"))
    with httpx.Client(base_url=server.url, timeout=SECONDS, trust_env=False) as http:
        yield [Person(server, http, pk, name, token) for pk, name, token in made]


def refused(server: Server, **options: Any) -> tuple[int, list[Frame]]:
    """The close code of a socket that is refused, and the frames that came before it."""
    with Socket(server, **options) as socket:
        return socket.close_code(), socket.frames


def error(code: str) -> list[Frame]:
    """What a socket is told before it closes."""
    return [{"type": "error", "code": code, "ref": None}]


def sign_up(server: Server, username: str) -> str:
    """The session cookie of somebody who has just signed up in a browser."""
    with httpx.Client(base_url=server.url, trust_env=False) as browser:
        browser.get("/accounts/signup/")
        fields = {"username": username, "password1": PASSWORD, "password2": PASSWORD}
        answer = browser.post("/accounts/signup/", data=fields | {"csrfmiddlewaretoken": browser.cookies["csrftoken"]})
        assert answer.status_code == 302, answer.text
        return f"sessionid={browser.cookies['sessionid']}"


PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Place:
    """A workspace with grace, ada and bob and a public channel of all three. Eve is a stranger."""

    workspace_id: int
    channel_id: int
    invite: str
    grace: Person
    ada: Person
    bob: Person
    eve: Person


CAST = ("grace", "ada", "bob", "eve")


def found(people: list[Person]) -> Place:
    """A new workspace and channel of these people, so that nothing of another test is in it."""
    grace, ada, bob, eve = people
    workspace_id = grace.call("workspace.create", name="Engines")["workspace"]["id"]
    channel_id = make_channel(grace, workspace_id, "general")
    invite = grace.call("workspace.invite", workspace_id=workspace_id)["invite"]["token"]
    for person in (ada, bob):
        person.call("workspace.join", token=invite)
        person.call("channel.join", channel_id=channel_id)
    return Place(workspace_id, channel_id, invite, grace, ada, bob, eve)


def make_channel(creator: Person, workspace_id: int, name: str, *, kind: str = "public") -> int:
    made = creator.call("channel.create", workspace_id=workspace_id, kind=kind, name=name)
    return int(made["channel"]["id"])


class RawSocket:
    """A WebSocket client that does only what it is told: broken frames, silence, no reading. Its window is small."""

    def __init__(self, server: Server, *, headers: Mapping[str, str], path: str = "/ws/user/me") -> None:
        self._socket = tcp.socket()
        self._socket.setsockopt(tcp.SOL_SOCKET, tcp.SO_RCVBUF, 4096)
        self._socket.settimeout(SECONDS)
        self._socket.connect(("127.0.0.1", server.port))
        self.port: int = self._socket.getsockname()[1]
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {b64encode(os.urandom(16)).decode()}", "Sec-WebSocket-Version: 13"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self._got = b""
        head = self._until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, opcode: int, content: bytes, *, final: bool = True) -> None:
        """One frame, masked with zeroes."""
        size = len(content)
        length = bytes([size]) if size < 126 else b"\x7e" + struct.pack(">H", size)
        head = bytes([(0x80 if final else 0) | opcode, 0x80 | length[0]]) + length[1:]
        self._socket.sendall(head + bytes(4) + content)

    def read(self) -> tuple[int, bytes]:
        """The next frame: opcode and content. (8, b"") when the connection ended without a close frame."""
        try:
            first, second = self._take(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack(">H", self._take(2))
            elif size == 127:
                (size,) = struct.unpack(">Q", self._take(8))
            return first & 0x0F, self._take(size)
        except ConnectionError:
            return 8, b""

    def close_code(self) -> int:
        """Read on until the connection ends; the code of the close frame, 1006 without one."""
        while True:
            opcode, content = self.read()
            if opcode == 8:
                return struct.unpack(">H", content[:2])[0] if content else 1006

    def _until(self, end: bytes) -> bytes:
        while end not in self._got:
            self._receive()
        head, _, self._got = self._got.partition(end)
        return head

    def _take(self, count: int) -> bytes:
        while len(self._got) < count:
            self._receive()
        taken, self._got = self._got[:count], self._got[count:]
        return taken

    def _receive(self) -> None:
        got = self._socket.recv(65536)
        if not got:
            raise ConnectionResetError
        self._got += got


def memory_kib(server: Server) -> int:
    """The resident memory of the server's process."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def connected(server: Server, port: int) -> bool:
    """Whether the server's process still holds the connection that comes from a port of this machine."""
    here, there = f"0100007F:{server.port:04X}", f"0100007F:{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    # Column 10 is the inode of the socket; a connection that no process holds any more has none.
    return any(row[1:3] == [here, there] and row[9] != "0" for row in rows)


def eventually(holds: Callable[[], object], seconds: float = SECONDS) -> None:
    """Wait until something is true that no frame tells of."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"still not so after {seconds} s"
        time.sleep(0.02)
