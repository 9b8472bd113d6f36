"""Gains and sums on 16-bit samples, and clips that are heard beside the replies.

It is plain Python: a block has 240 samples, and importing numpy for it would cost every start 70 ms and 12
MB.
"""

import array
import dataclasses
import operator
from collections.abc import Callable
from typing import Final

from kioskd.media import pcm

FADE_MS: Final = 3
"""Time in which a sound that is cut off fades out: too short to be heard, long enough not to click."""

FADE_BYTES: Final = pcm.DOWNLINK_HZ * FADE_MS // 1000 * pcm.SAMPLE_BYTES

_LOWEST: Final = -32768
_HIGHEST: Final = 32767


def scaled(data: bytes, first: float, last: float) -> bytes:
    """Return `data` with a gain (at most 1) that changes evenly from `first` to `last`, sample by sample."""
    samples = array.array("h", data)
    if first == last:
        return array.array("h", [round(sample * first) for sample in samples]).tobytes()
    step = (last - first) / max(len(samples) - 1, 1)
    return array.array(
        "h", [round(sample * (first + step * place)) for place, sample in enumerate(samples)]
    ).tobytes()


def mixed(one: bytes, other: bytes) -> bytes:
    """Return the sum, as long as the longer of the two; sums beyond full scale are clipped."""
    if len(one) < len(other):
        one, other = other, one
    sums = map(operator.add, array.array("h", one), array.array("h", other))
    both = array.array("h", [max(_LOWEST, min(_HIGHEST, sample)) for sample in sums]).tobytes()
    return both + one[len(other) :]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Wish:
    """The producer's wish: to hear clip number `number`, or silence after it."""

    number: int
    data: bytes


class Clip:
    """Player of short sounds, each from its beginning: a new one replaces the one before, which fades within
    3 ms.

    It serves one producer (`start`, `stop`) and one consumer (`take`) without a lock. The producer writes
    only the wish, which is one reference; the consumer writes everything else.
    """

    def __init__(self, on_over: Callable[[int], None]) -> None:
        """Start silent. `on_over` gets each ended sound's number once, in order, in the consumer's thread."""
        self._on_over = on_over
        self._wish = self._seen = self._done = _Wish(-1, b"")
        self._data = b""
        self._position = 0
        self._over_to = -1

    @property
    def busy(self) -> bool:
        """Whether `take` has something to do: a sound to give, or an end to report."""
        return self._wish is not self._done

    @property
    def stopped(self) -> bool:
        """Whether silence is wanted, after `stop` or before the first `start`."""
        return not self._wish.data

    # The producer's side.

    def start(self, data: bytes) -> int:
        """Play `data` from the next `take` on, instead of the present sound; return its number (from 0)."""
        number = self._wish.number + 1
        self._wish = _Wish(number, data[: len(data) & ~1])
        return number

    def stop(self) -> None:
        """Stop the present sound."""
        self._wish = _Wish(self._wish.number, b"")

    # The consumer's side.

    def take(self, byte_count: int) -> bytes:
        """Return the next `byte_count` bytes, or fewer at the end. Never blocks."""
        wish = self._wish
        if wish is not self._seen:
            fading = self._data[self._position : self._position + FADE_BYTES]
            self._data = mixed(scaled(fading, 1.0, 0.0), wish.data[:FADE_BYTES]) + wish.data[FADE_BYTES:]
            self._position = 0
            self._seen = wish
            self._finish(wish.number - 1)
        piece = self._data[self._position : self._position + byte_count]
        self._position += len(piece)
        if self._position >= len(self._data):
            self._data, self._position = b"", 0
            self._done = wish
            self._finish(wish.number)
        return piece

    def _finish(self, number: int) -> None:
        while self._over_to < number:
            self._over_to += 1
            self._on_over(self._over_to)
