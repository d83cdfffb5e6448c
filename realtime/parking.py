"""What a server may offer beside ASGI to requests that wait. Nothing of Django in here, as in `direct_writer`.

While an ASGI application waits, its task and coroutines, its scope and what the server keeps of the request take more
memory than all that the waiting is about. A parked request has none of them.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

PARKING: Final = "meshsite.parking"
"""The extension of an HTTP scope under which a server offers Parking."""


class Parked(Protocol):
    """A request whose application returned without an answer."""

    def respond(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        """Answer, once. Does nothing when the client has gone away."""


class Parking(Protocol):
    def park(self, on_gone: Callable[[], None]) -> Parked:
        """Take the request from its application, which returns then. `on_gone` is called when the client goes away."""
