"""The protocol of the Python client without a network: the test is the driver, the server and the clock."""

import json
from typing import Any

import pytest
from meshsite_client import CallError, Ephemeral, Event, Position, Resync, StateChange, Timing
from meshsite_client.errors import Refused
from meshsite_client.protocol import (
    CLOSE_FULL,
    CLOSE_HOLE,
    CLOSE_SILENT,
    CLOSE_UNREADABLE,
    GHOST_SECONDS,
    POLL_PAUSE_SECONDS,
    STEADY_SECONDS,
    Drain,
    OpenSocket,
    Poll,
    Protocol,
    Stop,
    TransportChoice,
    Wait,
)

HELLO = {
    "type": "hello",
    "v": 1,
    "session": "s_1",
    "user_id": 7,
    "epoch": "e_1",
    "seq": 10,
    "mode": "fresh",
    "reason": None,
    "missed": None,
    "replayed": 0,
    "resume_token": "t",
    "ping_seconds": 25,
    "lease_seconds": 90,
    "server_time": "2026-11-21T09:00:00.123Z",
}
HERE = Position("e_1", 10)


class Driver:
    """Does by hand what client.py and sync_client.py do."""

    def __init__(self, transport: TransportChoice = "auto", **options: Any) -> None:
        self.time = 1000.0
        self.chance = 0.5
        self.protocol = Protocol(transport=transport, now=lambda: self.time, random=lambda: self.chance, **options)
        self.protocol.connect()

    def socket(self) -> dict[str, str]:
        """The query of the socket that has to be opened now."""
        step = self.protocol.next_step()
        assert isinstance(step, OpenSocket), step
        return step.query

    def poll(self) -> dict[str, str]:
        step = self.protocol.next_step()
        assert isinstance(step, Poll), step
        return step.query

    def wait(self) -> float:
        """Let the time pass that has to pass before the next attempt."""
        step = self.protocol.next_step()
        assert isinstance(step, Wait), step
        self.time += step.seconds
        return step.seconds

    def say(self, *frames: dict[str, Any]) -> None:
        """Each frame as a message of its own."""
        for frame in frames:
            self.protocol.receive(json.dumps(frame))

    def say_at_once(self, *frames: dict[str, Any]) -> None:
        self.protocol.receive(json.dumps(frames))

    def answer(self, *frames: dict[str, Any], epoch: str = "e_1", seq: int = 10) -> None:
        body = {"frames": frames, "epoch": epoch, "seq": seq}
        self.protocol.poll_answered(200, json.dumps(body).encode())

    def refuse(self, status: int, **problem: Any) -> None:
        self.protocol.poll_answered(status, json.dumps(problem).encode())

    def live(self, **hello: Any) -> "Driver":
        self.socket()
        self.say(HELLO | hello)
        return self

    def polling(self) -> "Driver":
        """Where sockets do not get through."""
        self.socket()
        self.protocol.closed()
        self.poll()
        self.answer(HELLO)
        return self

    def written(self) -> list[dict[str, Any]]:
        texts = list(self.protocol.outbox)
        self.protocol.outbox.clear()
        return [json.loads(text) for text in texts]

    def taken(self) -> list[object]:
        items: list[object] = []
        while (item := self.protocol.take()) is not None:
            items.append(item.seq if isinstance(item, Event) else item)
        return items

    def told(self) -> list[StateChange]:
        notices = list(self.protocol.notices)
        self.protocol.notices.clear()
        return [notice for notice in notices if isinstance(notice, StateChange)]


def event(seq: int, name: str = "message.created", **data: Any) -> dict[str, Any]:
    return {"type": "event", "seq": seq, "event": name, "at": "2026-11-21T09:00:00.123Z", "data": data}


def test_a_first_connection_asks_for_nothing_and_is_no_resync() -> None:
    driver = Driver()
    assert driver.socket() == {}
    driver.say(HELLO)
    assert [change.state for change in driver.told()] == ["connecting", "live"]
    assert (driver.taken(), driver.protocol.position) == ([], HERE)


def test_events_are_handed_out_with_what_they_say() -> None:
    driver = Driver().live()
    driver.say(event(11, message={"id": 1}))
    item = driver.protocol.take()
    assert isinstance(item, Event)
    assert (item.name, item.at.isoformat(), item.data) == (
        "message.created",
        "2026-11-21T09:00:00.123000+00:00",
        {"message": {"id": 1}},
    )


