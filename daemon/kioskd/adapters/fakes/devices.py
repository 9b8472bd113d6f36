"""Devices and time made of memory: they behave like the real ones, at once and on command."""

import asyncio
import collections
import contextlib
import heapq
import itertools
import types
from collections.abc import AsyncIterator, Callable, Generator
from typing import Final, NoReturn

from kioskd.errors import DeviceLost
from kioskd.media import pcm
from kioskd.ports import DARK, AudioSource, Clock, Edge, Light

_BACKLOG_FRAMES: Final = 60_000 // pcm.FRAME_MS
_BACKLOG_EDGES: Final = 1000

_ROUNDS: Final = 20
"""Rounds of the loop that whoever was woken gets before time moves on: a chain of as many wake-ups."""


class _Plug:
    """Whether a device is there, and whether anything about it changed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._plugged = True
        self._pulled = False
        self._changed = asyncio.Event()

    def unplug(self) -> None:
        """Take the device away: who uses it gets DeviceLost, and so does who comes later."""
        self._plugged = False
        self._pulled = True
        self._changed.set()

    def replug(self) -> None:
        """Bring the device back, for who comes later."""
        self._plugged = True

    def _begin(self) -> None:
        if self._plugged:
            self._pulled = False
        self._check()

    def _check(self) -> None:
        if self._pulled:
            raise DeviceLost(f"{self._name}: unplugged; plug it in")

    async def _change(self) -> None:
        """Return at the next change.

        Raises:
            DeviceLost: the change was an unplugging.
        """
        self._check()
        await self._changed.wait()
        self._changed.clear()
        self._check()


class MemoryMicrophone(_Plug):
    """Hears what a test says; a `ports.Microphone`. No sound, no frames: there is no silence in between."""

    def __init__(self) -> None:
        """Start plugged in, with nothing said."""
        super().__init__("microphone")
        self._said: collections.deque[bytes] = collections.deque(maxlen=_BACKLOG_FRAMES)

    def say(self, speech: bytes) -> None:
        """Have `speech` (16 kHz) captured at once, in frames, the last filled up with zeros.

        What is said while nobody captures is kept for the next who does, up to a minute.
        """
        for start in range(0, len(speech), pcm.FRAME_BYTES):
            self._said.append(speech[start : start + pcm.FRAME_BYTES].ljust(pcm.FRAME_BYTES, b"\0"))
        self._changed.set()

    async def capture(self, sink: Callable[[bytes], None]) -> NoReturn:
        """Hand each frame to `sink` until cancelled; see `ports.Microphone`."""
        self._begin()
        while True:
            while self._said:
                sink(self._said.popleft())
            await self._change()


class MemorySpeaker(_Plug):
    """Keeps what it plays; a `ports.Speaker`. Plays on command (`advance`), or by a clock if it is given one."""

    def __init__(self, clock: Clock | None = None, *, latency_s: float = 0.0) -> None:
        """Start plugged in and unheard."""
        super().__init__("speaker")
        self.heard = bytearray()
        """All that was ever played, 24 kHz."""
        self.latency_s = latency_s
        self._clock = clock
        self._source: AudioSource | None = None
        self._playing = asyncio.Event()

    async def advance(self, seconds: float) -> None:
        """Play `seconds` (rounded to periods of 10 ms) as soon as there is a source, and let all others react."""
        await self._playing.wait()
        for _ in range(round(seconds / pcm.PERIOD_S)):
            self._period()
        await _rounds()

    async def play(self, source: AudioSource) -> NoReturn:
        """Play from `source` until cancelled; see `ports.Speaker`. The source is pulled in the loop's thread."""
        self._begin()
        self._source = source
        self._playing.set()
        try:
            due = self._clock.now() if self._clock else 0.0
            while True:
                if self._clock is None:
                    await self._change()
                else:
                    due += pcm.PERIOD_S
                    await self._clock.sleep(max(0.0, due - self._clock.now()))
                    self._check()
                    self._period()
        finally:
            self._source = None
            self._playing.clear()

    def _period(self) -> None:
        if self._source is not None:
            self.heard += self._source.pull(pcm.PERIOD_BYTES)


