"""What the socket and the long-poll have in common: what a client asks for when it opens a session."""

import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Self
from urllib.parse import parse_qs

from realtime import clock, threads
from realtime.commands import Caller
from realtime.errors import Close, Refused
from realtime.hub import hub
from realtime.relay import user_stream
from realtime.session import Session, Transport

Scope = Mapping[str, Any]
"""An ASGI scope."""
Authenticate = Callable[[Scope], Caller]
"""From an ASGI scope to who it is; runs in a thread. Raises Refused."""

SESSION_ID: Final = re.compile(r"s_[A-Za-z0-9_-]{8,62}")


def query_of(scope: Scope) -> dict[str, str]:
    """The query string; of a name that comes twice the first value."""
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return {name: values[0] for name, values in query.items()}


def open_session(
    reader: "Reader", *, named: str | None, asked_id: str | None, transport: Transport, passing: bool = False
) -> Session:
    """A session for the reader's own stream, under the id that the client brought if it is one.

    `named` is whose stream the path asks for: "me" or the reader's id. Raises Refused for another one, and without the
    scope `read`. Ids are looked up among the sessions of one user, so that somebody else's id opens nothing of theirs.
    `passing` is for a connection that lasts no longer than one answer.
    """
    if named not in ("me", str(reader.user_id)):
        raise Refused(Close.NOT_YOUR_STREAM, "not_your_stream")
    if "read" not in reader.scopes:
        raise Refused(Close.FORBIDDEN, "scope_missing")
    own = asked_id is not None and SESSION_ID.fullmatch(asked_id)
    session = Session(
        id=asked_id if own and asked_id else f"s_{secrets.token_urlsafe(12)}",
        user_id=reader.user_id,
        stream=user_stream(reader.user_id),
        credential=reader.credential,
        transport=transport,
        worker=hub.worker,
        passing=passing,
    )
    session.session_key = reader.session_key
    return session


class Reader(NamedTuple):
    """A caller without their row of the database, as thousands of them are remembered."""

    user_id: int
    scopes: frozenset[str]
    credential: str
    session_key: str

    @classmethod
    def of(cls, caller: Caller) -> Self:
        return cls(caller.user.pk, caller.scopes, caller.credential, caller.session_key)


class Remembering:
    """Authenticates the same credentials once and not at every poll. What ended in between is asked of the hub."""

    MANY = 50_000

    def __init__(self, authenticate: Authenticate) -> None:
        self._authenticate = authenticate
        self._known: OrderedDict[tuple[bytes, ...], tuple[float, Reader]] = OrderedDict()

    async def __call__(self, scope: Scope) -> Reader:
        # They work once, so they must not be remembered.
        if b"ticket=" in scope["query_string"] or b"resume_token=" in scope["query_string"]:
            return await self._read(scope)
        now = clock.monotonic()
        key = tuple(value for name, value in scope["headers"] if name in _WHO)
        while self._known and next(iter(self._known.values()))[0] < now:
            self._known.popitem(last=False)
        until, reader = self._known.get(key, (0.0, None))
        if reader is None or until < now or hub.has_ended(reader.user_id, reader.credential):
            reader = await self._read(scope)
            if len(self._known) >= self.MANY:
                self._known.clear()
            # The newest is the last that is forgotten.
            self._known.pop(key, None)
            self._known[key] = (now + REMEMBERED_SECONDS, reader)
        return reader

    async def _read(self, scope: Scope) -> Reader:
        return Reader.of(await threads.run(self._authenticate, scope))


_WHO: Final = {b"authorization", b"cookie", b"origin", b"host"}
REMEMBERED_SECONDS: Final = 5.0
"""Shorter than the hub remembers what ended, so that nothing that ended is taken for good."""
