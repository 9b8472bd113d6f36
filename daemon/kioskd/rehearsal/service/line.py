"""One WebSocket connection, and the ways in which it can go bad."""

import asyncio
import json
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Any, Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from kioskd.adapters.clock import SystemClock
from kioskd.rehearsal.service.records import Notices
from kioskd.rehearsal.service.script import Deed
from kioskd.rehearsal.service.wire import INTERNAL, short_reason

_ESTABLISHED: Final = 1  # Linux, tcp_states.h


pause: Final = SystemClock().sleep
"""Returns after so many seconds."""


class Line:
    """A client's connection. Everything that runs for it ends with it."""

    def __init__(
        self,
        connection: ServerConnection,
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
        self._deaf = False
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

    async def receive(self) -> str | bytes:
        """Return the client's next message.

        Raises:
            ConnectionClosed: there is none to come.
        """
        message = await self._connection.recv()
        if self._deaf:
            await self._connection.wait_closed()
            raise self._connection.protocol.close_exc
        return message

    async def send(self, message: dict[str, object]) -> None:
        """Send one of the service's messages; waits while the client does not read.

        Raises:
            ConnectionClosed: the connection is over.
        """
        await self.send_text(json.dumps(message, separators=(",", ":")))

    async def send_text(self, text: str) -> None:
        """Send `text` as it is; otherwise like `send`."""
        if self._dumb:
            await self._connection.wait_closed()
        await self._connection.send(text.encode() if self._binary else text)

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
            case "close":
                await self.close(deed.code, deed.reason)
            case "abort":
                reset(self._connection)
                # What follows must find it closed.
                await self._connection.wait_closed()
            case "go_away":
                await self.go_away(deed.left_s)
                self.spawn(self._deadline, deed.left_s)
            case "freeze" | "stop_reading":
                self._deaf = True
                self._dumb = deed.do == "freeze"
                # The client must feel it: bytes that nobody takes pile up on its side.
                self._connection.transport.pause_reading()
                if deed.lasts_s is not None:
                    self.reset_in(deed.lasts_s)
            case "junk":
                await self.send_text(deed.text or "")
            case "refuse" | "silent" | "wrong_first":
                raise ValueError(
                    f"{deed.do} belongs to the opening of a connection; add it as a Fault instead"
                )

    async def go_away(self, left_s: float) -> None:
        """Announce the end of the connection."""
        self.tell("go_away", left_s=left_s)
        await self.send({"goAway": {"timeLeft": f"{left_s:g}s"}})

    async def _deadline(self, seconds: float) -> None:
        await pause(seconds)
        await self.close(INTERNAL, "Deadline expired before operation could complete.")

    def reset_in(self, seconds: float) -> None:
        """Reset the TCP connection in `seconds`, if it is still there."""
        self.spawn(self._reset_later, seconds)

    async def _reset_later(self, seconds: float) -> None:
        await pause(seconds)
        reset(self._connection)


def reset(connection: ServerConnection) -> None:
    """End the TCP connection with a reset, without a word."""
    sock = connection.transport.get_extra_info("socket")
    if sock.fileno() < 0:
        return
    # Lingering for no time at all is how a socket is told to reset instead of finishing.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.transport.abort()


async def _until_closed(work: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
    try:
        await work(*args)
    except ConnectionClosed:
        return  # the reader of the connection sees it too, and ends everything
