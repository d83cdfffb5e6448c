"""What a server may offer beside ASGI. Nothing of Django in here: a server loads its classes before the application."""

from collections.abc import Callable
from typing import Final, Protocol

DIRECT_WRITER: Final = "meshsite.direct_writer"
"""The extension of an ASGI scope under which a server offers a DirectWriter."""


class DirectWriter(Protocol):
    """A connection that takes whole frames at once, without ASGI's `send`."""

    on_drained: Callable[[], None] | None

    def write(self, payload: bytes) -> bool:
        """Send a text frame. False when no more should come before `on_drained` is called."""

    def abort(self) -> None:
        """Drop the connection with all that waits to be sent."""
