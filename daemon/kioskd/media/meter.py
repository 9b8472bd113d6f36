"""How loud it is now: for whoever watches, and for nobody else."""

from typing import Final

FULL_SCALE: Final = 32768


def peak(sound: bytes) -> float:
    """Return the largest sample of 16-bit PCM, 0.0 (silence) to 1.0 (full scale)."""
    samples = memoryview(sound).cast("h")  # the machine's own order, which is PCM's wherever the daemon runs
    if not samples:
        return 0.0
    highest, lowest = max(samples), min(samples)
    return max(highest, -lowest) / FULL_SCALE


class Meter:
    """The loudest of the last few pieces of sound, while somebody watches; next to no work otherwise.

    Fed by one thread, read by any: each slot is written at once, and what is read is at most one piece old.
    """

    def __init__(self, pieces: int) -> None:
        """`pieces`: how many the level is of."""
        self._slots = [0.0] * pieces
        self._next = 0
        self._on = False

    @property
    def level(self) -> float:
        """0.0 (silence, or nobody watches) to 1.0 (full scale)."""
        return max(self._slots)

    def watch(self, *, on: bool) -> None:
        """Begin to measure, or stop."""
        self._on = on
        self.clear()

    def feed(self, sound: bytes) -> None:
        """Take a piece of 16-bit PCM."""
        if self._on:
            self._slots[self._next] = peak(sound)
            self._next = (self._next + 1) % len(self._slots)

    def clear(self) -> None:
        """Forget what was heard: nothing more comes."""
        self._slots[:] = [0.0] * len(self._slots)
