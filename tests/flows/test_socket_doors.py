"""Who may open a socket, and the codes with which sockets close."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.conftest import GENEROUS, StartServer
from tests.server import Databases, Server
from tests.sockets import CAST, SECONDS, Person, Socket, enrolled, error, found, refused, sign_up

TRUSTED = "https://chat.example.org"
TICKET_SECONDS = 1
SESSIONS_PER_USER = 3


@pytest.fixture(scope="module")
def doors(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with short limits."""
    settings = {"TICKET_SECONDS": TICKET_SECONDS, "SESSIONS_PER_USER": SESSIONS_PER_USER}
    variables = GENEROUS | settings | {"CSRF_TRUSTED_ORIGINS": TRUSTED, "DATABASE_URL": databases.new(demo=False)}
    server = Server(tmp_path_factory.mktemp("doors") / "log", variables=variables)
    server.start()
    yield server
    server.kill()
    assert "Traceback" not in server.log_text()


@pytest.fixture(scope="module")
def cast(doors: Server) -> Iterator[list[Person]]:
    with enrolled(doors, *CAST) as people:
        yield people


@pytest.fixture(scope="module")
def cookie(doors: Server) -> str:
    return sign_up(doors, "cora")


def ticket_of(person: Person) -> str:
    answer = person.call("realtime.ticket")
    assert answer["expires_in"] == TICKET_SECONDS
    return str(answer["ticket"])


def test_without_credentials_the_page_sees_4401(doors: Server) -> None:
    assert refused(doors) == (4401, error("not_signed_in"))


@pytest.mark.parametrize(
    "credentials",
    [
        "Bearer msh_unknown",
        "Bearer",
        "Bearer ",
        "bearer  x y",
        "Bearer " + "x" * 4000,
        "Bearer \xff\xfe",
        "Basic YWRhOmFkYQ==",
        "nonsense",
    ],
)
def test_credentials_that_are_none_are_4401(doors: Server, credentials: str) -> None:
    assert refused(doors, headers={"Authorization": credentials}) == (4401, error("not_signed_in"))


@pytest.mark.parametrize(
    "header",
    [
        "sessionid=unknownunknownunknownunknown12",
        "sessionid=",
        "sessionid=x",
        'sessionid="\\000\\000\\000\\000\\000\\000\\000\\000"',
        "sessionid=" + "x" * 4000,
        "sessionid=\xff\xfe\xff\xfe\xff\xfe\xff\xfe",
        "=;=;;,,\"'",
    ],
)
def test_cookies_of_no_session_are_4401(doors: Server, header: str) -> None:
    assert refused(doors, headers={"Cookie": header}) == (4401, error("not_signed_in"))


def test_an_expired_or_revoked_token_and_a_token_of_a_deactivated_user_are_4401(
    doors: Server, cast: list[Person]
) -> None:
    with enrolled(doors, "expired", "revoked", "deactivated") as people:
        doors.manage(
            "shell",
            "--verbosity=0",
            "--command=from django.utils.timezone import now;"
            "ApiToken.objects.filter(owner__username='expired').update(expires_at=now());"
            "ApiToken.objects.filter(owner__username='revoked').update(revoked_at=now());"
            "User.objects.filter(username='deactivated').update(is_active=False)",
        )
        codes = [refused(doors, headers=person.bearer) for person in people]

    assert codes == [(4401, error("not_signed_in"))] * 3


def test_a_cookie_opens_the_stream_from_the_servers_own_pages(doors: Server, cookie: str) -> None:
    with Socket(doors, headers={"Cookie": cookie}, origin=doors.url) as socket:
        assert socket.call("user.me")["data"]["user"]["username"] == "cora"


def test_a_cookie_opens_the_stream_from_a_trusted_page(doors: Server, cookie: str) -> None:
    with Socket(doors, headers={"Cookie": cookie}, origin=TRUSTED) as socket:
        assert socket.hello["mode"] == "fresh"


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "https://chat.example.org.evil.example",
        "https://evil.example/?https://chat.example.org",
        "http://[",
        "http://[::1",
        "\xff\xfe",
    ],
)
def test_a_cookie_from_a_foreign_page_is_4403(doors: Server, cookie: str, origin: str) -> None:
    assert refused(doors, headers={"Cookie": cookie, "Origin": origin}) == (4403, error("origin_not_allowed"))


def test_a_token_needs_no_origin(doors: Server, cast: list[Person]) -> None:
    with cast[0].socket(origin="https://anywhere.example") as socket:
        assert socket.settle().hello["user_id"] == cast[0].id


@pytest.mark.parametrize("path", ["/ws/user/{bob}", "/ws/user/999999999999", "/ws/user/you", "/ws/user/0{ada}"])
def test_another_users_stream_is_4404(doors: Server, cast: list[Person], path: str) -> None:
    _, ada, bob, _ = cast

    told = refused(doors, headers=ada.bearer, path=path.format(ada=ada.id, bob=bob.id))

    assert told == (4404, error("not_your_stream"))


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/ws", "/ws/", "/ws/user", "/ws/user/", "/ws/user/me/", "/ws/user/me/x", "/ws/mesh", "/api/user.me"),
        *("/ws/user/%00", "/ws/user/%FF%FE", "/ws/user/%F0%9F%8D%B0", "/ws/user/..%2Fme", "/" + "x" * 5000),
    ],
)
def test_a_path_of_no_stream_is_4404(doors: Server, cast: list[Person], path: str) -> None:
    assert refused(doors, headers=cast[1].bearer, path=path) == (4404, error("not_your_stream"))


