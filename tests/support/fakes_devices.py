"""Devices and time made of memory: they behave like the real ones, at once and on command."""

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
"""Rounds of the loop that whoever was woken gets before time moves on: a chain of as many wake-ups."""


class MemoryMicrophone(MemoryDevice):
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


class MemorySpeaker(MemoryDevice):
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


class MemoryLamp(MemoryDevice):
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
