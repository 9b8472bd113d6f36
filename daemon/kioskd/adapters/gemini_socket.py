"""The Live service's WebSocket, with a deadline on every wait.

The SDK dials with `websockets` and waits without limits: for the answer to its setup, for room in a full write
buffer, for a peer that has frozen while we close. Here each of those waits ends. The class is handed to the SDK as
`create_connection`, the way that `websockets` offers for this.
"""

import asyncio
import logging
import socket
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus, SecurityError

log = logging.getLogger(__name__)

_ABORT_S = 1.0
"""How long an aborted socket may take to be gone; it takes a turn or two of the loop."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each wait on the network may last, in seconds."""

    open_s: float = 10.0
    """Name, TCP, TLS and the HTTP upgrade together."""
    setup_s: float = 10.0
    """From the setup message to the service's answer."""
    send_s: float = 5.0
    """From a message to room for it in the write buffer."""
    hang_up_s: float = 0.5
    """For a proper close; then the socket is aborted."""
    unacknowledged_s: float = 15.0
    """How long the kernel waits for the peer to acknowledge data (TCP_USER_TIMEOUT).

    The probe for a dead link while audio flows: the WebSocket's own ping may stand in the full buffer behind it.
    """


class LiveSocket(ClientConnection):
    """A client's WebSocket whose every wait ends."""

    def __init__(self, *args: Any, deadlines: Deadlines, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadlines = deadlines
        self._set_up = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Have the kernel give up on a peer that acknowledges nothing."""
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(
            socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(self._deadlines.unacknowledged_s * 1000)
        )

    async def handshake(self, *args: Any, **kwargs: Any) -> None:
        """Do the HTTP upgrade, and follow no redirect: it would take the key in our headers to another host."""
        try:
            await super().handshake(*args, **kwargs)
        except InvalidStatus as error:
            if 300 <= error.response.status_code < 400:
                raise SecurityError(f"HTTP {error.response.status_code}, a redirect") from None
            raise

    async def recv(self, decode: bool | None = None) -> Any:
        """Return the next message; the first, the answer to the setup, is waited for `setup_s` at most."""
        if self._set_up:
            return await super().recv(decode)
        try:
            async with asyncio.timeout(self._deadlines.setup_s):
                message = await super().recv(decode)
        except TimeoutError:
            self.transport.abort()
            raise TimeoutError(f"no answer to the setup within {self._deadlines.setup_s:g} s") from None
        self._set_up = True
        return message

    async def send(self, message: Any, *, text: bool | None = None) -> None:
        """Send one message, or abort the connection if there is no room for it within `send_s`."""
        try:
            async with asyncio.timeout(self._deadlines.send_s):
                await super().send(message, text=text)
        except TimeoutError:
            self.transport.abort()
            raise TimeoutError(f"took nothing for {self._deadlines.send_s:g} s") from None

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close properly if the peer is quick, and abort the connection in any case.

        The service refuses to resume a session whose connection is still open, so a proper close is worth a wait,
        and a socket left behind costs more than a broken one.
        """
        try:
            async with asyncio.timeout(self._deadlines.hang_up_s):
                await super().close(code, reason)
        except TimeoutError:
            log.debug("! no proper close within %g s, aborting", self._deadlines.hang_up_s)
        finally:
            self.transport.abort()
        try:
            async with asyncio.timeout(_ABORT_S):
                await self.wait_closed()
        except TimeoutError:
            log.warning("live socket still open after its abort: waited=%gs", _ABORT_S)
