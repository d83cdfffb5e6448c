"""What a client raises."""

from collections.abc import Mapping


class MeshsiteError(Exception):
    """Base of the errors of this package."""


class CallError(MeshsiteError):
    """A call was refused, or could not be made. `code` is stable; docs/protocol.md lists the server's.

    This side adds `unreachable`, `timeout` and, for an answer that is not Meshsite's, `bad_answer` or `http_<status>`.
    """

    def __init__(
        self,
        code: str,
        *,
        status: int = 0,
        detail: str = "",
        errors: Mapping[str, list[str]] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail or code)
        self.code = code
        self.status = status
        self.detail = detail or code
        self.errors = dict(errors or {})
        self.retry_after = retry_after

    @property
    def lost(self) -> bool:
        """The call may or may not have been carried out: asking again with the same key is safe and may succeed."""
        return self.code in {"unreachable", "timeout"} or self.status >= 502


class Refused(MeshsiteError):
    """The server told this client to stay away. `close_code` says in which way, `code` why."""

    def __init__(self, close_code: int, code: str | None) -> None:
        super().__init__(f"{close_code} {code or ''}".strip())
        self.close_code = close_code
        self.code = code
