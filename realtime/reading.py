"""Reading a stream for a session: what it missed, with the rights and the texts of this moment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from django.conf import settings

from realtime import clock, leasing, resume_tokens, threads
from realtime.backends import streams
from realtime.errors import Close, Refused, Unavailable
from realtime.hub import hub
from realtime.session import Mode, Session
from realtime.streams import Entry, Gap, Position

Revise = Callable[[int, Sequence[tuple[int, Entry]]], list[tuple[int, Entry]]]
BIGGEST_SEQ = 2**63 - 1

_REVISERS: dict[str, Revise] = {}


def revises(kind: str) -> Callable[[Revise], Revise]:
    """Register what streams of a kind ("user" for user:7) let out when they are read later.

    The function gets the reader's user id and (seq, entry) pairs, and gives the same pairs with the bodies that the
    reader may see: REDACTED, or with the text of now.
    """

    def register(revise: Revise) -> Revise:
        _REVISERS[kind] = revise
        return revise

    return register


class Cursor(NamedTuple):
    """Where a client says it stands, as it came over the wire."""

    epoch: str | None
    seq: str | None


@dataclass(frozen=True)
class CatchUp:
    """What a session starts with. After the replay it stands `at` a position, from which live entries go on."""

    mode: Mode
    at: Position
    reason: str | None = None
    missed: tuple[int, int] | None = None
    replay: list[tuple[int, Entry]] = field(default_factory=list)
    is_new: bool = False
    """The session had no lease, or takes none and had no cursor: it begins with this."""


async def follow(session: Session, cursor: Cursor, *, leased: bool = True) -> CatchUp:
    """Let a session hear of its stream and read what it missed. Raises Refused when it may not start.

    One that is not `leased` stands for nobody: it ends with its connection, and nobody is told.

    The door then calls `session.begin`; until then what comes live is held back.
    """
    # Added before the read: an entry published in between is held back, otherwise it would reach nobody.
    hub.add(session)
    session.on_hole = _heal
    try:
        return await _catch_up(session, cursor, _take_and_read if leased else _read_only)
    except Unavailable as error:
        raise Refused(Close.OVERLOADED, "unavailable") from error


async def _catch_up(session: Session, cursor: Cursor, read: Callable[[Session, Cursor], CatchUp]) -> CatchUp:
    """Everything after the cursor, or why it cannot be whole: never a part."""
    if streams().shared:
        found = await threads.run(read, session, cursor)
    else:
        found = read(session, cursor)  # memory answers at once; a thread would cost more
    if not found.replay:
        return found
    revise = _REVISERS[session.stream.partition(":")[0]]
    return replace(found, replay=await threads.run(revise, session.user_id, found.replay))


def _take_and_read(session: Session, cursor: Cursor) -> CatchUp:
    is_new = leasing.take(session)
    return replace(_read(session, cursor), is_new=is_new)


def _read_only(session: Session, cursor: Cursor) -> CatchUp:
    return replace(_read(session, cursor), is_new=cursor.seq is None)


def _read(session: Session, cursor: Cursor) -> CatchUp:
    stream = session.stream
    [top] = streams().keep([stream], listener=hub.worker)
    if cursor.seq is None:
        return CatchUp("fresh", top)
    seq = _parsed(cursor.seq)
    if seq is None:
        return CatchUp("resume_failed", top, "bad_cursor")
    try:
        entries = streams().read(stream, Position(cursor.epoch or "", seq))
    except Gap as gap:
        return CatchUp("resume_failed", gap.top, gap.reason, gap.missed)
    at = entries[-1][0] if entries else seq
    return CatchUp("resumed", Position(top.epoch, at), replay=entries)


def hello_of(session: Session, started: CatchUp) -> dict[str, Any]:
    """The first frame of a session: where it stands, and how its cursor was taken."""
    return {
        "type": "hello",
        "v": 1,
        "session": session.id,
        "user_id": session.user_id or None,
        "epoch": started.at.epoch,
        "seq": started.at.seq,
        "mode": started.mode,
        "reason": started.reason,
        "missed": None if started.missed is None else {"from": started.missed[0], "to": started.missed[1]},
        "replayed": len(started.replay),
        "resume_token": resume_tokens.issue(session) if session.leased else None,
        "ping_seconds": settings.PING_SECONDS,
        "lease_seconds": settings.LEASE_SECONDS if session.leased else None,
        "server_time": clock.stamp(clock.now()),
    }


def _heal(session: Session) -> None:
    """Read what a session saw missing. It holds live entries back until then."""
    threads.start(_read_hole(session), name=f"heal {session.stream} {session.id}")


async def _read_hole(session: Session) -> None:
    cursor = Cursor(session.epoch, str(session.seq))
    try:
        found = await _catch_up(session, cursor, _read)
    except Exception:
        session.close(Close.OVERLOADED, "unavailable")
        raise
    if found.mode == "resumed":
        session.heal(found.at.seq, found.replay)
    else:
        # Its own cursor is no longer whole: it comes back and is told what it missed.
        session.close(Close.RESTART, "hole")


def _parsed(seq: str) -> int | None:
    """A non-negative integer in plain decimal digits, else None."""
    if not (seq.isascii() and seq.isdigit() and len(seq) <= 19):
        return None
    value = int(seq)
    return value if value <= BIGGEST_SEQ else None
