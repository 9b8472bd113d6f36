"""Interfaces of microphones and speakers."""

from collections.abc import Callable
from typing import Final, NoReturn, Protocol

GROUP_FRAMES: Final = 3
"""Most frames that come in one group while none is urgent: 60 ms. Each group wakes the event loop once."""


class Microphone(Protocol):
    """A capture device with any rate and channels of its own."""

    urgent: bool
    """Whether each frame is wanted at once. Otherwise they may come in groups of up to `GROUP_FRAMES`."""

    async def capture(self, sink: Callable[[bytes], None]) -> NoReturn:
        """Open the device and pass each frame to `sink` until cancelled.

        A frame is `pcm.FRAME_BYTES` long (20 ms, 16 kHz). Frames come in order, without gaps unless the
        device itself has gaps. Cancelling closes the device before it returns; another `capture` may follow.

        Raises:
            DeviceLost: the device is missing, went away, or has delivered nothing for a second.
        """


class AudioSource(Protocol):
    """Source from which a speaker pulls its sound."""

    def pull(self, byte_count: int) -> bytes:
        """Return exactly `byte_count` bytes (24 kHz): speech, filled up with silence.

        The device's own thread calls this every 10 ms, unless the speaker pauses; it never blocks.
        """


class Speaker(Protocol):
    """A playback device with any rate and channels of its own."""

    @property
    def latency_s(self) -> float:
        """Seconds from a `pull` to the air, as the device reports while it plays; 0.0 before."""

    async def play(self, source: AudioSource) -> NoReturn:
        """Open the device and play from `source` until cancelled.

        The device gets sound or silence until `pause`, so it never starves. Cancelling closes the device
        before it returns; another `play` may follow.

        Raises:
            DeviceLost: the device is missing, went away, or has taken nothing for a second.
        """

    def pause(self) -> bool:
        """Stop to pull until `resume` or the next `play`, if the device may be silent. Return whether it may.

        A paused device is still watched: `play` raises DeviceLost if it goes away.
        """

    def resume(self) -> None:
        """Pull again. Sound that is pulled from now on is heard whole."""
