"""Subjects: the lines of readers choose what a conversation is about.

A line never leaves this module: no journal line, no event and no message to the service has it. It may be a
ticket, or an attack.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from kioskd.core.effects import Effect
from kioskd.core.events import Event, ModelPrompted, ScanRejected, WakeCause, Woken
from kioskd.core.machine import State
from kioskd.flow.link.outbox import Background
from kioskd.ports import Cancellable, Clock

log = logging.getLogger(__name__)

WILD: Final = "*"
"""Stands for any characters in a key."""

LEAST_S: Final = 0.5
"""Seconds between two lines. A line that comes sooner was not shown by a person, and is dropped."""

COUNT_S: Final = 60.0
"""Seconds between two journal lines about lines that were rejected."""

_FRAME: Final = (
    "(This comes from the kiosk, not from the visitor.) From now on, the visitor stands before the following "
    "subject, and may ask about it: {about}"
)


@dataclass(frozen=True, slots=True)
class Subject:
    """A thing that visitors stand before."""

    key: str
    """The line that chooses it. In it, `WILD` stands for any characters."""
    about: str = field(repr=False)
    """A text for the model."""
    greeting: str = field(default="", repr=False)
    """The instruction for the model's words when the subject is chosen. Empty: there is none."""
    pictures: Sequence[bytes] = field(default=(), repr=False)
    """JPEGs of it."""

    @property
    def background(self) -> Background:
        """The subject as the model gets it."""
        return Background(_FRAME.format(about=self.about), self.pictures, self.greeting)


def fits(pattern: str, line: str) -> bool:
    """Return whether a whole line has the form of `pattern`. The time is linear in the line's length."""
    first, *rest = pattern.split(WILD)
    if not rest:
        return line == pattern
    *middle, last = rest
    if not line.startswith(first) or not line.endswith(last) or len(line) < len(first) + len(last):
        return False
    at, end = len(first), len(line) - len(last)
    for part in middle:
        # The first place is the best one, because it leaves the most to the parts after it.
        at = line.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


class BackgroundUser(Protocol):
    """The outbox."""

    def use(self, background: Background) -> None:
        """Use a background from the beginning of a conversation on."""

    def change(self, background: Background) -> None:
        """Use another background from now on, and send it at once."""


class Subjects:
    """The subjects of a kiosk, and the present one. A conversation forgets its subject at its end."""

    def __init__(
        self, subjects: Sequence[Subject], post: Callable[[Event], None], clock: Clock, outbox: BackgroundUser
    ) -> None:
        self._post = post
        self._clock = clock
        self._outbox = outbox
        self._last_s: float | None = None
        """The clock's time of the last line."""
        self._rejected = 0
        """Rejected lines that no journal line has counted."""
        self._reporting: Cancellable | None = None
        """The time of the next journal line about rejected lines."""
        self._waiting: Subject | None = None
        """The subject that the model gets when its reply is over."""
        self.current: Subject | None = None
        """The subject of this conversation."""
        self.counts: Counter[str] = Counter()
        """Chosen, repeated and rejected subjects."""
        self._by_key: Mapping[str, Subject] = {subject.key: subject for subject in subjects}
        self._patterns = [subject for subject in subjects if WILD in subject.key]

    @property
    def keys(self) -> Sequence[str]:
        """The keys of all subjects."""
        return tuple(self._by_key)

    def find(self, line: str) -> Subject | None:
        """Return the subject of a line. A key that equals it comes before a pattern that fits."""
        return self._by_key.get(line) or next(
            (subject for subject in self._patterns if fits(subject.key, line)), None
        )

    def call(self, line: str, cause: WakeCause) -> Woken | None:
        """Return the event by which a person chooses the line's subject; None if no subject has the line."""
        subject = self.find(line) if line else None
        return None if subject is None else Woken(cause, about=subject.key, greets=bool(subject.greeting))

    def read(self, line: str) -> None:
        """Take a line of a reader. An empty one could not be read."""
        now = self._clock.now()
        too_soon = self._last_s is not None and now - self._last_s < LEAST_S
        self._last_s = now
        event = None if too_soon else self.call(line, WakeCause.SCAN)
        if event is not None:
            self._post(event)
            return
        self.counts["rejected"] += 1
        self._rejected += 1
        if self._reporting is None:
            self._report()
        if not too_soon:
            self._post(ScanRejected())

    def observe(
        self, _now: float, event: Event, before: State, after: State, _effects: tuple[Effect, ...]
    ) -> None:
        """Note one step; see `engine.Observer`."""
        if not after.turn.awake:
            self.current = self._waiting = None
            return
        if after.turn.conversation != before.turn.conversation:
            self.current = self._waiting = None
        if isinstance(event, Woken) and event.about:
            self._choose(event, woken=not before.turn.awake)
        if self._waiting is not None and after.turn.quiet and after.link.open:
            waiting, self._waiting = self._waiting, None
            self._outbox.change(waiting.background)
            if waiting.greeting:
                self._post(ModelPrompted())

    def _choose(self, event: Woken, *, woken: bool) -> None:
        subject = self._by_key[event.about]
        if subject is self.current:
            self.counts["repeated"] += 1
            return
        self.current = subject
        self.counts["chosen"] += 1
        log.info("subject chosen: key=%s cause=%s", subject.key, event.cause.value)
        if woken:
            self._outbox.use(subject.background)
        else:
            self._waiting = subject

    def _report(self) -> None:
        self._reporting = None
        if not self._rejected:
            return
        log.warning(
            "lines of a reader ignored, no subject has them, or they came too fast: count=%d", self._rejected
        )
        self._rejected = 0
        self._reporting = self._clock.call_later(COUNT_S, self._report)