def test_a_token_that_may_not_read_is_4403(doors: Server) -> None:
    with enrolled(doors, "writer", scopes=("write",)) as [writer]:
        assert refused(doors, headers=writer.bearer) == (4403, error("scope_missing"))


def test_one_session_too_many_is_4409_and_the_others_stay(doors: Server, cast: list[Person]) -> None:
    grace = cast[0]
    with ExitStack() as stack:
        sockets = [stack.enter_context(grace.socket()) for _ in range(SESSIONS_PER_USER)]

        assert refused(doors, headers=grace.bearer) == (4409, error("too_many_sessions"))

        for socket in sockets:
            socket.settle()
        with grace.socket(query={"session": sockets[0].hello["session"]}) as again:
            again.settle()
            assert sockets[0].close_code() == 4409
    # Those that are gone count no longer.
    with ExitStack() as stack:
        for _ in range(SESSIONS_PER_USER):
            _open(stack, grace)


def test_a_ticket_opens_a_socket_with_the_rights_of_its_maker(doors: Server, cast: list[Person]) -> None:
    with enrolled(doors, "ada", scopes=("read",)) as [ada], Socket(doors, query={"ticket": ticket_of(ada)}) as socket:
        assert socket.hello["user_id"] == ada.id
        refusal = socket.call("workspace.create", name="Not with this token")
        assert (refusal["type"], refusal["code"]) == ("error", "forbidden")


def test_a_ticket_works_once(doors: Server, cast: list[Person]) -> None:
    ticket = ticket_of(cast[1])
    with Socket(doors, query={"ticket": ticket}) as socket:
        assert socket.hello["user_id"] == cast[1].id
        assert refused(doors, query={"ticket": ticket}) == (4401, error("not_signed_in"))
        socket.settle()


def test_a_ticket_of_many_who_use_it_at_once_works_once(doors: Server, cast: list[Person]) -> None:
    ticket = ticket_of(cast[1])
    with ExitStack() as stack:
        sockets = [stack.enter_context(Socket(doors, query={"ticket": ticket})) for _ in range(5)]
        first = [socket.read()["type"] for socket in sockets]

    assert sorted(first) == ["error"] * 4 + ["hello"]


def test_an_old_ticket_is_4401(doors: Server, cast: list[Person]) -> None:
    ticket, issued_at = ticket_of(cast[1]), time.time()
    while time.time() < issued_at + TICKET_SECONDS + 1:  # its age is known to the second
        time.sleep(0.05)

    assert refused(doors, query={"ticket": ticket}) == (4401, error("not_signed_in"))


@pytest.mark.parametrize("forged", ["", "x", "a:b:c", "\0", "\ud83c\udf70", "." * 4000])
def test_a_forged_ticket_is_4401(doors: Server, forged: str) -> None:
    assert refused(doors, query={"ticket": forged.encode("utf-8", "surrogatepass")}) == (
        4401,
        error("not_signed_in"),
    )


def test_a_ticket_with_another_ending_is_4401(doors: Server, cast: list[Person]) -> None:
    ticket = ticket_of(cast[1])

    assert refused(doors, query={"ticket": ticket[:-1]}) == (4401, error("not_signed_in"))


@pytest.mark.parametrize(
    "query",
    [{"session": "s_short"}, {"session": "other-form"}, {"session": "s_" + "x" * 63}, {"session": "s_\0xxxxxxxx"}],
)
def test_a_session_id_of_another_form_is_not_taken(doors: Server, cast: list[Person], query: dict[str, str]) -> None:
    with cast[1].socket(query=query) as socket:
        assert socket.settle().hello["session"] not in query.values()


def test_a_server_that_stops_sends_sockets_away_to_come_back(start_server: StartServer) -> None:
    server = start_server(demo=False)
    with enrolled(server, *CAST) as people:
        place = found(people)
        with place.ada.socket() as socket:
            os.kill(server.pid, signal.SIGTERM)
            assert socket.close_code() in (1001, 1012)
    assert server.stop() == -signal.SIGTERM, "it was asked to end and not killed for taking too long"
    assert "Traceback" not in server.log_text()


def test_a_server_that_is_killed_is_1006_and_its_clients_come_back(start_server: StartServer) -> None:
    server = start_server(demo=False)
    with enrolled(server, *CAST) as people:
        place = found(people)
        with place.ada.socket() as socket:
            server.kill()
            assert socket.close_code() == 1006
        server.start()
        with place.ada.socket() as again:
            message = place.bob.say(place.channel_id)
            assert again.event("message.created")["data"] == {"message": message}


def _open(stack: ExitStack, person: Person) -> None:
    """A socket as soon as there is room for one: the server hears a moment later that others went."""
    deadline = time.monotonic() + SECONDS
    while True:
        socket = Socket(person.server, headers=person.bearer)
        if socket.read()["type"] == "hello":
            stack.enter_context(socket)
            return
        with socket:
            assert time.monotonic() < deadline, socket.frames
        time.sleep(0.05)
