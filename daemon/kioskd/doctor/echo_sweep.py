"""Measures the delay and the level of an echo by a tone that sweeps through all pitches, twice. Pure.

Dividing the captured sound by the played one (a deconvolution) gives the room's answer to a click: a high
first peak, and the reflections of the walls. Noise has no such peak. A sweep of this length raises the peak
by some 40 dB out of noise. A slamming door can make a peak, but not twice, at the same level and with the
same delay.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from kioskd.media import pcm

SECONDS: Final = 3.3
"""Duration of both sweeps, with the pause between them."""

_ONCE_S: Final = 1.5
_APART_S: Final = 1.8
"""Seconds from the start of the first sweep to the start of the second: longer than any echo of the first."""

LOW_HZ: Final = 120.0
HIGH_HZ: Final = 7000.0
"""Highest pitch.

Small loudspeakers play all pitches from `LOW_HZ` to it, and the microphone's 16 kHz hold them.
"""

PEAK: Final = 0.5
LONGEST_S: Final = 1.0
"""Longest delay that is measured. Sound systems have 20 to 300 ms, Bluetooth up to 500."""

EARLY_S: Final = 0.1
"""Seconds by which an echo may seem too early: the times of both devices are exact to some ms only."""

_FADE_S: Final = 0.02
_RINGING_S: Final = 0.3
_BEFORE_PEAK_S: Final = 0.005
_CLEAR: Final = 8.0
"""Least height of a peak over the noise, as a factor.

The highest of 20000 samples of steady noise has 4 to 5.
"""
_AGREE_S: Final = 0.06
"""Largest difference of the two delays: a busy machine puts a pause of up to 40 ms between the sweeps."""
_AGREE_DB: Final = 6.0
_LEAST_SHARE: Final = 0.25
"""Least share of the power found that counts as the echo's, whatever the noise has."""
_CLIPPED: Final = 0.995
_CLIPPED_SHARE: Final = 0.001

FloatSamples = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EchoMeasurement:
    """Measurements of the kiosk's own voice at its microphone."""

    delay_s: float
    """Seconds from the fetch of a sample for the speaker to its delivery by the microphone."""
    jitter_s: float
    """Difference of the delays of both sweeps, which the devices or a busy machine add."""
    return_db: float
    """Level against the sound that the speaker got (volume included); a small case has about -10."""
    clear_db: float
    """Level against the noise."""
    clipped: bool
    """Whether the echo overdrives the microphone."""


def sweep(rate_hz: int = pcm.DOWNLINK_HZ, gain: float = 1.0) -> bytes:
    """Return both sweeps as PCM, `SECONDS` long; `gain` is the factor of the volume."""
    sound = np.zeros(round(SECONDS * rate_hz))
    tone = _sweep(rate_hz)
    for begin in (0, round(_APART_S * rate_hz)):
        sound[begin : begin + len(tone)] = tone
    return np.rint(sound * PEAK * gain * 32767).astype("<i2").tobytes()


def find_echo(heard: bytes, played_at_s: float, gain: float = 1.0) -> EchoMeasurement | None:
    """Return the echo of `sweep` in `heard` (16 kHz); None if the noise hides it after either sweep.

    `played_at_s` is the start of the first sweep in `heard`, which lasts until a second after the second
    sweep.
    """
    one, other = _find_both(heard, played_at_s, gain)
    if one is None or other is None:
        return None
    jitter_s = abs(one.delay_s - other.delay_s)
    if jitter_s > _AGREE_S or abs(one.return_db - other.return_db) > _AGREE_DB:
        return None
    return EchoMeasurement(
        delay_s=max(one.delay_s, other.delay_s),
        jitter_s=jitter_s,
        # Noise raises both levels: the lower one is nearer to the truth.
        return_db=min(one.return_db, other.return_db),
        clear_db=min(one.clear_db, other.clear_db),
        clipped=one.clipped or other.clipped,
    )


