"""A whole kiosk on parts made of memory: the test causes all that happens, and moves the time."""

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
"""Seconds that a test waits for things that should happen at once."""

QUIET: Final = Settings(speaker=SpeakerSettings(cues=()))
"""Settings without chimes, so that sound in both directions can be compared byte by byte."""

T = TypeVar("T")


def silence(seconds: float, rate_hz: int = pcm.UPLINK_HZ) -> bytes:
    """Return `seconds` of silence."""
    return bytes(pcm.byte_count(seconds, rate_hz))


def voice(seconds: float, rate_hz: int = pcm.UPLINK_HZ) -> bytes:
    """Return a sung vowel: 140 Hz and its overtones, which the voice detector takes for a voice."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    wave = sum(np.sin(2 * np.pi * 140 * k * times) / k for k in range(1, 20))
    return np.rint(wave * 8000).astype("<i2").tobytes()


def frame(number: int) -> bytes:
    """Return a microphone frame that differs from all others."""
    return number.to_bytes(2, "little") * (pcm.FRAME_BYTES // 2)


def frames(sound: bytes) -> list[bytes]:
    """Split `sound` into microphone frames."""
    return [sound[start : start + pcm.FRAME_BYTES] for start in range(0, len(sound), pcm.FRAME_BYTES)]


async def soon(waiting: Coroutine[Any, Any, T]) -> T:
    """Return the result of `waiting`, which should be there at once."""
    async with asyncio.timeout(PATIENCE_S):
        return await waiting


@asynccontextmanager
async def running(*works: Coroutine[Any, Any, object]) -> AsyncIterator[None]:
    """Run `works` beside the block and cancel them after it; then raise the first error of theirs."""
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
    """A `WakeDetector` that detects one certain frame only."""

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
    """Place for a worker's events in a test without a core."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._posted = asyncio.Event()

    def post(self, event: Event) -> None:
        """Keep an event."""
        self.events.append(event)
        self._posted.set()

    async def take(self, count: int = 1) -> list[Event]:
        """Wait for at least `count` events, and return all that came since the last call."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.events) < count:
                self._posted.clear()
                await self._posted.wait()
        events, self.events = self.events, []
        return events


class Kiosk:
    """Kiosk in memory: its parts, and the steps of its core."""

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
        """Store of volume and mute; None for no store."""
        self.places: Mapping[str, Callable[[], None]] = {}
        """Checks of the folders that the kiosk writes to, by name."""
        self.state = State()
        self.effects: list[Effect] = []
        """All effects so far."""
        self._changed = asyncio.Event()

    def parts(self) -> app.Parts:
        """Return the kiosk's parts."""
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
        """Run the kiosk until cancelled."""
        await app.serve(self.settings, self.parts(), observers=[self.observe])

    async def start(self) -> None:
        """Let each part give its first sign of life, and wait until the kiosk serves."""
        self.microphone.say(silence(0.02))
        await soon(self.speaker.advance(0.01))
        await self.clock.advance(0.1)
        await self.until(lambda: self.state.started)

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until `holds()` is true; it is checked at each step of the core."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def shows(self, shown: KioskStatus) -> None:
        """Wait until the lamp shows this state."""
        await self.until(lambda: self.shown is shown)

    @property
    def shown(self) -> KioskStatus:
        """The state that the lamp shows now."""
        return KioskStatus(self.lamp.shown[-1])

    async def settle(self) -> None:
        """Let all tasks react to the latest events; time stands still."""
        await self.clock.advance(0)

    async def wake(self) -> ScriptedConnection:
        """Press the button, accept the dial, and return the connection of the new conversation."""
        self.button.press()
        connection = await soon(self.live.accept())
        await self.until(lambda: self.state.link.open)
        return connection

    async def hear(self, seconds: float) -> bytes:
        """Let the speaker play for `seconds`, and return that sound."""
        before = len(self.speaker.heard)
        await soon(self.speaker.advance(seconds))
        await self.settle()
        return bytes(self.speaker.heard[before:])

    async def ask(self) -> None:
        """Speak, and stop."""
        self.microphone.say(voice(1.0) + silence(0.8))
        await self.shows(KioskStatus.THINKING)

    def observe(
        self, _now: float, _event: Event, _before: State, after: State, effects: tuple[Effect, ...]
    ) -> None:
        """Record one step of the core."""
        self.state = after
        self.effects.extend(effects)
        self._changed.set()


@asynccontextmanager
async def kiosk(
    settings: Settings | None = None, *, watchdog_s: float | None = None, started: bool = True
) -> AsyncIterator[Kiosk]:
    """Run a kiosk in memory. By default it has started, and sleeps unless its settings wake it."""
    made = Kiosk(settings or QUIET, watchdog_s=watchdog_s)
    async with running(made.serve()):
        if started:
            await made.start()
        yield made
