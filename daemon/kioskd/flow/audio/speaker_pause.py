"""Pauses the speaker while the kiosk sleeps and nothing sounds: a speaker that plays silence costs CPU."""

from collections.abc import Callable
from typing import Final, NoReturn

from kioskd.ports import AudioSource, Cancellable, Clock, Speaker

PAUSE_AFTER_S: Final = 5.0
"""The seconds from the last sound to the pause."""


class SpeakerPause:
    """Plays a speaker, and decides when it pauses. All methods are for the loop's thread."""

    def __init__(self, speaker: Speaker, clock: Clock, *, silent: Callable[[], bool]) -> None:
        """`silent` returns whether no sound waits to be played."""
        self._speaker = speaker
        self._clock = clock
        self._silent = silent
        self._needed = False
        self._alarm: Cancellable | None = None
        self.paused = False
        """Whether the speaker pauses, so that it pulls no sound."""
        self.fresh = True
        """Whether the speaker was opened or has resumed, and has pulled nothing since."""

    @property
    def latency_s(self) -> float:
        return self._speaker.latency_s

    async def play(self, source: AudioSource) -> NoReturn:
        """Play from `source`; see `ports.Speaker`."""
        self.paused, self.fresh = False, True
        await self._speaker.play(source)

    def need(self, *, needed: bool) -> None:
        """Keep the speaker ready to sound at once, or let it pause after `PAUSE_AFTER_S`."""
        self._needed = needed
        self.stir()

    def stir(self) -> None:
        """Note that a sound begins, or may begin: end a pause, and wait again before the next one."""
        if self.paused:
            self.paused, self.fresh = False, True
            self._speaker.resume()
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = None if self._needed else self._clock.call_later(PAUSE_AFTER_S, self._pause)

    def pulls(self) -> None:
        """Note that the speaker has pulled since it was opened, or since its pause."""
        self.fresh = False
        self.stir()

    def _pause(self) -> None:
        if self.fresh:
            return  # it has to prove first that it works
        if self._silent():
            self.paused = self._speaker.pause()
        else:
            self.stir()
