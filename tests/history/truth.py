"""What the database holds, read past the server."""

from collections import defaultdict
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

    def mentions(self) -> set[tuple[int, int]]:
        """(message, user)."""
        return {(message, user) for message, user in self._rows("SELECT message_id, user_id FROM groups_mention")}

    def reactions(self) -> dict[int, set[tuple[int, str]]]:
        """(user, emoji) by message."""
        reactions: defaultdict[int, set[tuple[int, str]]] = defaultdict(set)
        for message, user, emoji in self._rows("SELECT message_id, user_id, emoji FROM groups_reaction"):
            reactions[message].add((user, emoji))
        return reactions

    def cursors(self) -> dict[tuple[int, int], int]:
        """The last_read_id by (user, channel)."""
        rows = self._rows("SELECT user_id, channel_id, last_read_id FROM groups_readcursor")
        return {(user, channel): last_read_id for user, channel, last_read_id in rows}

    def roles(self) -> dict[int, str]:
        """By user, of those who are in the workspace."""
        return dict(self._rows("SELECT user_id, role FROM groups_workspacemember"))

    def display_names(self) -> dict[int, str]:
        return dict(self._rows("SELECT id, display_name FROM groups_user"))

    def audited(self) -> int:
        """How many deeds the audit log holds."""
        [(count,)] = self._rows("SELECT count(*) FROM groups_auditentry")
        return int(count)

    def reported(self, group_id: str) -> dict[tuple[str, str], str]:
        """The values of a classroom's group by (node, key)."""
        rows = self._rows("SELECT node_id, key, value FROM groups_meshvalue WHERE group_id = %s", group_id)
        return {(node_id, key): value for node_id, key, value in rows}

    def _rows(self, query: str, *values: str) -> list[Any]:
        return self._connection.execute(query.encode(), values or None).fetchall()
