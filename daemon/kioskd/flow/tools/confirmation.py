"""A tool's request for confirmation: lamp and voice name the tool, and a press of the button allows it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from kioskd.core.effects import Confirm, Effect
from kioskd.core.events import ConfirmationRequested, Event, PromptOver
from kioskd.core.levels import QUESTION
from kioskd.core.machine import State
from kioskd.flow.controls.buttons import ButtonEvents
from kioskd.ports import Cancellable, Clock

log = logging.getLogger(__name__)

ASK_S: Final = 10.0
"""The seconds in which a person can press the button, counted from the lamp's request or the voice's end."""
SPOKEN_S: Final = 30.0
"""The most seconds until the voice has asked, including a reply that must be heard first."""
UNSEEN_S: Final = 0.7
"""A press that begins within this many seconds of the lamp's request is ignored: it was not seen yet."""
UP_S: Final = 1.0
"""The seconds of rest that all buttons need before a request, so that a press answers only one request."""
AGAIN_S: Final = 0.1
"""The seconds that a request stays open for a press that may become a double press."""


async def no_voice(_name: str, _words: str) -> bytes | None:
    """Return no sound: only the lamp asks."""
    return None


class Confirmation:
    """Asks for one tool at a time. A press allows the tool that was asked for when the finger went down."""

    def __init__(
        self,
        post: Callable[[Event], None],
        clock: Clock,
        *,
        buttons: ButtonEvents | None = None,
        voice: Callable[[str, str], Awaitable[bytes | None]] = no_voice,
    ) -> None:
        """`buttons`: all buttons. `voice` returns the request as 24 kHz PCM, from a tool's name and words."""
        self._post = post
        self._clock = clock
        self._buttons = buttons
        self._voice = voice
        self._turn = asyncio.Lock()
        self.sound: bytes | None = None
        """The open request as sound; None if only the lamp asks."""
        self._shown_s: float | None = None
        """The clock's time when the lamp began the open request; None before."""
        self._alarm: Cancellable | None = None
        self._allowed = False
        self._over = asyncio.Event()

    async def ask(self, name: str, words: str = "") -> bool:
        """Return whether a press allows the tool called `name` in time. Cancelling ends the request.

        A request waits for earlier ones, and until all buttons are released. Only then its time begins.
        """
        async with self._turn:
            self.sound = await self._voice(name, words)
            if self._buttons is not None:
                await self._buttons.wait_until_released(self._clock, UP_S)
            self._allowed, self._shown_s = False, None
            self._over.clear()
            self._set_alarm(ASK_S if self.sound is None else SPOKEN_S)
            log.info("tool asks for a press: name=%s", name)
            self._post(ConfirmationRequested(wanted=True, name=name, aloud=self.sound is not None))
            try:
                await self._over.wait()
            finally:
                self._cancel_alarm()
                self._shown_s = self.sound = None
                self._post(ConfirmationRequested(wanted=False))
            log.info(
                "tool %s: name=%s", "allowed by a press" if self._allowed else "not allowed in time", name
            )
            return self._allowed

    def allow(self, effect: Confirm) -> None:
        """Take a press. It counts only if the finger went down after the request could be seen."""
        down_s = self._clock.now() if effect.down_s is None else effect.down_s
        if self._shown_s is not None and down_s - self._shown_s >= UNSEEN_S:
            self._allowed = True
            self._over.set()

    def observe(
        self, _now: float, event: Event, before: State, after: State, _effects: tuple[Effect, ...]
    ) -> None:
        """Note one step; see `engine.Observer`."""
        match event:
            case ConfirmationRequested(wanted=True):
                self._shown_s = self._clock.now()
                if after.prompt != QUESTION:  # the visitor speaks, so only the lamp asks
                    self._set_alarm(ASK_S)
            case ConfirmationRequested(wanted=False) if (
                self._shown_s is not None
            ):  # not the end of an earlier request
                self._over.set()
            case PromptOver() if (
                self.sound is not None and before.prompt == QUESTION and after.prompt is None
            ):
                self._set_alarm(ASK_S)

    def _set_alarm(self, seconds: float) -> None:
        self._cancel_alarm()
        self._alarm = self._clock.call_later(seconds, self._time_is_up)

    def _cancel_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _time_is_up(self) -> None:
        """End the request, but after all earlier presses: those in the mailbox, and those not read yet."""
        if self._buttons is not None:
            self._buttons.catch_up()
            if self._buttons.undecided:
                self._set_alarm(AGAIN_S)
                return
        self._post(ConfirmationRequested(wanted=False))
