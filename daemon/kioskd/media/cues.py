"""Short chimes that tell a visitor what the kiosk is doing: sums of a few sines, and their pitches are known.

That is so for the microphone's sake: `media.notch` takes exactly these pitches out of what it hears, so nobody has to wait
with a first word for a chime to end. Each tone swells and dies away along a cosine: what changes slowly stays a narrow line.

Each has a shape that no other has, for ears that hear no high notes, and for somebody who cannot name a note: high and up,
high and down, low and up, low and down, and two notes at once that do not agree.
"""

import array
import enum
import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kioskd.media import pcm

PEAK: Final = 0.2
"""The loudest sample of each, of full scale (-14 dBFS): heard beside a voice, startling nobody, and far from what a small
loudspeaker distorts, which no filter would take out of the microphone."""

ATTACK_S: Final = 0.03
RELEASE_S: Final = 0.06
"""A tone that begins or stops at once clicks, and its click is no line that could be taken out."""


class CueSound(enum.Enum):
    """What is said without a word."""

    WAKE = "wake"
    """I am listening."""
    END = "end"
    """Good-bye."""
    MUTE = "mute"
    """I do not hear anything any more."""
    UNMUTE = "unmute"
    """I hear again."""
    ERROR = "error"
    """That did not work."""


@dataclass(frozen=True, slots=True)
class _Tone:
    hz: float
    begins_s: float
    lasts_s: float


_LOW, _HIGH, _HIGHER = 587.0, 880.0, 1320.0
"""A fifth apart: agreeable in any order. Below 500 Hz small loudspeakers give little, and voices have most."""

_TONES: Final[Mapping[CueSound, tuple[_Tone, ...]]] = {
    CueSound.WAKE: (_Tone(_HIGH, 0.0, 0.12), _Tone(_HIGHER, 0.08, 0.14)),
    CueSound.END: (_Tone(_HIGHER, 0.0, 0.12), _Tone(_HIGH, 0.08, 0.14)),
    CueSound.MUTE: (_Tone(_HIGH, 0.0, 0.12), _Tone(_LOW, 0.08, 0.16)),
    CueSound.UNMUTE: (_Tone(_LOW, 0.0, 0.12), _Tone(_HIGH, 0.08, 0.16)),
    CueSound.ERROR: (_Tone(_LOW, 0.0, 0.25), _Tone(_LOW * math.sqrt(2), 0.0, 0.25)),
}


def frequencies(cue: CueSound) -> frozenset[float]:
    """Return the pitches of a cue, in Hz: there is nothing in it that is not one of these."""
    return frozenset(tone.hz for tone in _TONES[cue])


def duration_s(cue: CueSound) -> float:
    """Return how long a cue lasts, in seconds: from 0.1 to 0.25."""
    return max(tone.begins_s + tone.lasts_s for tone in _TONES[cue])


@functools.cache
def sound(cue: CueSound) -> bytes:
    """Return a cue as 24 kHz PCM; it begins and ends with silence.

    Made at the first call (5 ms on a desktop) and kept: ask for each before the event loop runs.
    """
    samples = [0.0] * round(duration_s(cue) * pcm.DOWNLINK_HZ)
    for tone in _TONES[cue]:
        first, count = (round(seconds * pcm.DOWNLINK_HZ) for seconds in (tone.begins_s, tone.lasts_s))
        step = math.tau * tone.hz / pcm.DOWNLINK_HZ
        for at in range(count):
            samples[first + at] += _envelope(at, count) * math.sin(step * at)
    scale = PEAK * 32767 / max(map(abs, samples))
    return array.array("h", [round(sample * scale) for sample in samples]).tobytes()


def _envelope(at: int, count: int) -> float:
    """Rise and fall along a cosine: 0 at both ends, no corner anywhere."""
    attack, release = ATTACK_S * pcm.DOWNLINK_HZ, RELEASE_S * pcm.DOWNLINK_HZ
    nearest = min(at / attack, (count - 1 - at) / release, 1.0)
    return 0.5 - 0.5 * math.cos(math.pi * nearest)
