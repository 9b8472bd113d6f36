"""Whether a recording carries a sound: for ways through real devices, which shift it and never keep the last bit."""

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_WINDOW_S = 0.05
_NEAR = 3
_ALIKE = 0.97

_CLEAR_HZ = 2_000
_LOUD = 330
_FREE_S = 0.1


def murmur(seconds: float, rate_hz: int) -> bytes:
    """Noise below 1 kHz, the same each time: no part of it looks like another, and a shift by half a sample is nothing."""
    count = round(seconds * rate_hz)
    spectrum = np.fft.rfft(np.random.default_rng(5).normal(0, 1, count))
    spectrum[round(1000 * seconds) :] = 0
    samples = np.fft.irfft(spectrum, count)
    data: bytes = (samples / np.abs(samples).max() * 16_000).astype("<i2").tobytes()
    return data


THROUGH_THE_AIR = 0.7
"""What a sound must be carried to, that a sound server and a busy machine stood in the way of. One underrun scores 0.85
to 0.93, a stream with a cut in every tenth of a second 0.2, and another sound nothing at all."""


def carried(sound: bytes, recording: bytes, rate_hz: int) -> float:
    """Return the share of `sound` that `recording` carries: 1.0 without any gap, 0.0 not at all.

    The sound is looked at in windows of 50 ms. One is carried if it is found, alike to 97 %, right behind the one
    before it; where something was cut out or put in (up to 50 ms), the window at the tear counts as lost, and those
    behind it are looked for at their new place.
    """
    wanted, had = _samples(sound), _samples(recording)
    size = round(_WINDOW_S * rate_hz)
    shift = _place(wanted, had)
    whole = 0
    windows = range(0, len(wanted) - size + 1, size)
    for at in windows:
        window = wanted[at : at + size]
        from_ = max(0, shift + at - size)
        found = from_ + _place(window, had[from_ : shift + at + 2 * size]) - at
        if _alike(window, had[found + at : found + at + size]) > _ALIKE:
            whole += abs(found - shift) <= _NEAR
            shift = found
    return whole / len(windows)


def understood(words: bytes, recording: bytes, rate_hz: int) -> float:
    """Return the share of speech that `recording` holds at its place, in windows of 50 ms; pauses do not count.

    Speech is compared below 2 kHz: a virtual card resamples, and a shift by half a sample is nothing there. A window may
    be off by 100 ms: such a card on a busy machine puts some milliseconds in.
    """
    wanted, had = (_below(_CLEAR_HZ, sound, rate_hz) for sound in (words, recording))
    size, near = round(_WINDOW_S * rate_hz), round(_FREE_S * rate_hz)
    shift = _place(_samples(words), _samples(recording))
    had = np.pad(had, (near, len(wanted) + near))
    found = [
        _best_fit(window, had[shift + at : shift + at + size + 2 * near]) > 0.9
        for at in range(0, len(wanted) - size + 1, size)
        if np.abs(window := wanted[at : at + size]).max() > _LOUD
    ]
    return sum(found) / len(found)


def in_order(words: Sequence[bytes], recording: bytes, rate_hz: int) -> float:
    """Return the share of neighbours among `words` that `recording` holds one after the other; 0.0 for silence.

    For a machine so slow that its card stops for moments, again and again. Each word is looked for in all of the
    recording. The next must come after it, not much earlier or later than it was spoken.
    """
    if not _samples(recording).any():
        return 0.0
    places = [place_s(word, recording, rate_hz) for word in words]
    lengths_s = [len(word) / 2 / rate_hz for word in words]
    near = [
        0.7 < (later - earlier) / length < 2.5
        for (earlier, later), length in zip(itertools.pairwise(places), lengths_s, strict=False)
    ]
    return sum(near) / len(near)


def place_s(sound: bytes, recording: bytes, rate_hz: int) -> float:
    """Return where in `recording`, in seconds, `sound` begins."""
    return _place(_samples(sound), _samples(recording)) / rate_hz


def _below(hz: int, sound: bytes, rate_hz: int) -> npt.NDArray[np.float64]:
    samples = _samples(sound)
    spectrum = np.fft.rfft(samples)
    spectrum[round(hz * len(samples) / rate_hz) :] = 0
    return np.asarray(np.fft.irfft(spectrum, len(samples)))


def _best_fit(window: npt.NDArray[np.float64], had: npt.NDArray[np.float64]) -> float:
    energies = np.convolve(had**2, np.ones(len(window)), "valid")
    fits = np.correlate(had, window, "valid") / (np.sqrt(energies + 1) * np.linalg.norm(window))
    return float(fits.max())


def _samples(data: bytes) -> npt.NDArray[np.float64]:
    return np.frombuffer(data[: len(data) & ~1], "<i2").astype(float)


def _place(wanted: npt.NDArray[np.float64], had: npt.NDArray[np.float64]) -> int:
    size = len(wanted) + len(had)
    cross = np.fft.irfft(np.fft.rfft(had, size) * np.conj(np.fft.rfft(wanted, size)), size)
    return int(np.argmax(cross[: len(had)]))


def _alike(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    if len(one) != len(other) or not other.any():
        return 0.0
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
