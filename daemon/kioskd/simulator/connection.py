"""One WebSocket connection, and the ways in which it can go bad."""

import asyncio
import json
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Any, Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import DATA_OPCODES, Frame
from websockets.protocol import State

from kioskd.adapters.clock import SystemClock
from kioskd.simulator.records import Notices
from kioskd.simulator.script import Deed
from kioskd.simulator.wire import INTERNAL, short_reason

_ESTABLISHED: Final = 1  # Linux, tcp_states.h
_LISTENING_S: Final = 1.0
"""How long an ending waits for ears that are held up themselves."""

_SLICE_S: Final = 0.02
_AHEAD_BYTES: Final = 4096

pause: Final = SystemClock().sleep
"""Returns after so many seconds."""


class CountingWebSocket(ServerConnection):
    """A WebSocket that counts the messages it has taken in: those before a ping are, when its pong goes out."""

    taken = 0
    deaf = False
    """Drop what comes: it is neither heard nor acknowledged."""
    _kept: bytes | None = None
    _slice: int | None = None
    _late = b""
    _next: asyncio.TimerHandle | None = None

    def read_slowly(self, bytes_per_s: int) -> None:
        """Take so much each second of what comes; the rest piles up on the other side."""
        self._slice = max(1, round(bytes_per_s * _SLICE_S))
        # TLS would else read half a megabyte ahead.
        self.transport.set_read_buffer_limits(_AHEAD_BYTES)  # type: ignore[attr-defined]  # asyncio's, for TLS only

    def read_freely(self) -> None:
        """Take all as it comes again."""
        self._slice = None
        if self._next is not None:
            self._next.cancel()
            self._take_slice()

    def take_no_more(self) -> None:
        """Leave what comes from now on at the door."""
        if self._kept is None:
            self._kept, self._late = self._late, b""
        if self._next is not None:
            self._next.cancel()
        self.transport.pause_reading()

    def let_in(self) -> None:
        """Open the door again, to see the client's own close."""
        kept, self._kept, self._slice = self._kept, None, None
        if kept:
            super().data_received(kept)
        self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Take in, unless the door is shut: the library itself may have had the reading go on."""
        if self._kept is not None:
            self._kept += data
            self.transport.pause_reading()
        elif self._slice is not None or self._late:
            self._late += data
            self.transport.pause_reading()
            if self._next is None:
                self._take_slice()
        else:
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take nothing more."""
        if self._next is not None:
            self._next.cancel()
        super().connection_lost(exc)

    def _take_slice(self) -> None:
        """Take as much as belongs to this moment, and look again at the next."""
        self._next = None
        end = len(self._late) if self._slice is None else self._slice
        now, self._late = self._late[:end], self._late[end:]
        if now:
            super().data_received(now)
        if self._kept is not None:
            return
        if not self._late:
            self.transport.resume_reading()
        if self._slice is not None and (self._late or now):
            self._next = self.loop.call_later(_SLICE_S, self._take_slice)

    def process_event(self, event: Any) -> None:
        """Count, or drop."""
        if isinstance(event, Frame) and event.opcode in DATA_OPCODES:
            if self.deaf:
                return
            self.taken += event.fin
        super().process_event(event)


