from typing import cast

from groups.models import User
from realtime.commands import Caller


def user_of(caller: Caller) -> User:
    """The caller's account; `realtime` knows only that it is one of Django's users."""
    return cast(User, caller.user)
