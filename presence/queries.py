"""What a fresh list says of somebody's presence. It agrees with what events told."""

from collections.abc import Iterable, Sequence

from presence.models import Presence, StatusText
from presence.payloads import PresencePayload, presence_payload
from realtime.backends import leases
from realtime.errors import Unavailable
from realtime.leases import Status
from realtime.relay import user_stream


def presence_of(user_ids: Iterable[int], *, exact: bool = False) -> list[PresencePayload]:
    """The presence of these users, by id; offline and without a text for those who were never told of.

    While the leases are away it is what was told last. `exact` raises Unavailable then: an event that was told since
    may lie before the position from which a client goes on.
    """
    ids = sorted(set(user_ids))
    # Before the texts: with a version comes the text that was told with it, or a newer one, of which an event follows.
    statuses = _exact_statuses(ids) if exact else _statuses(ids)
    rows = Presence.objects.in_bulk(ids)
    presence = []
    for user_id, (status, version) in zip(ids, statuses, strict=True):
        row = rows.get(user_id)
        if row is not None and row.told_version > version:
            # The leases forget who is gone, and a store that was lost forgets all.
            status, version = row.told, row.told_version
        presence.append(presence_payload(user_id, status, version, row.shown if row else StatusText()))
    return presence


def _statuses(user_ids: Sequence[int]) -> list[tuple[Status, int]]:
    try:
        return _exact_statuses(user_ids)
    except Unavailable:
        return [("offline", 0)] * len(user_ids)


def _exact_statuses(user_ids: Sequence[int]) -> list[tuple[Status, int]]:
    return leases().statuses([user_stream(user_id) for user_id in user_ids])
