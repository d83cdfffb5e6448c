"""What the database holds, read past the server."""

from types import TracebackType
from typing import Any, NamedTuple, Self

import psycopg


class Row(NamedTuple):
    """A stored message."""

    id: int
    channel_id: int
    author_id: int
    client_msg_id: str
    body: str
    deleted: bool


class Truth:
    def __init__(self, database_url: str) -> None:
        self._connection = psycopg.connect(database_url, autocommit=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def waiting_events(self) -> int:
        """Events that were committed and are in no stream yet."""
        [(count,)] = self._rows("SELECT count(*) FROM realtime_outboxevent")
        return int(count)

    def messages(self) -> dict[int, Row]:
        rows = self._rows(
            "SELECT id, channel_id, author_id, client_msg_id, body, deleted_at IS NOT NULL FROM groups_message"
        )
        return {row[0]: Row(*row) for row in rows}

    def members(self) -> set[tuple[int, int]]:
        """(user, channel)."""
        return {(user, channel) for user, channel in self._rows("SELECT user_id, channel_id FROM groups_channelmember")}

    def _rows(self, query: str) -> list[Any]:
        return self._connection.execute(query.encode()).fetchall()
