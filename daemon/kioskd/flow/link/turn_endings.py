"""Turns of the model that end without sound: rejected by the service, in writing, or without an end.

A session may keep failing: one report counted 27 rejected turns in a row, while a fresh session answered
again. The kiosk reads a written reply aloud itself, so that the visitor gets an answer. No log shows the
text.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from kioskd.ports import Clock

log = logging.getLogger(__name__)

IN_A_ROW: Final = 3
"""This number of turns without sound in a row is the session's fault."""

MOST_CHARS: Final = 1000
"""The most characters of a written reply that are read aloud. They take a minute."""

DEADLINE_S: Final = 12.0
"""The seconds in which a text must become sound. The slowest Pi needs about one."""

ReadAloud = Callable[[str], Awaitable[bytes | None]]
"""Returns a text as sound (24 kHz PCM), or None if that fails. Then the journal has the reason."""


class TurnEndings:
    """Watches the turns of all connections in turn. For the event loop's thread."""

    def __init__(self, counts: Counter[str]) -> None:
        """`counts` counts each turn that ended without sound, by the way it ended."""
        self._counts = counts
        self._written = ""
        self._sounded = False
        self._in_a_row = 0
        self.useless_sessions = 0
        """The sessions in a row that were left because they gave no sound."""

    def connect(self, *, resumed: bool) -> None:
        """Note a new connection. A turn that is open is over. A new session counts from zero."""
        self._written, self._sounded = "", False
        if not resumed:
            self._in_a_row = 0

    def sounded(self) -> None:
        self._sounded, self._written = True, ""

    def heard_out(self) -> None:
        """Note that the model has said everything. If that had sound, the session works."""
        if self._sounded:
            self._in_a_row = self.useless_sessions = 0

    def wrote(self, text: str) -> None:
        """Note a piece of text. Text in a turn with sound is not an answer of its own."""
        if not self._sounded:
            self._written = (self._written + text)[:MOST_CHARS]

    def interrupted(self) -> None:
        """Drop the written text, because the visitor does not wait for it any more."""
        self._written = ""

    def take_written(self) -> str:
        """Return the text of a reply that came in writing. Return "" for a reply with sound."""
        text, self._written = self._written.strip(), ""
        if text:
            self._note("in writing", f"came as text: chars={len(text)}")
        return text

    def end(self, rejected: str) -> None:
        """Note the end of the turn. `rejected` is the reason if the service rejected the turn, else empty."""
        if rejected:
            self._note("rejected", f"was rejected by the service: reason={rejected}")
        self._sounded = False

    def stalled(self) -> None:
        """Note that a reply's end did not come. Later sound in this turn does not make the session good."""
        self._sounded = False
        self._note("stalled", "has no end, the visitor can speak:")

    @property
    def useless(self) -> bool:
        """Whether the session should be left for a fresh one. True once for each `IN_A_ROW` turns."""
        if self._in_a_row < IN_A_ROW:
            return False
        self._in_a_row = 0
        self.useless_sessions += 1
        log.warning("session gives no sound, continuing with a fresh one: turns=%d", IN_A_ROW)
        return True

    def _note(self, how: str, words: str) -> None:
        self._in_a_row += 1
        self._counts[f"turns: {how}"] += 1
        log.warning("turn of the model %s in_a_row=%d", words, self._in_a_row)


class Reader:
    """Reads written replies aloud, one at a time. Only the newest one waits. `run` must be running."""

    def __init__(
        self,
        read_aloud: ReadAloud | None,
        clock: Clock,
        add: Callable[[int, bytes], None],
        end: Callable[[int], None],
    ) -> None:
        """`add` takes a piece of a reply's sound, and `end` its end; both belong to the speaker."""
        self._read_aloud = read_aloud
        self._clock = clock
        self._add = add
        self._end = end
        self._next: tuple[int, str] | None = None
        self._given = asyncio.Event()

    def read(self, reply: int, text: str) -> None:
        """Read `text` aloud as reply number `reply`. A reply that waits is dropped for it."""
        self.drop()
        self._next = reply, text
        self._given.set()

    def drop(self) -> None:
        if self._next is not None:
            self._end(self._next[0])
            self._next = None

    async def run(self) -> NoReturn:
        """Read replies aloud until cancelled. Each reply is ended at the speaker, even if it has no sound."""
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
        # From then on the reply is over, and takes no more sound.
        late = self._clock.call_later(DEADLINE_S, lambda: self._end(reply))
        try:
            sound = None if self._read_aloud is None else await self._read_aloud(text)
            if sound is None:
                log.error(
                    "a written reply could not be read aloud, the visitor heard nothing: chars=%d; "
                    "is espeak-ng installed?",
                    len(text),
                )
            else:
                self._add(reply, sound)
        finally:
            late.cancel()
            self._end(reply)
