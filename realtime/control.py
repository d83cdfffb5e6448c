"""Sending sessions away when what let them in has ended: on this worker and on all others."""

from realtime import doorbell
from realtime.errors import Close
from realtime.hub import Ended


def close_user(user_id: int) -> None:
    """A banned or deactivated user: every session of theirs, for good."""
    doorbell.tell_all(Ended("user", str(user_id), Close.FORBIDDEN, "deactivated"))


def close_credential(credential: str) -> None:
    """A sign-in that ended or a token that was revoked: the sessions that it opened."""
    doorbell.tell_all(Ended("credential", credential, Close.NOT_SIGNED_IN, "signed_out"))
