"""Whatever comes in: a problem with a stable code and a status below 500, and nothing changes. Over all methods."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson
import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework import serializers

from groups.models import Channel, User, Workspace
from realtime.commands import METHODS, Method
from tests.cast import Api, Door, say, stored

ALL = sorted(METHODS)
WRITES = [name for name in ALL if not METHODS[name].reads]
READS = [name for name in ALL if METHODS[name].reads]


class Scene(NamedTuple):
    """ada at the API, and ids of things that she may use."""

    call: Door
    ids: dict[str, int]

    def params(self, method: Method) -> dict[str, Any]:
        """Parameters of the right types, with ids that exist."""
        return {name: self._good(name, field) for name, field in method.params().fields.items() if field.required}

    def _good(self, name: str, field: Any) -> Any:
        if isinstance(field, serializers.IntegerField):
            return self.ids.get(name, 1)
        if isinstance(field, serializers.ListField):
            return [] if field.allow_empty else [1]
        if isinstance(field, serializers.ChoiceField):
            return next(iter(field.choices))
        return "text" if isinstance(field, serializers.CharField) else True


@pytest.fixture
def scene(api: Api, workspace: Workspace, general: Channel, ada: User) -> Scene:
    message = say(ada, general)
    call = api(ada)
    call("user.me")
    return Scene(call, {"workspace_id": workspace.pk, "channel_id": general.pk, "message_id": message.pk})


OWN_CODES = {"emoji": "unknown_emoji", "image": "bad_image"}
"""Of fields whose values are checked beyond their type."""


def wrong_values(field: Any) -> Iterator[Any]:
    """What is not of the field's type, or out of its bounds."""
    if not field.allow_null:
        yield None
    yield from ({}, {"a": 1}, "\0")
    if isinstance(field, serializers.IntegerField):
        yield from ("1", "abc", "", True, 1.5, -1, -(2**63), 2**63, 2**64 - 1, [], [1])
    elif isinstance(field, serializers.ListField):
        yield from (1, "abc", True, [None], [True], [1.5], [-1], [0], [[1]], [{}], list(range(1, 2000)))
        if not isinstance(field.child, serializers.CharField):
            yield ["x"]
    elif isinstance(field, serializers.ChoiceField):
        yield from (1, "nonsense", "", True, [], ["public"])
    elif isinstance(field, serializers.CharField):
        yield from (1, 1.5, True, False, [], ["x"], "a\0b", "x" * 500_000)
    else:
        yield from ("nonsense", 3, [])


@pytest.mark.parametrize("name", [name for name in ALL if METHODS[name].params().fields])
def test_each_field_takes_its_type_only(scene: Scene, name: str) -> None:
    method, before = METHODS[name], stored()
    for field_name, field in method.params().fields.items():
        for wrong in wrong_values(field):
            answer = scene.call(name, **scene.params(method) | {field_name: wrong})

            assert answer.status == 400, (field_name, wrong)
            assert answer.code in {"invalid", OWN_CODES.get(field_name)}, (field_name, wrong)
            assert any(told.partition(".")[0] == field_name for told in answer.body["errors"]), answer.body
    assert stored() == before


@pytest.mark.parametrize("name", ALL)
def test_missing_and_unknown_fields_are_named(scene: Scene, name: str) -> None:
    method, before = METHODS[name], stored()
    params = scene.params(method)

    for missing in params:
        answer = scene.call(name, **{key: value for key, value in params.items() if key != missing})
        assert (answer.said, list(answer.body["errors"])) == ((400, "invalid"), [missing])
    answer = scene.call(name, **params, chanel_id=1)
    assert (answer.said, list(answer.body["errors"])) == ((400, "invalid"), ["chanel_id"])
    assert stored() == before


