from django.db import transaction

from groups.models import User
from realtime.control import close_user


def deactivate_user(*, user: User) -> None:
    """Nobody signs in to the account any more, and its sockets and polls end. What they wrote stays."""
    with transaction.atomic():
        user.is_active = False
        user.save(update_fields=["is_active"])
        transaction.on_commit(lambda: close_user(user.pk), robust=True)
