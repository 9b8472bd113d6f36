"""Short chimes that tell a visitor what the kiosk is doing: sums of a few sines of known pitch.

The pitches are known for the microphone's sake: `media.cue_filter` takes exactly these pitches out of its
signal. So no visitor has to wait for the end of a chime before the first word. Each tone rises and falls
along a cosine, because a slow change keeps its spectral line narrow.

Each cue has its own shape: high and up, high and down, low and up, or low and down. A warning is one note
twice, and a failure is two discordant notes at once. So people can tell them apart who hear no high notes, or
cannot name a note.
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
"""Loudest sample of each cue, as a share of full scale (-14 dBFS). A cue at this level is heard beside a
voice and startles no one. It is far from the distortion of a small loudspeaker, which no filter would take
out of the microphone's signal."""

ATTACK_S: Final = 0.03
RELEASE_S: Final = 0.06
"""A tone that begins or stops at once clicks, and no filter for a pitch removes a click."""


class CueSound(enum.Enum):
    """Chime by its message."""

    WAKE = "wake"
    """I am listening."""
    END = "end"
    """Good-bye."""
    MUTE = "mute"
    """I hear nothing any more."""
    UNMUTE = "unmute"
    """I hear again."""
    ERROR = "error"
    """That did not work."""
    WARN = "warn"
    """The conversation will soon end."""


@dataclass(frozen=True, slots=True)
class _Tone:
    hz: float
    begins_s: float
    lasts_s: float


_LOW, _HIGH, _HIGHER = 587.0, 880.0, 1320.0
"""A fifth apart, and agreeable in any order. Below 500 Hz loudspeakers are weak, and voices strong."""

_TONES: Final[Mapping[CueSound, tuple[_Tone, ...]]] = {
    CueSound.WAKE: (_Tone(_HIGH, 0.0, 0.12), _Tone(_HIGHER, 0.08, 0.14)),
    CueSound.END: (_Tone(_HIGHER, 0.0, 0.12), _Tone(_HIGH, 0.08, 0.14)),
    CueSound.MUTE: (_Tone(_HIGH, 0.0, 0.12), _Tone(_LOW, 0.08, 0.16)),
    CueSound.UNMUTE: (_Tone(_LOW, 0.0, 0.12), _Tone(_HIGH, 0.08, 0.16)),
    CueSound.WARN: (_Tone(_HIGH, 0.0, 0.1), _Tone(_HIGH, 0.14, 0.1)),
    CueSound.ERROR: (_Tone(_LOW, 0.0, 0.25), _Tone(_LOW * math.sqrt(2), 0.0, 0.25)),
}


def frequencies(cue: CueSound) -> frozenset[float]:
    """Return the pitches of a cue in Hz; the cue consists of nothing else."""
    return frozenset(tone.hz for tone in _TONES[cue])


def duration_s(cue: CueSound) -> float:
    """Return the length of a cue in seconds: from 0.1 to 0.25."""
    return max(tone.begins_s + tone.lasts_s for tone in _TONES[cue])


@functools.cache
def sound(cue: CueSound) -> bytes:
    """Return a cue as 24 kHz PCM; it begins and ends with silence.

    The first call computes it (5 ms on a desktop) and caches it: ask for each cue before the event loop runs.
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
    """Return the gain along a cosine: 0 at both ends, without a corner."""
    attack, release = ATTACK_S * pcm.DOWNLINK_HZ, RELEASE_S * pcm.DOWNLINK_HZ
    nearest = min(at / attack, (count - 1 - at) / release, 1.0)
    return 0.5 - 0.5 * math.cos(math.pi * nearest)
