"""Programs that call a real server over HTTP with a token, as the README shows."""

import json
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.conftest import StartServer
from tests.server import Server
from tests.sockets import Person, Place, enrolled, make_channel


def at_once(count: int, job: Callable[[], Any]) -> list[Any]:
    """What `count` threads get that start together."""
    together, got = threading.Barrier(count), []

    def run() -> None:
        together.wait(timeout=10)
        got.append(job())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(got) == count
    return got


def history(person: Person, channel_id: int) -> list[str]:
    return [message["body"] for message in person.call("message.list", channel_id=channel_id)["messages"]]


def test_a_program_follows_a_channel_by_since_id(place: Place, ada: Person, bob: Person) -> None:
    seen, since_id = [], 0
    for number in range(5):
        ada.call("message.send", channel_id=place.channel_id, body=str(number))
        if number % 2:
            page = bob.call("message.list", channel_id=place.channel_id, since_id=since_id, limit=1)
            while True:
                seen += [message["body"] for message in page["messages"]]
                since_id = page["next_since_id"]
                if not page["has_more"]:
                    break
                page = bob.call("message.list", channel_id=place.channel_id, since_id=since_id, limit=1)

    rest = bob.call("message.list", channel_id=place.channel_id, since_id=since_id)
    assert seen + [message["body"] for message in rest["messages"]] == ["0", "1", "2", "3", "4"]


def test_20_identical_posts_at_once_are_one_message(place: Place, ada: Person) -> None:
    call = {"channel_id": place.channel_id, "body": "once", "client_msg_id": f"m-{place.channel_id}"}

    answers = at_once(20, lambda: ada.call("message.send", **call))

    assert len({answer["message"]["id"] for answer in answers}) == 1
    assert sorted(answer["duplicate"] for answer in answers) == [False] + [True] * 19
    assert history(ada, place.channel_id) == ["once"]


def test_one_key_in_two_channels_at_once_is_one_message_and_conflicts(place: Place, ada: Person) -> None:
    other = make_channel(ada, place.workspace_id, "other")
    channels = iter([place.channel_id, other] * 6)
    lock = threading.Lock()

    def send() -> tuple[int, str]:
        with lock:
            channel_id = next(channels)
        answer = ada.try_call("message.send", channel_id=channel_id, body="once", client_msg_id=f"k-{other}")
        return (200, "") if answer.status == 200 else answer.said

    got = at_once(12, send)

    assert sorted(got) == [(200, "")] * 6 + [(409, "idempotency_conflict")] * 6
    assert sorted([history(ada, place.channel_id), history(ada, other)]) == [[], ["once"]]


def test_a_get_and_a_cookie_are_enough_to_read(place: Place, ada: Person, server: Server) -> None:
    ada.call("message.send", channel_id=place.channel_id, body="hello")
    with httpx.Client(base_url=server.url, trust_env=False) as browser:
        page = browser.get("/accounts/signup/")
        form = {"username": f"visitor{place.workspace_id}", "password1": "a long secret", "password2": "a long secret"}
        signed_up = browser.post("/accounts/signup/", data=form | {"csrfmiddlewaretoken": browser.cookies["csrftoken"]})
        token = {"X-CSRFToken": browser.cookies["csrftoken"]}

        joined = browser.post("/api/workspace.join", json={"token": place.invite}, headers=token)
        browser.post("/api/channel.join", json={"channel_id": place.channel_id}, headers=token)
        read = browser.get("/api/message.list", params={"channel_id": place.channel_id})

    assert (page.status_code, signed_up.status_code, joined.status_code) == (200, 302, 200)
    assert [message["body"] for message in read.json()["messages"]] == ["hello"]


def test_past_the_burst_the_answer_says_when_to_come_back(start_server: StartServer) -> None:
    server = start_server(demo=False, SEND_BURST=2, SEND_PER_MINUTE=1)
    with enrolled(server, "ada") as [ada]:
        workspace_id = ada.call("workspace.create", name="Mine")["workspace"]["id"]
        channel_id = make_channel(ada, workspace_id, "notes")
        for body in ("one", "two"):
            ada.call("message.send", channel_id=channel_id, body=body)

        answer = ada.try_call("message.send", channel_id=channel_id, body="three")

        assert answer.said == (429, "rate_limited")
        assert 50 < answer.body["retry_after"] <= 60
        assert abs(int(answer.headers["retry-after"]) - answer.body["retry_after"]) < 1
        assert history(ada, channel_id) == ["one", "two"]


