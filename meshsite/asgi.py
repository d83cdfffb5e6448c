"""The ASGI application: pages and API through Django, sockets through Channels."""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "meshsite.settings")

from django.core.asgi import get_asgi_application

_http: Any = get_asgi_application()

from groups.mesh.graphql.http import PATH as GRAPHQL  # noqa: E402
from meshsite.lifespan import lifespan  # noqa: E402 - needs the apps that the line above loads
from meshsite.routing import graphql, poll_at, websocket  # noqa: E402

_websocket: Any = websocket


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await lifespan.serve(receive, send)
        return
    lifespan.ensure_started()
    if scope["type"] == "websocket":
        await _websocket(scope, receive, send)
    elif (poll := poll_at(scope["path"])) is not None:
        await poll(scope, receive, send)
    elif scope["path"].rstrip("/") == GRAPHQL:
        await graphql(scope, receive, send)
    else:
        await _http(scope, receive, send)
