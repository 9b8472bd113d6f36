"""Devices made of memory: they behave like the real ones, at once and on command."""

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
        """Take the device away: its user gets DeviceLost, and so does each later one."""
        self._plugged = False
        self._pulled = True
        self._changed.set()

    def replug(self) -> None:
        """Bring the device back, for its next user."""
        self._plugged = True

    def _begin(self) -> None:
        if self._plugged:
            self._pulled = False
        self._check()

    def _check(self) -> None:
        if self._pulled:
            raise DeviceLost(f"{self._name}: unplugged; plug it in")

    async def _change(self) -> None:
        """Return at the next change. DeviceLost: the change was an unplugging."""
        self._check()
        await self._changed.wait()
        self._changed.clear()
        self._check()


class MemoryButton(MemoryDevice):
    """A button that a script presses; a `ports.Button`."""

    def __init__(self, *, down: bool = False) -> None:
        """Start plugged in. `down`: it is held already."""
        super().__init__("button")
        self._edges: collections.deque[Edge] = collections.deque(maxlen=_BACKLOG_EDGES)
        self._down = down
        self._on_edge: Callable[[Edge], None] | None = None

    def press(self) -> None:
        """Press and let go. Edges are kept for the next `watch`."""
        self.hold()
        self.release()

    def hold(self) -> None:
        """Press, and do not let go."""
        self.happen(Edge(down=True))
        self._changed.set()

    def release(self) -> None:
        """Let go."""
        self.happen(Edge(down=False))
        self._changed.set()

    def happen(self, edge: Edge) -> None:
        """Let the kernel have `edge`, which the loop reads later, or in `catch_up`."""
        self._edges.append(edge)

    async def watch(self, on_edge: Callable[[Edge], None]) -> NoReturn:
        """Report how the button is, then its edges until cancelled; see `ports.Button`."""
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
        """Report the edges that wait; see `ports.Button`."""
        while self._on_edge is not None and self._edges:
            edge = self._edges.popleft()
            self._down = edge.down
            self._on_edge(edge)


class MemoryCamera(MemoryDevice):
    """A camera that gives one picture; a `ports.Camera` and its own `ports.RunningCamera`."""

    def __init__(self, sees: bytes) -> None:
        """Start plugged in and switched off. `sees`: a JPEG as `ports.RunningCamera` gives them."""
        super().__init__("camera")
        self.sees = sees
        """What the next picture will be."""
        self.running = False
        """Whether it is in use."""
        self.starts = 0
        self.shots = 0

    @contextlib.asynccontextmanager
    async def look(self) -> AsyncIterator["MemoryCamera"]:
        """Run until left; see `ports.Camera`."""
        self._begin()
        self.running = True
        self.starts += 1
        try:
            yield self
        finally:
            self.running = False

    async def released(self) -> None:
        """Return at once: it stops as soon as it is left; see `ports.Camera`."""

    async def aclose(self) -> None:
        """Nothing is kept open between looks; see `ports.Camera`."""

    async def shoot(self) -> bytes:
        """Return what is seen; see `ports.RunningCamera`."""
        self._check()
        self.shots += 1
        return self.sees
