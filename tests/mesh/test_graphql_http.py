"""GraphQL over HTTP, on a real server. Source: the specification's 1.2, 1.9, 2.1."""

import json
import time
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import httpx
import pytest
from graphql import get_introspection_query

from tests.conftest import StartServer
from tests.mesh.classroom import DOCUMENTS, School
from tests.mesh.sockets import API_KEY, school_at
from tests.server import Server

CORS_HEADERS = {"content-type", "x-api-key", "x-amz-user-agent", "authorization"}
WORDS = ("not found", "expired", "unauthorized")


@pytest.fixture
def school(classrooms: Server) -> School:
    return school_at(classrooms)


def post(server: Server, body: object, key: str | None = API_KEY, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    keys = {} if key is None else {"x-api-key": key}
    return httpx.post(f"{server.url}/graphql", content=content, headers={**keys, **headers}, timeout=60)


def assert_readable_by_pages(answer: httpx.Response) -> None:
    """Without it a page sees a network failure, and repeats its request for minutes."""
    assert answer.headers["access-control-allow-origin"] == "*"


def test_a_preflight_lets_pages_of_other_sites_in(classrooms: Server) -> None:
    answer = httpx.options(
        f"{classrooms.url}/graphql",
        headers={
            "origin": "https://editor.example.org",
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type,x-amz-user-agent,x-api-key",
        },
    )
    assert answer.status_code in {200, 204}
    assert_readable_by_pages(answer)
    assert {"POST", "OPTIONS"} <= set(answer.headers["access-control-allow-methods"].split(", "))
    assert set(answer.headers["access-control-allow-headers"].split(", ")) >= CORS_HEADERS


def test_the_body_of_the_production_client_is_answered(classrooms: Server) -> None:
    body = {"operationName": "Make", "variables": {}, "query": "mutation Make {\n  createDomain\n}\n"}
    answer = post(classrooms, body, **{"x-amz-user-agent": "aws-amplify/2.0", "accept": "application/json, */*"})
    assert (answer.status_code, answer.json()) == (200, {"data": {"createDomain": "e34158cb"}})
    assert answer.headers["content-type"] == "application/json"
    assert_readable_by_pages(answer)


@pytest.mark.parametrize("key", [None, "", "wrong", API_KEY + "x"])
def test_without_a_good_key_the_status_is_401(classrooms: Server, key: str | None) -> None:
    answer = post(classrooms, {"query": DOCUMENTS["createDomain"]}, key)
    assert answer.status_code == 401
    [error] = answer.json()["errors"]
    assert error["errorType"] == "UnauthorizedException"
    assert_readable_by_pages(answer)


def test_a_key_may_come_as_authorization(classrooms: Server) -> None:
    answer = post(classrooms, {"query": DOCUMENTS["createDomain"]}, None, authorization=API_KEY)
    assert answer.status_code == 200


NO_OBJECTS = [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'[{"query": "{ __typename }"}]', b'{"a": "\\ud800"}']


@pytest.mark.parametrize("body", NO_OBJECTS)
def test_what_is_no_json_object_is_a_400(classrooms: Server, body: bytes) -> None:
    answer = post(classrooms, body)
    assert answer.status_code == 400
    assert_readable_by_pages(answer)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_only_post_asks(classrooms: Server, method: str) -> None:
    answer = httpx.request(method, f"{classrooms.url}/graphql?query={{__typename}}", headers={"x-api-key": API_KEY})
    assert answer.status_code == 405
    assert_readable_by_pages(answer)


def test_a_body_of_a_megabyte_is_taken_and_a_larger_one_is_a_413(classrooms: Server) -> None:
    body = json.dumps({"query": DOCUMENTS["createDomain"], "variables": {}}).encode()
    assert post(classrooms, body + b" " * (1_048_576 - len(body))).status_code == 200
    for spaces in (1_048_577 - len(body), 4_000_000):
        answer = post(classrooms, body + b" " * spaces)
        assert answer.status_code == 413
        assert_readable_by_pages(answer)


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/graphql", "application/x-www-form-urlencoded", "multipart/x"]
)
def test_a_body_is_json_whatever_its_type_says(classrooms: Server, content_type: str | None) -> None:
    types = {} if content_type is None else {"content-type": content_type}
    assert post(classrooms, {"query": DOCUMENTS["createDomain"]}, **types).status_code == 200
    for other in (b"{ __typename }", b"query=%7B__typename%7D"):
        answer = post(classrooms, other, **types)
        assert answer.status_code == 400
        assert_readable_by_pages(answer)


