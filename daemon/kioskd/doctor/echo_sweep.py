"""A tone that sweeps through all pitches, twice, and what a room has made of it: when it came back, how loud. Pure.

What was heard, divided by what was played (a deconvolution), is the room's answer to a click: a high first peak, and
what the walls add to it. Noise has no such peak, and a sweep as long as this raises it by some 40 dB out of noise. A door
that slams may have one, but not twice, as loud, and as long after the sweep.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from kioskd.media import pcm

SECONDS: Final = 3.3
"""How long both last, with the pause between them."""

_ONCE_S: Final = 1.5
_APART_S: Final = 1.8
"""From the beginning of the first to that of the second: more than what is looked for after each."""

LOW_HZ: Final = 120.0
HIGH_HZ: Final = 7000.0
"""What small loudspeakers give, and what passes at the microphone's 16 kHz."""

PEAK: Final = 0.5
LONGEST_S: Final = 1.0
"""The longest delay that is looked for. Sound systems have 20 to 300 ms, Bluetooth up to 500."""

EARLY_S: Final = 0.1
"""How much too early an echo may seem to come: the two devices' times are told to some ms only."""

_FADE_S: Final = 0.02
_RINGING_S: Final = 0.3
_BEFORE_PEAK_S: Final = 0.005
_CLEAR: Final = 8.0
"""Times the noise of the answer: the highest of 20000 samples of steady noise is 4 to 5 times."""
_AGREE_S: Final = 0.06
_AGREE_DB: Final = 6.0
"""How far the two may be apart: a busy machine puts a pause of up to 40 ms between them."""
_LEAST_SHARE: Final = 0.25
"""Of the power that is found, taken for the echo's however much the noise has."""
_CLIPPED: Final = 0.995
_CLIPPED_SHARE: Final = 0.001

FloatSamples = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EchoMeasurement:
    """The kiosk's own voice at its microphone."""

    delay_s: float
    """From the moment at which a sample is fetched for the speaker to the one at which the microphone delivers it."""
    jitter_s: float
    """How far it was from that, the other time: what the devices, or a busy machine, put in."""
    return_db: float
    """How loud it is against what the speaker was given (volume included): -10 is what a small case has."""
    clear_db: float
    """How far it stands out of the noise."""
    clipped: bool
    """Whether it overdrives the microphone."""


def sweep(rate_hz: int = pcm.DOWNLINK_HZ, gain: float = 1.0) -> bytes:
    """Return both sweeps as PCM, `SECONDS` long; `gain` is the volume's."""
    sound = np.zeros(round(SECONDS * rate_hz))
    tone = _sweep(rate_hz)
    for begin in (0, round(_APART_S * rate_hz)):
        sound[begin : begin + len(tone)] = tone
    return np.rint(sound * PEAK * gain * 32767).astype("<i2").tobytes()


def find_echo(heard: bytes, played_at_s: float, gain: float = 1.0) -> EchoMeasurement | None:
    """Return the echo of `sweep` in `heard` (16 kHz), which was played `played_at_s` after its beginning.

    None where there is none that stands out of both. `heard` has to go on for a second after the sweep's end.
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
        # Noise adds to either: the one with less of it is nearer to the truth.
        return_db=min(one.return_db, other.return_db),
        clear_db=min(one.clear_db, other.clear_db),
        clipped=one.clipped or other.clipped,
    )


def is_spoilt(heard: bytes, played_at_s: float, gain: float = 1.0) -> bool:
    """Whether one of both sweeps was heard. If `find_echo` found nothing, a noise disturbed it: try again.

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
    # What is neither the echo nor its ringing.
    rest = np.concatenate([sizes[:before], sizes[after:]])
    noise = max(float(np.sqrt(np.mean(np.square(rest)))), _NOTHING)
    clear = float(sizes[highest]) / noise
    if clear < _CLEAR:
        return None
    first = before + int(np.argmax(sizes[before : highest + 1] > 0.5 * sizes[highest]))
    # As long a window of noise has as much of it.
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
    """Return the mean power of a response over the sweep's pitches."""
    pitches = np.fft.rfftfreq(size, 1 / pcm.UPLINK_HZ)
    inside = (pitches > 1.2 * LOW_HZ) & (pitches < HIGH_HZ / 1.2)
    return float(np.mean(np.square(np.abs(np.fft.rfft(response, size)))[inside]))


def _answer(piece: FloatSamples, peak: float) -> FloatSamples:
    tone = _sweep(pcm.UPLINK_HZ) * peak
    size = 1 << (len(piece) + len(tone) - 1).bit_length()
    given = np.fft.rfft(tone, size)
    power = np.square(np.abs(given))
    # Outside the sweep's pitches the division would divide by nothing.
    floor = 1e-3 * float(np.max(power))
    return np.fft.irfft(np.fft.rfft(piece, size) * np.conj(given) / (power + floor), size)


def _sweep(rate_hz: int) -> FloatSamples:
    """An exponential sweep (as long in each octave) of amplitude 1."""
    times = np.arange(round(_ONCE_S * rate_hz)) / rate_hz
    octaves = np.log(HIGH_HZ / LOW_HZ)
    tone = np.sin(2 * np.pi * LOW_HZ * _ONCE_S / octaves * (np.exp(times / _ONCE_S * octaves) - 1))
    fade = round(_FADE_S * rate_hz)
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(fade) / fade)
    tone[:fade] *= ramp
    tone[-fade:] *= ramp[::-1]
    return np.asarray(tone)
