"""Coming back to a session with what its hello gave, and without any other credentials.

A token is of one connection of one session. It lets nobody in while that connection is there, and nobody any more once
another one has had the session: who steals one can neither drive its owner away nor use it a second time.
"""

import logging
from typing import NamedTuple

from django.conf import settings
from django.core import signing
from django.core.cache import cache

from realtime.backends import leases
from realtime.errors import Close, Refused, Unavailable
from realtime.leases import Connection, Held
from realtime.redis_connection import in_cache
from realtime.session import Session

log = logging.getLogger(__name__)

_SALT = "realtime.resume"


class Claims(NamedTuple):
    user_id: int
    session: str
    stream: str
    credential: str
    """What had let the session in, and has to hold still."""
    connection: tuple[str, str]


def issue(session: Session) -> str:
    connection = session.lease.connection
    return signing.dumps([session.user_id, session.id, session.stream, session.credential, connection], salt=_SALT)


def check(token: str, session_id: str | None) -> Claims:
    """What a token says, if it is one of this session, which lives and is detached. Blocks.

    Raises Refused: 4401 for one that is of no use, 1013 as long as the session is connected. Raises Unavailable.
    """
    try:
        claims = Claims(*signing.loads(token, salt=_SALT))
    except signing.BadSignature:
        raise _bad() from None
    if claims.session != session_id:
        raise _bad()
    state = leases().state(Held(claims.stream, claims.session, Connection(*claims.connection)))
    if state == "attached":
        raise Refused(Close.OVERLOADED, "session_connected")
    with in_cache():
        ended = cache.get_many([_key(claims.credential), _key(claims.stream)])
    if state == "other" or ended:
        raise _bad()
    return claims


def end(credential_or_stream: str) -> None:
    """End the tokens of sessions that a credential let in, or of all that follow a stream."""
    seconds = settings.LEASE_SECONDS + 2 * settings.SWEEP_SECONDS
    try:
        with in_cache():
            cache.set(_key(credential_or_stream), 1, timeout=seconds)
    except Unavailable as error:
        # Whoever signs out must not be kept from it. The leases are in the same store, and mostly lost with it.
        log.warning("resume tokens of %s hold until their leases end: %s is away", credential_or_stream, error.store)


def _key(credential_or_stream: str) -> str:
    return f"ended:{credential_or_stream}"


def _bad() -> Refused:
    return Refused(Close.NOT_SIGNED_IN, "bad_resume_token")
