"""Mixes the speaker's sound: replies, which arrive early, late and in lumps, as one gapless stream; prompts,
cues and announcements.

    replies ─► duck ─► or a prompt, in turns ─► + cue ─► volume ─► + announcement ─► device

The law of this file: there is one producer (the loop's thread: `add`, `end`, `flush`, `say`, `announce`,
`hush`, `play_cue`, `duck`). There is one consumer (the device's thread: `pull`), and no lock. Every field has
one writer, and the other side reads it as it is. They share the queue of `reply_queue`.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Final

from kioskd.media import pcm
from kioskd.media.announcement_track import AnnouncementTrack
from kioskd.media.mix import Clip, mixed, scaled
from kioskd.media.reply_queue import Played, ReplyReader, ReplyWriter, Sounded

QUIETEST_DB: Final = -40.0
"""The gain at volume 1. Ears hear ratios, so equal steps of volume are equal steps of decibels."""

DUCK_DB: Final = -12.0
"""Gain of a reply while a visitor may be speaking: a quarter of the amplitude, still intelligible."""

DUCK_MS: Final = 10
UNDUCK_MS: Final = 100
"""Down before the visitor's first syllable is over; back slowly, because people would hear a jump."""

_DUCKED: Final = 10 ** (DUCK_DB / 20)
_DOWN: Final = (1.0 - _DUCKED) / (pcm.DOWNLINK_HZ * DUCK_MS // 1000)
_UP: Final = (1.0 - _DUCKED) / (pcm.DOWNLINK_HZ * UNDUCK_MS // 1000)
"""Change of gain per sample."""


@dataclasses.dataclass(frozen=True, slots=True)
class PromptFinished:
    """Prompt number `prompt` is over: it was pulled to its end, hushed, or replaced by a newer prompt."""

    prompt: int


@dataclasses.dataclass(frozen=True, slots=True)
class AnnouncementFinished:
    """Announcement number `number` is over: it was pulled to its end, hushed, or replaced by a newer one."""

    number: int


PlayoutMark = Sounded | Played | PromptFinished | AnnouncementFinished


def clamp(volume: int, floor: int, ceiling: int) -> int:
    """Return `volume`, limited to the range between `floor` and `ceiling`."""
    return min(max(volume, floor), ceiling)


@functools.cache
def gain(volume: int) -> float:
    """Return 0 for volume 0, else `10 ** (dB / 20)`, with dB rising evenly from -40 at 1 to 0 at 100."""
    if volume <= 0:
        return 0.0
    decibels = QUIETEST_DB * (100 - min(volume, 100)) / 99
    return float(10 ** (decibels / 20))


class Playout:
    """All sound on its way to the speaker; a `ports.Source`.

    Replies are numbered from 0 and come in rising order: audio of an older reply than the newest is late, and
    dropped. A prompt and a reply are never heard at once. The prompt waits until the present reply is over,
    or its audio comes too late. A reply waits until the present prompt is over. A cue is heard over
    everything. An announcement is a prompt with a volume of its own. It can also sound over replies, which
    are ducked meanwhile.
    """

    def __init__(
        self, on_mark: Callable[[PlayoutMark], None], *, volume: int = 100, bound_s: float = 300.0
    ) -> None:
        """Start empty.

        Args:
            on_mark: called in the pulling thread, once when a reply sounds, once when it is over, and once
                when a prompt or an announcement is over.
            volume: 0 to 100.
            bound_s: most seconds of audio that wait; later audio is dropped (`dropped_bytes`).
        """
        self.volume = volume
        """0 silent, 100 unchanged; acts on the next pull, without a step. Written by the producer."""
        self.flushed_at = 0
        """The value of `bytes_out` when the last flush was asked for. Written by the producer."""
        # Each of these has one side for the producer and one for the consumer.
        self._incoming = ReplyWriter(bound_s)
        self._replies = ReplyReader(self._incoming, on_mark)
        self._ducking = _Ducking()
        self._cues = Clip(lambda _cue: None)
        self._prompts = Clip(lambda prompt: on_mark(PromptFinished(prompt)))
        self._announcement = AnnouncementTrack(lambda number: on_mark(AnnouncementFinished(number)))

        # Written by the consumer.
        self.pulled = 0
        """Bytes ever pulled, silence included: evidence that the device is alive."""
        self.voiced = False
        """Whether the last pulled block holds a part of a reply, a prompt or an announcement."""
        self._last_gain = gain(volume)
        self._prompting = False
        self._silence = b""

    @property
    def silent(self) -> bool:
        """Whether nothing waits to be pulled, and nothing is to be reported: the next pull is silence."""
        return not (
            self._incoming.queue
            or not self._replies.over
            or self._incoming.flushed_to != self._replies.flushed_to
            or self._prompts.busy
            or self._cues.busy
            or self._announcement.clip.busy
        )

    @property
    def queued_s(self) -> float:
        """Seconds of audio that wait to be pulled."""
        return pcm.duration_s(self._incoming.bytes_in - self._replies.bytes_out, pcm.DOWNLINK_HZ)

    @property
    def bytes_in(self) -> int:
        """Bytes of replies ever queued: the end of the replies' common stream."""
        return self._incoming.bytes_in

    @property
    def bytes_out(self) -> int:
        """Bytes of replies ever pulled or voided: the place in that stream that is heard now."""
        return self._replies.bytes_out

    @property
    def dropped_bytes(self) -> int:
        """Bytes dropped because they exceeded the bound."""
        return self._incoming.dropped_bytes

    @property
    def starved_bytes(self) -> int:
        """Bytes of silence inside replies whose audio came too late."""
        return self._replies.starved_bytes

    @property
    def starving(self) -> int | None:
        """Number of the reply whose audio was all pulled before its end came; None: no reply starves."""
        return self._replies.starving

    # The producer's side.

    def add(self, reply: int, pcm_bytes: bytes) -> None:
        """Queue a piece of `reply`, of any length, even one that cuts a sample in two."""
        self._incoming.add(reply, pcm_bytes, self._replies.bytes_out)

    def end(self, reply: int) -> None:
        """Note that nothing more of `reply` comes."""
        self._incoming.end(reply)

    def flush(self, reply: int) -> None:
        """Drop the unheard rest of `reply` and all before it, also what still arrives of them."""
        self.flushed_at = self._replies.bytes_out
        self._incoming.flush(reply)

    def say(self, prompt: bytes) -> int:
        """Play a whole prompt (24 kHz PCM), in place of the one before; return its number, from 0 on."""
        return self._prompts.start(prompt)

    def announce(self, sound: bytes, *, volume: int, over: bool = False) -> int:
        """Play a whole announcement (24 kHz PCM) at `volume`; return its number, from 0 on.

        `over`: it sounds at once, over a reply, which is lowered by 12 dB meanwhile.
        """
        return self._announcement.start(sound, gain(volume), over=over)

    def hush(self) -> None:
        """Drop the unheard rest of the prompt or announcement."""
        self._prompts.stop()
        self._announcement.stop()

    def play_cue(self, cue: bytes) -> int:
        """Mix a whole cue (24 kHz PCM) over the other sound, in place of the cue before; return its number,
        from 0 on.

        The cue is heard with the next period that the device pulls.
        """
        return self._cues.start(cue)

    def duck(self, on: bool) -> None:
        """Lower replies by 12 dB within 10 ms of the next pull, or restore them within 100 ms."""
        self._ducking.on = on

    # The consumer's side.

    def pull(self, byte_count: int) -> bytes:
        """Return exactly `byte_count` bytes: sound, filled up with silence. Never blocks."""
        self.pulled += byte_count
        if self.silent:
            # Most pulls are silent, so this way does almost nothing.
            self.voiced = False
            self._ducking.settle(self._ducking.on)
            self._last_gain = gain(self.volume)
            return self._silent(byte_count)
        data = self._voices_and_cues(byte_count)
        if not self._announcement.clip.busy:
            return data
        data, announced = self._announcement.onto(data, free=not self.voiced)
        self.voiced = self.voiced or announced
        return data

    def _voices_and_cues(self, byte_count: int) -> bytes:
        """Return all sound that obeys the volume."""
        parts: list[bytes] = []
        heard = not self._prompting and not self._announcement.alone
        if self._incoming.flushed_to > self._replies.flushed_to:
            parts.append(self._replies.flush(byte_count, heard=heard))
        if heard:
            self._replies.take(parts, byte_count - sum(map(len, parts)))
        down = self._ducking.on or self._announcement.covers
        if down or self._ducking.gain != 1.0:
            parts = [self._ducking.apply(b"".join(parts), down=down)]
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
        # A prompt begins when no reply sounds; a stopped prompt is reported as over even if it never began.
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
        # Move from the old gain to the new one within one block: a step would click.
        return scaled(data, before, wanted)


class _Ducking:
    """Gain of replies while a visitor or an announcement may be heard.

    The producer writes `on`, for a visitor. The consumer does the rest.
    """

    def __init__(self) -> None:
        self.on = False
        self.gain = 1.0

    def settle(self, down: bool) -> None:
        """Jump to the wanted gain: nothing sounds, so the step is not heard."""
        self.gain = _DUCKED if down else 1.0

    def apply(self, data: bytes, *, down: bool) -> bytes:
        """Return the replies' sound with a gain that moves to its target; without sound the gain jumps."""
        if not data:
            self.settle(down)
            return data
        before, target = self.gain, _DUCKED if down else 1.0
        step = _DOWN if target < before else _UP
        count = min(round(abs(target - before) / step), len(data) // pcm.SAMPLE_BYTES)
        way = math.copysign(step * count, target - before)
        after = self.gain = target if abs(before + way - target) < step else before + way
        moving = count * pcm.SAMPLE_BYTES
        return scaled(data[:moving], before, after) + scaled(data[moving:], after, after)
