"""The key that a socket of subscriptions brings: in its query, in a subprotocol, in a header, or in a frame."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import orjson

from groups.mesh.graphql.http import secret_of


def secret_of_socket(scope: Mapping[str, Any]) -> str | None:
    """Three ways: `?header=` of aws-appsync, the second subprotocol of Amplify, and headers of programs."""
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    # The base64 is not percent-encoded, so that a plus arrives as a space.
    if (header := query.get("header")) and (found := _secret_in(header[0].replace(" ", "+"), base64.b64decode)):
        return found
    for offered in scope.get("subprotocols", ()):
        kind, _, header_text = offered.partition("header-")
        if not kind and header_text and (found := _secret_in(header_text, base64.urlsafe_b64decode)):
            return found
    return secret_of(dict(scope["headers"]))


def secret_of_frame(payload: Mapping[str, Any]) -> str | None:
    """Of a `start`, in `extensions.authorization`; None without one."""
    extensions = payload.get("extensions")
    return _secret_among(extensions.get("authorization")) if isinstance(extensions, dict) else None


def _secret_in(text: str, decode: Callable[[str], bytes]) -> str | None:
    """The key in a JSON object in base64, with or without its padding."""
    bare = text.rstrip("=")
    try:
        return _secret_among(orjson.loads(decode(bare + "=" * (-len(bare) % 4))))
    except (binascii.Error, ValueError):
        return None


def _secret_among(headers: object) -> str | None:
    if not isinstance(headers, dict):
        return None
    found = next((value for name, value in headers.items() if name.lower() == "x-api-key"), None)
    return found if isinstance(found, str) else None
