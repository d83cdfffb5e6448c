"""Whether the audit log is as it was written: no entry changed, none missing, none cut off its end."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from django.db import connection, transaction

from groups.models import AuditEntry, AuditHead
from groups.models.audit import HEAD, NO_HASH

GUARDS = {
    "sqlite": {
        "audit_entries_are_not_changed",
        "audit_entries_are_not_deleted",
        "the_audit_head_goes_on_by_one",
        "the_audit_head_is_not_deleted",
    },
    "postgresql": {
        "audit_entries_are_not_changed_or_deleted",
        "audit_entries_are_not_truncated",
        "the_audit_head_goes_on_by_one",
        "the_audit_head_is_not_deleted",
        "the_audit_head_is_not_truncated",
    },
}
"""The triggers that a migration makes. SQLite loses those of a table that a later migration alters."""


class Link(NamedTuple):
    """Up to where the log was read."""

    number: int
    hash: str


class Checked(NamedTuple):
    end: Link
    faults: list[str]


def check_log(expected: Mapping[int, str] | None = None) -> Checked:
    """Read the whole log. `expected` are hashes by number that were kept elsewhere: anchors.

    Without an anchor, whoever may change the database at will can write another log that is whole in itself.
    """
    faults = [f"the trigger {name} is missing or off: entries can be changed" for name in sorted(_missing_guards())]
    reading = _Reading(dict(expected or {}))
    # Most of the log without a lock; what was added meanwhile, and the head, while nothing is added.
    faults += reading.go_on()
    with transaction.atomic():
        head = AuditHead.objects.select_for_update().filter(pk=HEAD).first()
        faults += reading.go_on()
    end = reading.end
    faults += [f"{number}: missing, but it was expected" for number in sorted(reading.expected) if number > end.number]
    known = Link(0, NO_HASH) if head is None else Link(head.number, head.hash)
    if known.number > end.number:
        faults.append(f"the log ends with {end.number}, but there were {known.number} entries: its end was cut off")
    elif known.number < end.number:
        faults.append(f"the log ends with {end.number}, but its head says {known.number}: the head was changed")
    elif known.hash != end.hash:
        faults.append(f"{end.number}: its hash is not the one that the head holds")
    return Checked(end, faults)


class _Reading:
    def __init__(self, expected: dict[int, str]) -> None:
        self.expected = expected
        self.end = Link(0, NO_HASH)

    def go_on(self) -> Iterator[str]:
        """What is wrong with each entry after the last one read."""
        for entry in AuditEntry.objects.filter(number__gt=self.end.number).order_by("number").iterator():
            yield from self._faults_of(entry)
            # With the stored hash, so that one changed entry is one fault and not one of each that follows.
            self.end = Link(entry.number, entry.hash)

    def _faults_of(self, entry: AuditEntry) -> Iterator[str]:
        before = self.end
        if entry.number == before.number + 2:
            yield f"{entry.number - 1}: missing"
        elif entry.number > before.number + 2:
            yield f"{before.number + 1} to {entry.number - 1}: missing"
        elif entry.previous_hash != before.hash:
            yield f"{entry.number}: does not follow the entry before it, one of the two was changed"
        if entry.right_hash != entry.hash:
            yield f"{entry.number}: was changed, its hash is that of other fields"
        expected = self.expected.get(entry.number, entry.hash)
        if expected != entry.hash:
            yield f"{entry.number}: its hash is {entry.hash}, but {expected} was expected"


def _missing_guards() -> set[str]:
    if connection.vendor == "sqlite":
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    else:
        query = "SELECT tgname FROM pg_trigger WHERE tgenabled <> 'D'"
    with connection.cursor() as cursor:
        cursor.execute(query)
        there = {name for (name,) in cursor.fetchall()}
    return GUARDS[connection.vendor] - there
