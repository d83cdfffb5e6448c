"""Sending sessions away when what let them in has ended: on this worker and on all others."""

from realtime import doorbell, leasing, resume_tokens
from realtime.errors import Close
from realtime.hub import Ended
from realtime.relay import user_stream


def close_user(user_id: int) -> None:
    """A banned or deactivated user: every session of theirs, for good, and nobody sees them any more."""
    doorbell.tell_all(Ended("user", str(user_id), Close.FORBIDDEN, "deactivated"))
    leasing.end(user_stream(user_id))


def close_credential(credential: str) -> None:
    """A sign-in that ended or a token that was revoked: the sessions that it opened."""
    doorbell.tell_all(Ended("credential", credential, Close.NOT_SIGNED_IN, "signed_out"))
    resume_tokens.end(credential)


def check_user_again(user_id: int) -> None:
    """Something about a user's sign-ins changed: they come back, those whose sign-in ended are told so then."""
    doorbell.tell_all(Ended("user", str(user_id), Close.RESTART, "check_again"))
    resume_tokens.end(user_stream(user_id))
