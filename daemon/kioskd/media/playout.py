"""What the speaker plays: replies, which come early, late and in lumps, as one gapless stream; prompts and cues.

    replies ─► duck ─► or a prompt, in turns ─► + cue ─► volume ─► device

The law of this file: one producer (the loop's thread: `add`, `end`, `flush`, `say`, `hush`, `play_cue`, `duck`) and one
consumer (the device's thread: `pull`), no lock. `deque.append` and `deque.popleft` are atomic; only `pull` takes out;
every other field has one writer, and is read by the other side as it stands.
"""

import collections
import dataclasses
import math
from collections.abc import Callable
from typing import Final

from kioskd.media import pcm
from kioskd.media.mix import FADE_BYTES, Clip, mixed, scaled
from kioskd.media.mix import FADE_MS as _FADE_MS

FADE_MS: Final = _FADE_MS
"""How long a flushed reply takes to fall silent."""

QUIETEST_DB: Final = -40.0
"""The gain at volume 1. Ears hear ratios: equal steps of volume are equal steps of decibels."""

DUCK_DB: Final = -12.0
"""How far a reply steps back while somebody may be speaking: a quarter of the amplitude, still to be followed."""

DUCK_MS: Final = 10
UNDUCK_MS: Final = 100
"""Down before the visitor's first syllable is over; back slowly, since there is no hurry and a jump is heard."""

