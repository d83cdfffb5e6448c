"""API keys of classrooms: those of MESH_API_KEYS, and those that teachers make for a school or class."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

from django.conf import settings
from django.core.exceptions import ValidationError

from groups.models import MeshKey, secrets
from realtime import clock

REMEMBERED_SECONDS = 5.0
"""So late another worker may still take a key that was revoked."""
MANY = 10_000


@dataclass(frozen=True)
class Key:
    """What let a client in. `id` names it in limits and logs; without domains it works in all."""

    id: str
    domains: frozenset[str]

    @property
    def credential(self) -> str:
        """How sessions that it let in name it, as `MeshKey.credential`."""
        return f"mesh:{self.id}"

    def works_in(self, domain: str) -> bool:
        return not self.domains or domain in self.domains

    def check(self, domain: str) -> None:
        """Raises ValidationError for a domain in which it does not work."""
        if not self.works_in(domain):
            raise ValidationError("This key does not work in this domain.")


def key_of(secret: str | None) -> Key | None:
    """The key that a client brought; None for an unknown or revoked one. Blocks."""
    if not secret:
        return None
    if (configured := _configured(tuple(settings.MESH_API_KEYS)).get(secret)) is not None:
        return configured
    return _stored.key_of(secret)


@lru_cache(8)
def _configured(lines: tuple[str, ...]) -> dict[str, Key]:
    """ "key" or "key=domain|domain"."""
    keys = {}
    for line in lines:
        secret, _, domains = line.partition("=")
        # Named after itself and not its place: groups that were made with it outlive a restart with another list.
        keys[secret] = Key(f"setting {secrets.digest(secret)[:16]}", frozenset(filter(None, domains.split("|"))))
    return keys


class _Stored:
    """Those of the database, and that there is none, remembered for a moment."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Key | None]] = {}
        self._lock = Lock()

    def key_of(self, secret: str) -> Key | None:
        now, digest = clock.monotonic(), secrets.digest(secret)
        with self._lock:
            until, key = self._known.get(digest, (0.0, None))
        if until > now:
            return key
        row = MeshKey.objects.filter(key_hash=digest, revoked_at=None).first()
        key = None if row is None else Key(f"key {row.pk}", frozenset(row.domains))
        with self._lock:
            if len(self._known) >= MANY:
                self._known.clear()
            self._known[digest] = (now + REMEMBERED_SECONDS, key)
        return key

    def forget_all(self) -> None:
        with self._lock:
            self._known.clear()


_stored = _Stored()


def ended_among(credentials: Collection[str]) -> set[str]:
    """Which of these credentials of sessions are those of keys that hold no longer. Blocks."""
    prefix = "mesh:key "
    asked = {one for one in credentials if one.startswith(prefix)}
    if not asked:
        return set()
    good = MeshKey.objects.filter(pk__in=[one.removeprefix(prefix) for one in asked], revoked_at=None)
    return asked - {key.credential for key in good}


def forget_all() -> None:
    """Start anew; for tests, which share one process."""
    _stored.forget_all()
