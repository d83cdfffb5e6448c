"""A page of another site in a real browser, as the editor is: what a preflight and CORS let it see of our answers."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.mesh.sockets import in_query
from tests.server import Databases, Server

pytestmark = pytest.mark.browser

KEY = "key-of-the-tests"
MAKE = "mutation Make { createDomain }"


@pytest.fixture(scope="module")
def classrooms(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    variables = {"MESH_API_KEYS": KEY, "DATABASE_URL": databases.new(demo=False)}
    server = Server(tmp_path_factory.mktemp("editor") / "log", variables=variables)
    server.start()
    yield server
    server.stop()


class _Editor(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!DOCTYPE html><title>Editor</title>")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """Another site. It is really served: a page out of nowhere may not speak with this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Editor) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        serving.join()


@pytest.fixture
def editor(browser: Browser, site: str) -> Iterator[Page]:
    context = browser.new_context()
    page = context.new_page()
    page.goto(site)
    yield page
    context.close()


FETCH = """async ([url, method, headers, body]) => {
    try {
        const answer = await fetch(url, { method, headers, body });
        return [answer.status, await answer.text()];
    } catch (error) {
        return [0, String(error)];
    }
}"""


def fetch(page: Page, server: Server, body: str | None, *, method: str = "POST", key: str = KEY) -> tuple[int, Any]:
    """The status and JSON that a page is let see; 0 and a text when the browser shows it a network failure."""
    headers = {
        "content-type": "application/json",
        "x-api-key": key,
        "x-amz-user-agent": "aws-amplify/2.0.1",
        "accept": "application/json, text/plain, */*",
    }
    status, text = page.evaluate(FETCH, [f"{server.url}/graphql", method, headers, body])
    return status, json.loads(text) if status else text


def test_a_page_of_another_site_is_answered(editor: Page, classrooms: Server) -> None:
    asked = json.dumps({"operationName": "Make", "variables": {}, "query": MAKE})
    for _ in range(3):
        assert fetch(editor, classrooms, asked) == (200, {"data": {"createDomain": "e34158cb"}})


@pytest.mark.parametrize(
    ("status", "body", "key"),
    [
        (401, json.dumps({"query": MAKE}), "wrong"),
        (400, "{", KEY),
        (413, json.dumps({"query": MAKE, "variables": {"long": "x" * 1_100_000}}), KEY),
    ],
    ids=["a wrong key", "no JSON", "too long"],
)
def test_a_page_of_another_site_sees_what_is_wrong(
    editor: Page, classrooms: Server, status: int, body: str, key: str
) -> None:
    """A network failure it would repeat for minutes."""
    seen, answer = fetch(editor, classrooms, body, key=key)
    assert (seen, len(answer["errors"])) == (status, 1)


def test_a_page_of_another_site_asks_in_no_other_way(editor: Page, classrooms: Server) -> None:
    assert fetch(editor, classrooms, None, method="GET")[0] == 405
    assert fetch(editor, classrooms, "{}", method="PUT")[0] == 0


SOCKET = """(url) => new Promise((done) => {
    const socket = new WebSocket(url, "graphql-ws");
    const seen = [];
    socket.onopen = () => socket.send('{"type": "connection_init"}');
    socket.onmessage = (event) => {
        seen.push(JSON.parse(event.data).type);
        if (seen.length === 2) done([socket.protocol, ...seen]);
    };
    socket.onclose = (event) => done([event.code]);
})"""


def test_a_page_of_another_site_subscribes(editor: Page, classrooms: Server) -> None:
    seen = editor.evaluate(SOCKET, f"{classrooms.ws_url}/graphql/realtime{in_query()}")
    assert seen == ["graphql-ws", "connection_ack", "ka"]
