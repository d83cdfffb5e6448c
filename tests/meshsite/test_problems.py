"""How a refusal looks: RFC 9457 with our stable codes, and a bug that tells nothing of the server."""

from django.db import connection
from django.test import Client

from groups.models import Channel, Message, User
from tests.cast import PROBLEM_TYPE, Api, token_of


def test_a_problem_names_each_field_and_repeats_the_first_in_its_detail(api: Api, general: Channel, ada: User) -> None:
    answer = api(ada)("message.list", channel_id="x", limit=0)

    assert answer.status == 400
    assert set(answer.body) == {"type", "title", "status", "detail", "code", "errors"}
    assert set(answer.body["errors"]) == {"channel_id", "limit"}
    assert answer.body["detail"] == f"channel_id: {answer.body['errors']['channel_id'][0]}"


def test_fields_of_a_list_are_named_by_their_place(api: Api, general: Channel, ada: User) -> None:
    answer = api(ada)("channel.create", workspace_id=general.workspace_id, kind="direct", peer_ids=[1, "x", 2, -1])

    assert set(answer.body["errors"]) == {"peer_ids.1", "peer_ids.3"}


def test_a_problem_speaks_the_callers_language_and_keeps_its_code(api: Api, general: Channel, ada: User) -> None:
    body = b'{"channel_id": 0}'
    english = api(ada).raw("POST", "/api/message.list", body)
    japanese = api(ada).raw("POST", "/api/message.list", body, **{"Accept-Language": "ja"})

    assert english.said == japanese.said
    assert japanese.body["title"] != english.body["title"]
    assert not japanese.body["title"].isascii()


def test_no_title_has_holes(api: Api, general: Channel, ada: User) -> None:
    call = api(ada)
    answers = [call.raw("GET", "/api/message.send"), call.raw("POST", "/api/user.me", b"a=1", "text/plain")]

    assert [answer.status for answer in answers] == [405, 415]
    assert [answer.body["title"] for answer in answers] == ["Method not allowed", "Unsupported media type"]


def test_a_refusal_says_nothing_of_what_was_looked_for(api: Api, secret: Channel, ada: User) -> None:
    answer = api(ada)("channel.join", channel_id=secret.pk)

    assert "secret" not in str(answer.body)
    assert str(secret.pk) not in str(answer.body["detail"])


def test_a_bug_is_a_problem_that_tells_nothing_and_leaves_nothing_behind(general: Channel, ada: User) -> None:
    client, token = Client(raise_request_exception=False), token_of(ada)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE realtime_outboxevent RENAME TO away")

    answer = client.post(
        "/api/message.send",
        {"channel_id": general.pk, "body": "hello"},
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"},
    )

    told = answer.json()
    assert (answer.status_code, answer.headers["Content-Type"]) == (500, PROBLEM_TYPE)
    assert (told["status"], told["code"]) == (500, "internal_error")
    assert "outbox" not in answer.content.decode()
    assert not Message.objects.exists()


def test_a_page_that_breaks_is_a_page(client: Client) -> None:
    answer = client.get("/", headers={"Host": "evil.example"})

    assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (400, "text/html")
