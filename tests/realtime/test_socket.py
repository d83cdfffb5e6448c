"""What a socket writes at once, what waits, and that neither overtakes the other."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from realtime.errors import Close
from realtime.hub import Hub
from realtime.runs import Run
from realtime.session import Last, Session
from realtime.socket import Socket
from realtime.streams import Entry, Placed, Position

STREAM, OTHERS = "user:7", "user:8"


@dataclass
class Writer:
    """A connection whose client reads, until it does not."""

    on_drained: Callable[[], None] | None = None
    reads: bool = True
    written: list[Any] = field(default_factory=list)

    def write(self, payload: bytes) -> bool:
        self.written.append(json.loads(payload))
        return self.reads

    def abort(self) -> None:
        raise NotImplementedError

    def drain(self) -> None:
        self.reads = True
        assert self.on_drained
        self.on_drained()

    @property
    def marks(self) -> list[Any]:
        """The seq of each event, the ref of each reply, the code of each error; those of an array as a list."""
        return [[mark(one) for one in frame] if isinstance(frame, list) else mark(frame) for frame in self.written]


def mark(frame: dict[str, Any]) -> Any:
    return frame.get("seq") or frame.get("ref") or frame.get("code")


class Line:
    """A session on its socket, which stands at 10."""

    def __init__(self, send: Callable[[Mapping[str, Any]], Awaitable[None]], direct: Writer | None) -> None:
        self.socket = Socket(send, direct)
        self.session = Session(id="s_1", user_id=7, stream=STREAM, credential="token:1", transport=self.socket)
        self.session.begin(None, Position("e_1", 10), [])
        self.socket.start(self.session)


def run(*numbers: int, name: str = "test.happened") -> Run:
    return Run([Entry(f"id-{number}", name, b'"data":%d}' % number) for number in numbers])


def writing(scenario: Callable[[Line, Writer], Awaitable[None]]) -> Writer:
    """What was written on a connection that takes whole frames."""

    async def send(message: Mapping[str, Any]) -> None:
        writer.written.append({"code": message["code"]})

    async def live() -> None:
        await scenario(Line(send, writer), writer)

    writer = Writer()
    asyncio.run(live())
    return writer


def ring(line: Line, *seqs: dict[str, int]) -> None:
    """Tell a hub that has this session of entries that were placed so, together."""
    hub = Hub()
    hub.start(asyncio.get_running_loop())
    hub.add(line.session)
    hub.ring(
        [Placed(Entry(f"id-{number}", "test.happened", b'"data":1}'), placed, {}) for number, placed in enumerate(seqs)]
    )


async def turn() -> None:
    """Let the loop do what is due, and what that makes due."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_what_comes_alone_is_written_before_the_loop_turns() -> None:
    async def scenario(line: Line, writer: Writer) -> None:
        line.session.deliver(11, run(1), alone=True)
        line.session.deliver(12, run(2, 3), alone=True)
        assert writer.marks == [11, [12, 13]]
        assert line.session.seq == 13
        await turn()

    assert writing(scenario).marks == [11, [12, 13]]


def test_what_comes_with_more_shares_a_write() -> None:
    async def scenario(line: Line, writer: Writer) -> None:
        line.session.deliver(11, run(1))
        line.session.deliver(12, run(2))
        await turn()

    assert writing(scenario).marks == [[11, 12]]


def test_what_comes_alone_does_not_overtake_what_waits() -> None:
    async def scenario(line: Line, writer: Writer) -> None:
        line.session.send({"ref": "r1"})
        line.session.deliver(11, run(1), alone=True)
        await turn()
        line.session.deliver(12, run(2), alone=True)
        line.session.send({"ref": "r2"})
        line.session.deliver(13, run(3), alone=True)
        await turn()

    assert writing(scenario).marks == ["r1", 11, 12, "r2", 13]


def test_nothing_more_is_written_while_the_client_does_not_read() -> None:
    async def scenario(line: Line, writer: Writer) -> None:
        writer.reads = False
        line.session.deliver(11, run(1), alone=True)
        line.session.deliver(12, run(2), alone=True)
        await turn()
        line.session.deliver(13, run(3), alone=True)
        await turn()
        assert writer.marks == [11]
        writer.drain()
        line.session.deliver(14, run(4), alone=True)
        await turn()
        line.session.deliver(15, run(5), alone=True)

    assert writing(scenario).marks == [11, [12, 13, 14], 15]


def test_nothing_follows_the_reason_of_a_close() -> None:
    async def scenario(line: Line, writer: Writer) -> None:
        line.session.deliver(11, run(1), alone=True)
        line.session.close(Close.RESTART, "restart")
        line.session.deliver(12, run(2), alone=True)
        await turn()
        line.session.deliver(12, run(2), alone=True)
        await turn()

    assert writing(scenario).marks == [11, "restart", int(Close.RESTART)]


def test_the_last_event_of_a_stream_closes_its_sockets_when_it_comes_alone_too() -> None:
    async def scenario(line: Line, writer: Writer) -> None:
        line.session.last = Last("test.ended", "mesh_group_not_found")
        line.session.deliver(11, run(1, name="test.ended"), alone=True)
        await turn()

    assert writing(scenario).marks == [11, "mesh_group_not_found", int(Close.NOT_YOUR_STREAM)]


def test_nothing_is_written_on_a_socket_that_stopped() -> None:
    async def scenario(line: Line, writer: Writer) -> None:
        line.socket.stop()
        line.session.deliver(11, run(1), alone=True)
        await turn()

    assert writing(scenario).marks == []


def test_without_a_direct_writer_everything_goes_through_asgi_in_order() -> None:
    sent: list[Any] = []

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(mark(json.loads(message["text"])))

    async def live() -> None:
        line = Line(send, None)
        line.session.deliver(11, run(1), alone=True)
        line.session.send({"ref": "r1"})
        line.session.deliver(12, run(2), alone=True)
        await turn()
        line.socket.stop()

    asyncio.run(live())
    assert sent == [11, "r1", 12]


def test_an_entry_that_is_rung_alone_is_written_as_soon_as_the_loop_hears_of_it() -> None:
    async def scenario(line: Line, writer: Writer) -> None:
        ring(line, {STREAM: 11})
        await asyncio.sleep(0)
        assert writer.marks == [11]

    writing(scenario)


@pytest.mark.parametrize(
    ("rung", "marks"),
    [
        ([{STREAM: 11}], [11]),
        ([{STREAM: 11, OTHERS: 1}, {STREAM: 12, OTHERS: 2}], [[11, 12]]),
        ([{STREAM: 11}, {STREAM: 12, OTHERS: 1}], [[11, 12]]),
        ([{STREAM: 11}, {OTHERS: 1}, {STREAM: 12}], [[11, 12]]),
    ],
    ids=["one", "to the same streams", "to others, too", "with others between"],
)
def test_entries_that_are_rung_together_share_a_write(rung: list[dict[str, int]], marks: list[Any]) -> None:
    async def scenario(line: Line, writer: Writer) -> None:
        ring(line, *rung)
        await turn()

    assert writing(scenario).marks == marks
