"""Measures the present loudness while a person watches it."""

from typing import Final

FULL_SCALE: Final = 32768


def peak(sound: bytes) -> float:
    """Return the largest sample of 16-bit PCM, 0.0 (silence) to 1.0 (full scale)."""
    samples = memoryview(sound).cast(
        "h"
    )  # the machine's own byte order, which is PCM's wherever the daemon runs
    if not samples:
        return 0.0
    highest, lowest = max(samples), min(samples)
    return max(highest, -lowest) / FULL_SCALE


class Meter:
    """Meter of the loudest of the last few pieces of sound; does almost no work unless it is watched.

    One thread feeds it and any thread reads it: each slot is written at once, and the level is at most one
    piece old.
    """

    def __init__(self, pieces: int) -> None:
        """`pieces`: number of pieces that the level covers."""
        self._slots = [0.0] * pieces
        self._next = 0
        self._on = False

    @property
    def level(self) -> float:
        """0.0 (silence, or not watched) to 1.0 (full scale)."""
        return max(self._slots)

    def watch(self, *, on: bool) -> None:
        """Begin or stop measuring."""
        self._on = on
        self.clear()

    def feed(self, sound: bytes) -> None:
        """Take a piece of 16-bit PCM."""
        if self._on:
            self._slots[self._next] = peak(sound)
            self._next = (self._next + 1) % len(self._slots)

    def clear(self) -> None:
        """Forget all pieces, because no more will come."""
        self._slots[:] = [0.0] * len(self._slots)
