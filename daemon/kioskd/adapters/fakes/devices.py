"""Devices made of memory: they behave like real ones, but at once and on command."""

import asyncio
import collections
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final, NoReturn

from kioskd.errors import DeviceLost
from kioskd.ports import Edge

_BACKLOG_EDGES: Final = 1000


class MemoryDevice:
    """A device that can be unplugged."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._plugged = True
        self._pulled = False
        self._changed = asyncio.Event()

    def unplug(self) -> None:
        """Unplug the device: its user gets DeviceLost, and so does each later one."""
        self._plugged = False
        self._pulled = True
        self._changed.set()

    def replug(self) -> None:
        """Plug the device in again, for its next user."""
        self._plugged = True

    def _begin(self) -> None:
        if self._plugged:
            self._pulled = False
        self._check()

    def _check(self) -> None:
        if self._pulled:
            raise DeviceLost(f"{self._name}: unplugged; plug it in")

    async def _change(self) -> None:
        """Return at the next change. DeviceLost: the device was unplugged."""
        self._check()
        await self._changed.wait()
        self._changed.clear()
        self._check()


class MemoryButton(MemoryDevice):
    """Button that a script presses; a `ports.Button`."""

    def __init__(self, *, down: bool = False) -> None:
        """Start plugged in. `down`: whether the button is held already."""
        super().__init__("button")
        self._edges: collections.deque[Edge] = collections.deque(maxlen=_BACKLOG_EDGES)
        self._down = down
        self._on_edge: Callable[[Edge], None] | None = None

    def press(self) -> None:
        """Press and release. Edges are kept for the next `watch`."""
        self.hold()
        self.release()

    def hold(self) -> None:
        """Press, without releasing."""
        self.happen(Edge(down=True))
        self._changed.set()

    def release(self) -> None:
        """Release."""
        self.happen(Edge(down=False))
        self._changed.set()

    def happen(self, edge: Edge) -> None:
        """Put `edge` into the kernel's queue; the loop reads it later, or in `catch_up`."""
        self._edges.append(edge)

    async def watch(self, on_edge: Callable[[Edge], None]) -> NoReturn:
        """Report whether the button is down, then its edges until cancelled; see `ports.Button`."""
        self._begin()
        self._on_edge = on_edge
        try:
            on_edge(Edge(self._down))
            while True:
                self.catch_up()
                await self._change()
        finally:
            self._on_edge = None

    def catch_up(self) -> None:
        """Report the waiting edges; see `ports.Button`."""
        while self._on_edge is not None and self._edges:
            edge = self._edges.popleft()
            self._down = edge.down
            self._on_edge(edge)


class MemoryReader(MemoryDevice):
    """Reader that types what a script says; a `ports.LineReader`."""

    def __init__(self) -> None:
        super().__init__("reader")
        self._lines: collections.deque[str] = collections.deque(maxlen=_BACKLOG_EDGES)

    def scan(self, line: str) -> None:
        """Type a line. Lines are kept for the next `watch`."""
        self._lines.append(line)
        self._changed.set()

    async def watch(self, on_line: Callable[[str], None]) -> NoReturn:
        """Report lines until cancelled; see `ports.LineReader`."""
        self._begin()
        while True:
            while self._lines:
                on_line(self._lines.popleft())
            await self._change()


class MemoryCamera(MemoryDevice):
    """Camera that gives one picture; a `ports.Camera`, and its own `ports.RunningCamera`."""

    def __init__(self, sees: bytes) -> None:
        """Start plugged in and switched off. `sees`: a JPEG in the form that `ports.RunningCamera` gives."""
        super().__init__("camera")
        self.sees = sees
        """The next picture, as a JPEG."""
        self.running = False
        """Whether the camera is in use."""
        self.starts = 0
        self.shots = 0

    @contextlib.asynccontextmanager
    async def look(self) -> AsyncIterator["MemoryCamera"]:
        """Run until the caller leaves; see `ports.Camera`."""
        self._begin()
        self.running = True
        self.starts += 1
        try:
            yield self
        finally:
            self.running = False

    async def released(self) -> None:
        """Return at once: the camera stops when its user leaves; see `ports.Camera`."""

    async def aclose(self) -> None:
        """Do nothing: no camera stays open between looks; see `ports.Camera`."""

    async def shoot(self) -> bytes:
        """Return the picture; see `ports.RunningCamera`."""
        self._check()
        self.shots += 1
        return self.sees
