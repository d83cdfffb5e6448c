"""API tokens, and `manage.py create_token`."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from groups.actions.tokens import create_token, revoke_token
from groups.models import ApiToken, User
from realtime import clock
from tests.cast import Api, Door, stored


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("create_token", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_prints_the_token_alone(api: Api, ada: User) -> None:
    printed = command("ada")

    assert printed == f"{printed.strip()}\n"
    door = Door(api().client, {"Authorization": f"Bearer {printed.strip()}"})
    assert door("user.me").body["user"]["username"] == "ada"


def test_the_command_finds_a_user_in_any_case_and_says_when_there_is_none(ada: User) -> None:
    assert command("ADA")
    with pytest.raises(CommandError, match="There is no user 'nobody'"):
        command("nobody")


def test_the_command_takes_scopes_and_days(ada: User) -> None:
    command("ada", "--scopes", "read, moderate", "--days", "3")

    token = ApiToken.objects.get()
    assert (token.scopes, (token.expires_at - token.created_at).days) == (["read", "moderate"], 3)


def test_a_token_reads_and_writes_for_30_days_unless_told_otherwise(ada: User) -> None:
    command("ada")

    token = ApiToken.objects.get()
    assert (token.scopes, (token.expires_at - token.created_at).days) == (["read", "write"], 30)


@pytest.mark.parametrize("wrong", [["--scopes", "all"], ["--scopes", ""], ["--days", "0"], ["--days", "100000"]])
def test_the_command_refuses_nonsense_in_a_sentence(ada: User, wrong: list[str]) -> None:
    with pytest.raises(CommandError):
        command("ada", *wrong)
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize("wrong", [{"scopes": []}, {"scopes": ["read", "root"]}, {"days": 0}, {"name": " "}])
def test_a_token_without_scope_end_or_name_is_refused(ada: User, wrong: dict[str, Any]) -> None:
    token: dict[str, Any] = {"name": "ci", "scopes": ["read"], "days": 1} | wrong

    with pytest.raises(ValidationError):
        create_token(owner=ada, **token)
    assert not ApiToken.objects.exists()


def test_only_a_hash_is_stored(ada: User) -> None:
    _, secret = create_token(owner=ada, name="ci", scopes=["read"], days=1)

    assert secret not in str(stored())
    assert len(ApiToken.objects.get().token_hash) == 64


def test_revoking_again_changes_nothing(ada: User) -> None:
    token, _ = create_token(owner=ada, name="ci", scopes=["read"], days=1)
    first = revoke_token(owner=ada, token_id=token.pk).revoked_at

    assert revoke_token(owner=ada, token_id=token.pk).revoked_at == first


def test_somebody_elses_token_cannot_be_revoked(ada: User, bob: User) -> None:
    token, _ = create_token(owner=ada, name="ci", scopes=["read"], days=1)

    with pytest.raises(ApiToken.DoesNotExist):
        revoke_token(owner=bob, token_id=token.pk)
    token.refresh_from_db()
    assert token.revoked_at is None


@pytest.mark.parametrize("change", [{"expires_at": timedelta(0)}, {"revoked_at": timedelta(0)}])
def test_an_expired_or_revoked_token_opens_nothing(api: Api, ada: User, change: dict[str, timedelta]) -> None:
    call = api(ada)
    ApiToken.objects.update(**{name: clock.now() + after for name, after in change.items()})

    assert call("user.me").said == (401, "not_signed_in")


def test_the_token_of_a_deactivated_user_opens_nothing(api: Api, ada: User) -> None:
    call = api(ada)
    User.objects.filter(pk=ada.pk).update(is_active=False)

    assert call("user.me").said == (401, "not_signed_in")


def test_a_token_for_reading_does_not_write(api: Api, ada: User) -> None:
    call = api(ada, "read")

    assert call("user.me").status == 200
    assert call("workspace.create", name="Mine").said == (403, "forbidden")


def test_a_token_for_writing_alone_does_not_read(api: Api, ada: User) -> None:
    assert api(ada, "write")("user.me").said == (403, "forbidden")
