"""Calls over a socket: the same methods, checks and limits as over HTTP. And what is sent instead of calls."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import StartServer
from tests.server import Server
from tests.sockets import CAST, Frame, Person, Place, RawSocket, Socket, enrolled, found, make_channel

CODES_OF_BAD_FRAMES = {"bad_json", "bad_frame", "unknown_type", "unknown_method", "invalid", "not_found", "too_large"}


@pytest.fixture(scope="module")
def place(people: list[Person]) -> Place:
    """One for all: nothing of what is sent here changes anything, or the test says so."""
    return found(people)


@pytest.fixture
def socket(ada: Person) -> Iterator[Socket]:
    """Ada's, after its hello."""
    with ada.socket() as socket:
        yield socket


@pytest.fixture(autouse=True)
def _unbroken(server: Server) -> Iterator[None]:
    """Whatever comes, nothing of it is a surprise to the server."""
    before = len(server.log_text())
    yield
    said = server.log_text()[before:]
    assert "Traceback" not in said, said
    assert "ERROR" not in said, said


def state(place: Place) -> Any:
    """What a change would show in: the channels with their counters, the newest messages, the members."""
    ada = place.ada
    return [
        ada.call("client.boot") | {"server_time": None, "seq": None, "presence": None},
        ada.call("message.list", channel_id=place.channel_id),
        ada.call("message.changes", channel_id=place.channel_id, since_rev=0),
        ada.call("workspace.members", workspace_id=place.workspace_id),
    ]


def answer_to(socket: Socket, content: str | bytes) -> Frame:
    """The one frame that answers what was sent; the socket is still usable after it."""
    before = len(socket.frames)
    socket.send_raw(content)
    socket.settle()
    frames = [frame for frame in socket.frames[before:-1] if frame["type"] != "ping"]
    assert len(frames) == 1, frames
    return frames[0]


def test_a_call_is_answered_with_its_ref_as_http_answers_it(place: Place, socket: Socket) -> None:
    for method, params in (
        ("user.me", {}),
        ("channel.list", {"workspace_id": place.workspace_id}),
        ("channel.members", {"channel_id": place.channel_id}),
        ("message.list", {"channel_id": place.channel_id, "limit": 5}),
    ):
        socket.send({"type": "call", "ref": f"my {method}", "method": method, "params": params})
        reply = socket.wait(lambda frame, ref=f"my {method}": frame.get("ref") == ref)  # type: ignore[misc]
        answer = place.ada.call(method, **params)
        assert reply == {"type": "reply", "ref": f"my {method}", "ok": True, "data": answer}


def test_params_may_be_left_out(socket: Socket) -> None:
    socket.send({"type": "call", "ref": "r0", "method": "user.me"})

    assert socket.wait(lambda frame: frame.get("ref") == "r0")["ok"]


def test_calls_are_answered_in_their_order(socket: Socket) -> None:
    for number in range(30):
        socket.send({"type": "call", "ref": str(number), "method": "user.me"})
    socket.settle()

    refs = [frame["ref"] for frame in socket.frames if frame["type"] == "reply"]
    assert refs[:30] == [str(number) for number in range(30)]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("message.send", {}),
        ("message.send", {"channel_id": "CHANNEL", "body": " "}),
        ("message.send", {"channel_id": "CHANNEL", "body": "x", "extra": 1}),
        ("message.send", {"channel_id": 10**12, "body": "x"}),
        ("message.send", {"channel_id": 2**63, "body": "x"}),
        ("message.send", {"channel_id": "3", "body": "x"}),
        ("message.send", {"channel_id": "CHANNEL", "body": "a\0b"}),
        ("message.send", {"channel_id": "CHANNEL", "body": ["x"]}),
        ("message.list", {"channel_id": "CHANNEL", "limit": 201}),
        ("message.get", {"message_id": -1}),
        ("read.mark", {"channel_id": "CHANNEL", "last_read_id": 10**12}),
        ("channel.create", {"workspace_id": "WORKSPACE", "kind": "public", "name": "general"}),
        ("channel.create", {"workspace_id": "WORKSPACE", "kind": "direct", "peer_ids": [True, "x", 1.5]}),
        ("workspace.join", {"token": "inv_unknown"}),
        ("channel.members", {"channel_id": "CHANNEL", "after_id": None}),
    ],
)
def test_a_refusal_has_the_code_and_the_errors_of_http(
    place: Place, socket: Socket, method: str, params: dict[str, Any]
) -> None:
    ids = {"CHANNEL": place.channel_id, "WORKSPACE": place.workspace_id}
    given = {name: ids.get(value, value) if isinstance(value, str) else value for name, value in params.items()}
    before = state(place)

    refusal = socket.call(method, **given)

    problem = place.ada.try_call(method, **given)
    assert problem.status != 200
    assert refusal["type"] == "error"
    assert {name: refusal.get(name) for name in ("code", "status", "errors")} == {
        name: problem.body.get(name) for name in ("code", "status", "errors")
    }
    assert isinstance(refusal["detail"], str)
    assert state(place) == before


