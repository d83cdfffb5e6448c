"""user.update, user.get and user.list: what people say of themselves, and who sees it."""

from typing import Any

import pytest
from django.test import Client

from groups.actions import profiles
from groups.actions.profiles import update_profile
from groups.actions.workspaces import leave_workspace
from groups.models import Channel, User, Workspace
from groups.replay import revise
from realtime.models import OutboxEvent
from realtime.streams import REDACTED, Entry
from tests.cast import Api, bring, ids, make_user, published, say, stored


def test_a_new_name_is_told_to_who_shares_a_workspace_and_to_oneself(
    api: Api, general: Channel, grace: User, ada: User, bob: User, eve: User
) -> None:
    call = api(ada)
    with published() as told:
        answer = call("user.update", display_name="Countess Ada")

    assert answer.body["user"]["display_name"] == "Countess Ada"
    assert [(event.name, event.user_ids) for event in told] == [
        ("user.updated", ids(ada)),
        ("user.updated", ids(grace, bob)),
    ]
    assert told[0].data == answer.body
    assert told[1].data["user"] == {
        "id": ada.pk,
        "username": "ada",
        "display_name": "Countess Ada",
        "avatar_url": None,
        "active": True,
        "time_zone": "",
    }


def test_a_language_is_told_to_oneself_alone(api: Api, general: Channel, ada: User) -> None:
    call = api(ada)
    with published() as told:
        call("user.update", language="ja")

    assert [(event.name, event.user_ids, event.data["user"]["language"]) for event in told] == [
        ("user.updated", ids(ada), "ja")
    ]


def test_the_same_again_changes_nothing_and_tells_nobody(api: Api, general: Channel, ada: User) -> None:
    call = api(ada)
    profile = {"display_name": "Ada  L.", "time_zone": "Asia/Tokyo", "language": "ja"}
    first = call("user.update", **profile)
    before = stored()

    assert call("user.update", **profile).body == first.body
    assert stored() == before


def test_an_empty_name_shows_the_username(api: Api, ada: User) -> None:
    assert api(ada)("user.update", display_name="").body["user"]["display_name"] == "ada"


@pytest.mark.parametrize(
    "name",
    ["Ada 🦄", "明日香", "عائشة", "Nguyễn Thị Ánh", "ทิพย์", "Zoë", "e\u0301", "❤️", "X Æ A-12", "<b>Ada</b>", "Bob"],
)
def test_people_call_themselves_what_they_like(api: Api, general: Channel, ada: User, name: str) -> None:
    assert api(ada)("user.update", display_name=name).status == 200


def test_a_name_is_stored_in_one_form_on_one_line(api: Api, ada: User) -> None:
    answer = api(ada)("user.update", display_name="  Ada\n\tLove\u00a0lace e\u0301 ")

    assert answer.body["user"]["display_name"] == "Ada Love lace \u00e9"


@pytest.mark.parametrize(
    "name",
    [
        *("   ", "\t\n", "\u3000"),
        *("a\u202eb", "a\u2066b", "a\u200bb", "a\u200db", "\ufeffa", "a\x00b", "a\x1bb", "a\x7f", "a\u00adb"),
        *("\u3164", "\u2800", "\u115f", "\U000e0041", "\ue000"),
        *("a" + "\u0301" * 6, "\u0301a", "x" * 81, "x" * 500),
        *(None, 7, ["a"]),
    ],
)
def test_a_name_that_shows_as_something_else_is_refused(api: Api, ada: User, name: Any) -> None:
    answer = api(ada)("user.update", display_name=name)

    assert (answer.said, list(answer.body["errors"])) == ((400, "invalid"), ["display_name"])
    ada.refresh_from_db()
    assert ada.display_name == "Ada"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("time_zone", wrong) for wrong in ("Mars/Olympus", "asia/tokyo/", "../../etc/passwd", "UTC+1", "x" * 65)),
        *(("language", wrong) for wrong in ("xx", "de", "EN", "ja-JP")),
    ],
)
def test_a_time_zone_and_a_language_are_known_ones(api: Api, ada: User, field: str, value: str) -> None:
    answer = api(ada)("user.update", **{field: value})

    assert (answer.said, list(answer.body["errors"])) == ((400, "invalid"), [field])


def test_a_time_zone_is_shown_to_others_and_can_be_cleared(api: Api, general: Channel, ada: User, bob: User) -> None:
    call = api(ada)
    call("user.update", time_zone="Asia/Tokyo")
    assert api(bob)("user.get", user_id=ada.pk).body["user"]["time_zone"] == "Asia/Tokyo"

    call("user.update", time_zone="")

    assert api(bob)("user.get", user_id=ada.pk).body["user"]["time_zone"] == ""


def test_an_update_changes_something(api: Api, ada: User) -> None:
    assert api(ada)("user.update").said == (400, "invalid")


def test_changes_are_limited_per_minute(api: Api, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "PROFILES_PER_MINUTE", 2)
    call = api(ada)

    assert [call("user.update", display_name=name).status for name in ("A", "B", "C")] == [200, 200, 429]


def test_a_token_that_only_reads_changes_no_profile(api: Api, ada: User) -> None:
    assert api(ada, "read")("user.update", display_name="A").said == (403, "forbidden")


