"""What a microphone's sound shows about the microphone. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

QUIETEST_DB: Final = -84.0
"""Below this only the last bits move: no room is as quiet, and no voice would be understood."""

_CLIPPED: Final = 32_600
_CLIPPED_SHARE: Final = 0.001
_PACE: Final = 0.04
"""A device that captures at 44.1 kHz and says 48 is off by 0.08; a busy machine's few frames are less."""

RATE: Final = "microphone-rate"

_SILENCE_DB: Final = -120.0


@dataclass(frozen=True, slots=True)
class MicrophoneLevel:
    """Three seconds of a microphone."""

    level_db: float
    """Of full scale, without what is constant."""
    peak_db: float
    clipped: float
    """Share of the samples that are at the end of the scale."""
    flat: bool
    """Nothing but one and the same value."""
    pace: float
    """Sound that came, against the time that it took; 1.0."""

    @property
    def figures(self) -> Mapping[str, float]:
        """What was measured, for programs."""
        rounded = {"level_db": round(self.level_db, 1), "peak_db": round(self.peak_db, 1)}
        return {**rounded, "pace": round(self.pace, 3)}


def measure(sound: bytes, pace: float) -> MicrophoneLevel:
    """Measure `sound` (16-bit PCM, not empty)."""
    samples = np.frombuffer(sound, "<i2").astype(np.float64)
    moving = samples - np.mean(samples)
    return MicrophoneLevel(
        level_db=_decibels(float(np.sqrt(np.mean(np.square(moving))))),
        peak_db=_decibels(float(np.max(np.abs(samples)))),
        clipped=float(np.mean(np.abs(samples) >= _CLIPPED)),
        flat=bool(np.all(samples == samples[0])),
        pace=pace,
    )


def fault_of(hearing: MicrophoneLevel) -> tuple[str, str, str] | None:
    """Return what is wrong: the fault's name, what was heard, what to do; None where all is well."""
    if hearing.flat:
        return (
            "microphone-silent",
            "opens, and gives nothing but one and the same value",
            "switch it on (a key or slider on it, alsamixer's Capture), or set another microphone.channel",
        )
    if abs(hearing.pace - 1) > _PACE:
        return (
            RATE,
            f"gives sound at {hearing.pace:.2f} times the rate that it promises: voices would be out of tune",
            "name the card itself by microphone.device (kioskd devices), or take it from behind a hub",
        )
    if hearing.clipped > _CLIPPED_SHARE:
        return (
            "microphone-clipped",
            f"is overdriven: {hearing.clipped:.1%} of its sound is cut off",
            "lower its gain: alsamixer, F4, Capture or Mic Boost; sudo alsactl store",
        )
    if hearing.level_db < QUIETEST_DB:
        return (
            "microphone-faint",
            f"hears next to nothing ({hearing.level_db:.0f} dB)",
            "raise its gain: alsamixer, F4, Capture; sudo alsactl store",
        )
    return None


def _decibels(amplitude: float) -> float:
    return 20 * math.log10(amplitude / 32768) if amplitude > 0 else _SILENCE_DB
