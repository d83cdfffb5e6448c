"""The triggers of the audit log, which tests take away to do what the log must notice."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

from django.db import connection, transaction
from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.backends.utils import CursorWrapper

TABLES = ("groups_auditentry", "groups_audithead")


@contextmanager
def unguarded() -> Iterator[CursorWrapper]:
    """A cursor that may change the log, as whoever owns the database may."""
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # A table is not altered while deferred checks of its rows are to come.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            for table in TABLES:
                cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            yield cursor
            for table in TABLES:
                cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        else:
            cursor.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN (%s, %s)", TABLES
            )
            triggers = cursor.fetchall()
            for name, _sql in triggers:
                cursor.execute(f"DROP TRIGGER {name}")
            yield cursor
            for _name, sql in triggers:
                cursor.execute(sql)


@contextmanager
def flushable() -> Iterator[None]:
    """Django empties all tables after a test with transactions of its own; the log would refuse."""
    plain = BaseDatabaseOperations.execute_sql_flush

    def flush(operations: BaseDatabaseOperations, sql_list: Iterable[str]) -> None:
        with unguarded():
            plain(operations, sql_list)

    with patch.object(BaseDatabaseOperations, "execute_sql_flush", flush):
        yield