NOT_AN_OBJECT = {
    "an array": b"[]",
    "an array of an object": b"[{}]",
    "null": b"null",
    "a string": b'"channel_id"',
    "a number": b"1",
    "true": b"true",
    "half an object": b'{"channel_id": 1',
    "two objects": b"{}{}",
    "single quotes": b"{'channel_id': 1}",
    "a comment": b"{} // please",
    "NaN": b'{"channel_id": NaN}',
    "infinity": b'{"channel_id": Infinity}',
    "a number without end": b'{"channel_id": 1' + b"0" * 400 + b"}",
    "broken UTF-8": b'{"body": "\xff\xfe"}',
    "UTF-8 of a surrogate": b'{"body": "\xed\xa0\x80"}',
    "overlong UTF-8": b'{"body": "\xc0\xaf"}',
    "UTF-16": '{"body": "hi"}'.encode("utf-16"),
    "Latin-1": '{"body": "ü"}'.encode("latin-1"),
    "a lone surrogate": b'{"body": "\\ud800"}',
    "a NUL byte": b'{"body": "a\x00b"}',
    "only NUL bytes": b"\0\0\0",
    "arrays without end": b"[" * 100_000,
    "objects without end": b'{"a":' * 100_000,
    "deep but whole": b'{"body":' + b"[" * 500 + b"]" * 500 + b"}",
    "a BOM": b"\xef\xbb\xbf{}",
    "a picture": b"\x89PNG\r\n\x1a\n",
    "a form": b"channel_id=1&body=hi",
}


@pytest.mark.parametrize("name", ALL)
def test_a_body_that_is_no_json_object_is_refused(scene: Scene, name: str) -> None:
    before = stored()
    for what, body in NOT_AN_OBJECT.items():
        answer = scene.call.raw("POST", f"/api/{name}", body)

        assert answer.status == 400, what
        assert answer.code in {"bad_request", "invalid"}, what
    assert stored() == before


@pytest.mark.parametrize("name", ["message.send", "user.me"])
@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_body_of_10_megabytes_is_refused(scene: Scene, name: str, kind: str) -> None:
    before = stored()

    answer = scene.call.raw("POST", f"/api/{name}", b'{"body": "' + b"x" * 10_000_000 + b'"}', kind)

    assert answer.said in {(413, "too_large"), (415, "unsupported_media_type")}
    assert (answer.status == 413) == (kind == "application/json")
    assert stored() == before


def test_a_body_may_be_as_long_as_the_limit_says(scene: Scene) -> None:
    assert scene.call.raw("POST", "/api/user.me", b"{}" + b" " * (1_048_576 - 2)).status == 200
    assert scene.call.raw("POST", "/api/user.me", b"{}" + b" " * (1_048_576 - 1)).said == (413, "too_large")


NOT_JSON = [
    ("application/x-www-form-urlencoded", b"channel_id=1&body=hi"),
    ("application/x-www-form-urlencoded", b"a=1&" * 5000),
    ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="body"\r\n\r\nhi\r\n--x--'),
    ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="body"'),
    ("multipart/form-data", b"hi"),
    ("text/plain", b'{"body": "hi"}'),
    ("application/xml", b"<body>hi</body>"),
    ("application/json-patch+json", b"[]"),
    ("json", b"{}"),
    ("", b"{}"),
    ("application/json\xff", b"{}"),
]


def test_only_json_is_understood(scene: Scene) -> None:
    before = stored()
    for name in ALL:
        for kind, body in NOT_JSON:
            answer = scene.call.raw("POST", f"/api/{name}", body, kind)

            assert answer.said == (415, "unsupported_media_type"), (name, kind)
    assert stored() == before


def test_a_get_changes_nothing(scene: Scene) -> None:
    before = stored()
    for name in WRITES:
        answer = scene.call.get(name, **scene.params(METHODS[name]))
        assert answer.said == (405, "method_not_allowed"), name
    assert stored() == before


def test_other_verbs_are_refused(scene: Scene) -> None:
    before = stored()
    for name in ALL:
        for verb in ("PUT", "PATCH", "DELETE", "TRACE", "NONSENSE"):
            assert scene.call.raw(verb, f"/api/{name}", b"{}").said == (405, "method_not_allowed"), (name, verb)
    assert stored() == before


def test_a_query_takes_its_fields_and_types_only(scene: Scene) -> None:
    before = stored()
    for name in READS:
        params, fields = scene.params(METHODS[name]), METHODS[name].params().fields
        numbers = [str(name) for name, field in fields.items() if isinstance(field, serializers.IntegerField)]
        for field in [*numbers, "format", "chanel_id"]:
            for wrong in ("", "\0", "-1", "１", "x" * 10_000, "null", "[]", "true"):
                assert scene.call.get(name, **params | {field: wrong}).said == (400, "invalid"), (name, field, wrong)
    assert stored() == before


def test_a_broken_query_is_refused(scene: Scene) -> None:
    for query in ("%ff", "%00", "=%00", "a=%ed%a0%80", "&&&", "=", "channel_id=1;limit=5", "%", "&".join("a" * 5000)):
        assert scene.call.raw("GET", f"/api/message.list?{query}").status == 400, query


