"""A kiosk in memory that lives for hours in minutes: what grows, and which timers wake it.

Time is simulated. So this shows what the daemon keeps and how often its timers fire, and no load.
"""

import asyncio
import ctypes
import gc
import inspect
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from types import FrameType
from typing import Any, Final

import numpy as np
import psutil
from pydantic import SecretStr
from tests.support.fakes_devices import ManualClock
from tests.support.fakes_live import ScriptedConnection
from tests.support.kiosk import Kiosk, running, voice

from kioskd.core.effects import KioskStatus
from kioskd.media import pcm
from kioskd.ports import GenerationEnded, ReplyAudio, ResumptionUpdate, TurnComplete
from kioskd.settings.conversation import ConversationSettings
from kioskd.settings.model import Settings
from kioskd.settings.sound import MicrophoneSettings

SETTINGS: Final = Settings(
    conversation=ConversationSettings(longest_s=86_400.0, idle_s=3600.0),
    microphone=MicrophoneSettings(echo="hardware"),
)
WATCHDOG_S: Final = 30.0
"""As in kioskd.service."""
STEP_S: Final = 1.0
"""Seconds of sound that a sleeping kiosk gets at once."""
CHUNK_S: Final = 0.1
EXCHANGE_S: Final = 20.0
"""Seconds from one question to the next."""
REPLY_S: Final = 4.0


@dataclass(frozen=True, slots=True)
class Holdings:
    """Memory, tasks and files of this process at one moment."""

    rss_mb: float
    tasks: int
    files: int

    @classmethod
    def now(cls) -> "Holdings":
        """Return the present holdings, without memory that is free already."""
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        process = psutil.Process()
        return cls(process.memory_info().rss / 1e6, len(asyncio.all_tasks()), process.num_fds())


@dataclass(frozen=True, slots=True)
class Life:
    """Some simulated time of a kiosk."""

    seconds: float
    before: Holdings
    """Holdings at its beginning, after a tenth of the time has filled caches and bounded queues."""
    after: Holdings
    timers: Counter[str]
    """How often a timer fired, by the place in the package that set it."""

    @property
    def wake_ups_a_second(self) -> float:
        """Return how often timers fired."""
        return self.timers.total() / self.seconds

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "seconds": self.seconds,
            "before": asdict(self.before),
            "after": asdict(self.after),
            "timers": dict(self.timers),
        }


class CountingClock(ManualClock):
    """Manual clock that notes who set each timer that fired."""

    def __init__(self) -> None:
        super().__init__()
        self.fired: Counter[str] = Counter()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Any:
        """Call `callback` later, and count that."""
        place = _place()

        def fire() -> None:
            self.fired[place] += 1
            callback()

        return super().call_later(seconds, fire)


def quiet(seconds: float) -> bytes:
    """Return the sound of a quiet room. A microphone that gives nothing but zeros counts as broken."""
    samples = np.random.default_rng(7).integers(-40, 40, round(seconds * pcm.UPLINK_HZ))
    return samples.astype("<i2").tobytes()


async def day_asleep(seconds: float) -> Life:
    """Let a kiosk sleep, with the sound of a quiet room."""
    noise = quiet(STEP_S)
    async with _kiosk() as (it, clock):

        async def pass_time(span_s: float) -> None:
            for _ in range(round(span_s / STEP_S)):
                it.microphone.say(noise)
                await it.speaker.advance(STEP_S)
                await clock.advance(STEP_S)
                _forget(it)

        return await _live(clock, seconds, pass_time)


async def hour_in_conversation(seconds: float) -> Life:
    """Hold one conversation, with a question and a reply every 20 s. The kiosk renews its connection
    itself."""
    async with _kiosk() as (it, clock):
        talk = _Talk(it)
        async with running(talk.serve()):
            it.button.press()
            return await _live(clock, seconds, talk.go_on)


class _Talk:
    """A conversation with full sound in both directions."""

    def __init__(self, it: Kiosk) -> None:
        self._it = it
        self._connection: ScriptedConnection | None = None
        self._question = voice(1.0) + quiet(0.8)
        self._pause = quiet(EXCHANGE_S - 1.8)
        self._reply = voice(REPLY_S, pcm.DOWNLINK_HZ)

    async def serve(self) -> None:
        """Accept each dial."""
        while True:
            self._connection = await self._it.live.accept()
            self._connection.say(ResumptionUpdate(SecretStr("the-newest-handle")))

    async def go_on(self, span_s: float) -> None:
        """Talk for so many simulated seconds."""
        for _ in range(round(span_s / EXCHANGE_S)):
            await self._it.shows(KioskStatus.LISTENING)
            await self._hear(self._question)
            await self._it.shows(KioskStatus.THINKING)
            await self._it.until(lambda: self._it.state.link.open)
            assert self._connection
            self._connection.say(ReplyAudio(self._reply), GenerationEnded(), TurnComplete())
            await self._it.shows(KioskStatus.SPEAKING)
            await self._hear(self._pause)

    async def _hear(self, sound: bytes) -> None:
        size = pcm.byte_count(CHUNK_S, pcm.UPLINK_HZ)
        for start in range(0, len(sound), size):
            self._it.microphone.say(sound[start : start + size])
            await self._it.speaker.advance(CHUNK_S)
            await self._it.clock.advance(CHUNK_S)
            _forget(self._it)


@asynccontextmanager
async def _kiosk() -> AsyncIterator[tuple[Kiosk, CountingClock]]:
    it = Kiosk(SETTINGS, watchdog_s=WATCHDOG_S)
    it.clock = clock = CountingClock()
    async with running(it.serve()):
        await it.start()
        yield it, clock


async def _live(clock: CountingClock, seconds: float, pass_time: Callable[[float], Any]) -> Life:
    await pass_time(seconds / 10)
    before = Holdings.now()
    clock.fired.clear()
    began = clock.now()
    await pass_time(seconds)
    return Life(clock.now() - began, before, Holdings.now(), Counter(clock.fired))


def _forget(it: Kiosk) -> None:
    """Empty the lists in which the fakes remember everything."""
    it.speaker.heard.clear()
    it.notifier.told.clear()
    it.effects.clear()
    del it.lamp.shown[:-1]


def _place() -> str:
    """Return the module and function of the package that sets a timer now."""
    frame = inspect.currentframe()
    assert frame is not None
    while frame.f_back and not _module(frame).startswith("kioskd."):
        frame = frame.f_back
    return f"{_module(frame).removeprefix('kioskd.')}.{frame.f_code.co_name}"


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))
