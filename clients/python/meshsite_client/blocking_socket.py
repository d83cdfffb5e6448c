"""A WebSocket that is read and written by the thread that uses it, and by no other."""

import socket
import ssl
import time
from collections import deque
from collections.abc import Mapping
from typing import Final

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

READ_BYTES: Final = 64 * 1024
CLOSE_SECONDS: Final = 1.0


class SocketClosed(Exception):
    """The other side is gone; `code` is 1006 when it said nothing."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class BlockingSocket:
    """Opens in the constructor. Raises OSError (of which TimeoutError is one) or InvalidHandshake."""

    def __init__(self, url: str, *, headers: Mapping[str, str], most_bytes: int, seconds: float) -> None:
        uri = parse_uri(url)
        deadline = time.monotonic() + seconds
        self._protocol = ClientProtocol(uri, max_size=most_bytes)
        self._texts: deque[str] = deque()
        self._parts: list[bytes] = []
        self._opened = self._closed = False
        self._socket = socket.create_connection((uri.host, uri.port), timeout=seconds)
        try:
            if uri.secure:
                self._socket = ssl.create_default_context().wrap_socket(self._socket, server_hostname=uri.host)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._shake_hands(headers, deadline)
        except BaseException:
            self._socket.close()
            raise

    def receive(self, seconds: float) -> str | None:
        """The next message; None when there is none after so many seconds. Raises SocketClosed."""
        deadline = time.monotonic() + seconds
        while not self._texts:
            if self._closed:
                told = self._protocol.close_rcvd
                raise SocketClosed(1006 if told is None else told.code)
            try:
                self._read(deadline)
            except TimeoutError:
                return None
        return self._texts.popleft()

    def send(self, text: str, *, seconds: float) -> None:
        """Raises TimeoutError when the other side does not read; SocketClosed is raised by the next `receive`."""
        if not self._closed:
            self._protocol.send_text(text.encode())
            self._write(time.monotonic() + seconds)

    def close(self, code: int, *, wait: bool) -> None:
        """Say goodbye. Without waiting for the answer, what was written last may never be read over there."""
        deadline = time.monotonic() + CLOSE_SECONDS
        try:
            if not self._closed:
                self._protocol.send_close(code)
                self._write(deadline)
            while wait and not self._closed:
                self._read(deadline)
        except TimeoutError:
            pass  # It had its chance.
        finally:
            self._socket.close()

    def _shake_hands(self, headers: Mapping[str, str], deadline: float) -> None:
        request = self._protocol.connect()
        request.headers.update(headers)
        self._protocol.send_request(request)
        self._write(deadline)
        while self._protocol.handshake_exc is None and not self._protocol.close_expected() and not self._opened:
            self._read(deadline)
        if self._protocol.handshake_exc is not None:
            raise self._protocol.handshake_exc
        if not self._opened:
            raise InvalidHandshake("the connection ended before it was opened")

    def _read(self, deadline: float) -> None:
        """Wait for bytes and take what they say. Raises TimeoutError; every other failure is an end."""
        # At the deadline, what has arrived already is still read.
        self._socket.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            data = self._socket.recv(READ_BYTES)
        except TimeoutError:
            raise
        except OSError:
            data = b""
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
            self._closed = True
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._opened = True
            elif isinstance(event, Frame):
                self._take(event)
        self._write(deadline)

    def _take(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            self._closed = True
        elif frame.opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
            self._parts.append(bytes(frame.data))
            if frame.fin:
                self._texts.append(b"".join(self._parts).decode())
                self._parts.clear()

    def _write(self, deadline: float) -> None:
        for data in self._protocol.data_to_send():
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                if data:
                    self._socket.sendall(data)
                else:
                    self._socket.shutdown(socket.SHUT_WR)
            except TimeoutError:
                raise
            except OSError:
                self._closed = True
                return
