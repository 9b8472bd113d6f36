"""Queue of the replies' audio on its way to the speaker: pieces arrive early, late and in lumps, and leave as
one stream.

There is no lock. `ReplyWriter` belongs to the loop's thread and `ReplyReader` to the device's thread. They
share a deque, whose `append` and `popleft` are atomic; only the reader takes pieces out. Every field has one
writer, and the other side reads it as it is.
"""

import collections
import dataclasses
from collections.abc import Callable
from typing import Final

from kioskd.media import pcm
from kioskd.media.mix import FADE_BYTES, scaled

_NO_REPLY: Final = -1

MOST_PIECES: Final = 20_000
"""Most pieces that wait, however small they are: five minutes in pieces of 20 ms are fewer."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sounded:
    """The first sample of `reply` was pulled."""

    reply: int


@dataclasses.dataclass(frozen=True, slots=True)
class Played:
    """The last sample of `reply` was pulled, or its rest is void."""

    reply: int


class ReplyWriter:
    """The producer's side: queues the pieces of replies.

    Replies are numbered from 0 and come in rising order. Audio of an older reply than the newest is late, and
    dropped.
    """

    def __init__(self, bound_s: float) -> None:
        """Start empty. `bound_s`: most seconds of audio that wait."""
        self.queue: collections.deque[tuple[int, bytes | None]] = collections.deque()
        """Pairs of a reply's number and a piece of its audio, or None at the reply's end. The bound limits
        the audio, and each reply adds one end mark at most."""
        self.flushed_to = _NO_REPLY
        """Number of the newest void reply; all replies before it are void, too."""
        self.bytes_in = 0
        """Bytes ever queued."""
        self.dropped_bytes = 0
        """Bytes dropped because they exceeded the bound."""
        self._bound_bytes = pcm.byte_count(bound_s, pcm.DOWNLINK_HZ)
        self._newest = _NO_REPLY
        self._over_to = _NO_REPLY
        self._odd = b""

    def add(self, reply: int, pcm_bytes: bytes, bytes_out: int) -> None:
        """Queue a piece of `reply`; see `Playout.add`. `bytes_out`: bytes that the reader has ever taken."""
        if not self._admits(reply):
            return
        data = self._odd + pcm_bytes
        self._odd = data[len(data) & ~1 :]
        data = data[: len(data) & ~1]
        room = self._bound_bytes - (self.bytes_in - bytes_out) if len(self.queue) < MOST_PIECES else 0
        kept = data if len(data) <= room else data[: max(room, 0) & ~1]
        self.dropped_bytes += len(data) - len(kept)
        # Announce a reply even if no audio of it fits: its end must be reported.
        if kept or reply != self._newest:
            self.bytes_in += len(kept)
            self.queue.append((reply, kept))
        self._newest = reply

    def end(self, reply: int) -> None:
        """Queue the end of `reply`."""
        if self._admits(reply):
            self._newest = self._over_to = reply
            self.queue.append((reply, None))

    def flush(self, reply: int) -> None:
        """Make `reply` and all before it void, also what still arrives of them."""
        self.flushed_to = max(self.flushed_to, reply)
        self._over_to = max(self._over_to, reply)

    def _admits(self, reply: int) -> bool:
        if reply <= self._over_to or reply < self._newest:
            return False
        if reply != self._newest:
            self._odd = b""
        return True


class ReplyReader:
    """The consumer's side: takes the replies' samples in order, and reports each reply's start and end."""

    def __init__(self, source: ReplyWriter, on_mark: Callable[[Sounded | Played], None]) -> None:
        """Read from `source`. `on_mark` is called once when a reply sounds and once when it is over."""
        self.bytes_out = 0
        """Bytes ever taken or voided."""
        self.starved_bytes = 0
        """Bytes of silence inside replies whose audio came too late."""
        self.starving: int | None = None
        """Number of the reply whose audio was all pulled before its end came; None: no reply starves."""
        self.flushed_to = _NO_REPLY
        """Value of the source's `flushed_to` at the last `flush`."""
        self.over = True
        """Whether the reply that was begun last is over."""
        self._source = source
        self._on_mark = on_mark
        self._current = _NO_REPLY
        self._sounded = False
        self._chunk = b""
        self._position = 0

    def take(self, parts: list[bytes], need: int, newest: int | None = None) -> int:
        """Move up to `need` bytes into `parts`, and report the marks on the way; return the number of bytes.

        `newest`: take nothing of later replies than this.
        """
        queue = self._source.queue
        left = need
        while True:
            if left and self._position < len(self._chunk):
                piece = self._chunk[self._position : self._position + left]
                self._position += len(piece)
                self.bytes_out += len(piece)
                left -= len(piece)
                parts.append(piece)
                self.starving = None
                if not self._sounded:
                    self._sounded = True
                    self._on_mark(Sounded(self._current))
            elif self._position >= len(self._chunk) and queue:
                reply, data = queue[0]
                # An end mark is taken as soon as the sample before it is gone; audio waits until it is
                # needed.
                if (data is not None and not left) or (newest is not None and reply > newest):
                    break
                queue.popleft()
                self._begin(reply)
                if data is None:
                    self._finish()
                else:
                    self._chunk, self._position = data, 0
            else:
                break
        if left and not self.over and newest is None:
            self.starved_bytes += left
            self.starving = self._current
        return need - left

    def flush(self, byte_count: int, *, heard: bool) -> bytes:
        """Drop the void pieces; return the last part of the present sound, faded to silence.

        `heard`: whether replies are heard. While a prompt is heard, nothing fades.
        """
        queue = self._source.queue
        self.flushed_to = flushed_to = self._source.flushed_to
        fading: list[bytes] = []
        if not self.over and self._sounded and self._current <= flushed_to and heard:
            self.take(fading, min(FADE_BYTES, byte_count), newest=self._current)
        if self._current <= flushed_to:
            self.bytes_out += len(self._chunk) - self._position
            self._chunk, self._position = b"", 0
            self._finish()
        while queue and queue[0][0] <= flushed_to:
            reply, data = queue.popleft()
            self.bytes_out += len(data or b"")
            self._begin(reply)
        if self._current <= flushed_to:
            self._finish()
        return scaled(b"".join(fading), 1.0, 0.0)

    def _begin(self, reply: int) -> None:
        if reply != self._current:
            self._finish()
            self._current, self.over, self._sounded = reply, False, False

    def _finish(self) -> None:
        if not self.over:
            self.over, self.starving = True, None
            self._on_mark(Played(self._current))