def is_spoilt(heard: bytes, played_at_s: float, gain: float = 1.0) -> bool:
    """Whether at least one sweep was heard; if `find_echo` found no echo then, a noise disturbed it: try
    again.

    The arguments are those of `find_echo`.
    """
    return any(one is not None for one in _find_both(heard, played_at_s, gain))


def _find_both(heard: bytes, played_at_s: float, gain: float) -> list[EchoMeasurement | None]:
    sound = np.frombuffer(heard, "<i2").astype(np.float64) / 32768
    return [_find_once(sound, played_at_s + later_s, PEAK * gain) for later_s in (0.0, _APART_S)]


def _find_once(sound: FloatSamples, played_at_s: float, peak: float) -> EchoMeasurement | None:
    rate = pcm.UPLINK_HZ
    begin = round((played_at_s - EARLY_S) * rate)
    piece = np.concatenate([np.zeros(max(0, -begin)), sound[max(0, begin) :]])
    piece = piece[: round((EARLY_S + _ONCE_S + LONGEST_S) * rate)]
    answer = _answer(piece, peak)
    sizes = np.abs(answer[: round((EARLY_S + LONGEST_S) * rate)])
    highest = int(np.argmax(sizes))
    before = max(0, highest - round(_BEFORE_PEAK_S * rate))
    after = highest + round(_RINGING_S * rate)
    # The samples of neither the echo nor its ringing.
    rest = np.concatenate([sizes[:before], sizes[after:]])
    noise = max(float(np.sqrt(np.mean(np.square(rest)))), _NOTHING)
    clear = float(sizes[highest]) / noise
    if clear < _CLEAR:
        return None
    first = before + int(np.argmax(sizes[before : highest + 1] > 0.5 * sizes[highest]))
    # The window after the echo has the same length, and so the same power of noise.
    size = len(answer)
    found, beside = _power(answer[before:after], size), _power(answer[after : 2 * after - before], size)
    power = max(found - beside, _LEAST_SHARE * found, _NOTHING**2)
    return EchoMeasurement(
        delay_s=first / rate - EARLY_S,
        jitter_s=0.0,
        return_db=10 * float(np.log10(power)),
        clear_db=20 * float(np.log10(clear)),
        clipped=bool(np.mean(np.abs(piece) >= _CLIPPED) > _CLIPPED_SHARE),
    )


_NOTHING: Final = 1e-6


def _power(response: FloatSamples, size: int) -> float:
    """Return the mean power of a response within the sweep's pitches."""
    pitches = np.fft.rfftfreq(size, 1 / pcm.UPLINK_HZ)
    inside = (pitches > 1.2 * LOW_HZ) & (pitches < HIGH_HZ / 1.2)
    return float(np.mean(np.square(np.abs(np.fft.rfft(response, size)))[inside]))


def _answer(piece: FloatSamples, peak: float) -> FloatSamples:
    tone = _sweep(pcm.UPLINK_HZ) * peak
    size = 1 << (len(piece) + len(tone) - 1).bit_length()
    given = np.fft.rfft(tone, size)
    power = np.square(np.abs(given))
    # Outside the sweep's pitches it would divide by nearly zero.
    floor = 1e-3 * float(np.max(power))
    return np.fft.irfft(np.fft.rfft(piece, size) * np.conj(given) / (power + floor), size)


def _sweep(rate_hz: int) -> FloatSamples:
    """Return an exponential sweep of amplitude 1, which spends the same time in each octave."""
    times = np.arange(round(_ONCE_S * rate_hz)) / rate_hz
    octaves = np.log(HIGH_HZ / LOW_HZ)
    tone = np.sin(2 * np.pi * LOW_HZ * _ONCE_S / octaves * (np.exp(times / _ONCE_S * octaves) - 1))
    fade = round(_FADE_S * rate_hz)
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(fade) / fade)
    tone[:fade] *= ramp
    tone[-fade:] *= ramp[::-1]
    return np.asarray(tone)
