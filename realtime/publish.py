"""The only way out of an action: publish an event to its audience, in the transaction of the change."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import Value

from realtime import clock, relay
from realtime.events import Event
from realtime.models import OutboxEvent


@dataclass(frozen=True)
class Audience:
    """Who may see an event, as stored beside it: `{"kind": kind, **of}`; see `audience_kind`."""

    kind: str
    of: dict[str, Any]


def users(user_ids: Iterable[int]) -> Audience:
    """These users, listed one by one."""
    return Audience("users", {"ids": sorted(set(user_ids))})


def audience_kind(kind: str, *, streams: str = "user") -> Callable[[relay.Resolve], relay.Resolve]:
    """Register how an audience of this kind becomes user ids, or ids of other streams, when its event leaves."""

    def register(resolve: relay.Resolve) -> relay.Resolve:
        relay.RESOLVERS[kind] = resolve
        relay.KINDS_OF_STREAMS[kind] = streams
        return resolve

    return register


@audience_kind("users")
def _listed(*, ids: list[int]) -> Iterable[int]:
    return ids


class Publication(NamedTuple):
    """An event, who may see it, and its order.

    `order` names the row whose lock the caller holds ("channel:3"): events with one name leave in the order of their
    commits.
    """

    event: Event
    to: Audience
    order: str


def publish(event: Event, *, to: Audience, order: str) -> None:
    """Tell the audience after commit, once. Nothing is told when the transaction is rolled back."""
    publish_all([Publication(event, to, order)])


def publish_all(publications: Sequence[Publication]) -> None:
    """Tell of several events after commit, those of one order in this order.

    What cannot be sent then (a crash, an outage) stays in the outbox for the relay.
    """
    if not connection.in_atomic_block:
        raise RuntimeError(f"published outside a transaction: {', '.join(one.event.name for one in publications)}")
    if not publications:
        return
    now = clock.now()
    rows = [_row(publication, now) for publication in publications]
    # With an expression among them PostgreSQL gets rows of values. Else it gets arrays, whose texts psycopg escapes in
    # Python, quote by quote.
    rows[0].body = Value(rows[0].body)
    OutboxEvent.objects.bulk_create(rows)
    newest = {row.order_key: row.pk for row in rows}

    # A function and no partial: Django names a hook that failed by its __qualname__, and fails the action without one.
    def send() -> None:
        relay.send(newest)

    transaction.on_commit(send, robust=True)


def _row(publication: Publication, now: datetime) -> OutboxEvent:
    event, to, order = publication
    return OutboxEvent(
        event_id=uuid.uuid4(),
        order_key=order,
        name=event.name,
        body=event.body(now).decode(),
        about=event.about,
        audience={"kind": to.kind, **to.of},
        created_at=now,
    )
