"""The simulator's end of a WebSocket, which counts received messages and can stop or slow its reading."""

import asyncio
import socket
import struct
from typing import Any, Final

from websockets.asyncio.server import ServerConnection
from websockets.frames import DATA_OPCODES, Frame
from websockets.protocol import State

from kioskd.simulator.auth import ApiEndpoint, Authentication

_ESTABLISHED: Final = 1  # Linux, tcp_states.h
_SLICE_S: Final = 0.02
_READ_AHEAD_BYTES: Final = 4096


class ServerSocket(ServerConnection):
    """A client's WebSocket, from its TLS handshake on.

    It counts received messages. When it sends a pong, it has counted all messages before the ping.
    """

    endpoint: ApiEndpoint | None = None
    authentication = Authentication("no_key")
    received = 0
    """Messages received so far."""
    discarding = False
    """Whether data are dropped, without being counted or acknowledged."""
    _held_back: bytes | None = None
    """Data that came while reading was paused; None if it is not paused."""
    _slice_bytes: int | None = None
    _delayed = b""
    _slice_timer: asyncio.TimerHandle | None = None

    @property
    def tcp_socket(self) -> socket.socket:
        """The TCP socket of the connection."""
        found: socket.socket = self.transport.get_extra_info("socket")
        return found

    @property
    def client_is_there(self) -> bool:
        """Whether the client still holds its end. The kernel knows it, also if the socket is not read."""
        if self.state is not State.OPEN or self.tcp_socket.fileno() < 0:
            return False
        state: int = self.tcp_socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        return state == _ESTABLISHED

    def read_slowly(self, bytes_per_s: int) -> None:
        """Read `bytes_per_s` each second; the rest waits on the client's side."""
        self._slice_bytes = max(1, round(bytes_per_s * _SLICE_S))
        # By default TLS reads half a megabyte ahead.
        self.transport.set_read_buffer_limits(_READ_AHEAD_BYTES)  # type: ignore[attr-defined]  # asyncio's, for TLS only

    def read_freely(self) -> None:
        """Read all data at once again."""
        self._slice_bytes = None
        if self._slice_timer is not None:
            self._slice_timer.cancel()
            self._read_slice()

    def pause_reading(self) -> None:
        """Read nothing from now on."""
        if self._held_back is None:
            self._held_back, self._delayed = self._delayed, b""
        if self._slice_timer is not None:
            self._slice_timer.cancel()
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again, first the data that were held back, which may hold the client's own close."""
        held_back, self._held_back, self._slice_bytes = self._held_back, None, None
        if held_back:
            super().data_received(held_back)
        self.transport.resume_reading()

    def reset(self) -> None:
        """End the TCP connection with a reset, without a WebSocket close."""
        if self.tcp_socket.fileno() >= 0:
            reset(self.transport)

    def abort(self) -> None:
        """Drop the connection, however far it has come."""
        if hasattr(self, "transport"):
            self.transport.abort()

    def enable_keepalive(self) -> None:
        """Make the kernel check each second whether the client is still there.

        The kernel drops a reset while the receive window is full. So a client that has left would seem to be
        there.
        """
        sock = self.tcp_socket
        if sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)

    def data_received(self, data: bytes) -> None:
        """Read, unless reading is paused. The library itself may have resumed it."""
        if self._held_back is not None:
            self._held_back += data
            self.transport.pause_reading()
        elif self._slice_bytes is not None or self._delayed:
            self._delayed += data
            self.transport.pause_reading()
            if self._slice_timer is None:
                self._read_slice()
        else:
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop reading slices."""
        if self._slice_timer is not None:
            self._slice_timer.cancel()
        super().connection_lost(exc)

    def process_event(self, event: Any) -> None:
        """Count a message, or drop it."""
        if isinstance(event, Frame) and event.opcode in DATA_OPCODES:
            if self.discarding:
                return
            self.received += event.fin
        super().process_event(event)

    def _read_slice(self) -> None:
        """Read the bytes that are due now, and schedule the next."""
        self._slice_timer = None
        end = len(self._delayed) if self._slice_bytes is None else self._slice_bytes
        share, self._delayed = self._delayed[:end], self._delayed[end:]
        if share:
            super().data_received(share)
        if self._held_back is not None:
            return
        if not self._delayed:
            self.transport.resume_reading()
        if self._slice_bytes is not None and (self._delayed or share):
            self._slice_timer = self.loop.call_later(_SLICE_S, self._read_slice)


def reset(transport: asyncio.WriteTransport) -> None:
    """End a TCP connection with a reset."""
    sock = transport.get_extra_info("socket")
    if sock.fileno() < 0:
        return
    # A linger time of zero makes the socket reset the connection.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