def test_one_connection_carries_call_after_call_whatever_was_wrong_with_some(classrooms: Server) -> None:
    good, key = json.dumps({"query": DOCUMENTS["createDomain"]}), {"x-api-key": API_KEY}
    calls: list[tuple[str, str | None, dict[str, str], int]] = [
        ("POST", good, key, 200),
        ("POST", good, {}, 401),
        ("POST", "{", key, 400),
        ("POST", " " * 1_500_000, key, 413),
        ("HEAD", None, key, 405),
        ("GET", None, key, 405),
        ("OPTIONS", None, {}, 204),
        ("POST", good, key, 200),
    ]
    with closing(HTTPConnection("127.0.0.1", classrooms.port, timeout=30)) as connection:
        connection.connect()
        first = connection.sock
        for method, body, headers, status in calls:
            connection.request(method, "/graphql", body, headers)
            answer = connection.getresponse()
            content = answer.read()
            assert (method, answer.status) == (method, status)
            assert connection.sock is first
    assert json.loads(content) == {"data": {"createDomain": "e34158cb"}}


BEFORE_EXECUTION: list[dict[str, Any]] = [
    {"query": "{"},
    {"query": ""},
    {"query": None},
    {},
    {"query": 5},
    {"query": "{ nothing }"},
    {"query": '{ listGroupsByDomain(domain: "d") { nothing } }'},
    {"query": "{ listGroupsByDomain { id } }"},
    {"query": "{ listGroupsByDomain(domain: 5) { id } }"},
    {"query": DOCUMENTS["listGroupsByDomain"]},
    {"query": DOCUMENTS["listGroupsByDomain"], "variables": {"domain": None}},
    {"query": DOCUMENTS["listGroupsByDomain"], "variables": {"domain": ["not found"]}},
    {"query": DOCUMENTS["listGroupsByDomain"], "variables": [1]},
    {"query": DOCUMENTS["listGroupsByDomain"], "variables": "x"},
    {"query": "query A { __typename } query B { __typename }"},
    {"query": "query A { __typename }", "operationName": "B"},
    {"query": "query A { __typename }", "operationName": 5},
    {"query": 'subscription { onMessageInGroup(groupId: "g", domain: "d") { domain } }'},
    {"query": "query ($expired: Unauthorized) { __typename }"},
    {"query": '{ listGroupsByDomain(domain: "not found'},
    {"query": '{ listGroupsByDomain(domain: "\\ud800") { id } }'},
    {"query": "{ __typename " + "@include(if: true) " * 2 + "}"},
    {"query": "fragment F on Query { ...F } { ...F }"},
]


@pytest.mark.parametrize("body", BEFORE_EXECUTION, ids=range(len(BEFORE_EXECUTION)))
def test_an_error_before_execution_has_no_path_and_survives(classrooms: Server, body: dict[str, Any]) -> None:
    answer = post(classrooms, body)
    assert answer.status_code == 200
    told = answer.json()
    assert told.get("data") is None
    for error in told["errors"]:
        assert error.get("path") is None
        assert not any(word in error["message"].lower() for word in WORDS)


def test_one_error_for_a_failed_field_and_null_for_all_where_it_may_not_be_null(school: School) -> None:
    where = {"groupId": "x", "domain": "d"}
    answer = school.answer("joinGroup", **where, nodeId="n2")
    assert answer == {
        "data": None,
        "errors": [
            {
                "path": ["joinGroup"],
                "data": None,
                "errorType": "GroupNotFound",
                "errorInfo": None,
                "locations": [{"line": 1, "column": 84, "sourceName": None}],
                "message": "Group not found: x@d",
            }
        ],
    }


