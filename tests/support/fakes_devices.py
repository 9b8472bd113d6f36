"""Devices and time made of memory: they behave like real ones, but at once and on command."""

import asyncio
import collections
import heapq
import itertools
import types
from collections.abc import Callable, Generator
from typing import Final, NoReturn

from kioskd.adapters.fakes.devices import MemoryDevice
from kioskd.media import pcm
from kioskd.ports import DARK, AudioSource, Clock, Light

_BACKLOG_FRAMES: Final = 60_000 // pcm.FRAME_MS

_ROUNDS: Final = 20
"""Rounds of the loop that woken tasks get before time moves on, for chains of up to as many wake-ups."""


class MemoryMicrophone(MemoryDevice):
    """Microphone that hears the test's speech; a `ports.Microphone`. It gives no silence in between."""

    def __init__(self) -> None:
        """Start plugged in, with nothing said."""
        super().__init__("microphone")
        self.urgent = True
        self._said: collections.deque[bytes] = collections.deque(maxlen=_BACKLOG_FRAMES)

    def say(self, speech: bytes) -> None:
        """Capture `speech` (16 kHz) at once, in frames; the last one is filled with zeros.

        Speech that comes while no task captures is kept for the next one, up to a minute.
        """
        for start in range(0, len(speech), pcm.FRAME_BYTES):
            self._said.append(speech[start : start + pcm.FRAME_BYTES].ljust(pcm.FRAME_BYTES, b"\0"))
        self._changed.set()

    async def capture(self, sink: Callable[[bytes], None]) -> NoReturn:
        """Pass each frame to `sink` until cancelled; see `ports.Microphone`."""
        self._begin()
        while True:
            while self._said:
                sink(self._said.popleft())
            await self._change()


class MemorySpeaker(MemoryDevice):
    """Speaker that keeps its sound; a `ports.Speaker`. It plays on command (`advance`), or by a clock."""

    def __init__(self, clock: Clock | None = None, *, latency_s: float = 0.0) -> None:
        """Start plugged in, with nothing played."""
        super().__init__("speaker")
        self.heard = bytearray()
        """All sound played so far, 24 kHz."""
        self.latency_s = latency_s
        self.paused = False
        """Whether it pulls nothing."""
        self._clock = clock
        self._source: AudioSource | None = None
        self._playing = asyncio.Event()

    async def advance(self, seconds: float) -> None:
        """Play `seconds` (rounded to 10 ms) as soon as there is a source, and let all tasks react."""
        await self._playing.wait()
        for _ in range(round(seconds / pcm.PERIOD_S)):
            self._period()
        await _rounds()

    async def play(self, source: AudioSource) -> NoReturn:
        """Play from `source` until cancelled; see `ports.Speaker`. Pulls in the loop's thread."""
        self._begin()
        self._source = source
        self.paused = False
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

    def pause(self) -> bool:
        """Pull nothing until `resume`; see `ports.Speaker`."""
        self.paused = self._source is not None
        return self.paused

    def resume(self) -> None:
        """Pull again; see `ports.Speaker`."""
        self.paused = False

    def _period(self) -> None:
        if self._source is not None and not self.paused:
            self.heard += self._source.pull(pcm.PERIOD_BYTES)


class MemoryLamp(MemoryDevice):
    """Lamp that remembers its lights; a `ports.Lamp`."""

    def __init__(self) -> None:
        """Start plugged in and dark."""
        super().__init__("lamp")
        self.shown: list[str] = []
        """The states shown so far, in order."""
        self.light = DARK
        """The newest light."""
        self.lit = False
        """Whether `run` is running."""

    def shine(self, light: Light) -> None:
        """Show `light`; see `ports.Lamp`."""
        if not self.shown or light.state != self.shown[-1]:
            self.shown.append(light.state)
        self.light = light
        self._changed.set()

    async def run(self) -> NoReturn:
        """Run until cancelled; see `ports.Lamp`."""
        self._begin()
        self.lit = True
        try:
            while True:
                await self._change()
        finally:
            self.lit = False


class MemoryNotifier:
    """Notifier that remembers its messages; a `ports.Notifier`."""

    def __init__(self, watchdog_s: float | None = None) -> None:
        """`watchdog_s`: seconds between two signs of life; None for no watchdog."""
        self.watchdog_s = watchdog_s
        self.told: list[str] = []
        """The messages in order: `ready`, `alive`, `reloading`, `stopping`, or `status: TEXT`."""

    def ready(self) -> None:
        """Record that the daemon can serve."""
        self.told.append("ready")

    def status(self, text: str) -> None:
        """Record a status line."""
        self.told.append(f"status: {text}")

    def alive(self) -> None:
        """Record a sign of life."""
        self.told.append("alive")

    def reloading(self) -> None:
        """Record that new settings are being read."""
        self.told.append("reloading")

    def stopping(self) -> None:
        """Record that the daemon is stopping."""
        self.told.append("stopping")


class _Alarm:
    """Callback at one moment; a `ports.Cancellable`."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Cancel the callback."""
        self._callback = None

    def ring(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class ManualClock:
    """Clock that stands still until a test moves it; a `ports.Clock`."""

    def __init__(self, now: float = 1000.0) -> None:
        """Start at `now`."""
        self._now = now
        self._order = itertools.count()
        self._alarms: list[tuple[float, int, _Alarm]] = []

    def now(self) -> float:
        """Return the clock's time in seconds."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Return when the clock has moved by `seconds`; 0 lets every other task run once."""
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
        """Call `callback` when the clock has moved by `seconds`, unless the alarm is cancelled first."""
        alarm = _Alarm(callback)
        heapq.heappush(self._alarms, (self._now + seconds, next(self._order), alarm))
        return alarm

    async def advance(self, seconds: float) -> None:
        """Move the clock by `seconds`, stopping at each due moment in order.

        At each stop the tasks get `_ROUNDS` rounds of the loop, so that a task that sleeps again is woken
        again in the same call. That does not suffice for tasks that wait for a thread.
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
    """Let every other task of the loop run once."""
    yield


async def _rounds() -> None:
    for _ in range(_ROUNDS):
        await _round()
