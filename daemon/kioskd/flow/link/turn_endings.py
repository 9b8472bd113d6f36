"""How the model's turns end, where that is not with sound: rejected by the service, in writing, or not at all.

A session may stay so: 27 rejected turns in a row were reported of one, while a fresh session answered again. What the
model wrote is read aloud by the kiosk itself, so that no visitor stands there unanswered. It is in no log.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from kioskd.ports import Clock

log = logging.getLogger(__name__)

IN_A_ROW: Final = 3
"""So many turns without sound, one after the other, are the session's fault."""

MOST_CHARS: Final = 1000
"""More of one written reply is not read aloud: it takes a minute."""

DEADLINE_S: Final = 12.0
"""How long a visitor waits for a text to become sound: a second on the slowest Pi, if nothing is wrong."""

ReadAloud = Callable[[str], Awaitable[bytes | None]]
"""Returns a text as sound (24 kHz PCM), or None where it cannot be said; why is in the journal then."""


class TurnEndings:
    """Watches the turns of one connection after the other. For the loop's thread."""

    def __init__(self, counts: Counter[str]) -> None:
        """`counts` is told of each turn that ended without sound, by how it did."""
        self._counts = counts
        self._written = ""
        self._sounded = False
        self._in_a_row = 0
        self.useless_sessions = 0
        """Sessions in a row that were given up, ever since a turn had sound."""

    def connect(self, *, resumed: bool) -> None:
        """Begin with another connection: a turn that is not over belongs to the one before. A fresh session is blameless."""
        self._written, self._sounded = "", False
        if not resumed:
            self._in_a_row = 0

    def sounded(self) -> None:
        """The turn has sound."""
        self._sounded, self._written = True, ""

    def heard_out(self) -> None:
        """The model has said all; where that had sound, the session is a good one."""
        if self._sounded:
            self._in_a_row = self.useless_sessions = 0

    def wrote(self, text: str) -> None:
        """The turn has a piece in writing; what of a turn with sound is written is no answer by itself."""
        if not self._sounded:
            self._written = (self._written + text)[:MOST_CHARS]

    def interrupted(self) -> None:
        """Nobody waits any more for what was written."""
        self._written = ""

    def take_written(self) -> str:
        """Return what the reply that is over says in writing; empty for one with sound."""
        text, self._written = self._written.strip(), ""
        if text:
            self._note("in writing", f"came as text: chars={len(text)}")
        return text

    def end(self, rejected: str) -> None:
        """The turn is over; `rejected` says why, if the service has rejected it."""
        if rejected:
            self._note("rejected", f"was rejected by the service: reason={rejected}")
        self._sounded = False

    def stalled(self) -> None:
        """The end of a reply did not come. What comes of the turn after that makes it no good one."""
        self._sounded = False
        self._note("stalled", "has no end, the visitor has the word:")

    @property
    def useless(self) -> bool:
        """Whether the session should be given up for a fresh one; true once for each `IN_A_ROW` turns."""
        if self._in_a_row < IN_A_ROW:
            return False
        self._in_a_row = 0
        self.useless_sessions += 1
        log.warning("session gives no sound: turns=%d; going on with a fresh one", IN_A_ROW)
        return True

    def _note(self, how: str, words: str) -> None:
        self._in_a_row += 1
        self._counts[f"turns: {how}"] += 1
        log.warning("turn of the model %s in_a_row=%d", words, self._in_a_row)


class Reader:
    """Reads written replies aloud, one at a time, the newest only. `run` must be running."""

    def __init__(
        self,
        read_aloud: ReadAloud | None,
        clock: Clock,
        add: Callable[[int, bytes], None],
        end: Callable[[int], None],
    ) -> None:
        """`add` and `end` are the speaker's: a piece of a reply, and its end."""
        self._read_aloud = read_aloud
        self._clock = clock
        self._add = add
        self._end = end
        self._next: tuple[int, str] | None = None
        self._given = asyncio.Event()

    def read(self, reply: int, text: str) -> None:
        """Have `text` heard as reply number `reply`; one that was not begun gives way."""
        self.drop()
        self._next = reply, text
        self._given.set()

    def drop(self) -> None:
        """Have nothing read that was not begun."""
        if self._next is not None:
            self._end(self._next[0])
            self._next = None

    async def run(self) -> NoReturn:
        """Read until cancelled. Each reply ends, whatever becomes of its sound."""
        try:
            while True:
                await self._given.wait()
                self._given.clear()
                if self._next is not None:
                    (reply, text), self._next = self._next, None
                    await self._say(reply, text)
        finally:
            self.drop()

    async def _say(self, reply: int, text: str) -> None:
        # After this the reply is over, and takes no sound any more.
        late = self._clock.call_later(DEADLINE_S, lambda: self._end(reply))
        try:
            sound = None if self._read_aloud is None else await self._read_aloud(text)
            if sound is None:
                log.error(
                    "written reply could not be read aloud, the visitor heard nothing: chars=%d; is espeak-ng installed?",
                    len(text),
                )
            else:
                self._add(reply, sound)
        finally:
            late.cancel()
            self._end(reply)
