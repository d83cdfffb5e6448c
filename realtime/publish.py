"""The only way out of an action: publish an event to its audience, in the transaction of the change."""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
from django.db import connection, transaction

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


def audience_kind(kind: str) -> Callable[[relay.Resolve], relay.Resolve]:
    """Register how an audience of this kind becomes user ids when its event leaves."""

    def register(resolve: relay.Resolve) -> relay.Resolve:
        relay.RESOLVERS[kind] = resolve
        return resolve

    return register


@audience_kind("users")
def _listed(*, ids: list[int]) -> Iterable[int]:
    return ids


def publish(event: Event, *, to: Audience, order: str) -> None:
    """Tell the audience after commit, once. Nothing is told when the transaction is rolled back.

    `order` names the row whose lock the caller holds ("channel:3"): events with one name leave in the order of their
    commits. What cannot be sent now (a crash, an outage) stays in the outbox for the relay.
    """
    if not connection.in_atomic_block:
        raise RuntimeError(f"{event.name} was published outside a transaction")
    now = clock.now()
    frame = orjson.dumps({"event": event.name, "at": clock.stamp(now), "data": event.data})
    row = OutboxEvent.objects.create(
        event_id=uuid.uuid4(),
        order_key=order,
        name=event.name,
        body=frame[1:].decode(),
        about=event.about,
        audience={"kind": to.kind, **to.of},
        created_at=now,
    )
    transaction.on_commit(partial(relay.send, order, row.pk), robust=True)