_DUCKED: Final = 10 ** (DUCK_DB / 20)
_DOWN: Final = (1.0 - _DUCKED) / (pcm.DOWNLINK_HZ * DUCK_MS // 1000)
_UP: Final = (1.0 - _DUCKED) / (pcm.DOWNLINK_HZ * UNDUCK_MS // 1000)
"""Of gain, a sample."""
_NO_REPLY: Final = -1

MOST_PIECES: Final = 20_000
"""Pieces of replies that wait at most, however small they are: five minutes in pieces of 20 ms are fewer."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sounded:
    """The first sample of `reply` was pulled."""

    reply: int


@dataclasses.dataclass(frozen=True, slots=True)
class Played:
    """The last sample of `reply` was pulled, or what was left of it is void."""

    reply: int


@dataclasses.dataclass(frozen=True, slots=True)
class CueOver:
    """The last sample of cue number `cue` was pulled, or a newer cue has taken its place."""

    cue: int


@dataclasses.dataclass(frozen=True, slots=True)
class PromptFinished:
    """The last sample of prompt number `prompt` was pulled, or it was hushed, or a newer one has taken its place."""

    prompt: int


PlayoutMark = Sounded | Played | CueOver | PromptFinished


def clamp(volume: int, floor: int, ceiling: int) -> int:
    """Return the volume nearest to `volume` that the owner allows."""
    return min(max(volume, floor), ceiling)


def gain(volume: int) -> float:
    """Return the factor for `volume` (0 to 100): 10 ** (dB / 20), dB rising evenly from -40 at 1 to 0 at 100; 0 at 0."""
    if volume <= 0:
        return 0.0
    decibels = QUIETEST_DB * (100 - min(volume, 100)) / 99
    return float(10 ** (decibels / 20))


class Playout:
    """All that is on its way to the speaker; a `ports.Source`.

    Replies are numbered from 0, and come in rising order: audio of an older reply than the newest is late, and dropped.
    A prompt and a reply are never heard at once: the prompt waits for a reply that sounds until it is over, or its audio
    comes too late; a reply waits for a prompt that sounds. A cue is heard over whatever there is.
    """

    def __init__(
        self, on_mark: Callable[[PlayoutMark], None], *, volume: int = 100, bound_s: float = 300.0
    ) -> None:
        """Start empty.

        Args:
            on_mark: told, in the pulling thread, of each reply once that it sounded and once that it is over, and of each
                cue and prompt once that it is over.
            volume: 0 to 100.
            bound_s: seconds of audio kept at most; what comes on top is dropped (`dropped_bytes`).
        """
        self.volume = volume
        """0 silent, 100 untouched; acts on the next pull, without a step."""
        self.pulled = 0
        """Bytes pulled ever, silence included: evidence that the device is alive."""
        self.dropped_bytes = 0
        """Bytes that came past the bound."""
        self.starved_bytes = 0
        """Bytes of silence in the middle of a reply whose audio came too late."""
        self.starving: int | None = None
        """The reply of which all that came was pulled, while its end has not come."""

        self._on_mark = on_mark
        self._bound_bytes = pcm.byte_count(bound_s, pcm.DOWNLINK_HZ)
        # Grows by audio, which is bounded, and by one end mark a reply.
        self._queue: collections.deque[tuple[int, bytes | None]] = collections.deque()

        # Written by the producer.
        self._newest = _NO_REPLY
        self._over_to = _NO_REPLY
        self._flushed_to = _NO_REPLY
        self._bytes_in = 0
        self._odd = b""
        self._ducks = False

        # Each with a side for the producer and one for the consumer.
        self._cues = Clip(lambda cue: on_mark(CueOver(cue)))
        self._prompts = Clip(lambda prompt: on_mark(PromptFinished(prompt)))

        # Written by the consumer.
        self._current = _NO_REPLY
        self._over = True
        self._sounded = False
        self._chunk = b""
        self._position = 0
        self._bytes_out = 0
        self._flush_seen = _NO_REPLY
        self._last_gain = gain(volume)
        self._duck_gain = 1.0
        self._prompting = False
        self._silence = b""
        self.voiced = False
        """Whether what was pulled last holds some of a reply or prompt."""

    @property
    def queued_s(self) -> float:
        """Seconds of audio that wait to be pulled."""
        return pcm.duration_s(self._bytes_in - self._bytes_out, pcm.DOWNLINK_HZ)

    # The producer's side.

    def add(self, reply: int, pcm_bytes: bytes) -> None:
        """Queue a piece of `reply`, of any length, even one that cuts a sample in two."""
        if not self._admits(reply):
            return
        data = self._odd + pcm_bytes
        self._odd = data[len(data) & ~1 :]
        data = data[: len(data) & ~1]
        room = self._bound_bytes - (self._bytes_in - self._bytes_out) if len(self._queue) < MOST_PIECES else 0
        kept = data if len(data) <= room else data[: max(room, 0) & ~1]
        self.dropped_bytes += len(data) - len(kept)
        # A reply that finds no room at all is announced nevertheless: its end must be reported.
        if kept or reply != self._newest:
            self._bytes_in += len(kept)
            self._queue.append((reply, kept))
        self._newest = reply

    def end(self, reply: int) -> None:
        """Say that nothing more of `reply` comes."""
        if self._admits(reply):
            self._newest = self._over_to = reply
            self._queue.append((reply, None))

    def flush(self, reply: int) -> None:
        """Void what was not yet heard of `reply` and all before it, and what of them still comes."""
        self._flushed_to = max(self._flushed_to, reply)
        self._over_to = max(self._over_to, reply)

    def say(self, prompt: bytes) -> int:
        """Have a prompt heard (whole, 24 kHz PCM), instead of the one before it; return its number, from 0 on."""
        return self._prompts.start(prompt)

    def hush(self) -> None:
        """Void what was not yet heard of the prompt."""
        self._prompts.stop()

    def play_cue(self, cue: bytes) -> int:
        """Mix a cue (whole, 24 kHz PCM) over what is heard, instead of the one before it; return its number, from 0 on.

        Heard with the next period that the device pulls.
        """
        return self._cues.start(cue)

    def duck(self, on: bool) -> None:
        """Have replies 12 dB softer, from 10 ms after the next pull on; or, within 100 ms, as they were."""
        self._ducks = on

    def _admits(self, reply: int) -> bool:
        if reply <= self._over_to or reply < self._newest:
            return False
        if reply != self._newest:
            self._odd = b""
        return True

    # The consumer's side.

    def pull(self, byte_count: int) -> bytes:
        """Return exactly `byte_count` bytes: sound, or silence where there is none. Never blocks."""
        self.pulled += byte_count
        parts: list[bytes] = []
        if self._flushed_to > self._flush_seen:
            parts.append(self._flush(self._flushed_to, byte_count))
        if not self._prompting:
            self._take(parts, byte_count - sum(map(len, parts)))
        if self._ducks or self._duck_gain != 1.0:
            parts = [self._duck(b"".join(parts))]
        if self._prompts.busy:
            self._prompt(parts, byte_count - sum(map(len, parts)))
        self.voiced = any(parts)
        if self._cues.busy:
            parts = [mixed(b"".join(parts), self._cues.take(byte_count))]
        need = byte_count - sum(map(len, parts))
        if need == byte_count:
            self._last_gain = gain(self.volume)
            return self._silent(need)
        if need:
            parts.append(self._silent(need))
        return self._loud(parts[0] if len(parts) == 1 else b"".join(parts))

    def _prompt(self, parts: list[bytes], need: int) -> None:
        # A prompt begins where no reply sounds; its end is to be reported even before it began.
        if self._prompting or not any(parts) or self._prompts.stopped:
            parts.append(self._prompts.take(need))
            self._prompting = self._prompts.busy

    def _duck(self, data: bytes) -> bytes:
        """Return the replies' sound with the gain on its way to where it should be; without sound it is there at once."""
        before, target = self._duck_gain, _DUCKED if self._ducks else 1.0
        if not data:
            self._duck_gain = target
            return data
        step = _DOWN if target < before else _UP
        count = min(round(abs(target - before) / step), len(data) // pcm.SAMPLE_BYTES)
        way = math.copysign(step * count, target - before)
        after = self._duck_gain = target if abs(before + way - target) < step else before + way
        moving = count * pcm.SAMPLE_BYTES
        return scaled(data[:moving], before, after) + scaled(data[moving:], after, after)

    def _take(self, parts: list[bytes], need: int, newest: int | None = None) -> int:
        """Move up to `need` bytes (of replies up to `newest`) into `parts`, minding the marks; return how many."""
        left = need
        while True:
            if left and self._position < len(self._chunk):
                piece = self._chunk[self._position : self._position + left]
                self._position += len(piece)
                self._bytes_out += len(piece)
                left -= len(piece)
                parts.append(piece)
                self.starving = None
                if not self._sounded:
                    self._sounded = True
                    self._on_mark(Sounded(self._current))
            elif self._position >= len(self._chunk) and self._queue:
                reply, data = self._queue[0]
                # An end mark is met as soon as the sample before it is gone; audio waits until it is wanted.
                if (data is not None and not left) or (newest is not None and reply > newest):
                    break
                self._queue.popleft()
                self._begin(reply)
                if data is None:
                    self._finish()
                else:
                    self._chunk, self._position = data, 0
            else:
                break
        if left and not self._over and newest is None:
            self.starved_bytes += left
            self.starving = self._current
        return need - left

    def _begin(self, reply: int) -> None:
        if reply != self._current:
            self._finish()
            self._current, self._over, self._sounded = reply, False, False

    def _finish(self) -> None:
        if not self._over:
            self._over, self.starving = True, None
            self._on_mark(Played(self._current))

    def _flush(self, flushed_to: int, byte_count: int) -> bytes:
        """Drop all up to `flushed_to`; return the last of what was sounding, faded to nothing."""
        self._flush_seen = flushed_to
        fading: list[bytes] = []
        if not self._over and self._sounded and self._current <= flushed_to and not self._prompting:
            self._take(fading, min(FADE_BYTES, byte_count), newest=self._current)
        if self._current <= flushed_to:
            self._bytes_out += len(self._chunk) - self._position
            self._chunk, self._position = b"", 0
            self._finish()
        while self._queue and self._queue[0][0] <= flushed_to:
            reply, data = self._queue.popleft()
            self._bytes_out += len(data or b"")
            self._begin(reply)
        if self._current <= flushed_to:
            self._finish()
        return scaled(b"".join(fading), 1.0, 0.0)

    def _silent(self, byte_count: int) -> bytes:
        if len(self._silence) != byte_count:
            self._silence = bytes(byte_count)
        return self._silence

    def _loud(self, data: bytes) -> bytes:
        wanted = gain(self.volume)
        before, self._last_gain = self._last_gain, wanted
        if wanted == before == 1.0:
            return data
        # From the old gain to the new within one block: a step would click.
        return scaled(data, before, wanted)
