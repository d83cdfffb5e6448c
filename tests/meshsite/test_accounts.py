"""Signing up and in by the forms, and the names of accounts."""

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from groups.models import User
from tests.cast import at_once, make_user

PASSWORD = "a long and secret sentence"
pytestmark = pytest.mark.django_db


def sign_up(username: str, email: str = "") -> Client:
    client = Client()
    form = {"username": username, "email": email, "password1": PASSWORD, "password2": PASSWORD}
    client.post("/accounts/signup/", form)
    return client


def who(client: Client) -> str | None:
    answer = client.get("/api/user.me")
    return answer.json()["user"]["username"] if answer.status_code == 200 else None


def test_who_signs_up_is_signed_in() -> None:
    assert who(sign_up("ada")) == "ada"


@pytest.mark.parametrize("name", ["ada", "ADA", "Ada"])
def test_a_name_is_taken_in_any_case(name: str) -> None:
    make_user("ada")

    assert who(sign_up(name)) is None
    assert User.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_form_that_is_sent_twice_at_once_makes_one_account() -> None:
    form = {"username": "ada", "password1": PASSWORD, "password2": PASSWORD}

    answers = at_once(*[lambda: Client().post("/accounts/signup/", form)] * 6)

    assert User.objects.count() == 1
    assert {answer.status_code for answer in answers} <= {200, 302}
    assert [answer.headers.get("Location") for answer in answers].count("/") == 1


@pytest.mark.parametrize("name", ["me", "Admin", "CHANNEL", "here", "everyone", "a", "a b", "a\0b", "<b>", "x" * 151])
def test_reserved_and_broken_names_are_refused(name: str) -> None:
    assert who(sign_up(name)) is None
    assert not User.objects.exists()


def test_somebody_signs_in_with_their_name_in_any_case_or_their_address() -> None:
    make_user("ada", password=PASSWORD)

    for login in ("ada", "ADA", "ada@example.org"):
        client = Client()
        client.post("/accounts/login/", {"login": login, "password": PASSWORD})
        assert who(client) == "ada", login


def test_a_wrong_password_opens_nothing() -> None:
    make_user("ada", password=PASSWORD)
    client = Client()

    client.post("/accounts/login/", {"login": "ada", "password": "wrong"})

    assert who(client) is None


def test_a_deactivated_account_does_not_sign_in_and_its_session_ends() -> None:
    client = sign_up("ada")
    User.objects.update(is_active=False)

    assert who(client) is None
    client.post("/accounts/login/", {"login": "ada", "password": PASSWORD})
    assert who(client) is None


def test_after_signing_out_the_cookie_opens_nothing() -> None:
    client = sign_up("ada")
    kept = client.cookies["sessionid"].value

    client.post("/accounts/logout/")

    client.cookies["sessionid"] = kept
    assert who(client) is None


def test_a_superuser_does_not_look_like_somebody_else_either() -> None:
    make_user("alice")

    with pytest.raises(CommandError, match="This looks like the name of @alice"):
        call_command("createsuperuser", username="aIice", interactive=False)
    call_command("createsuperuser", username="root", interactive=False, verbosity=0)

    assert list(User.objects.filter(is_superuser=True).values_list("username", flat=True)) == ["root"]
