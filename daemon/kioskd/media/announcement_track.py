"""The owner's announcement on its way to the speaker: it has a volume of its own.

The law of this file is that of `playout`: `start` and `stop` are for the producer, the rest is for the
consumer.
"""

from collections.abc import Callable

from kioskd.media.mix import Clip, mixed, scaled


class AnnouncementTrack:
    """Plays one announcement at a time, alone or over the replies."""

    def __init__(self, on_over: Callable[[int], None]) -> None:
        """Start silent. `on_over` gets each ended announcement's number once, in the consumer's thread."""
        self.clip = Clip(on_over)
        """Its `busy`: an announcement waits or sounds, or its end is to be reported."""
        self._manner = 1.0, False
        """The gain of the newest announcement, and whether it sounds over replies."""
        self._sounding = False

    # The producer's side.

    def start(self, sound: bytes, gain: float, *, over: bool) -> int:
        """Play `sound` (24 kHz PCM) with `gain`; return its number, from 0 on.

        `over`: it sounds at once, over a reply. Otherwise it waits until no reply sounds.
        """
        self._manner = gain, over
        return self.clip.start(sound)

    def stop(self) -> None:
        """Drop the unheard rest."""
        if self.clip.busy:
            self.clip.stop()

    # The consumer's side.

    @property
    def alone(self) -> bool:
        """Whether an announcement sounds that replies must wait for."""
        return self._sounding and not self._manner[1]

    @property
    def covers(self) -> bool:
        """Whether an announcement sounds over the replies, so that they must be quieter."""
        return self.clip.busy and self._manner[1]

    def onto(self, data: bytes, *, free: bool) -> tuple[bytes, bool]:
        """Return `data` with the announcement's next piece, and whether there was one.

        `free`: no reply and no prompt sounds in `data`.
        """
        gain, over = self._manner
        if not (over or free or self._sounding or self.clip.stopped):
            return data, False
        piece = self.clip.take(len(data))
        self._sounding = self.clip.busy
        return (mixed(data, scaled(piece, gain, gain)), True) if piece else (data, False)