def test_a_stranger_is_told_no_more_over_a_socket_than_over_http(place: Place) -> None:
    with place.eve.socket() as socket:
        for method, params in (
            ("message.send", {"channel_id": place.channel_id, "body": "x"}),
            ("message.list", {"channel_id": place.channel_id}),
            ("channel.join", {"channel_id": place.channel_id}),
            ("workspace.members", {"workspace_id": place.workspace_id}),
        ):
            assert socket.call(method, **params)["code"] == "not_found"


def test_a_read_only_token_cannot_write(place: Place, server: Server) -> None:
    with enrolled(server, "ada", scopes=("read",)) as [reader], reader.socket() as socket:
        before = state(place)
        for method, params in (
            ("message.send", {"channel_id": place.channel_id, "body": "x"}),
            ("read.mark", {"channel_id": place.channel_id, "last_read_id": 1}),
            ("workspace.create", {"name": "x"}),
        ):
            assert socket.call(method, **params)["code"] == "forbidden"
        assert socket.call("message.list", channel_id=place.channel_id)["ok"]
        assert state(place) == before


def test_a_retry_over_the_other_door_gives_the_first_message(place: Place, socket: Socket) -> None:
    call = {"channel_id": place.channel_id, "body": "once", "client_msg_id": "once"}
    first = place.ada.call("message.send", **call)

    again = socket.call("message.send", **call)

    assert again["data"] == first | {"duplicate": True}


def test_the_limit_of_sends_is_one_for_all_doors_and_tabs(start_server: StartServer) -> None:
    server = start_server(demo=False, SEND_PER_MINUTE=6, SEND_BURST=4)
    with enrolled(server, *CAST) as people:
        place = found(people)
        with place.ada.socket() as one, place.ada.socket() as other, place.bob.socket() as others:
            call = {"channel_id": place.channel_id, "body": "hello"}
            sent = [one.call("message.send", **call), other.call("message.send", **call)]
            sent += [one.call("message.send", **call), other.call("message.send", **call)]
            assert [reply["type"] for reply in sent] == ["reply"] * 4

            refusal = one.call("message.send", **call)
            problem = place.ada.try_call("message.send", **call)
            assert (refusal["code"], refusal["status"], problem.said) == ("rate_limited", 429, (429, "rate_limited"))
            assert 9 < refusal["retry_after"] <= 10
            assert others.call("message.send", **call)["ok"]
            assert one.settle().bodies == ["hello"] * 5


