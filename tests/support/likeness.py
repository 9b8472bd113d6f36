"""Comparison of a recording with a sound: real devices shift it and change its last bits."""

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
    """Return fixed noise without repetition, below 1 kHz, so that half a sample's shift does not matter."""
    count = round(seconds * rate_hz)
    spectrum = np.fft.rfft(np.random.default_rng(5).normal(0, 1, count))
    spectrum[round(1000 * seconds) :] = 0
    samples = np.fft.irfft(spectrum, count)
    data: bytes = (samples / np.abs(samples).max() * 16_000).astype("<i2").tobytes()
    return data


THROUGH_THE_AIR = 0.7
"""The score that a sound must reach through a sound server on a busy machine.

One underrun scores 0.85 to 0.93. A stream with a cut in every tenth of a second scores 0.2, another sound 0.
"""


def carried(sound: bytes, recording: bytes, rate_hz: int) -> float:
    """Return the share of `sound` that `recording` contains: 1.0 without any gap, 0.0 for nothing.

    The sound is compared in windows of 50 ms. A window counts if it is found right behind the one before it,
    and is alike to 97 %. Where up to 50 ms were cut out or inserted, one window is lost, and the next ones
    are found at their new place.
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
    """Return the share of speech that `recording` contains at its place, in windows of 50 ms without pauses.

    Speech is compared below 2 kHz: a virtual card resamples, and half a sample's shift does not matter there.
    A window may be 100 ms off, as such a card on a busy machine inserts some milliseconds.
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
    """Return the share of neighbours among `words` that follow each other in `recording`; 0.0 for silence.

    It is for machines so slow that their card stops again and again. Each word is searched in the whole
    recording. The next one must follow it, not much earlier or later than it was spoken.
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
    """Return the time in `recording`, in seconds, at which `sound` begins."""
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
