"""`manage.py demo`, and that its accounts, whose password everybody knows, are shut in production."""

from io import StringIO
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from groups.models import Channel, Message, User, Workspace
from meshsite.demo import DEMO_PASSWORD
from realtime.models import OutboxEvent
from tests.cast import Api, make_user, stored

pytestmark = pytest.mark.django_db


def load(*arguments: str) -> str:
    out = StringIO()
    call_command("demo", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def demo(settings: LazySettings) -> User:
    """alice, as she was loaded while DEBUG was on. It is off again."""
    settings.DEBUG = True
    load()
    settings.DEBUG = False
    return User.objects.get(username="alice")


def sign_in(client: Client, path: str, name: str, password: str) -> bool:
    client.post(path, {name: "alice", "password": password, "next": "/"})
    return "_auth_user_id" in client.session


def test_the_demo_is_four_people_in_general_who_have_talked(demo: User) -> None:
    workspace, channel = Workspace.objects.get(), Channel.objects.get()

    assert (workspace.name, channel.name) == ("General", "general")
    members = channel.members.order_by("user").values_list("user__username", "role")
    assert list(members) == [("alice", "admin"), ("bob", "member"), ("carol", "member"), ("dave", "member")]
    assert channel.messages.count() >= 6
    assert channel.messages.filter(body__contains="日本語").exists()


def test_in_the_demo_some_have_reacted_and_a_message_is_pinned(api: Api, demo: User, settings: LazySettings) -> None:
    settings.DEBUG = True
    channel, call = Channel.objects.get(), api(demo)
    messages = call("message.list", channel_id=channel.pk).body["messages"]

    assert sum(len(message["reactions"]) for message in messages) >= 4
    assert call("message.pins", channel_id=channel.pk).body["messages"] == [row for row in messages if row["pinned"]]
    assert any(row["pinned"] for row in messages)


def test_the_demo_holds_a_thread_that_bob_has_not_read(api: Api, demo: User, settings: LazySettings) -> None:
    settings.DEBUG = True
    [thread] = api(User.objects.get(username="bob"))("client.boot").body["threads"]

    assert (thread["reply_count"], thread["unread_count"]) == (2, 1)


def test_loading_it_again_changes_nothing(demo: User) -> None:
    before = stored()

    load()

    assert stored() == before


def test_it_is_not_loaded_over_other_users(ada: User) -> None:
    with pytest.raises(CommandError, match="Nothing was changed"):
        load()
    assert not User.objects.filter(username="alice").exists()


def test_if_empty_does_nothing_where_somebody_is(ada: User, settings: LazySettings) -> None:
    settings.DEMO = True

    assert load("--if-empty") == ""
    assert not User.objects.filter(username="alice").exists()


def test_if_empty_does_nothing_where_the_demo_is_off(settings: LazySettings) -> None:
    settings.DEMO = False

    assert load("--if-empty") == ""
    assert not User.objects.exists()


def test_the_password_is_told_only_under_debug(settings: LazySettings) -> None:
    settings.DEBUG = True
    assert DEMO_PASSWORD in load()

    settings.DEBUG = False
    assert DEMO_PASSWORD not in load()


@pytest.mark.parametrize(
    ("path", "name"), [("/accounts/login/", "login"), ("/admin/login/", "username")], ids=["page", "admin"]
)
def test_the_password_opens_the_doors_only_under_debug(
    demo: User, settings: LazySettings, path: str, name: str
) -> None:
    assert not sign_in(Client(), path, name, DEMO_PASSWORD)

    settings.DEBUG = True
    assert sign_in(Client(), path, name, DEMO_PASSWORD)


def test_a_session_from_under_debug_ends_with_it(demo: User, settings: LazySettings) -> None:
    settings.DEBUG = True
    client = Client()
    client.force_login(demo)
    assert client.get("/api/user.me").status_code == 200

    settings.DEBUG = False
    assert client.get("/api/user.me").status_code == 401
    assert client.get(reverse("admin:index")).status_code == 302


def test_a_token_from_under_debug_opens_nothing_without_it(api: Api, demo: User, settings: LazySettings) -> None:
    call = api(demo)
    assert call("user.me").said == (401, "not_signed_in")

    settings.DEBUG = True
    assert call("user.me").status == 200


def test_without_debug_the_accounts_get_no_password(settings: LazySettings) -> None:
    load()

    assert not any(user.has_usable_password() for user in User.objects.all())


def test_an_account_of_the_same_name_that_is_no_demo_signs_in(settings: LazySettings) -> None:
    make_user("alice", password="a long and secret sentence")

    assert sign_in(Client(), "/accounts/login/", "login", "a long and secret sentence")


def test_the_talk_is_told_like_any_other(demo: User) -> None:
    told: list[Any] = list(OutboxEvent.objects.values_list("name", flat=True))

    assert told.count("message.created") == Message.objects.count()
