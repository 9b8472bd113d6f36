"""The Live service's WebSocket, with a deadline on every wait and a receipt for what was taken in.

The SDK dials with `websockets` and waits without limits: for the answer to its setup, for room in a full write
buffer, for a peer that has frozen while we close. Here each of those waits ends. The class is handed to the SDK as
`create_connection`, the way that `websockets` offers for this.

What ends in a task that is being cancelled already (`close`) waits by `asyncio.wait` and `call_later`: there
`asyncio.timeout` raises CancelledError instead of TimeoutError on Python 3.11.
"""

import array
import asyncio
import fcntl
import json
import logging
import socket
import struct
import termios
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus, SecurityError
from websockets.frames import DATA_OPCODES, Frame
from websockets.protocol import State

from kioskd.adapters.gemini.errors import NotSetUp, Stalled
from kioskd.adapters.gemini.intake import MOST_UNSENT_BYTES, BoundedIntake, check_fields
from kioskd.adapters.gemini.raw_calls import readable
from kioskd.adapters.gemini.receipts import Receipts
from kioskd.fairness import others_first

log = logging.getLogger(__name__)

_ABORT_S: Final = 1.0
"""How long an aborted socket may take to be gone; it takes a turn or two of the loop."""
_UNSENT: Final = 0x894B  # SIOCOUTQNSD, linux/sockios.h
_BYTES_ACKED: Final = 120  # tcpi_bytes_acked in Linux's struct tcp_info


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each wait on the network may last, in seconds."""

    open_s: float = 10.0
    """Name, TCP, TLS and the HTTP upgrade together."""
    setup_s: float = 10.0
    """From the setup message to the service's answer."""
    send_s: float = 5.0
    """From a message to room for it in the write buffer."""
    receipt_s: float = 0.5
    """For the last receipt when we hang up."""
    hang_up_s: float = 0.5
    """For a proper close after that; then the socket is aborted."""
    unacknowledged_s: float = 15.0
    """How long the kernel waits for the peer to acknowledge data (TCP_USER_TIMEOUT).

    The probe for a dead link while audio flows: the WebSocket's own ping may stand in the full buffer behind it.
    """
    stalled_s: float = 12.0
    """How long a peer whose kernel still acknowledges may say nothing at all while a receipt is missing that had
    always come quickly."""


