"""Who calls or follows a classroom: somebody with an account, or whoever has an API key."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from django.conf import settings
from django.contrib.auth.models import AnonymousUser

from groups.mesh.keys import key_of
from realtime import limits
from realtime.commands import Caller

BURST_SECONDS = 5
"""What a key and address may use at once of MESH_CALLS_PER_MINUTE."""
KEY_SCOPES = frozenset({"mesh"})
_OF_KEYS = "mesh:"


def caller_of_key(secret: str, address: str) -> Caller | None:
    """The caller of a key that holds, else None. Blocks."""
    key = key_of(secret)
    if key is None:
        return None
    return Caller(AnonymousUser(), KEY_SCOPES, key.credential, address=address, domains=key.domains)


def key_in(scope: Mapping[str, Any]) -> str | None:
    """The key that an ASGI scope brings: in a header, or in the query, as browsers set no headers on sockets."""
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            return str(value.decode("latin-1")).strip()
    if b"key=" not in scope["query_string"]:
        return None
    query = parse_qs(scope["query_string"].decode("latin-1"))
    return query["key"][0] if "key" in query else None


def owner_of(user_id: int, credential: str) -> str:
    """What a group remembers of whoever made it, for only they are its host: the key, or the user."""
    return credential.removeprefix(_OF_KEYS) if credential.startswith(_OF_KEYS) else f"user {user_id}"


def spend(owner: str, address: str) -> None:
    """Raises RateLimited past MESH_CALLS_PER_MINUTE of one key from one address, or of one user."""
    per_minute = settings.MESH_CALLS_PER_MINUTE
    whose = owner if owner.startswith("user ") else f"{owner}:{address}"
    limits.spend(f"mesh:{whose}", per_minute=per_minute, burst=max(1.0, per_minute * BURST_SECONDS / 60))
