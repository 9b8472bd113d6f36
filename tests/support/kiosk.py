"""A whole kiosk on parts made of memory: nothing happens in it unless the test makes it happen, time included."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import numpy as np
from tests.support.fakes_devices import (
    ManualClock,
    MemoryLamp,
    MemoryMicrophone,
    MemoryNotifier,
    MemorySpeaker,
)
from tests.support.fakes_live import ScriptedConnection, ScriptedLive
from tests.support.parts import parts as kiosk_parts

from kioskd import app, ports
from kioskd.adapters.absent import NoPreferences
from kioskd.adapters.fakes.devices import MemoryButton
from kioskd.core.effects import Effect, KioskStatus
from kioskd.core.events import Event
from kioskd.core.machine import State
from kioskd.media import pcm
from kioskd.settings.model import Settings
from kioskd.settings.sound import SpeakerSettings

PATIENCE_S: Final = 30.0
"""How long a test waits for what should happen at once."""

QUIET: Final = Settings(speaker=SpeakerSettings(cues=()))
"""Without chimes: what is heard, and what is sent, can be compared byte by byte."""

T = TypeVar("T")


def silence(seconds: float, rate_hz: int = pcm.UPLINK_HZ) -> bytes:
    """Return so much silence."""
    return bytes(pcm.byte_count(seconds, rate_hz))


def voice(seconds: float, rate_hz: int = pcm.UPLINK_HZ) -> bytes:
    """Return a sung vowel: 140 Hz and its overtones, which the voice detection takes for a voice."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    wave = sum(np.sin(2 * np.pi * 140 * k * times) / k for k in range(1, 20))
    return np.rint(wave * 8000).astype("<i2").tobytes()


def frame(number: int) -> bytes:
    """Return a microphone frame that can be told from all others."""
    return number.to_bytes(2, "little") * (pcm.FRAME_BYTES // 2)


def frames(sound: bytes) -> list[bytes]:
    """Cut `sound` into microphone frames."""
    return [sound[start : start + pcm.FRAME_BYTES] for start in range(0, len(sound), pcm.FRAME_BYTES)]


async def soon(waiting: Coroutine[Any, Any, T]) -> T:
    """Return what `waiting` returns, which should happen at once."""
    async with asyncio.timeout(PATIENCE_S):
        return await waiting


@asynccontextmanager
async def running(*works: Coroutine[Any, Any, object]) -> AsyncIterator[None]:
    """Run `works` beside the block and cancel them after it; what one of them raised is raised then."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException) and not isinstance(end, asyncio.CancelledError):
                raise end


class On:
    """Hears what it waits for in one frame, and nothing else; a `WakeDetector`."""

    def __init__(self, called: bytes) -> None:
        self.called = called
        self.heard: list[bytes] = []
        self.resets = 0
        self.pauses = 0

    def feed(self, heard: bytes) -> bool:
        """See `WakeDetector`."""
        self.heard.append(heard)
        return heard == self.called

    def reset(self) -> None:
        """See `WakeDetector`."""
        self.resets += 1

    def await_pause(self) -> None:
        """See `WakeDetector`."""
        self.pauses += 1


class Inbox:
    """Where a worker posts in a test that has no core."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._posted = asyncio.Event()

    def post(self, event: Event) -> None:
        """Keep an event."""
        self.events.append(event)
        self._posted.set()

    async def take(self, count: int = 1) -> list[Event]:
        """Wait for so many events, and return all that came since the last time."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.events) < count:
                self._posted.clear()
                await self._posted.wait()
        events, self.events = self.events, []
        return events


class Kiosk:
    """The parts, and what the core went through."""

    def __init__(self, settings: Settings, *, watchdog_s: float | None) -> None:
        self.settings = settings
        self.clock = ManualClock()
        self.microphone = MemoryMicrophone()
        self.speaker = MemorySpeaker()
        self.button = MemoryButton()
        self.lamp = MemoryLamp()
        self.notifier = MemoryNotifier(watchdog_s)
        self.live = ScriptedLive()
        self.disk: ports.PreferenceStore | None = None
        """Where what people set by hand is kept, if anywhere."""
        self.places: Mapping[str, Callable[[], None]] = {}
        """How that place is looked at."""
        self.state = State()
        self.effects: list[Effect] = []
        """All that was to be done so far."""
        self._changed = asyncio.Event()

    def parts(self) -> app.Parts:
        """Return what it is made of."""
        button = self.settings.controls.button
        return kiosk_parts(
            self.clock,
            self.microphone,
            self.speaker,
            self.live,
            self.notifier,
            buttons=[app.hand(self.button, button) if button else app.ButtonSpec(self.button)],
            lamps=[app.LampSpec(self.lamp)],
            preferences=self.disk or NoPreferences(),
            places=self.places,
        )

    async def serve(self) -> None:
        """Be a kiosk until cancelled."""
        await app.serve(self.settings, self.parts(), observers=[self.observe])

    async def start(self) -> None:
        """Bring each part to its first sign of life, and wait until the kiosk serves."""
        self.microphone.say(silence(0.02))
        await soon(self.speaker.advance(0.01))
        await self.clock.advance(0.1)
        await self.until(lambda: self.state.started)

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until `holds()` is true; it is asked at each step of the core."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def shows(self, shown: KioskStatus) -> None:
        """Wait until people are shown this state."""
        await self.until(lambda: self.shown is shown)

    @property
    def shown(self) -> KioskStatus:
        """What people are shown now."""
        return KioskStatus(self.lamp.shown[-1])

    async def settle(self) -> None:
        """Let everybody react to what has happened; time stands still."""
        await self.clock.advance(0)

    async def wake(self) -> ScriptedConnection:
        """Press, let the kiosk in, and return the connection of the conversation that has begun."""
        self.button.press()
        connection = await soon(self.live.accept())
        await self.until(lambda: self.state.link.open)
        return connection

    async def hear(self, seconds: float) -> bytes:
        """Let the speaker play so long, and return what was to be heard meanwhile."""
        before = len(self.speaker.heard)
        await soon(self.speaker.advance(seconds))
        await self.settle()
        return bytes(self.speaker.heard[before:])

    async def ask(self) -> None:
        """Say something, and stop."""
        self.microphone.say(voice(1.0) + silence(0.8))
        await self.shows(KioskStatus.THINKING)

    def observe(
        self, _now: float, _event: Event, _before: State, after: State, effects: tuple[Effect, ...]
    ) -> None:
        """Note one step of the core."""
        self.state = after
        self.effects.extend(effects)
        self._changed.set()


@asynccontextmanager
async def kiosk(
    settings: Settings | None = None, *, watchdog_s: float | None = None, started: bool = True
) -> AsyncIterator[Kiosk]:
    """Run a kiosk in memory; by default it serves already, asleep or as its settings say."""
    made = Kiosk(settings or QUIET, watchdog_s=watchdog_s)
    async with running(made.serve()):
        if started:
            await made.start()
        yield made
