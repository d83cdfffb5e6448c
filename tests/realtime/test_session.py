"""One client's reading of one stream, without a transport and without time that passes by itself."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.conf import LazySettings

from realtime.errors import Close
from realtime.runs import Run
from realtime.session import Session
from realtime.streams import ERASED, Entry, Position
from tests.realtime.conftest import Clock

MOST_BYTES = 64 * 1024
HELLO = {"type": "hello"}


@dataclass
class Transport:
    """Remembers what it was asked for."""

    woken: int = 0
    closes: list[int] = field(default_factory=list)

    def wake(self) -> None:
        self.woken += 1

    def write(self, run: Run, seq: int) -> bool:
        return False

    def close(self, close: Close) -> None:
        self.closes.append(int(close))


@dataclass
class Client:
    """A session, its transport, and what came out of it."""

    session: Session
    transport: Transport
    holes: list[tuple[int, str]] = field(default_factory=list)

    def written(self) -> list[Any]:
        """Everything that waits, as it is written: objects and arrays."""
        return list(iter(self._next, None))

    def frames(self) -> list[dict[str, Any]]:
        return [frame for got in self.written() for frame in (got if isinstance(got, list) else [got])]

    def seqs(self) -> list[int]:
        return [frame["seq"] for frame in self.frames() if frame["type"] == "event"]

    def _next(self) -> Any:
        taken = self.session.take(MOST_BYTES)
        return None if taken is None else json.loads(taken)


@pytest.fixture
def client(still: Clock) -> Client:
    """A session that has not begun; it asks `holes` for what it misses."""
    transport = Transport()
    session = Session(id="s_1", user_id=7, stream="user:7", credential="token:1", transport=transport)
    client = Client(session, transport)
    session.on_hole = lambda asking: client.holes.append((asking.seq, asking.epoch))
    return client


@pytest.fixture
def begun(client: Client) -> Client:
    """It stands at 10, with nothing left to write."""
    client.session.begin(HELLO, Position("e_1", 10), [])
    assert client.frames() == [HELLO]
    return client


def entry(number: int, size: int = 0) -> Entry:
    return Entry(f"id-{number}", "test.happened", body(number, size))


def body(number: int, size: int = 0) -> bytes:
    return b'"event":"test.happened","data":{"number":%d,"text":"%b"}}' % (number, b"x" * size)


def deliver(client: Client, *seqs: int, size: int = 0) -> None:
    for seq in seqs:
        client.session.deliver(seq, Run([entry(seq, size)]))


def test_the_hello_comes_before_what_was_missed_and_that_before_what_came_meanwhile(client: Client) -> None:
    deliver(client, 13, 14)
    assert client.frames() == []

    client.session.begin(HELLO, Position("e_1", 12), [(11, entry(11)), (12, entry(12))])

    hello, missed, first, second, third = client.frames()
    assert hello == HELLO
    assert [frame["seq"] for frame in (missed, first, second, third)] == [11, 12, 13, 14]


def test_what_was_held_back_and_read_too_comes_once(client: Client) -> None:
    deliver(client, 11, 12, 13)

    client.session.begin(HELLO, Position("e_1", 12), [(11, entry(11)), (12, entry(12))])

    assert client.seqs() == [11, 12, 13]
    assert client.holes == []


def test_an_event_has_its_seq_and_its_body(begun: Client) -> None:
    deliver(begun, 11)

    assert begun.frames() == [
        {"type": "event", "seq": 11, "event": "test.happened", "data": {"number": 11, "text": ""}}
    ]


def test_live_events_go_out_in_order_and_wake_the_transport(begun: Client) -> None:
    woken = begun.transport.woken

    deliver(begun, 11, 12)

    assert begun.transport.woken == woken + 2
    assert begun.seqs() == [11, 12]
    assert begun.session.seq == 12


def test_an_event_that_it_has_is_dropped(begun: Client) -> None:
    deliver(begun, 11, 11, 10, 3, 12, 11)

    assert begun.seqs() == [11, 12]


def test_a_hole_is_asked_for_once_while_what_follows_is_held_back(begun: Client) -> None:
    deliver(begun, 13, 14, 12, 15)

    assert begun.holes == [(10, "e_1")]
    assert begun.frames() == []


def test_a_healed_hole_goes_out_in_order_without_a_repeat(begun: Client) -> None:
    deliver(begun, 13, 14)

    begun.session.heal(13, [(11, entry(11)), (12, entry(12)), (13, entry(13))])
    deliver(begun, 15)

    assert begun.seqs() == [11, 12, 13, 14, 15]
    assert len(begun.holes) == 1


def test_a_second_hole_behind_the_first_is_asked_for_too(begun: Client) -> None:
    deliver(begun, 12, 15)

    begun.session.heal(12, [(11, entry(11)), (12, entry(12))])

    assert begun.seqs() == [11, 12]
    assert begun.holes == [(10, "e_1"), (12, "e_1")]
    begun.session.heal(15, [(seq, entry(seq)) for seq in (13, 14, 15)])
    assert begun.seqs() == [13, 14, 15]


def test_of_a_run_that_it_has_a_part_of_the_rest_goes_out(begun: Client) -> None:
    begun.session.deliver(11, Run([entry(11), entry(12)]))
    begun.session.deliver(12, Run([entry(12), entry(13), entry(14)]))
    begun.session.deliver(11, Run([entry(11), entry(12), entry(13)]))

    assert [(frame["seq"], frame["data"]["number"]) for frame in begun.frames()] == [(n, n) for n in range(11, 15)]
    assert begun.holes == []


def test_a_run_behind_a_hole_is_asked_for_and_held_back_whole(begun: Client) -> None:
    begun.session.deliver(12, Run([entry(12), entry(13)]))
    assert (begun.holes, begun.frames()) == ([(10, "e_1")], [])

    begun.session.heal(12, [(11, entry(11)), (12, entry(12))])

    assert begun.seqs() == [11, 12, 13]


def test_a_ring_that_was_lost_is_found_by_comparing_with_the_stream(begun: Client) -> None:
    assert begun.session.check(Position("e_1", 12))
    assert begun.holes == []
    begun.session.reach(Position("e_1", 12))
    assert begun.holes == [(10, "e_1")]

    begun.session.heal(12, [(11, entry(11)), (12, entry(12))])
    assert not begun.session.check(Position("e_1", 12))
    begun.session.reach(Position("e_1", 12))

    assert begun.seqs() == [11, 12]
    assert len(begun.holes) == 1


def test_while_a_hole_is_being_read_it_is_not_asked_for_again(begun: Client) -> None:
    deliver(begun, 12)
    begun.session.reach(Position("e_1", 12))

    assert len(begun.holes) == 1


def test_a_stream_of_another_epoch_sends_the_client_back(begun: Client) -> None:
    begun.session.check(Position("e_2", 10))

    assert begun.transport.closes == [Close.RESTART]
    assert begun.frames() == [{"type": "error", "code": "new_epoch", "ref": None}]


def test_one_frame_is_an_object_and_several_are_an_array(begun: Client) -> None:
    deliver(begun, 11)
    assert isinstance(begun.written()[0], dict)

    deliver(begun, 12, 13, 14)
    [array] = begun.written()
    assert [frame["seq"] for frame in array] == [12, 13, 14]


def test_an_array_is_cut_at_the_limit_of_bytes(begun: Client) -> None:
    deliver(begun, *range(11, 21), size=1000)

    taken = [json.loads(begun.session.take(3500) or b"null") for _ in range(5)]

    assert [[frame["seq"] for frame in array] for array in taken[:3]] == [[11, 12, 13], [14, 15, 16], [17, 18, 19]]
    assert taken[3]["seq"] == 20
    assert taken[4] is None


def test_a_frame_above_the_limit_of_bytes_goes_alone(begun: Client) -> None:
    deliver(begun, 11, 12, size=5000)

    first, second = (json.loads(begun.session.take(100) or b"") for _ in range(2))

    assert (first["seq"], second["seq"]) == (11, 12)


def test_frames_without_a_seq_go_alone_and_in_their_place(begun: Client) -> None:
    deliver(begun, 11, 12)
    begun.session.send({"type": "reply", "ref": "r1"})
    deliver(begun, 13, 14)

    first, reply, last = begun.written()

    assert [frame["seq"] for frame in first] == [11, 12]
    assert reply == {"type": "reply", "ref": "r1"}
    assert [frame["seq"] for frame in last] == [13, 14]


def test_nothing_is_taken_of_an_empty_outbox(begun: Client) -> None:
    assert begun.session.take(MOST_BYTES) is None
    assert begun.session.take_all() == b""


def test_a_reader_who_is_too_many_frames_behind_is_closed_and_its_outbox_cleared(
    begun: Client, settings: LazySettings
) -> None:
    settings.OUTBOX_FRAMES = 5

    deliver(begun, *range(11, 16))
    assert begun.transport.closes == []
    deliver(begun, 16, 17, 18)

    assert begun.transport.closes == [Close.OVERLOADED]
    assert begun.frames() == [{"type": "error", "code": "too_slow", "ref": None}]


def test_the_entries_of_a_run_all_count(begun: Client, settings: LazySettings) -> None:
    settings.OUTBOX_FRAMES = 5

    begun.session.deliver(11, Run([entry(seq) for seq in range(11, 16)]))
    assert begun.transport.closes == []
    begun.session.deliver(16, Run([entry(16)]))

    assert begun.transport.closes == [Close.OVERLOADED]


def test_a_reader_who_is_too_many_bytes_behind_is_closed_and_its_outbox_cleared(
    begun: Client, settings: LazySettings
) -> None:
    settings.OUTBOX_BYTES = 10_000

    deliver(begun, *range(11, 15), size=2000)
    assert begun.transport.closes == []
    deliver(begun, 15, size=2000)

    assert begun.transport.closes == [Close.OVERLOADED]
    assert begun.frames() == [{"type": "error", "code": "too_slow", "ref": None}]


def test_a_reader_who_keeps_up_is_never_too_slow(begun: Client, settings: LazySettings) -> None:
    settings.OUTBOX_FRAMES, settings.OUTBOX_BYTES = 5, 10_000

    for seq in range(11, 111):
        deliver(begun, seq, size=2000)
        assert begun.seqs() == [seq]

    assert begun.transport.closes == []


def test_a_replay_above_the_bounds_goes_out_whole(client: Client, settings: LazySettings) -> None:
    settings.OUTBOX_FRAMES, settings.OUTBOX_BYTES = 5, 10_000

    client.session.begin(HELLO, Position("e_1", 50), [(seq, entry(seq, 1000)) for seq in range(1, 51)])
    deliver(client, 51, 52)

    assert client.transport.closes == []
    assert client.seqs() == list(range(1, 53))


def test_an_answer_larger_than_the_bound_reaches_a_client_that_reads(begun: Client, settings: LazySettings) -> None:
    settings.OUTBOX_BYTES = 10_000

    begun.session.send({"type": "reply", "ref": "r1", "data": "x" * 20_000})

    assert [frame.get("ref") for frame in begun.frames()] == ["r1"]
    assert begun.transport.closes == []


def test_answers_to_a_client_that_does_not_read_are_bounded(begun: Client, settings: LazySettings) -> None:
    settings.OUTBOX_BYTES = 10_000

    for ref in range(10):
        begun.session.send({"type": "reply", "ref": str(ref), "data": "x" * 6_000})

    assert begun.transport.closes == [Close.OVERLOADED]


def test_a_closed_session_says_why_and_takes_nothing_more(begun: Client) -> None:
    deliver(begun, 11)
    begun.session.close(Close.REPLACED, "replaced")
    deliver(begun, 12)
    begun.session.send({"type": "reply", "ref": "r1"})

    event, error = begun.frames()

    assert event["seq"] == 11
    assert error == {"type": "error", "code": "replaced", "ref": None}


def test_a_session_is_closed_once_and_the_first_reason_stays(begun: Client) -> None:
    begun.session.close(Close.REPLACED, "replaced")
    begun.session.close(Close.RESTART, "restart")

    assert begun.transport.closes == [Close.REPLACED]
    assert (begun.session.closed, begun.session.closed_code) == (Close.REPLACED, "replaced")
    assert begun.frames() == [{"type": "error", "code": "replaced", "ref": None}]


def test_a_session_that_is_closed_before_it_begins_never_says_hello(client: Client) -> None:
    client.session.close(Close.REPLACED, "replaced")
    client.session.begin(HELLO, Position("e_1", 1), [(1, entry(1))])

    assert client.frames() == [{"type": "error", "code": "replaced", "ref": None}]


def pings(client: Client) -> int:
    return sum(frame["type"] == "ping" for frame in client.frames())


def beat_until_closed(client: Client, still: Clock) -> float:
    """Beat whenever it is due, and hear nothing; the time at which the session closed."""
    for _ in range(1000):
        wait = client.session.beat()
        if client.transport.closes:
            return still.passed
        still.advance(wait)
    raise AssertionError("it was never closed")


def test_the_first_ping_is_due_after_ping_seconds(begun: Client, still: Clock) -> None:
    assert begun.session.beat() == 25
    still.advance(24.9)
    assert begun.session.beat() == pytest.approx(0.1)
    assert pings(begun) == 0

    still.advance(0.2)
    begun.session.beat()

    assert begun.frames() == [{"type": "ping", "at": "2026-11-21T09:00:25.100Z"}]


def test_a_client_that_answers_is_pinged_every_ping_seconds(begun: Client, still: Clock) -> None:
    sent_at = []
    for _ in range(1000):
        wait = begun.session.beat()
        if pings(begun):
            sent_at.append(still.passed)
            begun.session.heard()
        assert wait > 0
        still.advance(wait)
        if still.passed > 110:
            break

    assert sent_at == pytest.approx([25, 50, 75, 100])
    assert begun.transport.closes == []


def test_any_frame_after_the_ping_counts_as_an_answer(begun: Client, still: Clock) -> None:
    still.advance(25)
    begun.session.beat()
    still.advance(9.9)
    begun.session.heard()
    still.advance(0.2)
    begun.session.beat()

    assert begun.transport.closes == []


def test_a_frame_before_the_ping_is_no_answer_to_it(begun: Client, still: Clock) -> None:
    still.advance(24.9)
    begun.session.heard()
    still.advance(0.1)
    begun.session.beat()
    still.advance(10)
    begun.session.beat()

    assert begun.transport.closes == [Close.NO_PONG]


def test_silence_after_a_ping_is_noticed_within_36_seconds(begun: Client, still: Clock) -> None:
    closed_after = beat_until_closed(begun, still)

    assert begun.transport.closes == [Close.NO_PONG]
    assert 35 <= closed_after <= 36
    assert begun.frames()[-1] == {"type": "error", "code": "no_pong", "ref": None}


def test_an_answer_on_time_does_not_help_against_silence_after_the_next_ping(begun: Client, still: Clock) -> None:
    still.advance(25)
    begun.session.beat()
    begun.session.heard()

    assert beat_until_closed(begun, still) == pytest.approx(60)
    assert begun.transport.closes == [Close.NO_PONG]


def test_a_pong_longer_than_a_ping_still_notices_silence(begun: Client, still: Clock, settings: LazySettings) -> None:
    """An operator may give peers longer to answer than the time between two pings."""
    settings.PONG_SECONDS = 60

    assert beat_until_closed(begun, still) == pytest.approx(85)
    assert begun.transport.closes == [Close.NO_PONG]


def test_while_a_call_of_the_client_is_answered_its_silence_means_nothing(begun: Client, still: Clock) -> None:
    begun.session.answering = True
    for _ in range(10):
        still.advance(begun.session.beat())
    begun.session.answering = False
    begun.session.heard()
    since = still.passed

    assert begun.transport.closes == []
    assert pings(begun) >= 2
    assert beat_until_closed(begun, still) - since <= 36


def test_a_text_that_is_deleted_while_it_waits_does_not_leave(begun: Client) -> None:
    secret = Entry("id-1", "message.created", b'"event":"message.created","text":"secret"}', {"message": 5})
    other = Entry("id-2", "message.created", b'"event":"message.created","text":"other"}', {"message": 6})
    deletion = Entry("id-3", "message.deleted", b'"event":"message.deleted"}', {ERASED: 5})
    for seq, told in enumerate((secret, other, deletion), start=begun.session.seq + 1):
        begun.session.deliver(seq, Run([told]))

    assert [frame["event"] for frame in begun.frames()] == ["redacted", "message.created", "message.deleted"]


def test_a_text_that_waits_in_a_run_is_deleted_out_of_it(begun: Client) -> None:
    bodies = {5: b'"event":"message.created","text":"secret"}', 6: b'"event":"message.created","text":"other"}'}
    run = Run([Entry(f"id-{pk}", "message.created", body, {"message": pk}) for pk, body in bodies.items()])
    begun.session.deliver(11, run)
    begun.session.deliver(13, Run([Entry("id-3", "message.deleted", b'"event":"message.deleted"}', {ERASED: 5})]))

    assert [frame["event"] for frame in begun.frames()] == ["redacted", "message.created", "message.deleted"]
