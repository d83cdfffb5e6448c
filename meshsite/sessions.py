"""Sign-ins of browsers, in the database."""

from django.contrib.sessions.backends.base import VALID_KEY_CHARS
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore


class SessionStore(DatabaseStore):
    def _validate_session_key(self, key: str) -> bool:
        """A key that was never made here is not looked up: a quoted cookie can hold NUL, which PostgreSQL refuses."""
        return len(key or "") >= 8 and set(key) <= set(VALID_KEY_CHARS)
