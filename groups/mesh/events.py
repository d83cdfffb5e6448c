"""The events of the classroom system, in the `mesh:` stream of their group. One shape for all doors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from groups.models import MeshGroup
from realtime.events import Event
from realtime.publish import Audience, Publication, audience_kind, publish_all


class MeshDatum(TypedDict):
    key: str
    value: str


class MeshEventPayload(TypedDict):
    name: str
    payload: str | None
    timestamp: str
    """On the server's clock, with the sender's spacing; never decreases within a group."""
    fired_at: str
    """As the sender gave it."""
    order_key: str | None


@dataclass(frozen=True)
class MeshStatusReported(Event, name="mesh.status_reported"):
    """A node, or the host, reported values; just those of this report. Audience: the group."""

    group_id: str
    domain: str
    node_id: str
    values: list[MeshDatum]
    timestamp: str


@dataclass(frozen=True)
class MeshEventsFired(Event, name="mesh.events_fired"):
    """A node, or the host, fired events, in this order. Audience: the group, the sender too."""

    group_id: str
    domain: str
    node_id: str
    events: list[MeshEventPayload]
    recorded: bool
    """It came from a member that polls: the times to play it by are the server's."""
    timestamp: str


@dataclass(frozen=True)
class MeshNodeJoined(Event, name="mesh.node_joined"):
    """A node joined, or joined again. Audience: the group."""

    group_id: str
    domain: str
    node_id: str
    use_websocket: bool
    timestamp: str


@dataclass(frozen=True)
class MeshNodeLeft(Event, name="mesh.node_left"):
    """A node left; what it reported is gone. Audience: the group."""

    group_id: str
    domain: str
    node_id: str
    timestamp: str


@dataclass(frozen=True)
class MeshGroupDissolved(Event, name="mesh.group_dissolved"):
    """The group is over: its host ended it, its time came or its host was silent. Audience: the group."""

    group_id: str
    domain: str
    message: str
    timestamp: str


@audience_kind("mesh", streams="mesh")
def _group(*, id: str) -> Sequence[str]:
    return [id]


def publication(event: Event, group: MeshGroup) -> Publication:
    """An event for all who follow a group. Its row has to be locked: the lock gives the order of its stream."""
    return Publication(event, Audience("mesh", {"id": str(group.pk)}), group.stream)


def tell_group(event: Event, group: MeshGroup) -> None:
    """Publish an event to all who follow a locked group."""
    publish_all([publication(event, group)])
