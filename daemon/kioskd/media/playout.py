"""What the speaker plays: replies, which come early, late and in lumps, as one gapless stream; prompts and cues.

    replies ─► duck ─► or a prompt, in turns ─► + cue ─► volume ─► device

The law of this file: one producer (the loop's thread: `add`, `end`, `flush`, `say`, `hush`, `play_cue`, `duck`) and one
consumer (the device's thread: `pull`), no lock. Every field has one writer, and the other side reads it as it stands; see
`reply_queue` for the queue that they share.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Final

from kioskd.media import pcm
from kioskd.media.mix import Clip, mixed, scaled
from kioskd.media.reply_queue import Played, ReplyReader, ReplyWriter, Sounded

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


@dataclasses.dataclass(frozen=True, slots=True)
class PromptFinished:
    """The last sample of prompt number `prompt` was pulled, or it was hushed, or a newer one has taken its place."""

    prompt: int


PlayoutMark = Sounded | Played | PromptFinished


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
                prompt once that it is over.
            volume: 0 to 100.
            bound_s: seconds of audio kept at most; what comes on top is dropped (`dropped_bytes`).
        """
        self.volume = volume
        """0 silent, 100 untouched; acts on the next pull, without a step. Written by the producer."""
        # Each of these has a side for the producer and one for the consumer.
        self._incoming = ReplyWriter(bound_s)
        self._replies = ReplyReader(self._incoming, on_mark)
        self._ducking = _Ducking()
        self._cues = Clip(lambda _cue: None)
        self._prompts = Clip(lambda prompt: on_mark(PromptFinished(prompt)))

        # Written by the consumer.
        self.pulled = 0
        """Bytes pulled ever, silence included: evidence that the device is alive."""
        self.voiced = False
        """Whether what was pulled last holds some of a reply or prompt."""
        self._last_gain = gain(volume)
        self._prompting = False
        self._silence = b""

    @property
    def queued_s(self) -> float:
        """Seconds of audio that wait to be pulled."""
        return pcm.duration_s(self._incoming.bytes_in - self._replies.bytes_out, pcm.DOWNLINK_HZ)

    @property
    def dropped_bytes(self) -> int:
        """Bytes that came past the bound."""
        return self._incoming.dropped_bytes

    @property
    def starved_bytes(self) -> int:
        """Bytes of silence in the middle of a reply whose audio came too late."""
        return self._replies.starved_bytes

    @property
    def starving(self) -> int | None:
        """The reply of which all that came was pulled, while its end has not come."""
        return self._replies.starving

    # The producer's side.

    def add(self, reply: int, pcm_bytes: bytes) -> None:
        """Queue a piece of `reply`, of any length, even one that cuts a sample in two."""
        self._incoming.add(reply, pcm_bytes, self._replies.bytes_out)

    def end(self, reply: int) -> None:
        """Say that nothing more of `reply` comes."""
        self._incoming.end(reply)

    def flush(self, reply: int) -> None:
        """Void what was not yet heard of `reply` and all before it, and what of them still comes."""
        self._incoming.flush(reply)

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
        self._ducking.on = on

    # The consumer's side.

    def pull(self, byte_count: int) -> bytes:
        """Return exactly `byte_count` bytes: sound, or silence where there is none. Never blocks."""
        self.pulled += byte_count
        parts: list[bytes] = []
        if self._incoming.flushed_to > self._replies.flushed_to:
            parts.append(self._replies.flush(byte_count, heard=not self._prompting))
        if not self._prompting:
            self._replies.take(parts, byte_count - sum(map(len, parts)))
        if self._ducking.on or self._ducking.gain != 1.0:
            parts = [self._ducking.apply(b"".join(parts))]
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


class _Ducking:
    """The gain of replies while somebody may be speaking. `on` is the producer's, all else the consumer's."""

    def __init__(self) -> None:
        self.on = False
        self.gain = 1.0

    def apply(self, data: bytes) -> bytes:
        """Return the replies' sound with the gain on its way to where it should be; without sound it is there at once."""
        before, target = self.gain, _DUCKED if self.on else 1.0
        if not data:
            self.gain = target
            return data
        step = _DOWN if target < before else _UP
        count = min(round(abs(target - before) / step), len(data) // pcm.SAMPLE_BYTES)
        way = math.copysign(step * count, target - before)
        after = self.gain = target if abs(before + way - target) < step else before + way
        moving = count * pcm.SAMPLE_BYTES
        return scaled(data[:moving], before, after) + scaled(data[moving:], after, after)
