"""The realtime surface on a page: the socket and poll routes. Methods register in realtime.commands, events in
realtime.events, and what replay lets out in realtime.reading."""

from typing import Any

from channels.routing import URLRouter
from django.urls import path, re_path

from groups.graphql.http import GraphQLDoor
from groups.graphql.subscriptions import SubscriptionDoor
from meshsite.credentials import authenticate
from realtime.consumers import UserConsumer
from realtime.poll import PollDoor

_user = UserConsumer.as_asgi(authenticate=authenticate)

_subscriptions: Any = SubscriptionDoor()

websocket = URLRouter(
    [
        path("ws/user/<str:user>", _user),
        *(path(name, _subscriptions) for name in ("graphql", "graphql/realtime", "graphql/connect")),
        # Everything else is nobody's stream: an answer with a code, not a handshake that fails without one.
        re_path(r"", _user),
    ]
)

poll = PollDoor(authenticate=authenticate)
graphql = GraphQLDoor()
