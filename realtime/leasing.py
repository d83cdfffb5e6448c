"""What the doors do with leases: a session takes its lease when it starts, and lets it go when it ends."""

import logging
from collections.abc import Callable

from django.conf import settings

from realtime import doorbell, threads
from realtime.backends import leases
from realtime.errors import Close, Refused, Unavailable
from realtime.hub import hub
from realtime.leases import TooMany
from realtime.session import Session

log = logging.getLogger(__name__)

RENEWED_AT_ONCE = 500

on_change: list[Callable[[], None]] = []
"""Called, from any thread, when the status of somebody may be another one."""


def take(session: Session) -> bool:
    """Attach the session's lease to this connection; whether it is new. Blocks. Raises Refused and Unavailable.

    Call it after the hub has the session, so that the last of several connections is the same in both.
    """
    try:
        attached = leases().attach(session.lease, limit=settings.SESSIONS_PER_USER)
    except TooMany:
        raise Refused(Close.REPLACED, "too_many_sessions") from None
    session.leased = True
    if session.over:  # meanwhile, so that `let_go` found nothing to do
        leases().detach(session.lease)
    if attached.replaced is not None and attached.replaced.worker != hub.worker:
        doorbell.tell_replaced(session.stream, session.id, attached.replaced)
    if attached.changed:
        _changed()
    return attached.is_new


def let_go(session: Session, *, bye: bool = False) -> None:
    """The connection of a session ended, from the loop: its lease lasts a while yet, unless it or its sign-in ended.

    When the store is away, the lease ends by its deadline, which nobody renews any more.
    """
    session.over = True
    at_once = bye or session.closed in _FOR_GOOD
    if not session.leased or session.closed_code == "replaced" or (session.lease.passing and not at_once):
        return
    session.leased = False
    if leases().shared:
        threads.start(_let_go_in_thread(session, at_once), name=f"let go {session.stream} {session.id}")
    else:
        _let_go(session, at_once)


async def renew(sessions: list[Session]) -> None:
    """Move the deadlines of these sessions' leases on. Those that another connection has taken over end."""
    for start in range(0, len(sessions), RENEWED_AT_ONCE):
        some = [one for one in sessions[start : start + RENEWED_AT_ONCE] if one.leased and one.closed is None]
        held = await threads.run(leases().renew, [session.lease for session in some])
        for session, still in zip(some, held, strict=True):
            if not still and session.leased:
                session.close(Close.REPLACED, "replaced")


def end(user_stream: str, session_id: str | None = None) -> None:
    """End a lease of a user, or all of them, at once. Blocks. Raises Unavailable."""
    if leases().end(user_stream, session_id):
        _changed()


_FOR_GOOD = {Close.NOT_SIGNED_IN, Close.FORBIDDEN}


async def _let_go_in_thread(session: Session, at_once: bool) -> None:
    try:
        await threads.run(_let_go, session, at_once)
    except Unavailable as error:
        log.debug("the lease of %s ends by its deadline: %s is away", session.id, error.store)


def _let_go(session: Session, at_once: bool) -> None:
    if not at_once:
        leases().detach(session.lease)
    elif leases().drop(session.lease):
        _changed()


def _changed() -> None:
    for call in on_change:
        call()
