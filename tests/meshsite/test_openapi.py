"""The OpenAPI document and its page."""

from typing import Any

import pytest
from django.test import Client
from openapi_spec_validator import OpenAPIV31SpecValidator

from realtime.commands import METHODS
from tests.cast import PROBLEM_TYPE


@pytest.fixture
def document(client: Client) -> Any:
    answer = client.get("/api/schema/", headers={"Accept": "application/json"})
    assert answer.status_code == 200
    return answer.json()


def test_the_document_is_valid_openapi_3_1(document: Any) -> None:
    OpenAPIV31SpecValidator(document).validate()

    assert document["openapi"].startswith("3.1")


def test_it_lists_every_method_as_a_post_and_reads_as_a_get_too(document: Any) -> None:
    listed = {path.removeprefix("/api/"): set(verbs) for path, verbs in document["paths"].items()}

    assert listed == {name: {"get", "post"} if method.reads else {"post"} for name, method in METHODS.items()}


def test_every_method_is_described_with_its_parameters_its_answer_and_its_refusals(document: Any) -> None:
    for name, method in METHODS.items():
        post = document["paths"][f"/api/{name}"]["post"]
        assert post["summary"], name
        assert ("requestBody" in post) == bool(method.params().fields), name
        assert "application/json" in post["responses"]["200"]["content"], name
        assert PROBLEM_TYPE in post["responses"]["4XX"]["content"], name


def test_a_token_and_a_cookie_are_named_as_credentials(document: Any) -> None:
    assert {scheme["type"] for scheme in document["components"]["securitySchemes"].values()} == {"http", "apiKey"}


def test_the_page_of_the_document_renders_from_this_server_alone(client: Client) -> None:
    page = client.get("/api/docs/")

    assert page.status_code == 200
    assert b"swagger-ui" in page.content
    assert b"https://" not in page.content