def test_objects_and_arrays_of_objects_read_the_same() -> None:
    driver = Driver().live()
    driver.say(event(11))
    driver.say_at_once(event(12), {"type": "ping", "at": "now"}, event(13))
    driver.say(event(14))
    assert driver.taken() == [11, 12, 13, 14]
    assert driver.written() == [{"type": "pong", "seq": 12}]


def test_the_position_follows_what_was_taken_not_what_arrived() -> None:
    driver = Driver().live()
    driver.say(event(11), event(12))
    driver.protocol.take()
    assert driver.protocol.position == Position("e_1", 11)


@pytest.mark.parametrize(
    ("hello", "before", "expected"),
    [
        ({"mode": "resumed", "seq": 10}, 10, []),
        ({"mode": "resumed", "seq": 12, "replayed": 4}, 8, [9, 10, 11, 12]),
        (
            {"mode": "resume_failed", "reason": "too_old", "missed": {"from": 3, "to": 12}, "seq": 12},
            2,
            [Resync("too_old", (3, 12))],
        ),
        (
            {"mode": "resume_failed", "reason": "unknown_epoch", "epoch": "e_2", "seq": 0},
            8,
            [Resync("unknown_epoch", None)],
        ),
        ({"mode": "resume_failed", "reason": "future_seq", "seq": 3}, 8, [Resync("future_seq", None)]),
        ({"mode": "resume_failed", "reason": "bad_cursor", "seq": 10}, 10, [Resync("bad_cursor", None)]),
        ({"mode": "fresh", "seq": 10}, 10, []),
        ({"mode": "fresh", "seq": 11}, 10, [Resync("fresh", None)]),
        ({"mode": "fresh", "seq": 10, "epoch": "e_2"}, 10, [Resync("fresh", None)]),
    ],
)
def test_every_hello_leads_to_the_place_where_live_events_go_on(
    hello: dict[str, Any], before: int, expected: list[object]
) -> None:
    driver = Driver(position=Position("e_1", before))
    driver.live(**hello)
    driver.say_at_once(*(event(seq) for seq in expected if isinstance(seq, int)))
    next_seq = hello["seq"] + 1
    driver.say(event(next_seq))
    assert driver.taken() == [*expected, next_seq]
    assert driver.protocol.position == Position(hello.get("epoch", "e_1"), next_seq)


def test_a_client_comes_back_with_its_session_and_cursor() -> None:
    driver = Driver().live()
    driver.say(event(11), event(12))
    driver.protocol.closed(1012)
    driver.wait()
    assert driver.socket() == {"session": "s_1", "epoch": "e_1", "resume_from": "12"}


def test_a_stored_position_is_where_a_new_client_goes_on() -> None:
    assert Driver(session="s_9", position=HERE).socket() == {
        "session": "s_9",
        "epoch": "e_1",
        "resume_from": "10",
    }


def test_what_came_before_is_dropped() -> None:
    driver = Driver().live()
    driver.say(event(11), event(11), event(10), event(12), event(1))
    assert driver.taken() == [11, 12]


def test_a_hole_makes_the_client_come_back_with_its_cursor() -> None:
    driver = Driver().live()
    driver.say_at_once(event(11), event(13), event(12))
    assert not driver.protocol.following
    assert driver.protocol.close_code == CLOSE_HOLE
    driver.wait()
    assert driver.socket()["resume_from"] == "11"
    assert driver.taken() == [11]


def test_redacted_events_only_keep_the_numbers_whole() -> None:
    driver = Driver().live()
    driver.say({"type": "event", "seq": 11, "event": "redacted"}, event(12))
    assert driver.taken() == [12]


def test_a_reset_of_the_state_is_a_resync() -> None:
    driver = Driver().live()
    driver.say(event(11, "sync.reset"), event(12), event(13, "sync.reset", reason="role_changed"), event(14))
    assert driver.taken() == [Resync("sync.reset", None), 12, Resync("role_changed", None), 14]


def test_ephemeral_events_do_not_move_the_cursor() -> None:
    driver = Driver().live()
    driver.told()
    driver.say({"type": "ephemeral", "event": "typing.updated", "data": {"channel_id": 3}})
    assert list(driver.protocol.notices) == [Ephemeral("typing.updated", {"channel_id": 3})]
    assert (driver.taken(), driver.protocol.position) == ([], HERE)


