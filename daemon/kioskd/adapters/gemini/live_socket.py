"""The Live service's WebSocket, with a deadline on every wait, and with receipts for the data that was
received.

The SDK dials with `websockets` and waits without limits: for the answer to its setup, for room in the
write buffer, and for the peer during a close. This class limits each wait. The SDK gets it as
`create_connection`, the hook that `websockets` offers for this.

`close` can run in a task that is being cancelled, so it waits by `asyncio.wait` and `call_later`. In such a
task `asyncio.timeout` raises CancelledError instead of TimeoutError on Python 3.11.
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
"""Seconds until an aborted socket must be gone. Normally it takes one or two turns of the event loop."""
_UNSENT: Final = 0x894B  # SIOCOUTQNSD, linux/sockios.h
_BYTES_ACKED: Final = 120  # tcpi_bytes_acked in Linux's struct tcp_info


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Longest wait on the network for each step, in seconds."""

    open_s: float = 10.0
    """For name, TCP, TLS and the HTTP upgrade together."""
    setup_s: float = 10.0
    """From the setup message to the service's answer."""
    send_s: float = 5.0
    """From the call until the message fits into the write buffer."""
    receipt_s: float = 0.5
    """For the last receipt before hanging up."""
    hang_up_s: float = 0.5
    """For a proper close after the last receipt; then the socket is aborted."""
    unacknowledged_s: float = 15.0
    """How long the kernel waits for the peer to acknowledge data (TCP_USER_TIMEOUT).

    This detects a dead link while audio flows: the WebSocket's own ping may be stuck in the full buffer
    behind the audio.
    """
    stalled_s: float = 12.0
    """How long a peer may send nothing while a receipt is missing, if its receipts had always come quickly.

    The peer's kernel still acknowledges data in this case.
    """