@pytest.mark.parametrize("field", ["renewHeartbeat", "sendMemberHeartbeat", "recordEventsByNode"])
def test_where_a_field_may_not_be_null_all_is(school: School, field: str) -> None:
    answer = school.answer(field, groupId="x", domain="d", nodeId="n", hostId="h", events=[])
    assert answer["data"] is None
    assert len(answer["errors"]) == 1


@pytest.mark.parametrize("field", ["reportDataByNode", "fireEventsByNode", "dissolveGroup"])
def test_where_a_field_may_be_null_it_is(school: School, field: str) -> None:
    answer = school.answer(field, groupId="x", domain="d", nodeId="n", hostId="h", events=[], data=[])
    assert answer["data"] == {field: None}
    assert len(answer["errors"]) == 1


def test_a_field_that_fails_leaves_the_others(school: School) -> None:
    place = school.host("n1", "leaves")
    bad = 'bad: dissolveGroup(groupId: "x", domain: "d", hostId: "h") { domain }'
    good = f'good: reportDataByNode(groupId: "{place.id}", domain: "leaves", nodeId: "n2", data: []) {{ domain }}'
    answer = school.send(f"mutation {{ {bad} {good} }}", {})
    assert answer["data"] == {"bad": None, "good": {"domain": "leaves"}}
    assert [error["path"] for error in answer["errors"]] == [["bad"]]


def test_fields_come_under_their_aliases_and_out_of_fragments(school: School) -> None:
    place = school.host("n1", "aliases")
    document = """
        query ($d: String!, $yes: Boolean!, $no: Boolean!) {
          mine: listGroupsByDomain(domain: $d) {
            ...Names  a: domain  b: domain @skip(if: $yes)  c: domain @include(if: $no)
            ... on Group { kind: __typename hostId }  hostId
          }
        }
        fragment Names on Group { id label: fullId }
    """
    answer = school.send(document, {"d": "aliases", "yes": True, "no": False})
    [group] = answer["data"]["mine"]
    assert group == {
        "id": place.id,
        "label": f"{place.id}@aliases",
        "a": "aliases",
        "kind": "Group",
        "hostId": "n1",
    }
    assert list(group) == ["id", "label", "a", "kind", "hostId"]


def test_the_address_that_a_client_writes_is_not_believed(classrooms: Server) -> None:
    forged = {"x-forwarded-for": "203.0.113.9"}
    assert post(classrooms, {"query": DOCUMENTS["createDomain"]}, **forged).json()["data"]["createDomain"] == "e34158cb"


@pytest.mark.parametrize("behind_proxy", [0, 1])
def test_trusted_proxies_vouch_for_an_address(start_server: StartServer, behind_proxy: int) -> None:
    server = start_server(MESH_API_KEYS=API_KEY, MESH_TRUSTED_PROXIES=2, BEHIND_PROXY=behind_proxy)
    told = [
        post(server, {"query": DOCUMENTS["createDomain"]}, **{"x-forwarded-for": hops}).json()["data"]["createDomain"]
        for hops in ("6.6.6.6, 203.0.113.9, 10.0.0.1", "203.0.113.9,10.0.0.1")
    ]
    assert told == ["ae00fafe", "ae00fafe"]


def test_a_key_of_one_school_works_there(classrooms: Server) -> None:
    school = school_at(classrooms, "key-of-one-school")
    school.host("n1", "one")
    told = school.error("createGroup", name="n1", hostId="n1", domain="another", useWebSocket=True)
    assert told == ("ValidationError", "This key does not work in this domain.")


def test_introspection_is_open(school: School) -> None:
    schema = school.send(get_introspection_query(), {})["data"]["__schema"]
    assert schema["subscriptionType"]["name"] == "Subscription"


def test_past_the_limit_of_a_key_the_answer_survives(start_server: StartServer) -> None:
    server = start_server(MESH_API_KEYS=API_KEY, MESH_CALLS_PER_MINUTE=1)
    answers = [post(server, {"query": DOCUMENTS["createDomain"]}) for _ in range(8)]
    assert {answer.status_code for answer in answers} == {200}
    [error] = answers[-1].json()["errors"]
    assert error["errorType"] == "RateLimited"
    assert not any(word in error["message"].lower() for word in WORDS)