def test_frames_of_later_versions_are_ignored() -> None:
    driver = Driver().live()
    driver.say({"type": "news", "seq": 99}, event(11))
    assert driver.taken() == [11]


@pytest.mark.parametrize(
    "text", ["", "7", "[7]", "{}", '"hello"', '{"type":"event","seq":"11"}', '{"type":"hello"}', b"\xff"]
)
def test_a_message_that_is_none_of_ours_ends_the_connection(text: str | bytes) -> None:
    driver = Driver().live()
    driver.protocol.receive(text)
    assert driver.protocol.close_code == CLOSE_UNREADABLE
    assert driver.told()[-1].state == "reconnecting"


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 1012, 1013, 4408, 4999])
def test_after_these_codes_the_client_comes_back(code: int) -> None:
    driver = Driver().live()
    driver.protocol.closed(code)
    assert driver.told()[-1] == StateChange("reconnecting", code, None, 0.5)
    driver.wait()
    driver.socket()


@pytest.mark.parametrize("code", [4400, 4401, 4403, 4404, 4409])
@pytest.mark.parametrize("greeted", [True, False])
def test_after_these_codes_the_client_stays_away(code: int, *, greeted: bool) -> None:
    driver = Driver()
    driver.socket()
    driver.say(*([HELLO] if greeted else []), {"type": "error", "code": "told_why", "ref": None})
    driver.protocol.closed(code)
    assert driver.told()[-1] == StateChange("refused", code, "told_why")
    assert isinstance(driver.protocol.next_step(), Stop)
    assert isinstance(driver.protocol.refusal, Refused)


def test_a_refused_client_tries_again_when_it_is_told_to() -> None:
    driver = Driver().live()
    driver.protocol.closed(4401)
    driver.protocol.connect()
    assert driver.protocol.refusal is None
    driver.socket()


def test_waits_double_up_to_their_limit_and_are_drawn_from_the_whole_range() -> None:
    driver = Driver("websocket")
    driver.chance = 1.0
    waits = []
    for _ in range(7):
        driver.socket()
        driver.protocol.closed()
        waits.append(driver.wait())
    driver.chance = 0.0
    driver.socket()
    driver.protocol.closed()
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    assert driver.protocol.next_step() == OpenSocket({})


def test_only_a_connection_that_lasted_makes_the_waits_short_again() -> None:
    driver = Driver("websocket")
    waits = []
    for lived in (0, 0, STEADY_SECONDS):
        driver.live()
        driver.time += lived
        driver.protocol.closed(1011)
        waits.append(driver.wait())
    assert waits == [0.5, 1, 0.5]


def test_the_server_may_ask_for_a_longer_wait() -> None:
    driver = Driver().live()
    driver.say({"type": "error", "code": "unavailable", "ref": None, "retry_after": 7.0})
    driver.protocol.closed(1013)
    assert driver.wait() == 7.0


def test_a_silent_socket_is_given_up_ten_seconds_after_the_missing_ping() -> None:
    driver = Driver().live()
    driver.time += 20
    driver.say({"type": "ping", "at": "now"})
    assert driver.protocol.patience() == 35
    driver.time += 35
    driver.protocol.timed_out()
    assert driver.told()[-1].code == CLOSE_SILENT


def test_a_call_gets_the_reply_with_its_ref() -> None:
    driver = Driver().live()
    first = driver.protocol.call("message.send", {"channel_id": 1})
    second = driver.protocol.call("user.me", {})
    assert driver.written()[0] == {"type": "call", "ref": first, "method": "message.send", "params": {"channel_id": 1}}
    driver.say({"type": "reply", "ref": second, "ok": True, "data": {"n": 2}})
    driver.say({"type": "reply", "ref": first, "ok": True, "data": {"n": 1}})
    assert driver.protocol.answers == {first: {"n": 1}, second: {"n": 2}}


def test_a_refused_call_tells_everything_that_the_server_told() -> None:
    driver = Driver().live()
    ref = driver.protocol.call("message.send", {})
    told = {"code": "rate_limited", "status": 429, "detail": "Wait.", "errors": {"body": ["No."]}, "retry_after": 1.5}
    driver.say({"type": "error", "ref": ref} | told)
    error = driver.protocol.answers[ref]
    assert isinstance(error, CallError)
    assert vars(error) == told
    assert not error.lost