class LiveSocket(ClientConnection):
    """A client's WebSocket with a limit on each wait."""

    def __init__(self, *args: Any, deadlines: Deadlines, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadlines = deadlines
        self._set_up = False
        self._leaving = False
        self._given_up: Callable[[], Exception] | None = None
        self._watch: asyncio.TimerHandle | None = None
        self.receipts = Receipts(self.acknowledged)
        """Record of the data that the service has received; the sender updates it (see `ask_receipt`)."""
        self.on_next_text: Callable[[str], None] | None = None
        """Called once with the next text that is sent."""

    @property
    def backlog(self) -> int:
        """Bytes that have not left this machine: in the write buffer, and unsent in the kernel's buffer.

        Bytes on their way that are not yet acknowledged do not count, so a long distance does not look like
        congestion.
        """
        sock = self.transport.get_extra_info("socket")
        if sock is None or sock.fileno() < 0:
            return 0
        return self.transport.get_write_buffer_size() + (_queued(sock, _UNSENT) or 0)

    def keep(self, *, transparent: bool, known_prompt: bool) -> None:
        """Start a new record of receipts, with the known properties of the service."""
        self.receipts = Receipts(self.acknowledged, transparent=transparent, known_prompt=known_prompt)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set up the limited intake, and make the kernel drop a peer that acknowledges nothing."""
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
        """Parse data that arrived before the end, such as a close, and stop waiting for receipts."""
        self._intake.finish()
        super().connection_lost(exc)
        if self._watch is not None:
            self._watch.cancel()

    def data_received(self, data: bytes) -> None:
        """Note that the peer is alive, and parse the data in short slices, so that other tasks run in
        between.
        """
        self.receipts.heard(self.loop.time())
        if self.transport.get_write_buffer_size() > MOST_UNSENT_BYTES:
            self._give_up(TimeoutError, "accepted no data while it kept sending")
        else:
            self._intake.take(data)

    def eof_received(self) -> None:
        """Parse the data that arrived before the end of the stream."""
        self._intake.finish()
        super().eof_received()

    def process_event(self, event: Any) -> None:
        """Skip data messages while hanging up: unread messages would hold up the receipts behind them."""
        if not (self._leaving and isinstance(event, Frame) and event.opcode in DATA_OPCODES):
            super().process_event(event)

    async def handshake(self, *args: Any, **kwargs: Any) -> None:
        """Do the HTTP upgrade without following redirects, which would send the key in the headers to another
        host.
        """
        try:
            await super().handshake(*args, **kwargs)
        except InvalidStatus as error:
            if 300 <= error.response.status_code < 400:
                raise SecurityError(f"HTTP {error.response.status_code}, a redirect") from None
            raise

    async def recv(self, decode: bool | None = None) -> Any:
        """Return the next message. The first one, the answer to the setup, must come within `setup_s`.

        Raises:
            NotSetUp: the first message is another one, or did not come.
            Stalled, TimeoutError: this side has given up the connection.
            TooManyFields: this message would take too long to parse; the next one may not.
            ConnectionClosed: the connection is over.
        """
        try:
            if self._set_up:
                await others_first()  # must come first, else a cancelled caller loses a message
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
            raise self._give_up(NotSetUp, "it answered the setup with another message")
        self._set_up = True
        return message

    async def send(self, message: Any, *, text: bool | None = None) -> None:
        """Send one message. Abort the connection if it does not fit into the buffer within `send_s`."""
        if self.on_next_text is not None and isinstance(message, str):
            self.on_next_text(message)
            self.on_next_text = None
        try:
            async with asyncio.timeout(self._deadlines.send_s):
                await super().send(message, text=text)
        except TimeoutError:
            raise self._give_up(TimeoutError, f"accepted no data for {self._deadlines.send_s:g} s") from None
        except ConnectionClosed:
            self._tell_why()
            raise

    def post(self, message: str) -> bool:
        """Send one text now, and return True. If it would have to wait, send nothing, and return False."""
        if self.state is not State.OPEN or self.paused:
            return False
        self.protocol.send_text(message.encode())
        self.send_data()
        return True

    async def ask_receipt(self) -> None:
        """Ask the peer for a receipt of everything sent so far, unless too many are on their way.

        ConnectionClosed, TimeoutError: as for `send`.
        """
        if not self.receipts.wanted:
            return
        try:
            async with asyncio.timeout(self._deadlines.send_s):
                pong = await self.ping()
        except TimeoutError:
            raise self._give_up(TimeoutError, f"accepted no data for {self._deadlines.send_s:g} s") from None
        except ConnectionClosed:
            self._tell_why()
            raise
        self._expect(pong)

    async def last_receipt(self) -> None:
        """Wait at most `receipt_s` until the service has received everything; messages that arrive meanwhile
        are dropped.

        It returns at once if no receipt can come in time: the connection is lost or full, or the service is
        slow.
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
        """Close properly if the peer is quick, else abort the connection.

        The service does not resume a session while the old connection is open. So a proper close is worth a
        short wait, and an open socket must never stay behind.
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
        """End the connection at once, unless it is gone already.

        It sends a TCP reset. A FIN would wait behind the unsent data, and a peer that accepts nothing would
        never see the end. The service does not resume a session as long as it takes the old connection for
        open.
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
        """Drop a peer that has stalled, or set the time of the next check."""
        self._watch = None
        silent_s, limit_s = self.receipts.silent_s(self.loop.time()), self._deadlines.stalled_s
        if silent_s >= limit_s and self.receipts.prompt:
            self._give_up(Stalled, f"nothing received for {silent_s:.0f} s, not even the answer to a ping")
        elif silent_s > 0:
            self._watch = self.loop.call_later(max(limit_s - silent_s, 1.0), self._look)

    def _give_up(self, kind: type[Exception], why: str) -> Exception:
        """Abort the connection, and keep the reason: the library reports only an abnormal closure."""
        if self._given_up is None:
            self._given_up = lambda: kind(why)
        self._reset()
        return self._given_up()

    def _tell_why(self) -> None:
        if self._given_up is not None:
            raise self._given_up() from None

    def acknowledged(self) -> tuple[int, int] | None:
        """Return the bytes that the peer's kernel has acknowledged, and the bytes that are not acknowledged
        yet.

        None if the kernel gives no figures.
        """
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
    """Return the sent bytes that the kernel still holds; None if it does not say."""
    held = array.array("i", [0])
    try:
        fcntl.ioctl(sock.fileno(), what, held)
    except OSError:
        return None
    return held[0]


def _says_set_up(message: str | bytes) -> bool:
    """Return whether this message completes the setup. The SDK accepts any message here, and loses it."""
    try:
        check_fields(message)
        said = json.loads(message)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and isinstance(said.get("setupComplete", said.get("setup_complete")), dict)
