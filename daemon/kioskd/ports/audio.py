"""Microphone and speaker."""

from collections.abc import Callable
from typing import NoReturn, Protocol


class Microphone(Protocol):
    """A capture device, whatever its own rate and channels."""

    async def capture(self, sink: Callable[[bytes], None]) -> NoReturn:
        """Open the device and hand each frame to `sink` until cancelled.

        A frame is `pcm.FRAME_BYTES` long (20 ms, 16 kHz). Frames come in order, without gaps while the device
        gives none. Cancelling closes the device before it returns; another `capture` may follow.

        Raises:
            DeviceLost: the device is not there, went away, or has delivered nothing for a second.
        """


class AudioSource(Protocol):
    """Where a speaker fetches what it plays."""

    def pull(self, byte_count: int) -> bytes:
        """Return exactly `byte_count` bytes (24 kHz): speech, or silence where there is none.

        Called from the device's own thread, every 10 ms; never blocks.
        """


class Speaker(Protocol):
    """A playback device, whatever its own rate and channels."""

    @property
    def latency_s(self) -> float:
        """Seconds from a `pull` to the air, as the device says while it plays; 0.0 before."""

    async def play(self, source: AudioSource) -> NoReturn:
        """Open the device and play from `source` until cancelled.

        The device is fed without a pause (silence included), so it never starves. Cancelling closes the device
        before it returns; another `play` may follow.

        Raises:
            DeviceLost: the device is not there, went away, or has taken nothing for a second.
        """
