"""The Meshsite client for Python, asyncio (`Client`) and blocking (`SyncClient`)."""

from meshsite_client.client import Client
from meshsite_client.errors import CallError, MeshsiteError, Refused
from meshsite_client.items import Ephemeral, Event, Item, Json, Position, Resync, State, StateChange
from meshsite_client.protocol import Timing, TransportChoice
from meshsite_client.site import Group
from meshsite_client.sync_client import SyncClient

__all__ = [
    "CallError",
    "Client",
    "Ephemeral",
    "Event",
    "Group",
    "Item",
    "Json",
    "MeshsiteError",
    "Position",
    "Refused",
    "Resync",
    "State",
    "StateChange",
    "SyncClient",
    "Timing",
    "TransportChoice",
]
