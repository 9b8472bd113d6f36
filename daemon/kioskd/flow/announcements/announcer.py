"""Announcements that wait for their moment, one after the other.

An announcement waits until no one has spoken for a moment, or until the conversation is over. A person who
presses a button stops it. Anything else that stops it, such as the prompt of a fault, only delays it.
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from kioskd.core.effects import Announce, Effect
from kioskd.core.events import AnnouncementDue, Device, Event, PromptOver
from kioskd.core.levels import ANNOUNCEMENT, State, may_announce
from kioskd.core.machine import BREAKING_OFF
from kioskd.errors import KioskError
from kioskd.media import pcm
from kioskd.ports import Cancellable, Clock

log = logging.getLogger(__name__)

PAUSE_S: Final = 1.5
"""The seconds of silence before an announcement. A visitor who wants to answer has begun by then."""

WAIT_S: Final = 900.0
"""The most seconds that an announcement waits. Later it would say what is not true any more."""

TRIES: Final = 3
"""How often an announcement begins at most, if faults stop it."""

MOST_WAITING: Final = 8
MOST_WAITING_S: Final = 180.0
"""The most announcements that wait, and the most seconds of them: 9 MB."""

MOST_ASKERS: Final = 3
"""The most clients that wait for an announcement's end. They take places at the control socket."""

KEPT: Final = 20
"""The number of ended announcements whose outcome is kept."""