class LiveSocket(ClientConnection):
    """A client's WebSocket whose every wait ends."""

    def __init__(self, *args: Any, deadlines: Deadlines, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadlines = deadlines
        self._set_up = False
        self._leaving = False
        self._given_up: Callable[[], Exception] | None = None
        self._watch: asyncio.TimerHandle | None = None
        self.receipts = Receipts(self.acknowledged)
        """The count of what was taken in; the sender updates it (see `ask_receipt`)."""

    @property
    def backlog(self) -> int:
        """Bytes that were sent and have not left this machine: in our write buffer, and unsent in the kernel's.

        What is on its way and not acknowledged yet does not count, so that a long way is no congestion.
        """
        sock = self.transport.get_extra_info("socket")
        if sock is None or sock.fileno() < 0:
            return 0
        return self.transport.get_write_buffer_size() + (_queued(sock, _UNSENT) or 0)

    def keep(self, *, transparent: bool, known_prompt: bool) -> None:
        """Begin the book of receipts, with what is known of the service."""
        self.receipts = Receipts(self.acknowledged, transparent=transparent, known_prompt=known_prompt)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Have the kernel give up on a peer that acknowledges nothing."""
        super().connection_made(transport)
        messages = self.recv_messages
        self._intake = BoundedIntake(
            self.transport, self.loop, super().data_received, full=lambda: messages.paused
        )
        messages.resume = self._intake.resume
        transport.get_extra_info("socket").setsockopt(
            socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(self._deadlines.unacknowledged_s * 1000)
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for no receipt any more. A close that was read already is still understood."""
        self._intake.finish()
        super().connection_lost(exc)
        if self._watch is not None:
            self._watch.cancel()

    def data_received(self, data: bytes) -> None:
        """Note that the peer is alive, and take apart what came: a share at a time, so that nothing else waits long."""
        self.receipts.heard(self.loop.time())
        if self.transport.get_write_buffer_size() > MOST_UNSENT_BYTES:
            self._give_up(TimeoutError, "took nothing and asked for more")
        else:
            self._intake.take(data)

    def eof_received(self) -> None:
        """Take apart what came before the end."""
        self._intake.finish()
        super().eof_received()

    def process_event(self, event: Any) -> None:
        """Pass over what is said while we leave: messages that are not read would hold up the receipts behind them."""
        if not (self._leaving and isinstance(event, Frame) and event.opcode in DATA_OPCODES):
            super().process_event(event)

    async def handshake(self, *args: Any, **kwargs: Any) -> None:
        """Do the HTTP upgrade, and follow no redirect: it would take the key in our headers to another host."""
        try:
            await super().handshake(*args, **kwargs)
        except InvalidStatus as error:
            if 300 <= error.response.status_code < 400:
                raise SecurityError(f"HTTP {error.response.status_code}, a redirect") from None
            raise

    async def recv(self, decode: bool | None = None) -> Any:
        """Return the next message; the first, the answer to the setup, is waited for `setup_s` at most.

        Raises:
            NotSetUp: the first is something else, or did not come.
            Stalled, TimeoutError: this side has given the peer up.
            TooManyFields: the message is not worth the time that it would take; the next one may be.
            ConnectionClosed: the connection is over.
        """
        try:
            if self._set_up:
                await others_first()  # before a message is taken: after it, a cancelled caller would lose it
                message = await super().recv(decode)
                check_fields(message)
                return readable(message)
            async with asyncio.timeout(self._deadlines.setup_s):
                message = await super().recv(decode)
        except TimeoutError:
            raise self._give_up(
                NotSetUp, f"no answer to the setup within {self._deadlines.setup_s:g} s"
            ) from None
        except ConnectionClosed:
            self._tell_why()
            raise
        if not _says_set_up(message):
            raise self._give_up(NotSetUp, "it answered the setup with something else")
        self._set_up = True
        return message

    async def send(self, message: Any, *, text: bool | None = None) -> None:
        """Send one message, or abort the connection if there is no room for it within `send_s`."""
        try:
            async with asyncio.timeout(self._deadlines.send_s):
                await super().send(message, text=text)
        except TimeoutError:
            raise self._give_up(TimeoutError, f"took nothing for {self._deadlines.send_s:g} s") from None
        except ConnectionClosed:
            self._tell_why()
            raise

    async def ask_receipt(self) -> None:
        """Have the peer say when it has taken in what was sent so far; does nothing while too many are on their way.

        ConnectionClosed, TimeoutError: as `send`.
        """
        if not self.receipts.wanted:
            return
        try:
            async with asyncio.timeout(self._deadlines.send_s):
                pong = await self.ping()
        except TimeoutError:
            raise self._give_up(TimeoutError, f"took nothing for {self._deadlines.send_s:g} s") from None
        except ConnectionClosed:
            self._tell_why()
            raise
        self._expect(pong)

    async def last_receipt(self) -> None:
        """Wait until all that was sent has been taken in, `receipt_s` at most; what is said meanwhile is not read.

        Does nothing where a receipt would not come in time: over a lost or full connection, from a slow service.
        """
        if self.state is not State.OPEN or self.paused or self.receipts.slow or self.receipts.complete:
            return
        self._leaving = True
        self.transport.resume_reading()
        deadline = self.loop.call_later(self._deadlines.receipt_s, self._reset)
        try:
            pong = cast("asyncio.Future[float]", await self.ping())
        except ConnectionClosed:
            return
        finally:
            deadline.cancel()
        self._expect(pong)
        await asyncio.wait([pong], timeout=self._deadlines.receipt_s)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close properly if the peer is quick, and abort the connection in any case.

        The service refuses to resume a session whose connection is still open, so a proper close is worth a wait,
        and a socket left behind costs more than a broken one.
        """
        self._leaving = True
        if self.state is State.OPEN:
            self.transport.resume_reading()
        before = self.protocol.close_sent
        deadline = self.loop.call_later(self._deadlines.hang_up_s, self._reset)
        try:
            await super().close(code, reason)
        finally:
            deadline.cancel()
            self._reset()
        answer = self.protocol.close_rcvd
        if before is None and answer and answer.code == code and not self.protocol.close_rcvd_then_sent:
            self.receipts.closed()
        await asyncio.wait([self.connection_lost_waiter], timeout=_ABORT_S)
        if not self.connection_lost_waiter.done():
            log.warning("live socket still open after its abort: waited=%gs", _ABORT_S)

    def _reset(self) -> None:
        """End the connection at once, if it is still there.

        By a TCP reset: what has not been sent would else stand before our FIN, and a peer that takes nothing would never
        see the end. The service refuses to resume a session while it believes the old connection open.
        """
        if self.connection_lost_waiter.done():
            return
        sock = self.transport.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        log.debug("! no proper close, aborting")
        self.transport.abort()

    def _expect(self, pong: Any) -> None:
        self.receipts.asked(self.loop.time())
        pong.add_done_callback(self._note_receipt)
        if self._watch is None:
            self._watch = self.loop.call_later(self._deadlines.stalled_s, self._look)

    def _note_receipt(self, pong: asyncio.Future[float]) -> None:
        if not pong.cancelled() and pong.exception() is None:
            self.receipts.received(pong.result())

    def _look(self) -> None:
        """Give up a peer that has stalled, or look again when it may have."""
        self._watch = None
        silent_s, limit_s = self.receipts.silent_s(self.loop.time()), self._deadlines.stalled_s
        if silent_s >= limit_s and self.receipts.prompt:
            self._give_up(Stalled, f"stalled: sends nothing and takes nothing in for {silent_s:.0f} s")
        elif silent_s > 0:
            self._watch = self.loop.call_later(max(limit_s - silent_s, 1.0), self._look)

    def _give_up(self, kind: type[Exception], why: str) -> Exception:
        """Abort the connection, and remember why: the library knows of an abnormal closure only."""
        if self._given_up is None:
            self._given_up = lambda: kind(why)
        self._reset()
        return self._given_up()

    def _tell_why(self) -> None:
        if self._given_up is not None:
            raise self._given_up() from None

    def acknowledged(self) -> tuple[int, int] | None:
        """Return what the peer's kernel has acknowledged, and what more was sent, in bytes; None if the kernel does not say."""
        sock = self.transport.get_extra_info("socket")
        if sock is None or sock.fileno() < 0:
            return None
        held = _queued(sock, termios.TIOCOUTQ)
        try:
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED + 8)
        except OSError:
            return None
        if held is None or len(info) < _BYTES_ACKED + 8:
            return None
        acknowledged: int = struct.unpack_from("Q", info, _BYTES_ACKED)[0]
        return acknowledged, held + self.transport.get_write_buffer_size()


def _queued(sock: socket.socket, what: int) -> int | None:
    """How many bytes the kernel holds of what was sent; None if it does not say."""
    held = array.array("i", [0])
    try:
        fcntl.ioctl(sock.fileno(), what, held)
    except OSError:
        return None
    return held[0]


def _says_set_up(message: str | bytes) -> bool:
    """Whether this is what the service must say first. The SDK takes everything, and loses it."""
    try:
        check_fields(message)
        said = json.loads(message)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and isinstance(said.get("setupComplete", said.get("setup_complete")), dict)