class MemoryButton(_Plug):
    """Pressed by a test; a `ports.Button`."""

    def __init__(self, *, down: bool = False) -> None:
        """Start plugged in. `down`: it is held already."""
        super().__init__("button")
        self._edges: collections.deque[Edge] = collections.deque(maxlen=_BACKLOG_EDGES)
        self._down = down
        self._on_edge: Callable[[Edge], None] | None = None

    def press(self) -> None:
        """Press and let go. Edges that nobody watches for are kept for the next who does."""
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


class MemoryLamp(_Plug):
    """Remembers what it showed; a `ports.Lamp`."""

    def __init__(self) -> None:
        """Start plugged in and dark."""
        super().__init__("lamp")
        self.shown: list[str] = []
        """The states shown so far, in order, each when it began."""
        self.light = DARK
        """What it looks like, if it is being driven."""
        self.lit = False
        """Whether it is being driven."""

    def shine(self, light: Light) -> None:
        """Look like `light`; see `ports.Lamp`."""
        if not self.shown or light.state != self.shown[-1]:
            self.shown.append(light.state)
        self.light = light
        self._changed.set()

    async def run(self) -> NoReturn:
        """Be driven until cancelled; see `ports.Lamp`."""
        self._begin()
        self.lit = True
        try:
            while True:
                await self._change()
        finally:
            self.lit = False


class MemoryCamera(_Plug):
    """Sees what a test shows it; a `ports.Camera` and its own `ports.Sight`."""

    def __init__(self, sees: bytes) -> None:
        """Start plugged in and switched off. `sees`: a JPEG as `ports.Sight` gives them."""
        super().__init__("camera")
        self.sees = sees
        """What the next picture will be."""
        self.running = False
        """Whether somebody looks."""
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
        """Return what is seen; see `ports.Sight`."""
        self._check()
        self.shots += 1
        return self.sees


class MemoryNotifier:
    """Remembers what it was told; a `ports.Notifier`."""

    def __init__(self, watchdog_s: float | None = None) -> None:
        """`watchdog_s`: the deadline between two signs of life, if any."""
        self.watchdog_s = watchdog_s
        self.told: list[str] = []
        """What was said, in order: `ready`, `alive`, `reloading`, `stopping`, or `status: TEXT`."""

    def ready(self) -> None:
        """Note that the daemon can serve."""
        self.told.append("ready")

    def status(self, text: str) -> None:
        """Note what the daemon says it does."""
        self.told.append(f"status: {text}")

    def alive(self) -> None:
        """Note a sign of life."""
        self.told.append("alive")

    def reloading(self) -> None:
        """Note that new settings are being read."""
        self.told.append("reloading")

    def stopping(self) -> None:
        """Note that the daemon is on its way out."""
        self.told.append("stopping")


class _Alarm:
    """What happens at one moment; a `ports.Cancellable`."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Keep it from happening."""
        self._callback = None

    def ring(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class ManualClock:
    """Time that stands still until it is moved; a `ports.Clock`."""

    def __init__(self, now: float = 1000.0) -> None:
        """Start at `now`."""
        self._now = now
        self._order = itertools.count()
        self._alarms: list[tuple[float, int, _Alarm]] = []

    def now(self) -> float:
        """Return the seconds to which the clock was moved."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Return when the clock was moved by `seconds`; 0 lets all others run once."""
        if seconds <= 0:
            await _round()
            return
        woken = asyncio.Event()
        alarm = self.call_later(seconds, woken.set)
        try:
            await woken.wait()
        finally:
            alarm.cancel()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> _Alarm:
        """Call `callback` when the clock was moved by `seconds`, unless the answer is cancelled before."""
        alarm = _Alarm(callback)
        heapq.heappush(self._alarms, (self._now + seconds, next(self._order), alarm))
        return alarm

    async def advance(self, seconds: float) -> None:
        """Move the clock by `seconds`, from one due moment to the next in order.

        Whoever is woken gets `_ROUNDS` rounds of the loop before the clock moves on, so that who sleeps again is
        woken again within the same call. What waits for a thread does not come that quickly.
        """
        until = self._now + seconds
        await _rounds()
        while self._alarms and self._alarms[0][0] <= until:
            self._now, _, alarm = heapq.heappop(self._alarms)
            alarm.ring()
            await _rounds()
        self._now = until
        await _rounds()


@types.coroutine
def _round() -> Generator[None, None, None]:
    """Let the loop run everybody else once."""
    yield


async def _rounds() -> None:
    for _ in range(_ROUNDS):
        await _round()
