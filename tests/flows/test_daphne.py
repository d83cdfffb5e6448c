"""The server of `manage.py runserver`: the same doors and the same codes."""

from collections.abc import Iterator

import pytest

from tests.conftest import GENEROUS
from tests.server import Databases, Server
from tests.sockets import CAST, Person, Place, enrolled, error, found, refused, sign_up


@pytest.fixture(scope="module")
def daphne(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    variables = GENEROUS | {"DATABASE_URL": databases.new(demo=False), "PING_SECONDS": 0.3, "PONG_SECONDS": 0.3}
    server = Server(tmp_path_factory.mktemp("daphne") / "log", kind="daphne", variables=variables)
    server.start()
    yield server
    server.kill()
    assert "Traceback" not in server.log_text()


@pytest.fixture(scope="module")
def place(daphne: Server) -> Iterator[Place]:
    with enrolled(daphne, *CAST) as people:
        yield found(people)


@pytest.fixture
def ada(place: Place) -> Person:
    return place.ada


def test_daphne_refuses_sockets_with_the_same_codes(daphne: Server, ada: Person, place: Place) -> None:
    cookie = sign_up(daphne, "cora")

    assert refused(daphne) == (4401, error("not_signed_in"))
    assert refused(daphne, headers={"Cookie": cookie}, origin="https://evil.example") == (
        4403,
        error("origin_not_allowed"),
    )
    assert refused(daphne, headers=ada.bearer, path=f"/ws/user/{place.bob.id}") == (4404, error("not_your_stream"))
    assert refused(daphne, headers=ada.bearer, path="/ws/elsewhere") == (4404, error("not_your_stream"))
    with ada.socket(query={"session": "s_taken-over"}) as old, ada.socket(query={"session": "s_taken-over"}):
        assert old.close_code() == 4409


def test_daphne_brings_messages_and_answers_calls(place: Place, ada: Person) -> None:
    with place.bob.socket() as socket:
        message = ada.say(place.channel_id)
        assert socket.event("message.created")["data"] == {"message": message}
        reply = socket.call("message.send", channel_id=place.channel_id, body="hello")
        assert socket.settle().bodies == ["hello", "hello"]
        assert reply["data"]["message"]["author"]["username"] == "bob"


def test_daphne_survives_bad_frames(ada: Person) -> None:
    with ada.socket() as socket:
        for content in ("nonsense", "[]", b"\xff\x00", '{"type":"unheard"}'):
            socket.send_raw(content)
        socket.settle()

    codes = [frame["code"] for frame in socket.frames if frame["type"] == "error"]
    assert codes == ["bad_json", "bad_frame", "bad_json", "unknown_type"]


def test_daphne_closes_a_silent_socket_with_4408_and_says_goodbye_with_1000(ada: Person) -> None:
    with ada.socket(answers_pings=False) as silent:
        assert silent.close_code() == 4408
    with ada.socket() as polite:
        polite.send({"type": "bye"})
        assert polite.close_code() == 1000
