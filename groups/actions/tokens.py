from collections.abc import Iterable
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from groups.models import ApiToken, User, secrets
from groups.models.token import Scope
from realtime import clock
from realtime.control import close_credential

DAYS = range(1, 3651)


def create_token(*, owner: User, name: str, scopes: Iterable[str], days: int) -> tuple[ApiToken, str]:
    """Make a token; the second value is shown once, only its hash is stored."""
    wanted = [scope for scope in Scope.values if scope in set(scopes)]
    if not wanted or set(scopes) - set(Scope.values):
        raise ValidationError({"scopes": _("Choose from %s.") % ", ".join(Scope.values)})
    if days not in DAYS:
        raise ValidationError({"days": _("A token lives for 1 to %d days.") % DAYS[-1]})
    if not name.strip():
        raise ValidationError({"name": _("Give the token a name, so that you know it again.")})
    now, secret = clock.now(), secrets.make("msh")
    token = ApiToken.objects.create(
        owner=owner,
        name=name.strip()[:80],
        prefix=secret[:8],
        token_hash=secrets.digest(secret),
        scopes=wanted,
        created_at=now,
        expires_at=now + timedelta(days=days),
    )
    return token, secret


def revoke_token(*, owner: User, token_id: int) -> ApiToken:
    """End a token now, with the sockets and polls that it opened. Revoking it again changes nothing."""
    with transaction.atomic():
        token = ApiToken.objects.select_for_update().get(pk=token_id, owner=owner)
        if token.revoked_at is None:
            token.revoked_at = clock.now()
            token.save(update_fields=["revoked_at"])
            transaction.on_commit(lambda: close_credential(token.credential), robust=True)
    return token
