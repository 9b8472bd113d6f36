"""One client's connection: sending and receiving on it, and executing the script's faults."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any, Final

from websockets.exceptions import ConnectionClosed

from kioskd.adapters.clock import SystemClock
from kioskd.simulator.event_feed import EventFeed
from kioskd.simulator.script import FaultAction, FaultSchedule, Trigger
from kioskd.simulator.websocket import ServerSocket
from kioskd.simulator.wire import INTERNAL, short_reason

_DRAIN_S: Final = 1.0
"""Longest time in seconds for which the end of a connection waits for the handler of messages."""

pause: Final = SystemClock().sleep
"""Function that returns after the given seconds."""


class ClientConnection:
    """A client's connection. All its tasks end with it.

    The pongs of its WebSocket acknowledge the received messages, so all of them must be handled. Therefore a
    scripted end of the connection waits for the handler of messages, and then happens at once.
    """

    def __init__(
        self,
        websocket: ServerSocket,
        tasks: asyncio.TaskGroup,
        events: EventFeed,
        faults: FaultSchedule,
        number: int,
        *,
        binary: bool,
    ) -> None:
        self.number = number
        self.websocket = websocket
        self._tasks = tasks
        self._events = events
        self._faults = faults
        self._binary = binary
        self._running: set[asyncio.Task[None]] = set()
        self._reader: asyncio.Task[Any] | None = None
        self._handled = 0
        self._waiting = False
        self._drained = asyncio.Event()
        self._frozen = False

    @property
    def is_open(self) -> bool:
        """Whether the client still holds its end."""
        return self.websocket.client_is_there

    def emit(self, kind: str, **data: object) -> None:
        """Report that something happened on this connection."""
        self._events.emit(kind, connection=self.number, **data)

    def spawn(self, work: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> asyncio.Task[None]:
        """Run `work(*args)` as a task, which is cancelled when the connection closes."""
        task = self._tasks.create_task(_until_closed(work, *args))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def stop_all(self) -> None:
        """Cancel all spawned tasks."""
        for task in tuple(self._running):
            task.cancel()
        self._handled, self._waiting = self.websocket.received, True
        self._drained.set()

    async def receive(self) -> str | bytes:
        """Return the client's next message. Only one task, the reader, may call this.

        Raises:
            ConnectionClosed: the connection is over, and all received messages were returned.
        """
        self._reader = asyncio.current_task()
        self._waiting = True
        if self._all_handled:
            self._drained.set()
        message = await self.websocket.recv()
        self._waiting = False
        self._handled += 1
        return message

    async def drain(self) -> None:
        """Wait until all received messages are handled, for a second at most."""
        try:
            async with asyncio.timeout(_DRAIN_S):
                while not self._all_handled:
                    self._drained.clear()
                    await self._drained.wait()
        except TimeoutError:
            self.emit("held_up", messages=self.websocket.received - self._handled)

    async def send(self, message: dict[str, object]) -> None:
        """Send one of the service's messages; wait while the client does not read.

        Raises:
            ConnectionClosed: the connection is over. For the reader only `receive` raises it, after the
                last message.
        """
        await self.send_text(json.dumps(message, separators=(",", ":")))

    async def send_text(self, text: str) -> None:
        """Send `text` unchanged; otherwise like `send`."""
        if self._frozen:
            await self.websocket.wait_closed()
        try:
            await self.websocket.send(text.encode() if self._binary else text)
        except ConnectionClosed:
            if asyncio.current_task() is not self._reader:
                raise

    async def send_go_away(self, left_s: float) -> None:
        """Announce the end of the connection."""
        self.emit("go_away", left_s=left_s)
        await self.send({"goAway": {"timeLeft": f"{left_s:g}s"}})

    async def close(self, code: int, reason: str) -> None:
        """Close with a code and a reason, as the service does. A frozen connection stays frozen."""
        if self._frozen:
            await self.websocket.wait_closed()
        await self.websocket.close(code, short_reason(reason))

    def reset_in(self, seconds: float) -> None:
        """Reset the TCP connection after `seconds`, if it is still open."""
        self.spawn(_later, seconds, self.websocket.reset)

    async def trigger(self, occasion: Trigger) -> None:
        """Count an occasion, and execute the faults that it triggers."""
        for fault in self._faults.due(occasion):
            await self.inject(fault)

    async def inject(self, action: FaultAction) -> None:
        """Execute a fault of an open connection, at once or after `after_s` while the connection goes on."""
        if action.after_s:
            self.spawn(_later, action.after_s, self._inject, action)
        else:
            await self._inject(action)

    async def _inject(self, action: FaultAction) -> None:
        self.emit("fault", do=action.do)
        match action.do:
            case "close" | "abort" | "freeze" | "stop_reading":
                # Reading stops now, but received messages are handled first.
                self.websocket.pause_reading()
                ending = self.spawn(self._end, action)
                if asyncio.current_task() is not self._reader:
                    # The caller must find it ended. It is not awaited itself, as the caller may be cancelled.
                    await asyncio.wait([ending])
            case "read_slowly":
                self.websocket.read_slowly(action.bytes_per_s)
                if action.lasts_s is not None:
                    self.spawn(_later, action.lasts_s, self.websocket.read_freely)
            case "go_away":
                await self.send_go_away(action.left_s)
                reason = "Deadline expired before operation could complete."
                closing = FaultAction(do="close", code=INTERNAL, reason=reason)
                self.spawn(_later, action.left_s, self._end, closing)
            case "junk":
                await self.send_text(action.text or "")

    async def _end(self, action: FaultAction) -> None:
        self.websocket.pause_reading()
        await self.drain()
        self.websocket.discarding = True
        if action.do == "close":
            # Reading resumes after the close is written: a client that has read it ignores later pongs.
            asyncio.get_running_loop().call_soon(self.websocket.resume_reading)
            await self.close(action.code, action.reason)
        elif action.do == "abort":
            self.websocket.reset()
            await self.websocket.wait_closed()
        else:
            # The client can notice it, as unread bytes pile up on its side.
            self._frozen = action.do == "freeze"
            self.websocket.enable_keepalive()
            if action.lasts_s is not None:
                self.reset_in(action.lasts_s)

    @property
    def _all_handled(self) -> bool:
        return self._waiting and self._handled == self.websocket.received


async def _later(seconds: float, act: Callable[..., Coroutine[Any, Any, None] | None], *args: Any) -> None:
    await pause(seconds)
    going = act(*args)
    if going is not None:
        await going


async def _until_closed(work: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
    try:
        await work(*args)
    except ConnectionClosed:
        return  # The reader gets the same error, and ends the connection.
