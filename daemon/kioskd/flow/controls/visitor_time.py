"""The visitor's time: how much is left, more of it, and the profile of the visitor."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from kioskd.core.effects import Effect
from kioskd.core.events import Event, MoreTimeRequested, ProfileChosen, TextSubmitted, Timer
from kioskd.core.machine import State
from kioskd.core.policy import DEFAULT_PROFILE

log = logging.getLogger(__name__)

NO_PROFILE: Final = "Speak as with any other visitor again."
"""The instruction to the model when a visitor gives up a profile."""

SWITCHED: Final = (
    "(This comes from the kiosk, not from the visitor.) From now on in this conversation: {instructions} "
    "Tell the visitor in one short sentence that you have understood."
)
"""The instruction to the model when a person has chosen another profile by hand."""


class VisitorTime:
    """Tells when the conversation ends by time, asks the core for more, and passes profiles on."""

    def __init__(
        self,
        post: Callable[[Event], None],
        *,
        timer_left_s: Callable[[Timer], float | None],
        limit_left_s: Callable[[], float | None],
        tell: Callable[[str], bool],
        profiles: Mapping[str, str],
        use_pace: Callable[[str], None],
    ) -> None:
        """Begin without a conversation.

        Args:
            post: Takes events for the core.
            timer_left_s: Returns the seconds until a timer of the core fires; None if it does not run.
            limit_left_s: Returns the seconds until a limit of the owner ends the conversation, or None.
            tell: Sends a text to the model; returns False if it cannot.
            profiles: The instructions to the model for each profile of the settings; "" if it has none.
            use_pace: Gets the name of a profile, and sets the pace of the kiosk's own voice detection.
        """
        self._post = post
        self._timer_left_s = timer_left_s
        self._limit_left_s = limit_left_s
        self._tell = tell
        self._profiles = profiles
        self._use_pace = use_pace
        self._state = State()
        self._waiting: dict[int, asyncio.Future[bool]] = {}
        """The requests for more time that the core has not seen yet, by their events."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all profiles; none if the settings have no profile."""
        return (DEFAULT_PROFILE, *self._profiles) if self._profiles else ()

    @property
    def profile(self) -> str | None:
        """The name of the visitor's profile; None without a conversation, or without profiles."""
        return self._state.turn.profile if self._profiles and self._state.turn.awake else None

    def ends_in_s(self) -> float | None:
        """Return the seconds until this conversation ends by time; None: no end is set.

        The end by silence counts only after its warning, because each word puts it off.
        """
        turn = self._state.turn
        if not turn.awake:
            return None
        timers = (Timer.LONGEST, Timer.GRACE, *([Timer.IDLE] if turn.idle_warned else []))
        left = [self._limit_left_s(), *map(self._timer_left_s, timers)]
        return min((seconds for seconds in left if seconds is not None), default=None)

    async def more_time(self) -> float | None:
        """Ask for more time. Return the seconds until the end; None: the core gives no more now.

        The caller's deadline ends the wait for the core.
        """
        event = MoreTimeRequested()
        granted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[id(event)] = granted
        try:
            self._post(event)
            return self.ends_in_s() if await granted else None
        finally:
            del self._waiting[id(event)]

    def choose(self, profile: str) -> str:
        """Use another profile for the rest of the conversation. Return its instructions for the model."""
        self._post(ProfileChosen(profile))
        return self._profiles.get(profile) or NO_PROFILE

    def observe(
        self, _now: float, event: Event, before: State, after: State, _effects: tuple[Effect, ...]
    ) -> None:
        """Note one step; see `engine.Observer`."""
        self._state = after
        extended = after.turn.extended > before.turn.extended
        if extended:
            log.info(
                "conversation extended: count=%d ends_in=%.0fs", after.turn.extended, self.ends_in_s() or 0
            )
        if (granted := self._waiting.get(id(event))) is not None and not granted.done():
            granted.set_result(extended)
        if after.turn.profile != before.turn.profile:
            self._switch(event, before, after)

    def _switch(self, event: Event, before: State, after: State) -> None:
        profile, turn = after.turn.profile, after.turn
        self._use_pace(profile)
        if not turn.awake:
            return
        log.info("profile chosen: name=%s", profile)
        # A new conversation dials with its profile, and the model's own choice is answered by its tool.
        goes_on = before.turn.awake and before.turn.conversation == turn.conversation
        if not goes_on or isinstance(event, ProfileChosen):
            return
        if self._tell(SWITCHED.format(instructions=self._profiles.get(profile) or NO_PROFILE)):
            self._post(TextSubmitted())
        else:
            log.warning("the model was not told of the profile before the next connection: name=%s", profile)
