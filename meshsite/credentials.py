"""Who is it? The same answer on HTTP, on the socket and on the long-poll: a session cookie, a token or a ticket."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest

from groups.mesh import keys as mesh_keys
from groups.mesh.callers import caller_of_key, key_in
from groups.mesh.graphql.http import address_of
from groups.models import ApiToken, User
from groups.models.secrets import digest
from realtime import clock, resume_tokens, threads, tickets
from realtime.batches import Batch
from realtime.commands import ALL_SCOPES, Caller
from realtime.errors import Close, Refused
from realtime.hub import Ended
from realtime.session import Session

USED_AGAIN_AFTER = timedelta(minutes=10)
"""`last_used_at` is not written at every call of a busy program, nor at every one of a thousand reconnects."""

_sessions = import_module(settings.SESSION_ENGINE)


def caller_of_session(user: User, session_key: str) -> Caller:
    return Caller(user, ALL_SCOPES, credential_of_session(session_key), session_key)


def credential_of_session(session_key: str) -> str:
    """How the sockets and polls of a sign-in name it. Hashed, as the key itself is the secret."""
    return f"session:{hashlib.sha256(session_key.encode()).hexdigest()[:32]}"


def caller_of_token(secret: str) -> Caller | None:
    """The caller of a usable token, else None."""
    return _callers_of_tokens([secret])[0]


def _callers_of_tokens(secrets: Sequence[str]) -> list[Caller | None]:
    # At every connect. To let the database ask whether they are usable would cost as much again.
    found = ApiToken.objects.for_tokens(secrets).select_related("owner")
    usable = {token.token_hash: token for token in found if token.usable and token.owner.may_sign_in}
    now = clock.now()
    unused = [one.pk for one in usable.values() if not one.last_used_at or now - one.last_used_at > USED_AGAIN_AFTER]
    if unused:
        ApiToken.objects.filter(pk__in=unused).update(last_used_at=now)
    return [_caller_of(usable.get(digest(secret))) for secret in secrets]


def _caller_of(token: ApiToken | None) -> Caller | None:
    return None if token is None else Caller(token.owner, _scopes(*token.scopes), token.credential)


_signing_in = Batch("sign-ins with a token", _callers_of_tokens, collect_seconds=0.0)
"""When a server comes back, all who were connected sign in at once."""


@cache
def _scopes(*names: str) -> frozenset[str]:
    """One set for all who have the same; there are few, and a set takes as much memory as half a session."""
    return frozenset(names)


def issue_ticket(caller: Caller) -> str:
    claims = {"user": caller.user.pk, "scopes": sorted(caller.scopes), "credential": caller.credential}
    return tickets.issue(claims)


async def authenticate_with_key(scope: Mapping[str, Any]) -> Caller:
    """`authenticate`, or the caller of an API key of classrooms. A key goes before a cookie. Raises Refused."""
    secret = key_in(scope)
    if secret is None:
        return await authenticate(scope)
    caller = await threads.run(caller_of_key, secret, address_of(scope))
    if caller is None:
        raise Refused(Close.NOT_SIGNED_IN, "not_signed_in")
    return caller


async def authenticate(scope: Mapping[str, Any]) -> Caller:
    """The caller of an ASGI scope. Raises Refused: 4401 without valid credentials, 4403 for a foreign Origin."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    kind, _, secret = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        caller: Caller | None = await _signing_in.call(secret.strip())
    else:
        caller = await threads.run(_caller_without_token, headers, scope["query_string"].decode("latin-1"))
    if caller is None:
        raise Refused(Close.NOT_SIGNED_IN, "not_signed_in")
    return replace(caller, address=address_of(scope))


def _caller_without_token(headers: Mapping[str, str], query_string: str) -> Caller | None:
    query = parse_qs(query_string, keep_blank_values=True)
    ticket, resume_token = query.get("ticket"), query.get("resume_token")
    if ticket is not None:
        return _caller_of_ticket(ticket[0])
    caller = _caller_of_cookie(headers.get("cookie", ""))
    if caller is not None and not _origin_allowed(headers):
        raise Refused(Close.FORBIDDEN, "origin_not_allowed")
    if caller is None and resume_token is not None:
        caller = _caller_of_resume_token(resume_token[0], query.get("session", [None])[0])
    return caller


def ended_among(sessions: Sequence[Session]) -> list[Ended]:
    """What let these sessions in and holds no longer: accounts, tokens, sign-ins.

    Most ends are told when they happen. This finds the others: a token whose time came, a sign-in that was swept away,
    and what the channel layer lost.
    """
    users = {session.user_id for session in sessions if session.user_id}  # with an API key of classrooms there is none
    tokens = {session.credential for session in sessions if session.credential.startswith("token:")}
    keys = {session.session_key: session.credential for session in sessions if session.session_key}
    good_users = {user.pk for user in User.objects.filter(pk__in=users) if user.may_sign_in}
    good_tokens = {token.credential for token in ApiToken.objects.usable().filter(pk__in=[t[6:] for t in tokens])}
    stored = _sessions.SessionStore.get_model_class().objects
    good_keys = set(stored.filter(pk__in=keys, expire_date__gt=clock.now()).values_list("pk", flat=True))
    ended_credentials = [*(tokens - good_tokens), *(keys[key] for key in keys.keys() - good_keys)]
    ended_credentials += mesh_keys.ended_among({session.credential for session in sessions})
    return [
        *(Ended("user", str(user_id), Close.FORBIDDEN, "deactivated") for user_id in users - good_users),
        *(Ended("credential", credential, Close.NOT_SIGNED_IN, "signed_out") for credential in ended_credentials),
    ]


def _caller_of_ticket(ticket: str) -> Caller | None:
    claims = tickets.take(ticket)
    user = User.objects.filter(pk=claims["user"]).first() if claims else None
    if claims is None or user is None or not user.may_sign_in:
        return None
    return Caller(user, frozenset(claims["scopes"]), claims["credential"])


def _caller_of_resume_token(token: str, session_id: str | None) -> Caller | None:
    """Who the session is of; None when they may not sign in. Raises Refused and Unavailable."""
    claims = resume_tokens.check(token, session_id)
    user = User.objects.filter(pk=claims.user_id).first()
    if user is None or not user.may_sign_in:
        return None
    if not claims.credential.startswith("token:"):
        return Caller(user, ALL_SCOPES, claims.credential)
    api_token = ApiToken.objects.usable().filter(pk=claims.credential.removeprefix("token:")).first()
    return None if api_token is None else Caller(user, _scopes(*api_token.scopes), claims.credential)


def _caller_of_cookie(header: str) -> Caller | None:
    try:
        morsel = SimpleCookie(header).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return None
    if morsel is None:
        return None
    request = HttpRequest()
    request.session = _sessions.SessionStore(morsel.value)
    user = get_user(request)
    return caller_of_session(user, morsel.value) if isinstance(user, User) else None


def _origin_allowed(headers: Mapping[str, str]) -> bool:
    """The page's own origin or a trusted one. Browsers send Origin with every WebSocket: none means a program."""
    origin = headers.get("origin")
    if origin is None:
        return True
    try:
        own = urlsplit(origin).netloc == headers.get("host")
    except ValueError:
        return False
    return own or origin in settings.CSRF_TRUSTED_ORIGINS