class ClientConnection:
    """A client's connection. Everything that runs for it ends with it.

    What its WebSocket has taken in has been acknowledged by its pongs. So it is heard, whatever happens: an ending that
    the script wants waits for the ears, and then takes place at once.
    """

    def __init__(
        self,
        connection: CountingWebSocket,
        tasks: asyncio.TaskGroup,
        notices: Notices,
        number: int,
        *,
        binary: bool,
    ) -> None:
        self.number = number
        self._connection = connection
        self._tasks = tasks
        self._notices = notices
        self._binary = binary
        self._running: set[asyncio.Task[None]] = set()
        self._reader: asyncio.Task[Any] | None = None
        self._heard = 0
        self._resting = False
        self._rested = asyncio.Event()
        self._dumb = False

    @property
    def is_open(self) -> bool:
        """Whether the client still holds its end: a socket that is not being read would not say."""
        if self._connection.state is not State.OPEN:
            return False
        sock = self._connection.transport.get_extra_info("socket")
        if sock.fileno() < 0:
            return False
        state: int = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        return state == _ESTABLISHED

    def tell(self, kind: str, **data: object) -> None:
        """Report that something happened on this connection."""
        self._notices.tell(kind, connection=self.number, **data)

    def spawn(self, work: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> asyncio.Task[None]:
        """Run `work(*args)` beside the reading; the end of the connection ends it."""
        task = self._tasks.create_task(_until_closed(work, *args))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def stop_all(self) -> None:
        """End what was spawned."""
        for task in tuple(self._running):
            task.cancel()
        self._heard, self._resting = self._connection.taken, True
        self._rested.set()

    async def receive(self) -> str | bytes:
        """Return the client's next message; what was taken in before the end comes first. One caller: the ears.

        Raises:
            ConnectionClosed: there is none to come.
        """
        self._reader = asyncio.current_task()
        self._resting = True
        if self._heard_all:
            self._rested.set()
        message = await self._connection.recv()
        self._resting = False
        self._heard += 1
        return message

    async def all_heard(self) -> None:
        """Wait until the ears have dealt with everything that was taken in; a second at most."""
        try:
            async with asyncio.timeout(_LISTENING_S):
                while not self._heard_all:
                    self._rested.clear()
                    await self._rested.wait()
        except TimeoutError:
            self.tell("held_up", messages=self._connection.taken - self._heard)

    async def send(self, message: dict[str, object]) -> None:
        """Send one of the service's messages; waits while the client does not read.

        Raises:
            ConnectionClosed: the connection is over; not for the ears, who learn it when nothing is left to hear.
        """
        await self.send_text(json.dumps(message, separators=(",", ":")))

    async def send_text(self, text: str) -> None:
        """Send `text` as it is; otherwise like `send`."""
        if self._dumb:
            await self._connection.wait_closed()
        try:
            await self._connection.send(text.encode() if self._binary else text)
        except ConnectionClosed:
            if asyncio.current_task() is not self._reader:
                raise

    async def close(self, code: int, reason: str) -> None:
        """Close as the service does, with a code and a reason; a frozen connection stays as it is."""
        if self._dumb:
            await self._connection.wait_closed()
        await self._connection.close(code, short_reason(reason))

    async def commit(self, deed: Deed) -> None:
        """Do what `deed` says: at once, or in `after_s` seconds while this goes on."""
        if deed.after_s:
            self.spawn(self._commit_later, deed)
        else:
            await self._commit(deed)

    async def _commit_later(self, deed: Deed) -> None:
        await pause(deed.after_s)
        await self._commit(deed)

    async def _commit(self, deed: Deed) -> None:
        self.tell("fault", do=deed.do)
        match deed.do:
            case "close" | "abort" | "freeze" | "stop_reading":
                # Nothing more is taken in; what was is heard first.
                self._connection.take_no_more()
                ending = self.spawn(self._end, deed)
                if asyncio.current_task() is not self._reader:
                    # What follows must find it ended. Not awaited itself: who waits may be interrupted.
                    await asyncio.wait([ending])
            case "read_slowly":
                self._connection.read_slowly(deed.bytes_per_s)
                if deed.lasts_s is not None:
                    self.spawn(self._read_freely_in, deed.lasts_s)
            case "go_away":
                await self.go_away(deed.left_s)
                self.spawn(self._deadline, deed.left_s)
            case "junk":
                await self.send_text(deed.text or "")
            case "refuse" | "silent" | "wrong_first":
                raise ValueError(
                    f"{deed.do} belongs to the opening of a connection; add it as a Fault instead"
                )

    async def _read_freely_in(self, seconds: float) -> None:
        await pause(seconds)
        self._connection.read_freely()

    async def _end(self, deed: Deed) -> None:
        self._connection.take_no_more()
        await self.all_heard()
        self._connection.deaf = True
        if deed.do == "close":
            # After the close is written: a client that has read it heeds no pong behind it.
            asyncio.get_running_loop().call_soon(self._connection.let_in)
            await self.close(deed.code, deed.reason)
        elif deed.do == "abort":
            reset(self._connection.transport)
            await self._connection.wait_closed()
        else:
            # The client must feel it: bytes that nobody takes pile up on its side.
            self._dumb = deed.do == "freeze"
            self._probe()
            if deed.lasts_s is not None:
                self.reset_in(deed.lasts_s)

    def _probe(self) -> None:
        """Have the kernel ask each second whether the client is still there.

        It drops a reset that comes from behind a full window, so a client that gave up would seem to hold on.
        """
        sock = self._connection.transport.get_extra_info("socket")
        if sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)

    @property
    def _heard_all(self) -> bool:
        return self._resting and self._heard == self._connection.taken

    async def go_away(self, left_s: float) -> None:
        """Announce the end of the connection."""
        self.tell("go_away", left_s=left_s)
        await self.send({"goAway": {"timeLeft": f"{left_s:g}s"}})

    async def _deadline(self, seconds: float) -> None:
        await pause(seconds)
        await self._end(
            Deed(do="close", code=INTERNAL, reason="Deadline expired before operation could complete.")
        )

    def reset_in(self, seconds: float) -> None:
        """Reset the TCP connection in `seconds`, if it is still there."""
        self.spawn(self._reset_later, seconds)

    async def _reset_later(self, seconds: float) -> None:
        await pause(seconds)
        reset(self._connection.transport)


def reset(transport: asyncio.WriteTransport) -> None:
    """End the TCP connection with a reset, without a word."""
    sock = transport.get_extra_info("socket")
    if sock.fileno() < 0:
        return
    # Lingering for no time at all is how a socket is told to reset instead of finishing.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _until_closed(work: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
    try:
        await work(*args)
    except ConnectionClosed:
        return  # the reader of the connection sees it too, and ends everything