def test_calls_without_an_answer_are_lost_with_their_socket() -> None:
    driver = Driver().live()
    ref = driver.protocol.call("message.send", {})
    driver.protocol.closed()
    error = driver.protocol.answers[ref]
    assert isinstance(error, CallError)
    assert (error.code, error.lost) == ("unreachable", True)


def test_nothing_that_was_meant_for_one_socket_goes_to_the_next() -> None:
    driver = Driver().live()
    driver.protocol.call("message.send", {})
    driver.protocol.closed(1012)
    driver.wait()
    driver.live(mode="resumed")
    assert driver.written() == []


def test_an_answer_that_nobody_waits_for_is_forgotten() -> None:
    driver = Driver().live()
    ref = driver.protocol.call("user.me", {})
    driver.protocol.forget(ref)
    driver.say({"type": "reply", "ref": ref, "ok": True, "data": {}})
    assert driver.protocol.answers == {}


@pytest.mark.parametrize(("bye", "written"), [(True, [{"type": "bye"}]), (False, [])])
def test_closing_says_bye_unless_the_user_is_to_stay_online(bye: bool, written: list[object]) -> None:
    driver = Driver().live()
    driver.protocol.disconnect(bye=bye)
    assert driver.written() == written
    assert driver.told()[-1].state == "offline"
    assert isinstance(driver.protocol.next_step(), Stop)


@pytest.mark.parametrize("end", ["refused", "silent"])
def test_where_no_socket_says_hello_the_client_polls_at_once(end: str) -> None:
    driver = Driver()
    driver.socket()
    driver.time += 5
    if end == "silent":
        driver.protocol.timed_out()
    else:
        driver.protocol.closed()
    assert driver.poll() == {"wait": "0.000"}
    driver.answer(HELLO)
    assert [change.state for change in driver.told()] == ["connecting", "polling"]


@pytest.mark.parametrize("code", [1001, 1011, 1012, 1013])
def test_a_server_that_is_busy_does_not_make_the_client_poll(code: int) -> None:
    driver = Driver()
    driver.socket()
    driver.protocol.closed(code)
    driver.wait()
    driver.socket()


def test_polls_carry_the_cursor_and_are_held_once_it_is_known_that_they_work() -> None:
    driver = Driver().polling()
    assert driver.poll() == {"session": "s_1", "epoch": "e_1", "since": "10", "wait": "25.000"}
    driver.answer(event(11), event(12), seq=12)
    assert driver.poll()["since"] == "12"
    assert driver.taken() == [11, 12]


def test_polls_that_are_not_held_do_not_become_a_flood() -> None:
    driver = Driver().polling()
    driver.poll()
    driver.answer()
    assert driver.wait() == POLL_PAUSE_SECONDS
    driver.poll()
    driver.answer(event(11), seq=11)
    driver.poll()


def test_a_poll_ends_when_the_socket_is_to_be_tried_again() -> None:
    driver = Driver().polling()
    driver.time += 50
    assert driver.poll()["wait"] == "10.000"
    driver.time += 10
    driver.answer()
    assert driver.socket() == {"session": "s_1", "epoch": "e_1", "resume_from": "10"}


def test_a_socket_that_still_does_not_get_through_leaves_the_client_polling() -> None:
    driver = Driver().polling()
    driver.told()
    driver.time += 60
    driver.socket()
    driver.protocol.closed()
    assert driver.poll()["wait"] == "25.000"
    assert driver.told() == []


def test_from_poll_to_socket_and_back_nothing_is_lost_and_nothing_comes_twice() -> None:
    driver = Driver().polling()
    driver.poll()
    driver.answer(event(11), seq=11)
    driver.time += 60
    driver.live(mode="resumed", seq=13)
    driver.say_at_once(event(12), event(13))
    driver.say(event(14))
    driver.protocol.closed()
    driver.wait()
    driver.socket()
    driver.protocol.closed()
    assert driver.poll()["since"] == "14"
    driver.answer(event(14), event(15), seq=15)
    assert driver.taken() == [11, 12, 13, 14, 15]
    assert [change.state for change in driver.told()] == ["connecting", "polling", "live", "reconnecting", "polling"]


def test_a_poll_that_says_what_is_missed_is_a_resync() -> None:
    driver = Driver("poll", position=HERE)
    driver.poll()
    hello = {"mode": "resume_failed", "reason": "unknown_epoch", "epoch": "e_2", "seq": 3}
    driver.answer(HELLO | hello, event(4), epoch="e_2", seq=4)
    assert driver.taken() == [Resync("unknown_epoch", None), 4]


