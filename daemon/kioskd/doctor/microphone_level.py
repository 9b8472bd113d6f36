"""Measures level, clipping and rate of a microphone's sound, and names its faults. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

QUIETEST_DB: Final = -84.0
"""Lowest usable level. Below it only the last bits move: no room is as quiet, and no voice is understood."""

_CLIPPED: Final = 32_600
_CLIPPED_SHARE: Final = 0.001
_PACE: Final = 0.04
"""Largest accepted difference from the right rate, as a share.

A device that captures at 44.1 kHz and says 48 is off by 0.08. The few frames that a busy machine loses are
less.
"""

RATE: Final = "microphone-rate"

_SILENCE_DB: Final = -120.0


@dataclass(frozen=True, slots=True)
class MicrophoneLevel:
    """Measurements of three seconds of a microphone's sound."""

    level_db: float
    """Level against full scale, without the constant part."""
    peak_db: float
    clipped: float
    """Share of the samples at the end of the scale."""
    flat: bool
    """Whether all samples have the same value."""
    pace: float
    """Seconds of sound that came in a second; 1.0 is right."""

    @property
    def figures(self) -> Mapping[str, float]:
        """The measured values, for programs."""
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
    """Return the fault's name, its words and its remedy; None where all is well."""
    if hearing.flat:
        return (
            "microphone-silent",
            "opens, but captures no sound: every sample has the same value",
            "switch it on (its own switch, and Capture in alsamixer), or set another microphone.channel",
        )
    if abs(hearing.pace - 1) > _PACE:
        return (
            RATE,
            f"delivers sound at {hearing.pace:.2f} times the promised rate: voices would be out of tune",
            "set microphone.device to the card itself (see kioskd devices), or plug it in without a hub",
        )
    if hearing.clipped > _CLIPPED_SHARE:
        return (
            "microphone-clipped",
            f"is overdriven: {hearing.clipped:.1%} of its samples are cut off",
            "lower its gain: alsamixer, F4, Capture or Mic Boost; then sudo alsactl store",
        )
    if hearing.level_db < QUIETEST_DB:
        return (
            "microphone-faint",
            f"hears next to nothing ({hearing.level_db:.0f} dB)",
            "raise its gain: alsamixer, F4, Capture; then sudo alsactl store",
        )
    return None


def _decibels(amplitude: float) -> float:
    return 20 * math.log10(amplitude / 32768) if amplitude > 0 else _SILENCE_DB
