"""Short chimes that tell a visitor what the kiosk is doing, made of sums of sines: no file, no library.

Each has a shape that no other has, so that they are told apart on a small loudspeaker, by ears that hear no high notes,
and by somebody who cannot name a note: up, down, twice the same, a buzz.
"""

import functools
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kioskd.media import pcm

PEAK: Final = 0.2
"""The loudest sample of each, of full scale (-14 dBFS): heard beside a voice, startling nobody, and no loudspeaker is
driven into clipping by it, which an echo canceller could not take out."""

ATTACK_S: Final = 0.008
RELEASE_S: Final = 0.03
"""A tone that begins or stops at once clicks."""


@dataclass(frozen=True, slots=True)
class _Tone:
    """A part of a cue: a pitch, how long it lasts, and how loud each of its overtones is, from the pitch itself on."""

    hz: float
    seconds: float
    overtones: tuple[float, ...] = (1.0, 0.2, 0.1)


_REST: Final = 0.0
_BUZZ: Final = tuple(1 / number if number % 2 else 0.0 for number in range(1, 16))
"""Odd overtones only: a rough, hollow sound, heard on a loudspeaker that gives nothing of the pitch itself."""

_CUES: Final[Mapping[str, tuple[_Tone, ...]]] = {
    "wake": (_Tone(660, 0.09), _Tone(990, 0.13)),
    "end": (_Tone(880, 0.09), _Tone(587, 0.13)),
    "mute": (_Tone(330, 0.09), _Tone(_REST, 0.05), _Tone(330, 0.09)),
    "error": (_Tone(150, 0.24, _BUZZ),),
}

NAMES: Final = tuple(_CUES)
"""wake: rises, "I am listening". end: falls, "good-bye". mute: twice the same low note. error: a buzz."""


@functools.cache
def cue(name: str) -> bytes:
    """Return the cue of this name as 24 kHz PCM; it begins and ends with silence, and lasts 250 ms at most.

    Made at the first call (20 ms on a desktop) and kept: ask for each before the event loop runs.

    Raises:
        KeyError: `name` is none of `NAMES`.
    """
    samples = [sample for tone in _CUES[name] for sample in _sound(tone)]
    scale = PEAK * 32767 / max(map(abs, samples))
    return struct.pack(f"<{len(samples)}h", *(round(sample * scale) for sample in samples))


def _sound(tone: _Tone) -> list[float]:
    count = round(tone.seconds * pcm.DOWNLINK_HZ)
    step = math.tau * tone.hz / pcm.DOWNLINK_HZ
    return [
        _envelope(at, count)
        * sum(share * math.sin(number * step * at) for number, share in enumerate(tone.overtones, 1) if share)
        for at in range(count)
    ]


def _envelope(at: int, count: int) -> float:
    """Rise and fall along a cosine: 0 at both ends, no corner anywhere."""
    attack, release = ATTACK_S * pcm.DOWNLINK_HZ, RELEASE_S * pcm.DOWNLINK_HZ
    nearest = min(at / attack, (count - 1 - at) / release, 1.0)
    return 0.5 - 0.5 * math.cos(math.pi * nearest)