def test_a_poll_with_a_hole_is_asked_again_from_the_same_place() -> None:
    driver = Driver().polling()
    driver.poll()
    driver.answer(event(11), event(13), seq=13)
    assert driver.told()[-1].code == CLOSE_HOLE
    driver.wait()
    driver.socket()
    driver.protocol.closed()
    assert driver.poll()["since"] == "11"


def test_a_cursor_that_is_ahead_of_its_events_is_not_believed() -> None:
    driver = Driver().polling()
    driver.poll()
    driver.answer(event(11), seq=12)
    driver.wait()
    driver.socket()
    driver.protocol.closed()
    assert driver.poll()["since"] == "11"


@pytest.mark.parametrize(("status", "code"), [(400, 4400), (401, 4401), (403, 4403), (404, 4404), (409, 4409)])
def test_a_refused_poll_stays_away_as_a_refused_socket_does(status: int, code: int) -> None:
    driver = Driver("poll")
    driver.poll()
    driver.refuse(status, code="told_why")
    assert driver.told()[-1] == StateChange("refused", code, "told_why")


@pytest.mark.parametrize(
    ("status", "problem"), [(503, {"code": "unavailable"}), (502, {}), (403, {}), (404, {}), (200, {})]
)
def test_a_poll_that_the_server_did_not_refuse_is_tried_again(status: int, problem: dict[str, Any]) -> None:
    driver = Driver("poll")
    driver.poll()
    driver.refuse(status, **problem)
    driver.wait()
    driver.poll()


def test_after_an_outage_the_socket_is_tried_first() -> None:
    driver = Driver().polling()
    driver.poll()
    driver.protocol.poll_failed()
    driver.wait()
    driver.socket()


@pytest.mark.parametrize("transport", ["websocket", "poll"])
def test_one_transport_alone_is_kept(transport: TransportChoice) -> None:
    driver = Driver(transport)
    for _ in range(3):
        if transport == "poll":
            driver.poll()
            driver.protocol.poll_failed()
        else:
            driver.socket()
            driver.protocol.closed()
        driver.wait()


def test_a_connection_given_up_that_takes_the_session_later_does_not_end_the_client() -> None:
    """A slow server serves the socket that said no hello in time after the poll that follows it."""
    driver = Driver()
    driver.socket()
    driver.protocol.timed_out()
    driver.poll()
    driver.refuse(409, code="replaced")
    driver.wait()
    driver.live()
    driver.say({"type": "error", "code": "replaced", "ref": None})
    driver.protocol.closed(4409)
    assert driver.told()[-1].state == "refused"


def test_long_after_it_was_given_up_a_connection_is_no_excuse() -> None:
    driver = Driver()
    driver.socket()
    driver.protocol.timed_out()
    driver.poll()
    driver.time += GHOST_SECONDS
    driver.refuse(409, code="replaced")
    assert driver.told()[-1].state == "refused"


def test_a_program_that_does_not_read_ends_the_connection_and_continues_where_it_was() -> None:
    driver = Driver(timing=Timing(inbox_items=4)).live()
    driver.say_at_once(*(event(seq) for seq in range(11, 17)))
    assert driver.told()[-1] == StateChange("reconnecting", CLOSE_FULL)
    assert isinstance(driver.protocol.next_step(), Drain)
    assert driver.taken() == [11, 12, 13, 14, 15, 16]
    assert driver.socket()["resume_from"] == "16"


def test_a_call_in_flight_is_answered_though_the_program_does_not_read() -> None:
    driver = Driver(timing=Timing(inbox_items=4)).live()
    ref = driver.protocol.call("user.me", {})
    driver.say_at_once(*(event(seq) for seq in range(11, 17)))
    driver.say({"type": "reply", "ref": ref, "ok": True, "data": {}})
    assert driver.protocol.answers == {ref: {}}
    assert driver.told()[-1] == StateChange("reconnecting", CLOSE_FULL)


def test_a_program_that_does_not_read_is_not_polled_for_either() -> None:
    driver = Driver("poll", timing=Timing(inbox_items=4))
    driver.poll()
    driver.answer(HELLO)
    driver.poll()
    driver.answer(*(event(seq) for seq in range(11, 17)), seq=16)
    assert isinstance(driver.protocol.next_step(), Drain)
    driver.taken()
    assert driver.poll()["since"] == "16"