def test_a_page_larger_than_the_outbox_reaches_a_client_that_reads(place: Place, socket: Socket) -> None:
    """200 messages of 4,000 Japanese characters are several MB of JSON."""
    channel_id = make_channel(place.ada, place.workspace_id, "long")
    for _ in range(60):
        place.ada.say(channel_id, "語" * 4000)

    reply = socket.call("message.list", channel_id=channel_id, limit=200)

    assert [message["body"] for message in reply["data"]["messages"]] == ["語" * 4000] * 60
    socket.settle()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "bad_json"),
        (" ", "bad_json"),
        ("{", "bad_json"),
        ("nonsense", "bad_json"),
        ('{"type":"call",}', "bad_json"),
        ('{"type":"call"} {"type":"call"}', "bad_json"),
        ("NaN", "bad_json"),
        ("-Infinity", "bad_json"),
        ('{"type":NaN}', "bad_json"),
        ('{"type":"\\ud800"}', "bad_json"),
        ('{"type":"a\0b"}', "bad_json"),
        ("[" * 100_000, "bad_json"),
        ("[" * 100_000 + "]" * 100_000, "bad_json"),
        ('{"a":' * 50_000 + "1" + "}" * 50_000, "bad_json"),
        ("'" * 1000, "bad_json"),
        (b"\x00\xff\xfe", "bad_json"),
        (b"", "bad_json"),
        ("null", "bad_frame"),
        ("true", "bad_frame"),
        ("1", "bad_frame"),
        ("1e999", "bad_json"),
        ('"call"', "bad_frame"),
        ("[]", "bad_frame"),
        ('[{"type":"call","ref":"r","method":"user.me"}]', "bad_frame"),
        ("x" * 1_048_577, "too_large"),
        ("語" * 1_048_576, "too_large"),
        ("x" * 10_000_000, "too_large"),
        ("{}", "unknown_type"),
        ('{"type":null}', "unknown_type"),
        ('{"type":1}', "unknown_type"),
        ('{"type":["call"]}', "unknown_type"),
        ('{"type":{"call":1}}', "unknown_type"),
        ('{"type":"CALL"}', "unknown_type"),
        ('{"type":"hello"}', "unknown_type"),
        ('{"type":"event","seq":1}', "unknown_type"),
        ('{"type":"__class__"}', "unknown_type"),
    ],
    ids=lambda value: repr(value[:30]),
)
def test_a_frame_that_is_none_is_answered_with_an_error(
    place: Place, socket: Socket, content: str | bytes, code: str
) -> None:
    before = state(place)

    assert answer_to(socket, content) == {"type": "error", "code": code, "ref": None}
    assert state(place) == before


@pytest.mark.parametrize(
    "frame",
    [
        {},
        {"ref": "r"},
        {"method": "user.me"},
        {"ref": None, "method": "user.me"},
        {"ref": 1, "method": "user.me"},
        {"ref": ["r"], "method": "user.me"},
        {"ref": {"r": 1}, "method": "user.me"},
        {"ref": "r", "method": None},
        {"ref": "r", "method": 1},
        {"ref": "r", "method": ["user.me"]},
        {"ref": "r", "method": "user.me", "params": {}, "extra": 1},
        {"ref": "r", "method": "user.me", "user_id": 1},
        {"ref": "r" * 65, "method": "user.me"},
        {"ref": "r" * 500_000, "method": "user.me"},
    ],
    ids=lambda frame: json.dumps(frame)[:40],
)
def test_a_call_of_the_wrong_form_is_answered_with_bad_frame(socket: Socket, frame: dict[str, Any]) -> None:
    answer = answer_to(socket, json.dumps({"type": "call"} | frame))

    ref = frame.get("ref")
    told = ref if isinstance(ref, str) and len(ref) <= 64 else None
    assert answer == {"type": "error", "code": "bad_frame", "ref": told}


@pytest.mark.parametrize("ref", ["", "r", "r" * 64, "日本", "\0", "\n", "\u2028"])
def test_a_ref_comes_back_as_it_was_sent(socket: Socket, ref: str) -> None:
    assert answer_to(socket, json.dumps({"type": "call", "ref": ref, "method": "user.me"}))["ref"] == ref


@pytest.mark.parametrize("method", ["", "user", "user.ME", "user.me ", "__class__", "a\0b", "日本", "x" * 100_000])
def test_a_method_that_is_none_is_answered_with_unknown_method(socket: Socket, method: str) -> None:
    assert socket.call(method)["code"] == "unknown_method"


@pytest.mark.parametrize(
    "params", [None, 1, "x", [], [{}], True, 1.5, 2**64, {"extra": 1}, {"": 1}, {"\0": 1}, {"日": {}}]
)
def test_params_that_are_none_are_invalid(socket: Socket, params: object) -> None:
    frame = {"type": "call", "ref": "r", "method": "user.me", "params": params}

    assert answer_to(socket, json.dumps(frame))["code"] == "invalid"


def test_a_megabyte_of_unknown_params_leaves_the_socket_usable(socket: Socket) -> None:
    params = {f"unknown {number}": 0 for number in range(40_000)}
    frame = {"type": "call", "ref": "r", "method": "user.me", "params": params}

    assert answer_to(socket, json.dumps(frame))["code"] == "invalid"


