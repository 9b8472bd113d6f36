"""The kiosk's side of the loudspeaker: what a visitor would hear, with its true timing.

As with the microphone there are two: one that pulls like a sound card and plays nowhere, one that wraps a real device.
"""

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
"""The sample value from which the kiosk is heard: -60 dBFS. Its silence is digital, so nothing else reaches this."""

PAUSE_S: Final = 0.4
"""A silence as long as this is no longer the pause between two words."""


@dataclass(slots=True)
class PlayedSound:
    """All that was played, and when."""

    sound: bytearray = field(default_factory=bytearray)
    """24 kHz PCM: every byte that was pulled."""
    periods: list[tuple[float, int]] = field(default_factory=list)
    """For each pull the moment at which its first sample sounds, in the clock's seconds, and its place in `sound`."""
    pulled: list[float] = field(default_factory=list)
    """For each pull the moment at which it was made: later than its time where this machine was busy."""
    late_s: float = 0.0
    """How long after its time a period was pulled, at worst."""
    sounding_since: float | None = None
    """When the kiosk, after a pause, became audible; None while it is silent."""
    last_audible: float = float("-inf")
    """When the latest audible period ended."""

    def add(self, sound: bytes, at: float, *, pulled_at: float | None = None) -> None:
        """Append sound that is due from `at` on. `pulled_at`: when it was asked for, by default in time."""
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
        """Return each pull: when it sounds, and its sound."""
        for (at, place), (_, end) in itertools.pairwise([*self.periods, (0.0, len(self.sound))]):
            yield at, bytes(self.sound[place:end])

    def first_audible(self, after: float, before: float) -> float | None:
        """Return when the first audible sample in `[after, before)` sounded."""
        return next(self._audible_times(after, before), (None,))[0]

    def last_audible_between(self, after: float, before: float) -> float | None:
        """Return when the last audible sample in `[after, before)` sounded."""
        return max((times[-1] for times in self._audible_times(after, before)), default=None)

    def samples(self, after: float, seconds: float) -> npt.NDArray[np.int16]:
        """Return what sounded from the first pull at or after a moment on, for so long or to the end."""
        first = bisect.bisect_left(self.periods, (after, 0))
        if first == len(self.periods):
            return np.zeros(0, np.int16)
        place = self.periods[first][1]
        return np.frombuffer(
            bytes(self.sound[place : place + pcm.byte_count(seconds, pcm.DOWNLINK_HZ)]), "<i2"
        )

    def audible_s(self, after: float, before: float) -> float:
        """Return for how many seconds between two moments the kiosk was audible, to a pull's length."""
        return sum(
            ended - began for began, ended, _ in self._audible_pulls() if began >= after and ended <= before
        )

    def spans_since_pulled(self) -> Iterator[tuple[float, float]]:
        """Yield the audible spans without what was due before it was pulled: a sound cannot be heard before that."""
        for began, ended, pulled_at in self._audible_pulls():
            if pulled_at < ended:
                yield max(began, pulled_at), ended

    def _audible_pulls(self) -> Iterator[tuple[float, float, float]]:
        """Yield for each audible pull when its sound begins and ends, and when it was made."""
        for (at, sound), pulled_at in zip(self.pieces(), self.pulled, strict=True):
            if _audible(sound).any():
                yield at, at + pcm.duration_s(len(sound), pcm.DOWNLINK_HZ), pulled_at

    def _audible_times(self, after: float, before: float) -> Iterator[list[float]]:
        """Yield for each pull the moments of its audible samples in `[after, before)`, where there are some."""
        for at, sound in self.pieces():
            if at + pcm.duration_s(len(sound), pcm.DOWNLINK_HZ) > after and at < before:
                times = at + np.flatnonzero(_audible(sound)) / pcm.DOWNLINK_HZ
                if found := times[(times >= after) & (times < before)].tolist():
                    yield found


class FakeSpeaker:
    """Pulls 10 ms at a time, in real time by `clock`, and keeps it.

    `on_period` is called after each pull.
    """

    def __init__(self, clock: ports.Clock, on_period: Callable[[], None]) -> None:
        self.heard = PlayedSound()
        self._clock = clock
        self._on_period = on_period

    @property
    def latency_s(self) -> float:
        """What is pulled sounds at once."""
        return 0.0

    async def play(self, source: ports.AudioSource) -> NoReturn:
        """Pull from `source` until cancelled; see `ports.Speaker`."""
        start, pulled = self._clock.now(), 0
        while True:
            due = start + pulled * pcm.PERIOD_S
            if (wait := due - self._clock.now()) > 0:
                await self._clock.sleep(wait)
            now = self._clock.now()
            self.heard.late_s = max(self.heard.late_s, now - due)
            self.heard.add(source.pull(pcm.PERIOD_BYTES), due, pulled_at=now)
            pulled += 1
            self._on_period()


class RecordedSpeaker:
    """A real speaker whose sound is kept."""

    def __init__(self, speaker: ports.Speaker, clock: ports.Clock, on_period: Callable[[], None]) -> None:
        self.heard = PlayedSound()
        self._source: ports.AudioSource
        self._speaker = speaker
        self._clock = clock
        self._on_period = on_period

    @property
    def latency_s(self) -> float:
        """As the device says."""
        return self._speaker.latency_s

    async def play(self, source: ports.AudioSource) -> NoReturn:
        """Let the device pull from `source` until cancelled; see `ports.Speaker`."""
        self._source = source
        await self._speaker.play(self)

    def pull(self, byte_count: int) -> bytes:
        """Give the device what it asks for, and keep it. Called from the device's thread."""
        sound = self._source.pull(byte_count)
        self.heard.add(sound, self._clock.now() + self.latency_s)
        self._on_period()
        return sound


def _audible(sound: bytes) -> npt.NDArray[np.bool_]:
    return np.abs(np.frombuffer(sound, "<i2").astype(np.int32)) >= AUDIBLE
