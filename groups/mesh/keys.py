"""API keys of classrooms: those of MESH_API_KEYS, and those that teachers make for a school or class."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import NamedTuple

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from groups.models import MeshKey, User, Workspace, secrets
from groups.models.mesh import ID_CHARACTERS
from realtime import clock, doorbell
from realtime.errors import Close
from realtime.hub import Ended

REMEMBERED_SECONDS = 5.0
"""So late another worker may still take a key that was revoked."""
MANY = 10_000
DOMAINS = 100
"""One key may be limited to."""


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
    """ "key" or "key=domain|domain", divided by the last = that something follows: keys in base64 may end with some."""
    keys = {}
    for line in map(str.strip, lines):
        secret, divides, domains = line.rpartition("=")
        if not (divides and domains):
            secret, domains = line, ""
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


class MadeKey(NamedTuple):
    key: MeshKey
    secret: str
    """Shown once."""


def create_mesh_key(
    *, creator: User, label: str, domains: Sequence[str] = (), workspace: Workspace | None = None
) -> MadeKey:
    """Make a key; in these domains alone, if there are some. Who may is the caller's to say. Raises ValidationError."""
    if len(domains) > DOMAINS or any(not 0 < len(domain) <= ID_CHARACTERS or "\0" in domain for domain in domains):
        raise ValidationError({"domains": f"At most {DOMAINS} domains of 1 to {ID_CHARACTERS} characters."})
    secret = secrets.make("mk")
    key = MeshKey.objects.create(
        label=label,
        prefix=secret[:8],
        key_hash=secrets.digest(secret),
        domains=sorted(set(domains)),
        workspace=workspace,
        created_by=creator,
        created_at=clock.now(),
    )
    return MadeKey(key, secret)


def revoke_mesh_key(*, key: MeshKey) -> None:
    """End a key for good, and what was opened with it on all workers. A repeat changes nothing."""
    with transaction.atomic():
        if MeshKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=clock.now()):
            ended = Ended("credential", key.credential, Close.NOT_SIGNED_IN, "signed_out")
            transaction.on_commit(lambda: doorbell.tell_all(ended), robust=True)


def forget_all() -> None:
    """Start anew; for tests, which share one process."""
    _stored.forget_all()