def post(server: Server, path: str, content: bytes | str, token: str, **headers: str) -> httpx.Response:
    told = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"} | headers
    return httpx.post(f"{server.url}{path}", content=content, headers=told, timeout=30, trust_env=False)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"x" * 10_000_000, (413, "too_large")),
        (b"[" * 1_000_000, (400, "bad_request")),
        (b'{"channel_id": 1, "body": "\xff"}', (400, "bad_request")),
        (b'{"channel_id": 1, "body": "\\ud800"}', (400, "bad_request")),
        (b'{"channel_id": 1, "body": "a\\u0000b"}', (400, "invalid")),
        (b'{"channel_id": NaN}', (400, "bad_request")),
        (b'["channel_id"]', (400, "invalid")),
        (b"", (400, "invalid")),
    ],
    ids=["10 MB", "deep", "broken UTF-8", "surrogate", "NUL", "NaN", "array", "empty"],
)
def test_the_server_refuses_broken_bodies_and_lives(
    place: Place, ada: Person, server: Server, body: bytes, said: tuple[int, str]
) -> None:
    answer = post(server, "/api/message.send", body, ada.token)

    problem = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.status_code, problem["status"], problem["code"]) == (said[0], *said)
    assert history(ada, place.channel_id) == []


def test_the_server_refuses_bytes_that_are_no_text_in_paths_queries_and_headers(ada: Person, server: Server) -> None:
    for path in ("/api/%ff%fe", "/api/%00", "/api/message.list?channel_id=%ff", "/api/" + "x" * 5000):
        answer = post(server, path, b"{}", ada.token)
        assert (answer.status_code < 500, answer.headers["Content-Type"]) == (True, "application/problem+json"), path
    for headers in ({"Cookie": 'sessionid="' + r"\000" * 8 + '"'}, {"Authorization": "Bearer \xff".encode("latin-1")}):
        answer = httpx.get(f"{server.url}/api/user.me", headers=headers, trust_env=False)  # type: ignore[arg-type] # bytes as they are
        assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")


def post_in_chunks(server: Server, path: str, chunks: list[bytes], token: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return httpx.post(f"{server.url}{path}", content=iter(chunks), headers=headers, timeout=30, trust_env=False)


def test_a_body_may_come_in_chunks(place: Place, ada: Person, server: Server) -> None:
    chunks = [b'{"channel_id":', str(place.channel_id).encode(), b', "body": "in ', b'pieces"}']

    answer = post_in_chunks(server, "/api/message.send", chunks, ada.token)

    assert (answer.status_code, answer.json()["message"]["body"]) == (200, "in pieces")


def test_a_body_in_chunks_is_bounded_too(ada: Person, server: Server) -> None:
    answer = post_in_chunks(server, "/api/user.me", [b" " * 65_536] * 200, ada.token)

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_the_openapi_document_and_its_page_are_served(server: Server) -> None:
    document = httpx.get(f"{server.url}/api/schema/", headers={"Accept": "application/json"}, trust_env=False)
    page = httpx.get(f"{server.url}/api/docs/", trust_env=False)

    assert "/api/message.send" in json.loads(document.text)["paths"]
    assert (page.status_code, "swagger-ui" in page.text) == (200, True)


def test_a_token_of_the_command_works_at_once(server: Server, place: Place) -> None:
    token = server.manage("create_token", "alice", "--scopes", "read").strip()

    assert post(server, "/api/user.me", b"{}", token).json()["user"]["username"] == "alice"
    assert post(server, "/api/workspace.create", b'{"name": "x"}', token).json()["code"] == "forbidden"


def test_a_moderators_deletion_on_the_admin_site_is_seen_live(server: Server, place: Place, ada: Person) -> None:
    sent = ada.call("message.send", channel_id=place.channel_id, body="unspeakable")["message"]
    code = (
        "from django.contrib.auth.models import Group\n"
        "user = User.objects.filter(username='nora').first() or User.objects.create_user('nora', is_staff=True)\n"
        "user.set_password('a long secret'); user.save()\n"
        "user.groups.add(Group.objects.get(name='Moderators'))"
    )
    server.manage("shell", "--verbosity=0", f"--command={code}")
    with ada.socket() as socket, httpx.Client(base_url=server.url, trust_env=False) as admin:
        assert socket.hello
        admin.get("/admin/login/")
        form = {"csrfmiddlewaretoken": admin.cookies["csrftoken"], "username": "nora", "password": "a long secret"}
        admin.post("/admin/login/", data=form | {"next": "/admin/"})

        found = admin.get("/admin/groups/message/", params={"q": "unspeakable"})
        deleted = admin.post(
            f"/admin/groups/message/{sent['id']}/measures/delete/",
            data={"csrfmiddlewaretoken": admin.cookies["csrftoken"], "confirmed": "yes", "reason": "unspeakable"},
        )

        assert (found.status_code, "unspeakable" in found.text, deleted.status_code) == (200, True, 302)
        told = socket.event("message.deleted")
        assert told["data"]["message_id"] == sent["id"]
    assert history(ada, place.channel_id) == []