class AnnouncementRefused(KioskError):
    """The announcement is not spoken. The message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """An announcement, ready to be spoken."""

    sound: bytes = field(repr=False)
    """24 kHz PCM."""
    text: str = field(repr=False)
    """Its words; empty if only a recording is known."""
    language: str
    source: str
    """The origin for the journal: `command` or `schedule`."""
    now: bool = False
    """Whether it waits for no pause, and is also spoken in quiet hours."""

    @property
    def seconds(self) -> float:
        return pcm.duration_s(len(self.sound), pcm.DOWNLINK_HZ)


class PlaySound(Protocol):
    """Function that plays an announcement."""

    def __call__(self, sound: bytes, *, over: bool) -> bool:
        """Play 24 kHz PCM, `over` a reply if one sounds. Return False if the speaker is lost."""


@dataclass(slots=True, eq=False)
class _Ticket:
    """An announcement on its way."""

    number: int
    what: Announcement
    since: float
    not_before: float = -math.inf
    tries: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)
    why: str = ""
    """Why it was not spoken to its end."""


class Announcer:
    """Chooses the moment of each announcement. For the loop's thread; it has no task of its own."""

    def __init__(
        self,
        post: Callable[[Event], None],
        clock: Clock,
        *,
        state: Callable[[], State],
        play: PlaySound,
        quiet: Callable[[], bool] = lambda: False,
        caption: Callable[[str, str], None] = lambda _text, _language: None,
    ) -> None:
        """Begin with an empty queue.

        Args:
            post: Takes events for the core.
            clock: Monotonic time.
            state: Returns the core's state.
            play: Plays an announcement.
            quiet: Returns whether the owner's quiet hours for announcements hold now.
            caption: Gets the words and the language of each announcement when it begins.
        """
        self._post = post
        self._clock = clock
        self._state = state
        self._play = play
        self._quiet = quiet
        self._caption = caption
        self._waiting: list[_Ticket] = []
        self._speaking: _Ticket | None = None
        self._begun = self._calm_since = 0.0
        self._calm = _calm(state())
        if self._calm:
            self._calm_since = -math.inf if not state().turn.awake else clock.now()
        self._asked = False
        """Whether the core was asked to begin, and has not answered."""
        self._alarm: Cancellable | None = None
        self._tickets: deque[_Ticket] = deque(maxlen=KEPT + MOST_WAITING + 1)
        """The newest announcements, ended or not."""
        self._askers = 0

    @property
    def waiting(self) -> int:
        """The number of announcements that wait."""
        return len(self._waiting)

    def put(self, what: Announcement) -> int:
        """Queue an announcement. Return its number, for `ended`.

        Raises:
            AnnouncementRefused: it cannot be spoken now, or too many wait already.
        """
        if Device.SPEAKER in self._state().missing:
            raise AnnouncementRefused("the speaker is missing; plug it in, or see kioskd devices")
        if self._quiet() and not what.now:
            raise AnnouncementRefused(
                "these are quiet hours for announcements (announcements.quiet_hours); "
                "wait, or speak all the same with --now"
            )
        waiting_s = sum(each.what.seconds for each in self._waiting)
        if len(self._waiting) >= MOST_WAITING or waiting_s + what.seconds > MOST_WAITING_S:
            raise AnnouncementRefused(
                f"{len(self._waiting)} announcements of {waiting_s:.0f} s wait already "
                f"(at most {MOST_WAITING} and {MOST_WAITING_S:.0f} s); try again when they were spoken"
            )
        number = self._tickets[-1].number + 1 if self._tickets else 1
        ticket = _Ticket(number, what, self._clock.now())
        self._tickets.append(ticket)
        self._waiting.insert(
            sum(each.what.now for each in self._waiting) if what.now else MOST_WAITING, ticket
        )
        self._look()
        return number

    async def ended(self, number: int) -> str:
        """Wait until an announcement is over. Return why it was not spoken to its end, or "".

        Raises:
            AnnouncementRefused: no such announcement is known, or too many clients wait.
        """
        ticket = next((each for each in self._tickets if each.number == number), None)
        if ticket is None:
            raise AnnouncementRefused("this announcement is not known any more; see the journal")
        if self._askers >= MOST_ASKERS:
            raise AnnouncementRefused(
                f"it is queued, but {MOST_ASKERS} clients wait for the end of an announcement already; "
                "the journal says when it was spoken"
            )
        self._askers += 1
        try:
            await ticket.over.wait()
        finally:
            self._askers -= 1
        return ticket.why

    def speak(self, _effect: Announce) -> None:
        """Begin the announcement that waits longest."""
        if not self._waiting:
            self._post(PromptOver())
            return
        ticket = self._speaking = self._waiting.pop(0)
        ticket.tries += 1
        self._begun = self._clock.now()
        if not self._play(ticket.what.sound, over=ticket.what.now):
            self._repeat(ticket, "the speaker was lost")
        elif ticket.what.text:
            self._caption(ticket.what.text, ticket.what.language)

    def observe(
        self, now: float, event: Event, before: State, after: State, _effects: tuple[Effect, ...]
    ) -> None:
        """Note one step; see `engine.Observer`."""
        if (calm := _calm(after)) is not self._calm:
            self._calm, self._calm_since = calm, now
        if before.prompt == ANNOUNCEMENT and after.prompt != ANNOUNCEMENT and self._speaking is not None:
            self._end(self._speaking, event)
        if isinstance(event, AnnouncementDue):
            self._asked = False
        if self._waiting:
            self._look()

    def _end(self, ticket: _Ticket, event: Event) -> None:
        self._speaking = None
        if isinstance(event, PromptOver):
            self._finish(ticket)
        elif isinstance(event, BREAKING_OFF):
            self._finish(ticket, f"a person stopped it after {self._clock.now() - self._begun:.1f} s")
        else:
            self._repeat(ticket, "a prompt or a fault stopped it")

    def _repeat(self, ticket: _Ticket, why: str) -> None:
        self._speaking = None
        if ticket.tries >= TRIES:
            self._finish(ticket, f"{why}, {TRIES} times")
            return
        ticket.not_before = self._clock.now() + PAUSE_S
        self._waiting.insert(0, ticket)

    def _finish(self, ticket: _Ticket, why: str = "") -> None:
        ticket.why = why
        ticket.over.set()
        what = ticket.what
        told = (what.source, len(what.text), what.seconds, self._clock.now() - ticket.since)
        if why:
            log.warning(
                "announcement not spoken to its end: source=%s chars=%d seconds=%.1f after=%.1fs: %s",
                *told,
                why,
            )
        else:
            log.info("announcement spoken: source=%s chars=%d seconds=%.1f after=%.1fs", *told)

    def _look(self) -> None:
        """Begin the next announcement if its moment has come. Otherwise look again later."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._speaking is not None or self._asked:
            return
        now = self._clock.now()
        self._drop(now)
        if not self._waiting:
            return
        first = self._waiting[0]
        at = max(self._moment(first.what), first.not_before)
        if at <= now:
            self._asked = True
            self._post(AnnouncementDue())
            return
        late = min(each.since for each in self._waiting) + WAIT_S
        self._alarm = self._clock.call_later(max(min(at, late) - now, 0.0), self._look)

    def _moment(self, what: Announcement) -> float:
        """Return the clock's time at which `what` can begin if nothing changes; `math.inf`: never."""
        if what.now:
            return -math.inf if may_announce(self._state()) else math.inf
        return self._calm_since + PAUSE_S if self._calm else math.inf

    def _drop(self, now: float) -> None:
        """Drop announcements that have waited too long, or that quiet hours forbid by now."""
        for ticket in list(self._waiting):
            why = ""
            if now - ticket.since >= WAIT_S:
                why = f"no pause came within {WAIT_S / 60:.0f} min"
            elif self._quiet() and not ticket.what.now:
                why = "quiet hours have begun (announcements.quiet_hours)"
            if why:
                self._waiting.remove(ticket)
                self._finish(ticket, why)


def _calm(state: State) -> bool:
    """Return whether an announcement would interrupt no person and no reply."""
    return may_announce(state) and not state.ringing and (state.turn.quiet or not state.turn.awake)
