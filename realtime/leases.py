"""The interface of leases: promises that something is alive, which outlive its connection for a while.

A holder ("user:7") has leases, one for each of its sessions. A lease is attached to one connection at a time, which its
worker renews at each sweep; after the connection it lasts LEASE_SECONDS more. From the leases follows the holder's
status, and from its changes what others are told: each once, by whichever worker claims it.

Guarantees, checked for every backend by one test file:
* Each call is one atomic step, or one for each holder. Whoever is not the connection that holds a lease changes nothing
  about it.
* A lease ends by its deadline when `sweep` sees that, and is given out by it once, however many workers sweep.
* Of one holder, the changes that `claim` gives out alternate, but for those that `tell_again` asked for, and their
  versions rise, also across a store that was lost. Until a change is confirmed it comes again, with the same version,
  so that telling it can be made idempotent.
* A change that was undone before anybody claimed it is never told.
* Of a holder without a lease nothing is kept once that was told.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

CLAIM_SECONDS = 10.0
"""How long the worker that claimed something may take before another one gets it."""
REMEMBER_ENDED_SECONDS = 60.0
"""For how long the connection of a lease that was dropped cannot reopen it. A late renewal is late by seconds."""

Status = Literal["online", "away", "offline"]
"""Away: each lease was declared so, or has been without activity for AWAY_SECONDS. Offline: there is no lease."""


class Connection(NamedTuple):
    """One socket, or one run of polls, of a session; on which worker it is."""

    id: str
    worker: str


class Held(NamedTuple):
    """A lease, and the connection that says that it holds it."""

    holder: str
    lease: str
    """Any text but the empty one."""
    connection: Connection
    passing: bool = False
    """It goes by itself in a moment, as a poll does: it renews the lease like any other, but does not attach it."""


class Attached(NamedTuple):
    is_new: bool
    """No lease lived under this id."""
    replaced: Connection | None
    """Another connection, which the lease was attached to until now."""
    changed: bool
    """There is something to claim: the holder's status is another one than was told or is being told."""


State = Literal["attached", "detached", "other"]
"""Of a lease for one connection. Other: it ended, or another connection had it since."""


class Change(NamedTuple):
    holder: str
    status: Status
    version: int
    """Rises with each change of one holder; at least the time of the claim in Unix milliseconds."""


class Lapsed(NamedTuple):
    holder: str
    lease: str


class TooMany(Exception):
    """The holder has as many attached leases as the limit allows."""


class Leases(Protocol):
    """Calls may block for a moment and come from any thread. They raise Unavailable when the store does not answer."""

    shared: bool
    """Whether other processes see the same leases."""

    def attach(self, held: Held, *, limit: int) -> Attached:
        """Open the lease, or take it over from whichever connection holds it. Raises TooMany.

        Only other attached leases count for the limit; detached ones beyond it end, the oldest first. A lease that
        lives is never refused, and stays as active or away as it was.
        """

    def renew(self, held: Sequence[Held]) -> list[bool]:
        """Move the deadlines on; False where the lease is attached to another connection.

        One that is detached is taken again, and one that is not there is reopened, as the store may have lost it,
        unless this connection held it when it was dropped.
        """

    def detach(self, held: Held) -> bool:
        """The connection ended: the lease lasts LEASE_SECONDS from now. False when it does not hold the lease."""

    def drop(self, held: Held) -> bool:
        """End the lease at once, as a client that says goodbye asks. False when the connection does not hold it."""

    def state(self, held: Held) -> State:
        """Whether the lease is still of this connection, or was last."""

    def end(self, holder: str, lease: str | None = None) -> bool:
        """End a lease of a holder, or all of them, at once, whoever holds it. Whether there was one."""

    def set_away(self, holder: str, lease: str | None, *, away: bool) -> bool:
        """Declare a lease, or all of the holder, away or active now. Whether there is a change to claim."""

    def tell_again(self, holder: str) -> None:
        """Give out the holder's status once more although it is the same: what is told beside it is another."""

    def statuses(self, holders: Sequence[str]) -> list[tuple[Status, int]]:
        """The status that was told last, or is being told, of each holder, and its version; 0 for an unknown one."""

    def sweep(self, limit: int) -> list[Lapsed]:
        """End up to `limit` leases past their deadline, and see who became away. Those that ended, to one caller each.

        Fewer than `limit` were all. In a pause, as when all workers are down, nobody can come back: so when nobody
        swept for more than 2 * SWEEP_SECONDS, no lease ends for as long again, at most for LEASE_SECONDS.
        """

    def claim(self, limit: int) -> list[Change]:
        """Changes to tell, oldest first, each to one caller; to another one if unconfirmed after CLAIM_SECONDS.

        Fewer than `limit` were all. Nothing before a new store was restored: what was told is not known there.
        """

    def confirm(self, changes: Sequence[Change]) -> None:
        """These were told. What changed meanwhile can be claimed next."""

    def begin(self) -> bool:
        """Whether the store is new: then `restore` it. Asked of one caller, after CLAIM_SECONDS of another one."""

    def restore(self, known: Sequence[Change]) -> None:
        """What was told last of every holder, if the store is still new; of those offline it may be left out.

        Whoever is here has LEASE_SECONDS to come back before anybody is told otherwise.
        """
