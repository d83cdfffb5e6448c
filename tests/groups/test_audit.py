"""The audit log: each entry follows the one before it, and whatever is done to the log is noticed."""

import io
import json
import logging
from hashlib import sha256
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from groups.actions.audit import record
from groups.models import AuditEntry, AuditHead, User
from groups.models.audit import NO_HASH, AuditAction
from tests.audit import unguarded
from tests.cast import at_once, make_user


def note(number: int, actor: User | None = None, **details: Any) -> AuditEntry:
    with transaction.atomic():
        return record(
            actor=actor,
            action=AuditAction.MEMBER_SILENCED,
            target=f"user:{number}",
            workspace_id=7,
            reason=f"noise {number}",
            **details,
        )


@pytest.fixture
def entries(grace: User) -> list[AuditEntry]:
    """Six, of grace and of the operator."""
    return [note(number, grace if number % 2 else None, until="2026-11-22", times=number) for number in range(1, 7)]


def verified(*options: str) -> str:
    out = io.StringIO()
    call_command("verify_audit", *options, stdout=out)
    return out.getvalue()


def faults(*options: str) -> list[str]:
    """What the command prints while it fails."""
    out = io.StringIO()
    with pytest.raises(CommandError) as failed:
        call_command("verify_audit", *options, stdout=out)
    assert failed.value.returncode == 1
    return out.getvalue().splitlines()


def anchor(entry: AuditEntry) -> str:
    return f"--expect={entry.number}:{entry.hash}"


def test_entries_are_numbered_and_each_holds_the_hash_of_the_one_before(entries: list[AuditEntry]) -> None:
    stored = list(AuditEntry.objects.order_by("number"))

    assert [entry.number for entry in stored] == [1, 2, 3, 4, 5, 6]
    assert [entry.previous_hash for entry in stored] == [NO_HASH, *(entry.hash for entry in stored[:-1])]
    assert [(head.number, head.hash) for head in AuditHead.objects.all()] == [(6, stored[-1].hash)]


def test_a_hash_is_made_as_the_documentation_says(grace: User) -> None:
    entry = note(1, grace, until="2026-11-22T09:00:00.000Z", name="グレース")
    entry.refresh_from_db()

    fields = {
        "number": 1,
        "at": entry.at.strftime("%Y-%m-%dT%H:%M:%S.%f+00:00"),
        "actor_id": grace.pk,
        "action": "member.silenced",
        "target": "user:1",
        "workspace_id": 7,
        "reason": "noise 1",
        "details": {"until": "2026-11-22T09:00:00.000Z", "name": "グレース"},
    }
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    assert entry.hash == sha256(f"{NO_HASH}\n{canonical}".encode("ascii")).hexdigest()


def test_a_log_that_nobody_touched_is_whole(entries: list[AuditEntry]) -> None:
    assert verified() == f"The audit log is whole: 6 entries, the last is 6:{entries[-1].hash}\n"
    assert verified(anchor(entries[2]), anchor(entries[5]))


def test_an_empty_log_is_whole(db: None) -> None:
    assert verified() == f"The audit log is whole: 0 entries, the last is 0:{NO_HASH}\n"


def test_a_deed_that_is_rolled_back_leaves_no_entry_and_no_gap(entries: list[AuditEntry]) -> None:
    with transaction.atomic():
        note(7)
        transaction.set_rollback(True)

    assert note(8).number == 7
    assert verified()


