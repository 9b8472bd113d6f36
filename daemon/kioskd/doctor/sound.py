"""Captures and plays sound for a while, and records its times."""

import asyncio
import math
import statistics
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from kioskd import ports
from kioskd.errors import DeviceLost
from kioskd.media import pcm

T = TypeVar("T")

_OPENING_S: Final = 15.0
"""Seconds that an open device may take to deliver or fetch sound. Opening has its own deadline (10 s)."""


async def beside(main: Coroutine[Any, Any, T], *others: Coroutine[Any, Any, object]) -> T:
    """Run `others` until `main` has ended, and return its result. The first error ends all, and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in others]
            result = await main
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as several:
        raise _first(several) from None
    return result


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


class CapturedSound:
    """Sound of a microphone, with the time of each frame; a sink of `ports.Microphone.capture`."""

    def __init__(self, clock: ports.Clock, seconds: float = math.inf) -> None:
        """Start without sound. `enough` is set after `seconds` of sound. For use within a loop."""
        self.frames: list[bytes] = []
        self.enough = asyncio.Event()
        self._clock = clock
        self._seconds = seconds
        self._times_s: list[float] = []

    def __call__(self, frame: bytes) -> None:
        """Keep a frame."""
        self.frames.append(frame)
        self._times_s.append(self._clock.now())
        if len(self.frames) * pcm.FRAME_S >= self._seconds:
            self.enough.set()

    @property
    def sound(self) -> bytes:
        """All captured sound."""
        return b"".join(self.frames)

    @property
    def began_s(self) -> float:
        """Time of the first sample, as if all had come as regularly as they were captured."""
        return statistics.median(at - (number + 1) * pcm.FRAME_S for number, at in enumerate(self._times_s))

    @property
    def pace(self) -> float:
        """The rate at which the sound came, divided by the right one."""
        took_s = self._times_s[-1] - self._times_s[0]
        return (len(self.frames) - 1) * pcm.FRAME_S / took_s if took_s > 0 else 0.0


class Player:
    """A `ports.AudioSource` of one piece and silence after it, which records the time of each fetch."""

    def __init__(self, piece: bytes, clock: ports.Clock, over: asyncio.Event) -> None:
        """`piece`: 24 kHz.

        `over` is set in the loop's thread after its end was fetched. For use within a loop.
        """
        self._piece = piece
        self._clock = clock
        self._over = over
        self._loop = asyncio.get_running_loop()
        self._at = 0
        self._offsets: list[float] = []
        self._first_s = 0.0
        self._last_s = 0.0

    def pull(self, byte_count: int) -> bytes:
        """Return the next part; see `ports.AudioSource`."""
        now, at = self._clock.now(), self._at
        if at < len(self._piece):
            self._offsets.append(now - pcm.duration_s(at, pcm.DOWNLINK_HZ))
            self._last_s = now
        self._first_s = self._first_s or now
        self._at += byte_count
        if at < len(self._piece) <= self._at and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._over.set)
        return self._piece[at : at + byte_count].ljust(byte_count, b"\0")

    @property
    def began_s(self) -> float:
        """Time of the first sample's fetch, as if all had been fetched as regularly as they are played."""
        return statistics.median(self._offsets)

    @property
    def took_s(self) -> float:
        """Seconds from the first fetch to the fetch of the piece's end."""
        return self._last_s - self._first_s


async def listen(microphone: ports.Microphone, clock: ports.Clock, seconds: float) -> CapturedSound:
    """Return the sound that the microphone captures in `seconds`.

    Raises:
        DeviceLost: the microphone is not there, was lost, or delivered less.
    """
    heard, most_s = CapturedSound(clock, seconds), _OPENING_S + seconds
    try:
        async with asyncio.timeout(most_s):
            await beside(heard.enough.wait(), microphone.capture(heard))
    except TimeoutError:
        gave = f"delivered only {len(heard.frames) * pcm.FRAME_S:.1f} s of sound in {most_s:.0f} s"
        raise DeviceLost(f"microphone: {gave}; unplug it and plug it in again") from None
    return heard


async def play(speaker: ports.Speaker, clock: ports.Clock, piece: bytes) -> Player:
    """Play `piece` (24 kHz) to its end, and return the player that holds its times.

    Raises:
        DeviceLost: the speaker is not there, was lost, or did not play it all.
    """
    over = asyncio.Event()
    player = Player(piece, clock, over)
    seconds = pcm.duration_s(len(piece), pcm.DOWNLINK_HZ)
    most_s = _OPENING_S + 2 * seconds
    try:
        async with asyncio.timeout(most_s):
            await beside(over.wait(), speaker.play(player))
    except TimeoutError:
        missed = f"{seconds:.1f} s of sound were not over after {most_s:.0f} s"
        raise DeviceLost(f"speaker: {missed}; unplug it and plug it in again") from None
    return player