def test_an_unknown_method_is_not_found() -> None:
    browser = Door(Client(enforce_csrf_checks=True), {})
    for path in ("", "/", "/no.such", "/message", "/message.send.now", "/message.send/", "/Message.Send", "/%00%ff%0a"):
        for verb in ("GET", "POST", "PUT", "DELETE"):
            assert browser.raw(verb, f"/api{path}", b"{}").said == (404, "unknown_method"), (verb, path)


def test_errors_are_problems_whatever_the_client_prefers(scene: Scene) -> None:
    for accept in ("text/html", "application/xml", "nonsense", "*/*;q=0", "application/json;v=2"):
        answer = scene.call.raw("POST", "/api/message.get", b'{"message_id": 0}', accept=accept)

        assert answer.said in {(400, "invalid"), (406, "not_acceptable")}, accept


def test_a_foreign_host_is_a_problem_too(scene: Scene) -> None:
    assert scene.call.raw("GET", "/api/user.me", host="evil.example").said == (400, "bad_request")


@pytest.mark.parametrize(
    "said", [None, "Bearer", "Bearer no", "Bearer \xff", "Basic YWRhOmFkYQ==", "Bearer " + "x" * 9000]
)
def test_without_good_credentials_nothing_opens(scene: Scene, said: str | None) -> None:
    before = stored()
    stranger = Door(Client(), {} if said is None else {"Authorization": said})
    for name in ALL:
        answer = stranger(name, **scene.params(METHODS[name]))

        assert answer.said == (401, "not_signed_in"), name
        assert answer.headers["www-authenticate"] == "Bearer"
    assert stored() == before


def test_a_token_opens_what_its_scope_says(api: Api, scene: Scene, ada: User) -> None:
    doors = {scope: api(ada, *({"read", "write", "moderate"} - {scope})) for scope in ("read", "write", "moderate")}
    before = stored()
    for name, method in METHODS.items():
        assert doors[method.scope](name, **scene.params(method)).said == (403, "forbidden"), name
    assert stored() == before


def test_with_a_cookie_a_post_needs_the_csrf_token(scene: Scene, ada: User) -> None:
    browser = Door(Client(enforce_csrf_checks=True), {})
    browser.client.force_login(ada)
    before = stored()
    for name, method in METHODS.items():
        assert browser(name, **scene.params(method)).said == (403, "forbidden"), name
    assert stored() == before


def test_a_form_from_another_site_is_refused(scene: Scene, ada: User) -> None:
    browser = Door(Client(enforce_csrf_checks=True), {})
    browser.client.force_login(ada)
    before = stored()
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        for body in (b"a=" + b"x" * 3_000_000, b"a=1&" * 5000, b"--x\r\nnonsense", b"--x--", b""):
            assert browser.raw("POST", "/api/message.send", body, kind).status in {403, 415}, (kind, body[:20])
    assert stored() == before


def test_with_a_cookie_and_the_csrf_token_a_post_works(scene: Scene, ada: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)
    client.cookies["csrftoken"] = "a" * 32

    assert Door(client, {"X-CSRFToken": "a" * 32})("user.me").body["user"]["username"] == "ada"
    foreign = Door(client, {"X-CSRFToken": "a" * 32, "Origin": "https://evil.example"})
    assert foreign("user.me").said == (403, "forbidden")


def test_a_forged_cookie_opens_nothing(db: None) -> None:
    for cookie in ("sessionid=nonsense1", "sessionid=", 'sessionid="' + r"\000" * 8 + '"', "sessionid=" + "x" * 9000):
        assert Door(Client(), {"Cookie": cookie})("user.me").said == (401, "not_signed_in"), cookie


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_no_json_whatever_breaks_a_method(scene: Scene, data: st.DataObject) -> None:
    method = METHODS[data.draw(st.sampled_from(ALL))]
    fields = st.fixed_dictionaries({}, optional=dict.fromkeys(method.params().fields, anything))
    params = data.draw(fields.map(lambda some: scene.params(method) | some) | anything)
    try:
        body = orjson.dumps(params)
    except TypeError:  # a number above 64 bits or a lone surrogate, which the tests above name
        return
    before = stored()

    answer = scene.call.raw("POST", f"/api/{method.name}", body)

    assert answer.status == 200 or stored() == before
