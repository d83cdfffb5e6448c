"""Who a connection is of, when many come at once."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from groups.models import ApiToken, User
from meshsite import credentials
from meshsite.credentials import authenticate
from realtime import clock
from realtime.commands import Caller
from realtime.errors import Close, Refused
from tests.cast import make_user, token_of


def scope(authorization: str) -> dict[str, Any]:
    headers = [(b"host", b"chat.example.org"), (b"authorization", authorization.encode())]
    return {"type": "websocket", "headers": headers, "query_string": b"", "client": ("127.0.0.1", 1)}


def sign_in(*secrets: str) -> list[Caller | BaseException]:
    async def all_at_once() -> list[Caller | BaseException]:
        asked = (authenticate(scope(f"Bearer {secret}")) for secret in secrets)
        return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(all_at_once())


def reader_of(outcome: Caller | BaseException) -> object:
    """The user and the scopes of who was let in; the close code of who was not."""
    if isinstance(outcome, Refused):
        return outcome.close
    assert isinstance(outcome, Caller), outcome
    return outcome.user.pk, set(outcome.scopes)


@pytest.mark.django_db(transaction=True)
def test_of_many_who_sign_in_at_once_each_is_taken_for_themself(monkeypatch: pytest.MonkeyPatch) -> None:
    ada, bob, gone = (make_user(name) for name in ("ada", "bob", "gone"))
    tokens = [token_of(ada), token_of(bob, "read"), token_of(gone), token_of(bob), token_of(ada)]
    User.objects.filter(pk=gone.pk).update(is_active=False)
    ApiToken.objects.filter(pk=_id_of(tokens[3])).update(revoked_at=clock.now())
    ApiToken.objects.filter(pk=_id_of(tokens[4])).update(expires_at=clock.now() - timedelta(seconds=1))
    ApiToken.objects.update(last_used_at=None)
    asked: list[int] = []
    look_up = credentials._callers_of_tokens

    def counted(secrets: list[str]) -> list[Caller | None]:
        asked.append(len(secrets))
        return look_up(secrets)

    monkeypatch.setattr(credentials._signing_in, "_run_together", counted)

    outcomes = sign_in(*tokens, "unknown", tokens[0], "")

    read_and_write = {"read", "write"}
    refused = Close.NOT_SIGNED_IN
    assert [reader_of(outcome) for outcome in outcomes] == [
        *((ada.pk, read_and_write), (bob.pk, {"read"}), refused, refused, refused),
        *(refused, (ada.pk, read_and_write), refused),
    ]
    assert sum(asked) == len(outcomes)
    assert len(asked) <= 2
    used = set(ApiToken.objects.exclude(last_used_at=None).values_list("pk", flat=True))
    assert used == {_id_of(tokens[0]), _id_of(tokens[1])}


def _id_of(secret: str) -> int:
    return ApiToken.objects.for_tokens([secret]).get().pk