@pytest.mark.django_db(transaction=True)
def test_outside_a_transaction_nothing_is_recorded() -> None:
    with pytest.raises(RuntimeError):
        record(actor=None, action=AuditAction.MEMBER_REMOVED, target="user:1", workspace_id=1, reason="rude")

    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE groups_auditentry SET reason = 'kindness' WHERE number = 2",
        "DELETE FROM groups_auditentry WHERE number = 6",
        "DELETE FROM groups_auditentry",
        "UPDATE groups_audithead SET number = 5",
        "UPDATE groups_audithead SET hash = 'x'",
        "DELETE FROM groups_audithead",
    ],
)
def test_the_database_refuses_to_change_the_log(entries: list[AuditEntry], statement: str) -> None:
    with (
        pytest.raises(IntegrityError, match="only added to"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)

    assert verified()


@pytest.mark.postgres
@pytest.mark.parametrize("table", ["groups_auditentry", "groups_audithead"])
def test_postgresql_refuses_to_truncate_the_log(entries: list[AuditEntry], table: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(IntegrityError, match="only added to"), transaction.atomic():
            cursor.execute(f"TRUNCATE {table}")

    assert verified()


def test_the_model_cannot_change_or_delete_an_entry_either(entries: list[AuditEntry]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        AuditEntry.objects.filter(number=3).update(reason="kindness")
    with pytest.raises(IntegrityError), transaction.atomic():
        entries[2].delete()


CHANGES = {
    "at": "'2020-01-01 00:00:00+00:00'",
    "actor_id": "NULL",
    "action": "'member.removed'",
    "target": "'user:1'",
    "workspace_id": "8",
    "reason": "'kindness'",
    "details": """'{"until": "2026-11-22", "times": 4}'""",
}


def test_every_field_of_an_entry_is_in_its_hash() -> None:
    fields = {field.attname for field in AuditEntry._meta.concrete_fields}
    assert fields == {*CHANGES, "number", "previous_hash", "hash"}


@pytest.mark.parametrize("field", CHANGES)
def test_a_changed_field_is_found(entries: list[AuditEntry], field: str) -> None:
    with unguarded() as cursor:
        cursor.execute(f"UPDATE groups_auditentry SET {field} = {CHANGES[field]} WHERE number = 3")

    assert faults() == ["3: was changed, its hash is that of other fields"]


def test_a_changed_hash_is_found(entries: list[AuditEntry]) -> None:
    with unguarded() as cursor:
        cursor.execute("UPDATE groups_auditentry SET hash = %s WHERE number = 3", ["1" * 64])

    assert faults() == [
        "3: was changed, its hash is that of other fields",
        "4: does not follow the entry before it, one of the two was changed",
    ]


def test_an_entry_with_another_text_and_its_right_hash_breaks_the_chain(entries: list[AuditEntry]) -> None:
    entries[2].reason = "kindness"
    with unguarded() as cursor:
        cursor.execute(
            "UPDATE groups_auditentry SET reason = %s, hash = %s WHERE number = 3", ["kindness", entries[2].right_hash]
        )

    assert faults() == ["4: does not follow the entry before it, one of the two was changed"]


def test_a_changed_number_is_found(entries: list[AuditEntry]) -> None:
    with unguarded() as cursor:
        cursor.execute("UPDATE groups_auditentry SET number = 9 WHERE number = 3")

    assert faults() == [
        "3: missing",
        "7 to 8: missing",
        "9: was changed, its hash is that of other fields",
        "the log ends with 9, but its head says 6: the head was changed",
    ]


def test_a_missing_entry_is_found(entries: list[AuditEntry]) -> None:
    with unguarded() as cursor:
        cursor.execute("DELETE FROM groups_auditentry WHERE number IN (2, 4, 5)")

    assert faults() == ["2: missing", "4 to 5: missing"]


def test_a_cut_tail_is_found(entries: list[AuditEntry]) -> None:
    with unguarded() as cursor:
        cursor.execute("DELETE FROM groups_auditentry WHERE number > 4")

    assert faults() == ["the log ends with 4, but there were 6 entries: its end was cut off"]


def test_a_cut_tail_is_found_by_an_anchor_when_the_head_was_set_back_too(entries: list[AuditEntry]) -> None:
    with unguarded() as cursor:
        cursor.execute("DELETE FROM groups_auditentry WHERE number > 4")
        cursor.execute("UPDATE groups_audithead SET number = 4, hash = %s", [entries[3].hash])

    assert verified(anchor(entries[3]))
    assert faults(anchor(entries[5])) == ["6: missing, but it was expected"]


def test_a_log_written_anew_from_some_entry_on_is_found_by_an_anchor(entries: list[AuditEntry]) -> None:
    with unguarded() as cursor:
        cursor.execute("DELETE FROM groups_auditentry WHERE number > 4")
        cursor.execute("UPDATE groups_audithead SET number = 4, hash = %s", [entries[3].hash])
    anew = [note(50), note(60)]

    assert verified()
    assert faults(anchor(entries[5])) == [
        f"6: its hash is {anew[1].hash}, but {entries[5].hash} was expected",
    ]


def test_a_log_that_is_gone_with_its_head_is_found_by_an_anchor(entries: list[AuditEntry]) -> None:
    with unguarded() as cursor:
        cursor.execute("DELETE FROM groups_auditentry")
        cursor.execute("DELETE FROM groups_audithead")

    assert faults(anchor(entries[1])) == ["2: missing, but it was expected"]


def test_a_head_that_is_gone_is_found_and_nothing_is_recorded_over_the_old_entries(entries: list[AuditEntry]) -> None:
    with unguarded() as cursor:
        cursor.execute("DELETE FROM groups_audithead")

    assert faults() == ["the log ends with 6, but its head says 0: the head was changed"]
    with pytest.raises(IntegrityError):
        note(7)


def test_a_missing_trigger_is_found(entries: list[AuditEntry]) -> None:
    table = " ON groups_audithead" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER the_audit_head_goes_on_by_one{table}")

    assert faults() == ["the trigger the_audit_head_goes_on_by_one is missing or off: entries can be changed"]


@pytest.mark.parametrize("wrong", ["", "1", "1:abc", "0:" + "0" * 64, "-1:" + "0" * 64, "x:" + "0" * 64])
def test_an_anchor_that_is_none_is_refused(db: None, wrong: str) -> None:
    with pytest.raises(CommandError, match="expect"):
        verified(f"--expect={wrong}")


def test_number_and_hash_of_each_entry_go_to_the_servers_log_after_the_commit(
    caplog: pytest.LogCaptureFixture, django_capture_on_commit_callbacks: Any, db: None
) -> None:
    with caplog.at_level(logging.INFO, "audit"), django_capture_on_commit_callbacks(execute=True):
        entry = note(1)
        assert caplog.messages == []

    assert caplog.messages == [f"entry=1:{entry.hash}"]


def test_the_servers_log_has_the_anchors_whatever_else_it_leaves_out() -> None:
    assert logging.getLogger("audit").level == logging.INFO


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_entries_of_the_same_moment_follow_one_another_without_a_gap() -> None:
    grace = make_user("grace")

    at_once(*[lambda number=number: note(number, grace) for number in range(1, 9)])

    assert list(AuditEntry.objects.order_by("number").values_list("number", flat=True)) == list(range(1, 9))
    assert verified()


@pytest.mark.django_db(transaction=True)
def test_one_test_fills_the_log() -> None:
    assert note(1).number == 1


@pytest.mark.django_db(transaction=True)
def test_and_the_next_finds_it_empty_and_guarded() -> None:
    assert note(1).number == 1
    with pytest.raises(IntegrityError):
        AuditEntry.objects.all().delete()