@pytest.mark.parametrize("pong", [{}, {"seq": None}, {"seq": -1}, {"seq": 2**70}, {"seq": "x"}, {"extra": [[]]}])
def test_a_pong_says_nothing_whatever_is_in_it(socket: Socket, pong: dict[str, Any]) -> None:
    before = len(socket.frames)
    socket.send({"type": "pong"} | pong)
    socket.settle()

    assert [frame["type"] for frame in socket.frames[before:]] == ["reply"]


def test_text_that_is_no_utf_8_closes_the_socket_and_no_other(place: Place, socket: Socket) -> None:
    with RawSocket(place.ada.server, headers=place.bob.bearer) as raw:
        raw.read()
        raw.send(1, b'{"type":"\xff\xfe"}')
        assert raw.close_code() == 1007
    socket.settle()


@pytest.mark.parametrize(
    ("opcode", "content", "final"),
    [(3, b"x", True), (11, b"x", True), (0, b"x", True), (9, b"x" * 126, True), (9, b"x", False), (8, b"\x00", True)],
)
def test_frames_against_the_rfc_close_the_socket_with_1002(
    place: Place, opcode: int, content: bytes, final: bool
) -> None:
    with RawSocket(place.ada.server, headers=place.ada.bearer) as raw:
        raw.read()
        raw.send(opcode, content, final=final)
        assert raw.close_code() == 1002


def test_a_call_in_pieces_is_one_call(place: Place) -> None:
    content = json.dumps({"type": "call", "ref": "r", "method": "user.me"}).encode()
    with RawSocket(place.ada.server, headers=place.ada.bearer) as raw:
        raw.read()
        raw.send(1, content[:10], final=False)
        raw.send(9, b"still here?")
        raw.send(0, content[10:])
        answers = dict(raw.read() for _ in range(2))

    assert answers[10] == b"still here?"
    assert json.loads(answers[1])["ok"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
METHODS = [
    *("message.send", "message.list", "message.changes", "message.update", "message.delete", "message.get"),
    *("channel.create", "channel.list", "channel.join", "channel.leave", "channel.members", "channel.browse"),
    *("workspace.create", "workspace.join", "workspace.invite", "workspace.members", "read.mark", "user.me"),
    *("client.boot", "realtime.ticket"),
]
NAMES = [
    *("channel_id", "workspace_id", "message_id", "body", "client_msg_id", "thread_root_id", "limit", "since_id"),
    *("before_id", "around_id", "since_rev", "last_read_id", "name", "topic", "kind", "peer_ids", "token", "after_id"),
]
CALLS = st.fixed_dictionaries(
    {"type": st.just("call"), "ref": st.text(max_size=64)},
    optional={
        "method": st.sampled_from(METHODS) | st.text(max_size=20),
        "params": st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), JSON, max_size=4) | JSON,
        "extra": JSON,
    },
)
FRAMES = (
    st.text(max_size=50)
    | st.binary(max_size=50)
    | JSON.map(json.dumps)
    | st.fixed_dictionaries({"type": st.sampled_from(["pong", "call", "ping", "hello"]) | JSON}).map(json.dumps)
    | CALLS.map(json.dumps)
)


@pytest.fixture(scope="module")
def fuzzed(server: Server) -> Iterator[Socket]:
    """Of somebody who is in no workspace, so that nothing that exists can be meant by accident."""
    with enrolled(server, "fay") as [fay], fay.socket() as socket:
        yield socket


@given(FRAMES)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
def test_whatever_is_sent_the_answer_has_a_stable_code_and_the_socket_stays_usable(
    fuzzed: Socket, content: str | bytes
) -> None:
    before = len(fuzzed.frames)
    fuzzed.send_raw(content)
    fuzzed.settle()

    answers = [frame for frame in fuzzed.frames[before:-1] if frame["type"] not in ("ping", "event")]
    assert len(answers) <= 1
    for answer in answers:
        expected = {"ok"} if answer["type"] == "reply" else CODES_OF_BAD_FRAMES | {"forbidden", "rate_limited"}
        assert ("ok" if answer["type"] == "reply" else answer["code"]) in expected
