"""API keys of classrooms that people make, for a school or a class."""

from collections.abc import Sequence
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.db import transaction

from groups.models import MeshKey, User, Workspace, secrets
from groups.models.mesh import ID_CHARACTERS
from realtime import clock, doorbell
from realtime.errors import Close
from realtime.hub import Ended

DOMAINS = 100
"""One key may be limited to."""


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
