"""What people say of themselves, and what others are told of it."""

from functools import cache
from zoneinfo import available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from groups.audiences import who_know
from groups.avatars import digest_of, to_avatar
from groups.display_names import checked_display_name
from groups.events import UserUpdated
from groups.models import Avatar, User
from groups.payloads import me_payload, profile_payload
from realtime import limits
from realtime.publish import Publication, publish_all, users

PROFILES_PER_MINUTE = 20
"""Changes of one user: each is told to everybody who sees them."""


def update_profile(
    *, user: User, display_name: str | None = None, time_zone: str | None = None, language: str | None = None
) -> User:
    """Change what is given; "" clears it. What is as it was tells nobody.

    Raises RateLimited past PROFILES_PER_MINUTE.
    """
    if display_name is not None:
        display_name = checked_display_name(display_name)
    if time_zone and time_zone not in _time_zones():
        raise ValidationError({"time_zone": _("There is no time zone of this name.")})
    if language and language not in dict(settings.LANGUAGES):
        raise ValidationError({"language": _("Choose from %s.") % ", ".join(dict(settings.LANGUAGES))})
    _spend(user)
    given = {"display_name": display_name, "time_zone": time_zone, "language": language}
    with transaction.atomic():
        locked = lock_user(user)
        changed = {name: value for name, value in given.items() if value not in (None, getattr(locked, name))}
        for name, value in changed.items():
            setattr(locked, name, value)
        if changed:
            locked.save(update_fields=list(changed))
            tell_profile(locked, others=changed.keys() != {"language"})
    return locked


def set_avatar(*, user: User, image: bytes | None) -> User:
    """Show this picture beside the user's name, or none. The same again tells nobody. Raises as `update_profile`."""
    _spend(user)
    avatar = None if image is None else to_avatar(image)
    digest = "" if avatar is None else digest_of(user.pk, avatar)
    with transaction.atomic():
        locked = lock_user(user)
        if locked.avatar_digest == digest:
            return locked
        if avatar is None:
            Avatar.objects.filter(user=locked).delete()
        else:
            Avatar.objects.update_or_create(user=locked, defaults={"digest": digest, "image": avatar})
        locked.avatar_digest = digest
        locked.save(update_fields=["avatar_digest"])
        tell_profile(locked)
    return locked


def lock_user(user: User) -> User:
    """The user as they are now, locked until the transaction ends. After all locks of workspaces."""
    return User.objects.select_for_update(no_key=True).get(pk=user.pk)


def tell_profile(user: User, *, others: bool = True) -> None:
    """Tell how a user is shown now: to themself with what only they see, and to those who know them."""
    order = f"user:{user.pk}"
    told = [Publication(UserUpdated(me_payload(user)), users([user.pk]), order)]
    if others:
        told.append(Publication(UserUpdated(profile_payload(user)), who_know(user), order))
    publish_all(told)


def _spend(user: User) -> None:
    limits.spend(f"profile:{user.pk}", per_minute=PROFILES_PER_MINUTE, burst=PROFILES_PER_MINUTE)


@cache
def _time_zones() -> set[str]:
    """Those of the IANA database that this machine has."""
    return available_timezones()
