"""Microphones that keep the sound that they capture, so that it can be compared with the sound at the
service.

`FakeMicrophone` captures the recordings that the script speaks. `RecordedMicrophone` wraps a real device.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

import numpy as np
import numpy.typing as npt

from kioskd import ports, regular_file
from kioskd.errors import ConfigError
from kioskd.media import pcm
from kioskd.media.wav import UnfitWav, decoded

FRAME_SAMPLES: Final = pcm.UPLINK_HZ * pcm.FRAME_MS // 1000

NOISE_LSB: Final = 3
"""Room noise in steps of the converter: inaudible (-80 dBFS), but it makes all frames different."""

AUDIBLE: Final = 330
"""Least sample value of speech: -40 dBFS, well above the noise of recordings."""


@dataclass(frozen=True, slots=True)
class SpeechRecording:
    """A recording: its name for people, and its sound at 16 kHz."""

    name: str
    sound: bytes


def load_speeches(paths: Iterable[Path]) -> dict[Path, SpeechRecording]:
    """Return the recordings by path. Blocks. Raises ConfigError for a file that `media.wav` cannot read."""
    return {path: _load(path) for path in paths}


def _load(path: Path) -> SpeechRecording:
    try:
        with regular_file.opened(path) as file:
            sound = decoded(file, pcm.UPLINK_HZ)
    except UnfitWav as error:
        raise ConfigError(f"recording {path}: {error}") from error
    except OSError as error:
        raise ConfigError(
            f"recording {path}: cannot be read: {error.strerror}; give a PCM WAV file"
        ) from error
    return SpeechRecording(path.stem.replace("_", " "), sound)


@dataclass(frozen=True, slots=True)
class Utterance:
    """The place of a recording in the visitor's track, in samples from the start of the track."""

    began: int
    """First sample of the recording."""
    onset: int
    """First audible sample."""
    end: int
    """Last audible sample."""


@dataclass(slots=True)
class CapturedTrack:
    """All frames that a microphone captured, with their times."""

    frames: list[bytes] = field(default_factory=list)
    taken_at: list[float] = field(default_factory=list)
    """For each frame the time of its last sample, in the clock's seconds."""
    late_s: float = 0.0
    """Longest time from the last sample of a frame until the frame was handed over."""

    def add(self, frame: bytes, taken_at: float) -> None:
        """Append a frame."""
        self.frames.append(frame)
        self.taken_at.append(taken_at)

    def time_of(self, sample: int) -> float:
        """Return the time at which `sample` was captured; it must have been."""
        frame, offset = divmod(sample, FRAME_SAMPLES)
        return self.taken_at[frame] - pcm.FRAME_S + offset / pcm.UPLINK_HZ


class FakeMicrophone:
    """A microphone that captures the script's speech, and faint room noise otherwise, in real time by
    `clock`.

    Frames are due at absolute times: after a late frame the next ones come faster, so the track never drifts.
    """

    def __init__(self, clock: ports.Clock, *, seed: int = 1) -> None:
        self.urgent = True
        self.track = CapturedTrack()
        self._clock = clock
        self._chance = np.random.default_rng(seed)
        self._said = np.zeros(0, np.int16)
        self._said_from = 0
        self._said_at = 0.0
        self._closed_at: float | None = None

    @property
    def closed(self) -> bool:
        """Whether the device was opened and closed again; speech is lost then."""
        return self._closed_at is not None

    def say(self, speech: bytes) -> Utterance:
        """Mix `speech` (16 kHz PCM) into the track, from the next frame on. A closed device does not capture
        it.

        It cuts off the speech of an earlier `say`.
        """
        samples = np.frombuffer(speech, "<i2")
        onset, end = audible_span(samples)
        began = len(self.track.frames) * FRAME_SAMPLES
        self._said, self._said_from, self._said_at = samples, began, self._clock.now()
        return Utterance(began, began + onset, began + end)

    async def capture(self, sink: Callable[[bytes], None]) -> NoReturn:
        """Hand each frame to `sink` until cancelled; see `ports.Microphone`."""
        start, handed = self._clock.now(), 0
        if self._closed_at is not None:
            # The visitor went on speaking while the device was closed.
            missed_s = start - max(self._closed_at, self._said_at)
            self._said_from -= round(missed_s * pcm.UPLINK_HZ)
            self._closed_at = None
        try:
            while True:
                due = start + (handed + 1) * pcm.FRAME_S
                if (wait := due - self._clock.now()) > 0:
                    await self._clock.sleep(wait)
                self.track.late_s = max(self.track.late_s, self._clock.now() - due)
                frame = self._next_frame()
                self.track.add(frame, due)
                handed += 1
                sink(frame)
        finally:
            self._closed_at = self._clock.now()

    def _next_frame(self) -> bytes:
        noise = self._chance.integers(-NOISE_LSB, NOISE_LSB, FRAME_SAMPLES, np.int16, endpoint=True)
        at = len(self.track.frames) * FRAME_SAMPLES - self._said_from
        speech = self._said[at : at + FRAME_SAMPLES]
        mixed = noise.astype(np.int32)
        mixed[: len(speech)] += speech
        return np.clip(mixed, -32768, 32767).astype("<i2").tobytes()


class RecordedMicrophone:
    """A real microphone that also keeps the frames that it captures."""

    def __init__(self, microphone: ports.Microphone, clock: ports.Clock) -> None:
        self.track = CapturedTrack()
        self._microphone = microphone
        self._clock = clock

    @property
    def urgent(self) -> bool:
        return self._microphone.urgent

    @urgent.setter
    def urgent(self, urgent: bool) -> None:
        self._microphone.urgent = urgent

    async def capture(self, sink: Callable[[bytes], None]) -> NoReturn:
        """Hand each frame to `sink` until cancelled; see `ports.Microphone`."""

        def keep(frame: bytes) -> None:
            self.track.add(frame, self._clock.now())
            sink(frame)

        await self._microphone.capture(keep)


def audible_span(samples: npt.NDArray[np.int16]) -> tuple[int, int]:
    """Return the indices of the first and the last audible sample; of all samples if none is audible."""
    audible = np.flatnonzero(np.abs(samples.astype(np.int32)) >= AUDIBLE)
    return (int(audible[0]), int(audible[-1])) if audible.size else (0, max(0, len(samples) - 1))