def test_somebody_who_shares_nothing_cannot_be_told_from_nobody(
    api: Api, general: Channel, ada: User, eve: User
) -> None:
    call = api(eve)

    theirs, none = call("user.get", user_id=ada.pk), call("user.get", user_id=10**9)

    assert theirs.said == none.said == (404, "not_found")
    assert theirs.body == none.body
    assert call("user.get", user_id=eve.pk).body["user"]["username"] == "eve"


def test_a_list_has_the_members_with_their_roles_and_no_addresses(
    api: Api, workspace: Workspace, grace: User, ada: User, gus: User, eve: User
) -> None:
    answer = api(ada).get("user.list", workspace_id=workspace.pk)

    assert [(one["username"], one["role"], one["active"]) for one in answer.body["users"]] == [
        ("grace", "owner", True),
        ("ada", "member", True),
        ("gus", "guest", True),
    ]
    assert (answer.body["has_more"], answer.body["next_after_id"]) == (False, gus.pk)
    assert "example.org" not in str(answer.body)
    assert api(eve)("user.list", workspace_id=workspace.pk).said == (404, "not_found")


@pytest.mark.parametrize(
    ("query", "found"), [("ad", ["ada"]), ("@ADA", ["ada"]), ("Count", ["bob"]), ("zz", []), ("%", []), ("_", [])]
)
def test_a_list_finds_usernames_and_display_names(
    api: Api, general: Channel, ada: User, bob: User, workspace: Workspace, query: str, found: list[str]
) -> None:
    update_profile(user=bob, display_name="The Count")

    answer = api(ada)("user.list", workspace_id=workspace.pk, query=query)

    assert [one["username"] for one in answer.body["users"]] == found


def test_a_list_goes_on_after_an_id_at_the_cost_of_three_queries(
    api: Api, workspace: Workspace, grace: User, ada: User, django_assert_max_num_queries: Any
) -> None:
    for number in range(5):
        bring(make_user(f"person{number}"), workspace)
    call = api(ada)
    call("user.me")

    with django_assert_max_num_queries(3):
        first = call("user.list", workspace_id=workspace.pk, limit=4).body
    rest = call("user.list", workspace_id=workspace.pk, limit=4, after_id=first["next_after_id"]).body

    assert [len(page["users"]) for page in (first, rest)] == [4, 3]
    assert (first["has_more"], rest["has_more"]) == (True, False)


def test_a_page_is_in_the_language_and_the_time_of_its_reader(client: Client, ada: User) -> None:
    client.force_login(ada)
    assert '<html lang="en">' in client.get("/settings/tokens/", headers={"Accept-Language": "en"}).text
    update_profile(user=ada, language="ja", time_zone="Asia/Tokyo")

    page = client.get("/settings/tokens/", headers={"Accept-Language": "en"})

    assert '<html lang="ja">' in page.text
    assert page.headers["Content-Language"] == "ja"


def test_a_time_on_a_page_is_that_of_its_reader(api: Api, client: Client, ada: User) -> None:
    api(ada)("user.me")
    client.force_login(ada)
    shown = client.get("/settings/tokens/").text
    update_profile(user=ada, time_zone="Pacific/Kiritimati")  # a day ahead of most

    assert client.get("/settings/tokens/").text != shown


def test_who_chooses_a_language_has_it_on_every_machine(client: Client, ada: User) -> None:
    client.force_login(ada)
    client.post("/i18n/setlang/", {"language": "ja", "next": "/"})
    client.cookies.pop("django_language", None)

    assert User.objects.get(pk=ada.pk).language == "ja"
    assert '<html lang="ja">' in client.get("/settings/tokens/", headers={"Accept-Language": "en"}).text
    client.post("/i18n/setlang/", {"language": "tlh", "next": "/"})
    assert User.objects.get(pk=ada.pk).language == "ja"


def test_who_is_not_signed_in_has_the_language_of_the_browser(client: Client, ada: User) -> None:
    update_profile(user=ada, language="ja")

    assert '<html lang="en">' in client.get("/accounts/login/", headers={"Accept-Language": "en"}).text


def test_who_reads_what_somebody_wrote_hears_how_they_are_called_after_they_left(
    api: Api, workspace: Workspace, general: Channel, grace: User, ada: User, bob: User, gus: User
) -> None:
    message = say(ada, general, "hello")
    leave_workspace(user=ada, workspace_id=workspace.pk)

    with published() as told:
        update_profile(user=ada, display_name="Countess Ada")

    assert [event.user_ids for event in told] == [ids(ada), ids(grace, bob)]
    shown = api(bob)("message.get", message_id=message.pk).body["message"]["author"]
    assert shown["display_name"] == told[1].data["user"]["display_name"] == "Countess Ada"
    [row] = OutboxEvent.objects.order_by("pk")[OutboxEvent.objects.count() - 1 :]
    entry = Entry("1", row.name, row.body.encode(), row.about)
    assert [revise(user.pk, [(1, entry)])[0][1].body == REDACTED for user in (grace, bob, gus)] == [False, False, True]
    assert api(bob)("user.get", user_id=ada.pk).said == (404, "not_found")
