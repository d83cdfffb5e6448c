"""Writing down what a moderator does. `groups/audit.py` checks what was written."""

import logging

from django.db import connection, transaction

from groups.models import AuditEntry, AuditHead, User
from groups.models.audit import HEAD, AuditAction
from realtime import clock

log = logging.getLogger("audit")

Detail = str | int | bool | None
"""What comes back from JSON as the same bytes on every database; a float does not."""


def record(
    *, actor: User | None, action: AuditAction, target: str, workspace_id: int | None, reason: str, **details: Detail
) -> AuditEntry:
    """Add a deed to the log, in the deed's transaction. `details` never hold a text that somebody wrote.

    It locks the end of the log until the transaction ends, so it comes after every other lock. After the commit the
    entry's number and hash go to the logger `audit`, which an operator keeps elsewhere.
    """
    if not connection.in_atomic_block:
        raise RuntimeError(f"{action} of {target} was recorded outside the transaction of the deed")
    head = _lock_head()
    entry = AuditEntry(
        number=head.number + 1,
        at=clock.now(),
        actor=actor,
        action=action,
        target=target,
        workspace_id=workspace_id,
        reason=reason,
        details=details,
        previous_hash=head.hash,
    )
    entry.hash = entry.right_hash
    entry.save(force_insert=True)
    head.number, head.hash = entry.number, entry.hash
    head.save(update_fields=["number", "hash"])

    def tell() -> None:
        log.info("entry=%d:%s", entry.number, entry.hash)

    transaction.on_commit(tell, robust=True)
    return entry


def _lock_head() -> AuditHead:
    heads = AuditHead.objects.select_for_update().filter(pk=HEAD)
    if (head := heads.first()) is None:
        # Of two first entries at once the second waits here for the first, and must then read what that one wrote.
        AuditHead.objects.get_or_create(pk=HEAD)
        head = heads.get()
    return head