def test_each_key_and_each_address_has_a_limit_of_its_own(start_server: StartServer) -> None:
    """Else one school could silence another, and one class the next."""
    server = start_server(MESH_API_KEYS=f"{API_KEY},another", MESH_CALLS_PER_MINUTE=1, MESH_TRUSTED_PROXIES=1)

    def limited(key: str, address: str) -> bool:
        answer = post(server, {"query": DOCUMENTS["createDomain"]}, key, **{"x-forwarded-for": address})
        return "errors" in answer.json()

    assert any(limited(API_KEY, "203.0.113.9") for _ in range(8))
    assert not limited(API_KEY, "203.0.113.10")
    assert not limited("another", "203.0.113.9")


STORMS = {
    "many fields": "{" + " __typename" * 5000 + "}",
    "many aliases": "{ __schema {" + "".join(f" a{n}: description" for n in range(5000)) + "}}",
    "many roots": "{" + "".join(f' a{n}: listGroupsByDomain(domain: "d") {{ id }}' for n in range(11)) + "}",
    "roots in a fragment": "{ ...F } fragment F on Query {"
    + "".join(f' a{n}: listGroupsByDomain(domain: "d") {{ id }}' for n in range(11))
    + "}",
    "long fields": '{ getEventsSince(groupId: "g", domain: "d", since: "") {'
    + "".join(f" a{n}: payload" for n in range(13))
    + "}}",
    "fragments that double": "{ __schema { ...F0 } }"
    + "".join(f" fragment F{n} on __Schema {{ a: description ...F{n + 1} ...F{n + 1} }}" for n in range(60))
    + " fragment F60 on __Schema { description }",
    "a fragment that spreads itself": "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
    "deep introspection": "{ __schema { types {" + " fields { type {" * 8 + " name " + "}}" * 8 + "}}}",
    "deep inline fragments": "{" + " ... on Query {" * 200 + " __typename " + "}" * 200 + "}",
    "deeper": "{" + " ... {" * 100_000,
    "deep lists": "{ searchGroupsByNamePrefix(namePrefix: " + "[" * 100_000,
    "many tokens": "{ searchGroupsByNamePrefix(namePrefix: [" + "1 " * 300_000 + "]) { id } }",
    "many operations": "".join(f" query Q{n} {{ __typename }}" for n in range(5000)),
    "many variables": "query (" + "".join(f"$v{n}: Int " for n in range(19_000)) + ") { __typename }",
    "a long comment": "#" + "x" * 1_000_000 + "\n{",
}


@pytest.mark.parametrize("storm", STORMS)
def test_documents_that_ask_for_too_much_are_refused_soon(classrooms: Server, storm: str) -> None:
    """Generous: the machine of a test may be slow. Without bounds most of them take minutes or gigabytes."""
    began = time.monotonic()
    answer = post(classrooms, {"query": STORMS[storm]})
    assert time.monotonic() - began < 5
    assert answer.status_code == 200
    assert answer.json()["data"] is None
    assert not any(word in answer.text.lower() for word in WORDS)


def test_a_thousand_events_may_be_written_into_a_document(school: School) -> None:
    place = school.host("n1", "literal")
    events = " ".join(
        f'{{eventName: "e{n}", firedAt: "2026-04-28T00:00:00Z", payload: "", orderKey: "{n:04}"}}' for n in range(1000)
    )
    where = f'groupId: "{place.id}", domain: "literal", nodeId: "n2"'
    document = f"mutation {{ recordEventsByNode({where}, events: [{events}]) {{ recordedCount }} }}"
    assert school.send(document, {}) == {"data": {"recordEventsByNode": {"recordedCount": 1000}}}


def test_a_deep_body_is_a_400_and_no_crash(classrooms: Server) -> None:
    deep = b"[" * 400_000 + b"]" * 400_000
    answer = post(classrooms, b'{"query": "{ __typename }", "variables": {"a": ' + deep + b"}}")
    assert answer.status_code in {200, 400}
    assert post(classrooms, {"query": "{ __typename }"}).json() == {"data": {"__typename": "Query"}}
