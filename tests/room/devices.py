"""A room as a pair of devices: the speaker's sound comes back to the microphone, with a visitor and a noise.

Nothing here runs by itself: `Room.step` is 20 ms of the capture clock.
"""

import asyncio
from collections.abc import Callable
from typing import Final, NoReturn

import numpy as np
from tests.room.acoustics import Acoustics, Air, responses
from tests.room.sounds import Samples, from_pcm, noise, to_pcm

from kioskd.media import pcm
from kioskd.ports import AudioSource

FRAME_S: Final = pcm.FRAME_MS / 1000
FRAME_SAMPLES: Final = pcm.UPLINK_HZ * pcm.FRAME_MS // 1000
PERIOD_SAMPLES: Final = pcm.DOWNLINK_HZ * pcm.PERIOD_MS // 1000
NOISE_S: Final = 120.0
"""Seconds after which the noise begins again."""


class RoomSpeaker:
    """A `ports.Speaker` that pulls at each step of the room."""

    def __init__(self, latency_s: float) -> None:
        self.latency_s = latency_s
        self._paused = False
        self._source: AudioSource | None = None

    async def play(self, source: AudioSource) -> NoReturn:
        """Lend `source` to the room until cancelled; see `ports.Speaker`."""
        self.lend(source)
        try:
            while True:
                await asyncio.Event().wait()
        finally:
            self._source = None

    def lend(self, source: AudioSource) -> None:
        """Have the room pull from `source` from now on."""
        self._source, self._paused = source, False

    def pause(self) -> bool:
        """Play silence of its own until `resume`; see `ports.Speaker`."""
        self._paused = True
        return True

    def resume(self) -> None:
        """Pull again; see `ports.Speaker`."""
        self._paused = False

    def pull(self) -> bytes:
        """Return the next 10 ms."""
        count = PERIOD_SAMPLES * pcm.SAMPLE_BYTES
        return bytes(count) if self._source is None or self._paused else self._source.pull(count)


class RoomMicrophone:
    """A `ports.Microphone` that captures at each step of the room."""

    def __init__(self) -> None:
        self.urgent = True
        self._sink: Callable[[bytes], None] | None = None

    async def capture(self, sink: Callable[[bytes], None]) -> NoReturn:
        """Lend `sink` to the room until cancelled; see `ports.Microphone`."""
        self.lend(sink)
        try:
            while True:
                await asyncio.Event().wait()
        finally:
            self._sink = None

    def lend(self, sink: Callable[[bytes], None]) -> None:
        """Have the room hand each frame to `sink` from now on."""
        self._sink = sink

    def give(self, frame: bytes) -> None:
        """Hand over a frame."""
        if self._sink is not None:
            self._sink(frame)


class Room:
    """The sound at the microphone, frame by frame."""

    def __init__(self, acoustics: Acoustics) -> None:
        self.microphone = RoomMicrophone()
        self.speaker = RoomSpeaker(acoustics.delay_s)
        self.frames = 0
        """Number of frames captured so far."""
        self.echo = np.zeros(FRAME_SAMPLES)
        """The kiosk's own share of the newest frame."""
        self.visitor = np.zeros(FRAME_SAMPLES)
        """The visitor's share of the newest frame."""
        self.captured = b""
        """The newest frame."""
        loudspeaker, self._visitors_way = responses(acoustics)
        self._air = Air(acoustics, loudspeaker, FRAME_SAMPLES)
        chance = np.random.default_rng(acoustics.seed)
        self._noise = 10 ** (acoustics.noise_db / 20) * noise(acoustics.noise, NOISE_S, chance)
        self._saying = np.zeros(0)
        # Number of samples of the playback clock that are due and were not pulled yet.
        self._due = 0.0
        self._per_frame = pcm.DOWNLINK_HZ * FRAME_S * (1 + acoustics.drift)
        self._pulled = np.zeros(0)

    @property
    def visitor_speaks(self) -> bool:
        """Whether a visitor is still speaking."""
        return len(self._saying) > 0

    def say(self, samples: Samples) -> None:
        """Have a visitor say this from the next frame on: 16 kHz, at its level at the microphone."""
        # The sound as it arrives. Computing all of it at once is cheaper than frame by frame.
        size = len(samples) + len(self._visitors_way)
        spectrum = np.fft.rfft(samples, size) * np.fft.rfft(self._visitors_way, size)
        self._saying = np.fft.irfft(spectrum, size)

    def reopen(self, delay_s: float) -> None:
        """Open the speaker again in a silent moment, with another delay."""
        self._air.delay(delay_s - self.speaker.latency_s)
        self.speaker.latency_s = delay_s

    def step(self) -> None:
        """Let 20 ms pass: the speaker pulls as its clock says, and the microphone hands over a frame."""
        self._due += self._per_frame
        pulled = []
        while self._due >= PERIOD_SAMPLES:
            self._due -= PERIOD_SAMPLES
            pulled.append(from_pcm(self.speaker.pull()))
        self.echo = self._air.carry(np.concatenate(pulled) if pulled else np.zeros(0))
        said, self._saying = self._saying[:FRAME_SAMPLES], self._saying[FRAME_SAMPLES:]
        self.visitor = np.pad(said, (0, FRAME_SAMPLES - len(said)))
        at = self.frames * FRAME_SAMPLES % len(self._noise)
        self.captured = to_pcm(self.echo + self.visitor + self._noise[at : at + FRAME_SAMPLES])
        self.frames += 1
        self.microphone.give(self.captured)
