"""The seam to uvicorn: `--ws realtime.uvicorn_protocol:SocketProtocol` lets the hub write frames without a task hop.

A subclass that uvicorn takes as an option, and an extension of the ASGI scope that an application may use or not.
Without it, with `--ws websockets-sansio` or another server, frames go through ASGI's `send`: the same, only slower.
"""

from collections.abc import Callable

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from realtime.doors import DIRECT_WRITER


class SocketProtocol(WebSocketsSansIOProtocol):
    on_drained: Callable[[], None] | None = None

    async def run_asgi(self) -> None:
        self.scope.setdefault("extensions", {})[DIRECT_WRITER] = {"writer": self}
        await super().run_asgi()

    def send_receive_event_to_app(self) -> None:
        """Text that is no UTF-8 is the client's matter; uvicorn would log a traceback of it."""
        if self.curr_msg_data_type == "text" and not _is_utf_8(b"".join(self.frames)):
            self.frames = []
            self.conn.send_close(1007)
            self.handle_parser_exception()
        else:
            super().send_receive_event_to_app()

    def write(self, payload: bytes) -> bool:
        """Send a text frame. False when no more should come before `on_drained` is called."""
        if not (self.disconnected or self.close_sent or self.transport.is_closing()):
            self.transport.write(_header(len(payload)) + payload)
        return self.writable.is_set()

    def abort(self) -> None:
        """Drop the connection with all that waits to be sent."""
        self.transport.abort()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.on_drained is not None:
            self.on_drained()


def _is_utf_8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _header(length: int) -> bytes:
    """Of a whole, unmasked text frame. Source: RFC 6455, section 5.2."""
    if length < 126:
        return bytes((0x81, length))
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big")
    return b"\x81\x7f" + length.to_bytes(8, "big")
