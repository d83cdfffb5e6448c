"""What our protocol class replaces of uvicorn's, and what it relies on there."""

import asyncio

import pytest
from uvicorn import Config
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode

from realtime.uvicorn_protocol import SocketProtocol, _Bell, _framed, _Gate, _Pipeline, _Queue


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65_535, 65_536, 100_000])
def test_a_frame_is_what_the_standard_says_for_every_length(length: int) -> None:
    payload = b"x" * length

    assert _framed(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)


def test_a_reader_gets_what_was_put_in_order_and_waits_for_more() -> None:
    async def read() -> list[int]:
        queue = _Queue()
        queue.put_nowait(1)
        queue.put_nowait(2)
        got = [await queue.get(), await queue.get()]
        assert queue.empty()
        waiting = asyncio.ensure_future(queue.get())
        await asyncio.sleep(0)
        queue.put_nowait(3)
        queue.put_nowait(4)
        return [*got, await waiting, await queue.get()]

    assert asyncio.run(read()) == [1, 2, 3, 4]


def test_a_reader_that_gave_up_takes_nothing_with_it() -> None:
    async def read() -> int:
        queue = _Queue()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(queue.get(), 0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(queue.get(), 0.001)
        queue.put_nowait(1)
        number: int = await queue.get()
        return number

    assert asyncio.run(read()) == 1


def test_a_gate_holds_who_comes_while_it_is_closed() -> None:
    async def pass_through() -> list[bool]:
        gate = _Gate()
        await gate.wait()
        gate.clear()
        waiting = asyncio.ensure_future(gate.wait())
        await asyncio.sleep(0)
        held = [gate.is_set(), waiting.done()]
        gate.set()
        await waiting
        return [*held, gate.is_set()]

    assert asyncio.run(pass_through()) == [False, False, True]


def test_a_bell_wakes_who_waits_and_rings_until_it_is_cleared() -> None:
    async def hear() -> list[bool]:
        bell = _Bell()
        waiting = asyncio.ensure_future(bell.wait())
        await asyncio.sleep(0)
        heard = [waiting.done()]
        bell.set()
        bell.set()
        await waiting
        await bell.wait()
        bell.clear()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bell.wait(), 0.001)
        bell.set()
        await bell.wait()
        return heard

    assert asyncio.run(hear()) == [False]


def test_requests_that_came_in_a_row_leave_the_pipeline_in_their_order() -> None:
    pipeline = _Pipeline()
    for number in (1, 2, 3):
        pipeline.appendleft(number)

    assert [pipeline.pop() for _ in range(3)] == [1, 2, 3]
    assert not pipeline


def test_a_socket_whose_client_does_not_read_holds_up_itself_alone() -> None:
    async def pass_through() -> list[list[bool]]:
        slow, quick = _protocol(), _protocol()
        drained = []
        slow.on_drained = lambda: drained.append(True)
        slow.pause_writing()
        waiting = asyncio.ensure_future(slow.writable.wait())
        await asyncio.sleep(0)
        while_paused = [slow.writable.is_set(), quick.writable.is_set(), waiting.done()]
        slow.resume_writing()
        await waiting
        return [while_paused, [slow.writable.is_set(), quick.writable.is_set(), *drained]]

    assert asyncio.run(pass_through()) == [[False, True, False], [True, True, True]]


def test_the_attributes_of_a_protocol_are_few_enough_to_share_their_names() -> None:
    """Past 30 of them Python takes 1.5 kB for the dictionary of each socket."""

    async def make() -> int:
        return len(vars(_protocol()))

    assert asyncio.run(make()) <= 30


def _protocol() -> SocketProtocol:
    config = Config("tests.realtime.test_uvicorn_protocol:_app", ws=SocketProtocol, log_config=None)
    config.load()
    return SocketProtocol(config, ServerState(), {})


async def _app(scope: object, receive: object, send: object) -> None:
    raise NotImplementedError
