"""What the socket and the long-poll have in common: what a client asks for when it opens a session."""

import re
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, Self
from urllib.parse import parse_qs

from realtime import clock
from realtime.commands import Caller
from realtime.errors import Close, Refused
from realtime.hub import hub
from realtime.relay import user_stream
from realtime.session import Last, Session, Transport

Scope = Mapping[str, Any]
"""An ASGI scope."""
Authenticate = Callable[[Scope], Awaitable[Caller]]
"""From an ASGI scope to who it is. Raises Refused."""

SESSION_ID: Final = re.compile(r"s_[A-Za-z0-9_-]{8,62}")


def query_of(scope: Scope) -> dict[str, str]:
    """The query string; of a name that comes twice the first value."""
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return {name: values[0] for name, values in query.items()}


class Followed(NamedTuple):
    """A stream that somebody may follow, and how."""

    stream: str
    leased: bool = True
    """Whether a session takes a lease, by which its user is online; else it ends with its connection."""
    last: Last | None = None
    over: bool = False
    """The stream has ended: what was missed is told, then the session ends, too."""
    keeps: object = None
    """What lives as long as the session does, for whoever renews that."""
    on_bye: Callable[[], object] | None = None
    """What happens when the client says `bye`. Blocks."""


Find = Callable[["Reader", str | None, Scope], Awaitable[Followed]]
"""From a reader, what the path names, and the ASGI scope to a stream. Raises Refused."""


async def own_stream(reader: "Reader", named: str | None, scope: Scope) -> Followed:
    """The reader's own, which the path calls "me" or by their id."""
    if named not in ("me", str(reader.user_id)):
        raise Refused(Close.NOT_YOUR_STREAM, "not_your_stream")
    if "read" not in reader.scopes:
        raise Refused(Close.FORBIDDEN, "scope_missing")
    return Followed(user_stream(reader.user_id))


def open_session(
    reader: "Reader", followed: Followed, *, asked_id: str | None, transport: Transport, passing: bool = False
) -> Session:
    """A session, under the id that the client brought if it is one and the stream is of one user alone: in a stream of
    many, somebody else's id would take their place. `passing` is for a connection that lasts no longer than one answer.
    """
    own = followed.leased and asked_id is not None and SESSION_ID.fullmatch(asked_id)
    session = Session(
        id=asked_id if own and asked_id else f"s_{secrets.token_urlsafe(12)}",
        user_id=reader.user_id,
        stream=followed.stream,
        credential=reader.credential,
        transport=transport,
        worker=hub.worker,
        passing=passing,
    )
    session.session_key = reader.session_key
    session.keeps = followed.keeps
    # A poll brings the last event; that it was the last is the answer to the next one.
    session.last = None if passing else followed.last
    return session


class Reader(NamedTuple):
    """A caller without their row of the database, as thousands of them are remembered."""

    user_id: int
    scopes: frozenset[str]
    credential: str
    session_key: str
    domains: frozenset[str]

    @classmethod
    def of(cls, caller: Caller) -> Self:
        # Nobody has the id 0.
        return cls(caller.user.pk or 0, caller.scopes, caller.credential, caller.session_key, caller.domains)


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
        key = tuple(part for header in scope["headers"] if header[0] in _WHO for part in header)
        if b"key=" in scope["query_string"]:
            key += (b"?", query_of(scope).get("key", "").encode("utf-8", "surrogateescape"))
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
        return Reader.of(await self._authenticate(scope))


_WHO: Final = {b"authorization", b"cookie", b"origin", b"host", b"x-api-key"}
REMEMBERED_SECONDS: Final = 5.0
"""Shorter than the hub remembers what ended, so that nothing that ended is taken for good."""
