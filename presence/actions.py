import logging
from collections.abc import Collection
from datetime import timedelta

from django.conf import settings
from django.db import transaction

from groups.models import User
from presence import announcing, watching
from presence.audiences import shared_with
from presence.models import Presence
from realtime import clock, limits
from realtime.backends import leases
from realtime.errors import Unavailable
from realtime.relay import user_stream

log = logging.getLogger(__name__)


def set_status_text(*, user: User, text: str, emoji: str = "", seconds: int | None = None) -> None:
    """Say something of oneself, for so many seconds or until it is replaced. Nothing, "" and "", clears it.

    Raises RateLimited past STATUS_TEXT_PER_MINUTE.
    """
    _spend("status_text", user, settings.STATUS_TEXT_PER_MINUTE)
    text, emoji, now = " ".join(text.split()), emoji.strip(), clock.now()
    ends = seconds is not None and bool(text or emoji)
    said = {
        "status_text": text,
        "status_emoji": emoji,
        "status_expires_at": now + timedelta(seconds=seconds or 0) if ends else None,
        "untold_since": now,
    }
    with transaction.atomic():
        Presence.objects.update_or_create(user=user, defaults=said)

        def tell() -> None:
            _tell_text(user.pk)

        transaction.on_commit(tell, robust=True)


def set_away(*, user: User, away: bool, session: str | None = None) -> None:
    """Declare a session, or all of the user, away or active. Who is offline stays it.

    Others know when it returns. Raises RateLimited past AWAY_PER_MINUTE.
    """
    _spend("away", user, settings.AWAY_PER_MINUTE)
    if leases().set_away(user_stream(user.pk), session, away=away):
        announcing.announce()


def watch(*, watcher: User, user_ids: Collection[int]) -> set[int]:
    """Be told of these users, and no longer of those of before, for PRESENCE_WATCH_SECONDS.

    The ids of those whose presence the watcher may see; the others are not watched. Raises RateLimited past
    WATCH_PER_MINUTE.
    """
    _spend("watch", watcher, settings.WATCH_PER_MINUTE)
    seen = shared_with(watcher, user_ids)
    watching.watch(watcher.pk, seen - {watcher.pk})
    return seen


def _spend(what: str, user: User, per_minute: float) -> None:
    limits.spend(f"{what}:{user.pk}", per_minute=per_minute, burst=max(1, per_minute))


def _tell_text(user_id: int) -> None:
    try:
        leases().tell_again(user_stream(user_id))
        announcing.soon()
    except Unavailable:
        log.debug("presence: the leases are away, the text of %d waits for the sweep", user_id)
