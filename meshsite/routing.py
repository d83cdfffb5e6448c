"""The realtime surface on a page: the socket and poll routes. Methods register in realtime.commands, events in
realtime.events, and what replay lets out in realtime.reading."""

from typing import Any

from channels.routing import URLRouter
from django.urls import path, re_path

from groups.mesh.following import group_stream
from groups.mesh.graphql.http import GraphQLDoor
from groups.mesh.graphql.subscriptions import SubscriptionDoor
from meshsite.credentials import authenticate, authenticate_with_key
from meshsite.other_origins import HEADERS
from realtime.consumers import StreamConsumer
from realtime.poll import PollDoor

_user = StreamConsumer.as_asgi(authenticate=authenticate)
_group = StreamConsumer.as_asgi(authenticate=authenticate_with_key, find=group_stream)

_subscriptions: Any = SubscriptionDoor()

websocket = URLRouter(
    [
        path("ws/user/<str:named>", _user),
        path("ws/mesh/<str:named>", _group),
        *(path(name, _subscriptions) for name in ("graphql", "graphql/realtime", "graphql/connect")),
        # Everything else is nobody's stream: an answer with a code, not a handshake that fails without one.
        re_path(r"", _user),
    ]
)

_polls = [
    PollDoor(authenticate=authenticate),
    PollDoor(authenticate=authenticate_with_key, path="/poll/mesh/", find=group_stream, headers=HEADERS),
]
graphql = GraphQLDoor()


def poll_at(path: str) -> PollDoor | None:
    """The long-poll that is at a path, if there is one."""
    return next((door for door in _polls if path.startswith(door.path)), None)
