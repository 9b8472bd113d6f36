"""Replies -> playout -> speaker, and back: when they are heard."""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from kioskd.core.effects import Flush
from kioskd.core.events import Device, Event, ReplyPlayed, ReplySounded
from kioskd.flow.attendant import Attendant
from kioskd.media.playout import Mark, Played, Playout
from kioskd.ports import Clock, Speaker

if TYPE_CHECKING:
    from kioskd.media.echo import EchoCanceller

log = logging.getLogger(__name__)


class LiveToSpeaker:
    """The downlink. Sound goes from the connection's reader into the playout, and the device's thread fetches it there."""

    def __init__(
        self,
        speaker: Speaker,
        post: Callable[[Event], None],
        clock: Clock,
        *,
        volume: int,
        echo: "EchoCanceller | None" = None,
    ) -> None:
        self._speaker = speaker
        self._post = post
        self._clock = clock
        self._attendant = Attendant("speaker", clock, post, device=Device.SPEAKER)
        self._echo = echo
        self._loop = asyncio.get_running_loop()
        self.playout = Playout(self._mark_from_device, volume=volume)

    def add(self, reply: int, sound: bytes) -> None:
        """Queue a piece of a reply: 24 kHz PCM of any length."""
        self.playout.add(reply, sound)

    def end(self, reply: int) -> None:
        """Mark the end of a reply."""
        self.playout.end(reply)

    def flush(self, effect: Flush) -> None:
        """Silence a reply and all before it."""
        self.playout.flush(effect.reply)

    async def play(self) -> None:
        """Keep the speaker fed until cancelled.

        Raises:
            DeviceLost: the speaker has been away for 30 s.
        """
        await self._attendant.use(lambda: self._speaker.play(self))

    def pull(self, byte_count: int) -> bytes:
        """Give the device what it plays next (called from its thread)."""
        if self.playout.pulled == 0 or self._attendant.away:
            self._tell(self._works)
        sound = self.playout.pull(byte_count)
        if self._echo is not None:
            self._echo.played(sound)  # what is really played: after volume, fades and starvation
        return sound

    def _works(self) -> None:
        if self._echo is not None:
            self._echo.delay_s = self._speaker.latency_s
            self._echo.relearn()
        self._attendant.works()

    def _mark_from_device(self, mark: Mark) -> None:
        self._tell(lambda: self._mark(mark))

    def _tell(self, callback: Callable[[], None]) -> None:
        # A device may outlive the loop by a period or two while the daemon leaves.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)

    def _mark(self, mark: Mark) -> None:
        if isinstance(mark, Played):
            # Pulled is not yet heard: the device has its own queue.
            self._clock.call_later(self._speaker.latency_s, lambda: self._post(ReplyPlayed(mark.reply)))
        else:
            self._post(ReplySounded(mark.reply))
