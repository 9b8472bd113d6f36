"""Speakers that keep the sound that a visitor would hear, with its true timing.

`FakeSpeaker` pulls like a sound card and plays nowhere. `RecordedSpeaker` wraps a real device.
"""

import asyncio
import bisect
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NoReturn

import numpy as np
import numpy.typing as npt

from kioskd import ports
from kioskd.media import pcm

AUDIBLE: Final = 33
"""Least audible sample value: -60 dBFS. The kiosk's silence is digital, so only sound reaches it."""

PAUSE_S: Final = 0.4
"""Least silence in seconds that ends a sound; pauses between two words are shorter."""


@dataclass(slots=True)
class PlayedSound:
    """All sound that was played, with its times in the clock's seconds."""

    sound: bytearray = field(default_factory=bytearray)
    """All bytes that were pulled: 24 kHz PCM."""
    periods: list[tuple[float, int]] = field(default_factory=list)
    """For each pull the time at which its first sample sounds, and its place in `sound`."""
    pulled: list[float] = field(default_factory=list)
    """For each pull the time at which it was made, which a busy machine delays."""
    late_s: float = 0.0
    """Longest delay of a pull."""
    sounding_since: float | None = None
    """Time at which the kiosk became audible after a pause; None while it is silent."""
    last_audible: float = float("-inf")
    """Time at which the latest audible period ended."""

    def add(self, sound: bytes, at: float, *, pulled_at: float | None = None) -> None:
        """Append sound that is due from `at` on and was pulled at `pulled_at`, by default in time."""
        self.periods.append((at, len(self.sound)))
        self.pulled.append(at if pulled_at is None else pulled_at)
        self.sound += sound
        ends = at + pcm.duration_s(len(sound), pcm.DOWNLINK_HZ)
        if _audible(sound).any():
            if self.sounding_since is None:
                self.sounding_since = at
            self.last_audible = ends
        elif self.sounding_since is not None and ends - self.last_audible >= PAUSE_S:
            self.sounding_since = None

    def pieces(self) -> Iterator[tuple[float, bytes]]:
        """Yield the time and the sound of each pull."""
        for (at, place), (_, end) in itertools.pairwise([*self.periods, (0.0, len(self.sound))]):
            yield at, bytes(self.sound[place:end])

    def first_audible(self, after: float, before: float) -> float | None:
        """Return the time of the first audible sample in `[after, before)`."""
        return next(self._audible_times(after, before), (None,))[0]

    def last_audible_between(self, after: float, before: float) -> float | None:
        """Return the time of the last audible sample in `[after, before)`."""
        return max((times[-1] for times in self._audible_times(after, before)), default=None)

    def samples(self, after: float, seconds: float) -> npt.NDArray[np.int16]:
        """Return `seconds` of sound from the first pull at or after `after`, or less at the end."""
        first = bisect.bisect_left(self.periods, (after, 0))
        if first == len(self.periods):
            return np.zeros(0, np.int16)
        place = self.periods[first][1]
        return np.frombuffer(
            bytes(self.sound[place : place + pcm.byte_count(seconds, pcm.DOWNLINK_HZ)]), "<i2"
        )

    def audible_s(self, after: float, before: float) -> float:
        """Return the seconds between two times in which the kiosk was audible, exact to a pull's length."""
        return sum(
            ended - began for began, ended, _ in self._audible_pulls() if began >= after and ended <= before
        )

    def spans_since_pulled(self) -> Iterator[tuple[float, float]]:
        """Yield the audible spans, each from its pull on: a late pull is not heard before it is made."""
        for began, ended, pulled_at in self._audible_pulls():
            if pulled_at < ended:
                yield max(began, pulled_at), ended

    def _audible_pulls(self) -> Iterator[tuple[float, float, float]]:
        """Yield for each audible pull the times at which its sound begins, ends, and was pulled."""
        for (at, sound), pulled_at in zip(self.pieces(), self.pulled, strict=True):
            if _audible(sound).any():
                yield at, at + pcm.duration_s(len(sound), pcm.DOWNLINK_HZ), pulled_at

    def _audible_times(self, after: float, before: float) -> Iterator[list[float]]:
        """Yield for each pull with audible samples in `[after, before)` the times of these samples."""
        for at, sound in self.pieces():
            if at + pcm.duration_s(len(sound), pcm.DOWNLINK_HZ) > after and at < before:
                times = at + np.flatnonzero(_audible(sound)) / pcm.DOWNLINK_HZ
                if found := times[(times >= after) & (times < before)].tolist():
                    yield found


class FakeSpeaker:
    """A speaker that pulls 10 ms at a time, in real time by `clock`, and keeps the sound.

    It calls `on_period` after each pull.
    """

    def __init__(self, clock: ports.Clock, on_period: Callable[[], None]) -> None:
        self.heard = PlayedSound()
        self._clock = clock
        self._on_period = on_period
        self._running = asyncio.Event()

    @property
    def latency_s(self) -> float:
        """Pulled sound is heard at once."""
        return 0.0

    async def play(self, source: ports.AudioSource) -> NoReturn:
        """Pull from `source` until cancelled; see `ports.Speaker`."""
        self._running.set()
        start, pulled = self._clock.now(), 0
        while True:
            if not self._running.is_set():
                await self._running.wait()
                start, pulled = self._clock.now(), 0
            due = start + pulled * pcm.PERIOD_S
            if (wait := due - self._clock.now()) > 0:
                await self._clock.sleep(wait)
            now = self._clock.now()
            self.heard.late_s = max(self.heard.late_s, now - due)
            self.heard.add(source.pull(pcm.PERIOD_BYTES), due, pulled_at=now)
            pulled += 1
            self._on_period()

    def pause(self) -> bool:
        """Pull nothing until `resume`; see `ports.Speaker`."""
        self._running.clear()
        return True

    def resume(self) -> None:
        """Pull again; see `ports.Speaker`."""
        self._running.set()


class RecordedSpeaker:
    """A real speaker that also keeps the sound that it plays."""

    def __init__(self, speaker: ports.Speaker, clock: ports.Clock, on_period: Callable[[], None]) -> None:
        self.heard = PlayedSound()
        self._source: ports.AudioSource
        self._speaker = speaker
        self._clock = clock
        self._on_period = on_period

    @property
    def latency_s(self) -> float:
        """Latency that the device reports."""
        return self._speaker.latency_s

    async def play(self, source: ports.AudioSource) -> NoReturn:
        """Let the device pull from `source` until cancelled; see `ports.Speaker`."""
        self._source = source
        await self._speaker.play(self)

    def pause(self) -> bool:
        """Let the device pause; see `ports.Speaker`."""
        return self._speaker.pause()

    def resume(self) -> None:
        """Let the device pull again; see `ports.Speaker`."""
        self._speaker.resume()

    def pull(self, byte_count: int) -> bytes:
        """Return the next sound for the device, and keep it. Called from the device's thread."""
        sound = self._source.pull(byte_count)
        self.heard.add(sound, self._clock.now() + self.latency_s)
        self._on_period()
        return sound


def _audible(sound: bytes) -> npt.NDArray[np.bool_]:
    return np.abs(np.frombuffer(sound, "<i2").astype(np.int32)) >= AUDIBLE
