"""One client's connection: what is sent and received on it, and the faults that the script plans for it."""

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
"""How long an ending waits for a message handler that is held up itself."""

pause: Final = SystemClock().sleep
"""Returns after that many seconds."""


class ClientConnection:
    """A client's connection. Every task that runs for it ends with it.

    The pongs of its WebSocket have acknowledged what was received. So all of that is handled, whatever happens: an ending
    that the script wants waits for the handler of messages, and then takes place at once.
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
        """Run `work(*args)` beside the reading; the end of the connection ends it."""
        task = self._tasks.create_task(_until_closed(work, *args))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def stop_all(self) -> None:
        """Cancel what was spawned."""
        for task in tuple(self._running):
            task.cancel()
        self._handled, self._waiting = self.websocket.received, True
        self._drained.set()

    async def receive(self) -> str | bytes:
        """Return the client's next message; those received before the end come first. One task calls this, the reader.

        Raises:
            ConnectionClosed: there is none to come.
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
        """Wait until every message that was received has been handled; a second at most."""
        try:
            async with asyncio.timeout(_DRAIN_S):
                while not self._all_handled:
                    self._drained.clear()
                    await self._drained.wait()
        except TimeoutError:
            self.emit("held_up", messages=self.websocket.received - self._handled)

    async def send(self, message: dict[str, object]) -> None:
        """Send one of the service's messages; waits while the client does not read.

        Raises:
            ConnectionClosed: the connection is over. The reader does not get it here, but from `receive`, after the
                last message.
        """
        await self.send_text(json.dumps(message, separators=(",", ":")))

    async def send_text(self, text: str) -> None:
        """Send `text` as it is; otherwise like `send`."""
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
        """Close as the service does, with a code and a reason; a frozen connection stays as it is."""
        if self._frozen:
            await self.websocket.wait_closed()
        await self.websocket.close(code, short_reason(reason))

    def reset_in(self, seconds: float) -> None:
        """Reset the TCP connection in `seconds`, if it is still there."""
        self.spawn(_later, seconds, self.websocket.reset)

    async def trigger(self, occasion: Trigger) -> None:
        """Count an occasion, and carry out the faults that it sets off."""
        for fault in self._faults.due(occasion):
            await self.inject(fault)

    async def inject(self, action: FaultAction) -> None:
        """Carry out a fault of an open connection: at once, or in `after_s` seconds while the connection goes on."""
        if action.after_s:
            self.spawn(_later, action.after_s, self._inject, action)
        else:
            await self._inject(action)

    async def _inject(self, action: FaultAction) -> None:
        self.emit("fault", do=action.do)
        match action.do:
            case "close" | "abort" | "freeze" | "stop_reading":
                # Nothing more is read; what was received is handled first.
                self.websocket.pause_reading()
                ending = self.spawn(self._end, action)
                if asyncio.current_task() is not self._reader:
                    # The caller's next step must find it ended. Not awaited itself: the caller may be cancelled.
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
            # After the close is written: a client that has read it heeds no pong behind it.
            asyncio.get_running_loop().call_soon(self.websocket.resume_reading)
            await self.close(action.code, action.reason)
        elif action.do == "abort":
            self.websocket.reset()
            await self.websocket.wait_closed()
        else:
            # The client must notice it: bytes that are not read pile up on its side.
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
        return  # the reader of the connection sees it too, and ends everything
