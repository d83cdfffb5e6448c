"""Tickets for programs that cannot set headers on a WebSocket: signed, short-lived, used once."""

import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core import signing
from django.core.cache import cache

from realtime.redis_connection import in_cache

_SALT = "realtime.ticket"


def issue(claims: dict[str, Any]) -> str:
    """A ticket that carries `claims` for TICKET_SECONDS."""
    return signing.dumps({**claims, "nonce": secrets.token_urlsafe(12)}, salt=_SALT)


def take(ticket: str) -> dict[str, Any] | None:
    """The claims of a ticket, the first time; None for one that is forged, too old or used."""
    try:
        claims: dict[str, Any] = signing.loads(ticket, salt=_SALT, max_age=timedelta(seconds=settings.TICKET_SECONDS))
    except signing.BadSignature:
        return None
    with in_cache():
        first = cache.add(f"ticket:{claims.pop('nonce')}", 1, timeout=settings.TICKET_SECONDS + 1)
    return claims if first else None
