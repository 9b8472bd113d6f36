"""The captions as they are now. Each reader gets the newest state of each line that has changed."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NoReturn

from kioskd.ports import Clock, SendLine

MOST_LINES: Final = 24
"""The most lines that are kept: more do not fit on a screen."""

MOST_CHARS: Final = 2000
"""The most characters of a line. A longer line loses its beginning."""

BEAT_S: Final = 5.0
"""The seconds after which a reader without news gets an empty message, so that both sides notice a loss."""

CaptionSide = Literal["visitor", "kiosk"]


@dataclass(frozen=True, slots=True)
class Caption:
    """One line: the words of one side. No repr shows them."""

    who: CaptionSide
    text: str = field(repr=False)
    language: str = ""
    """A BCP-47 tag; empty if it is not known."""
    final: bool = False
    """Whether the line does not change any more."""
    cut: bool = False
    """Whether the reply was silenced before its end."""


class CaptionBoard:
    """The newest lines and the status. Readers that are slow miss states in between, and never a last one."""

    def __init__(self, clock: Clock, status: Mapping[str, object]) -> None:
        self._clock = clock
        self._lines: OrderedDict[int, tuple[int, Caption]] = OrderedDict()
        """Each line by its number, with the revision of its last change."""
        self._number = 0
        self._status = dict(status)
        self._status_revision = 1
        self._revision = 1
        self._readers: set[asyncio.Event] = set()

    def add(self, caption: Caption) -> int:
        """Add a line, and return its number. The oldest line goes if there are too many."""
        self._number += 1
        while len(self._lines) >= MOST_LINES:
            self._lines.popitem(last=False)
        self._put(self._number, caption)
        return self._number

    def change(self, number: int, caption: Caption) -> None:
        """Replace a line. A line that is gone stays gone."""
        if number in self._lines and self._lines[number][1] != caption:
            self._put(number, caption)

    def _put(self, number: int, caption: Caption) -> None:
        self._revision += 1
        self._lines[number] = self._revision, caption
        self._wake()

    def clear(self) -> None:
        """Remove all lines."""
        if self._lines:
            self._lines.clear()
            self._revision += 1
            self._wake()

    def remove(self, number: int) -> None:
        """Remove a line and all lines before it."""
        gone = [each for each in self._lines if each <= number]
        for each in gone:
            del self._lines[each]
        if gone:
            self._revision += 1
            self._wake()

    def show(self, status: Mapping[str, object]) -> None:
        """Replace the status."""
        if status != self._status:
            self._status = dict(status)
            self._revision += 1
            self._status_revision = self._revision
            self._wake()

    def since(self, revision: int) -> tuple[int, dict[str, object]]:
        """Return the present revision, and a message with all changes since `revision`; 0 for everything.

        `first`: the reader drops the lines with lower numbers.
        """
        lines = [
            _told(number, caption) for number, (changed, caption) in self._lines.items() if changed > revision
        ]
        first = next(iter(self._lines), self._number + 1)
        message: dict[str, object] = {"first": first, "lines": lines}
        if self._status_revision > revision:
            message["status"] = self._status
        return self._revision, message

    async def follow(self, send: SendLine) -> NoReturn:
        """Pass everything to `send`, and then each change, until cancelled or until `send` raises."""
        news = asyncio.Event()
        news.set()
        self._readers.add(news)
        revision = 0
        try:
            while True:
                beat = self._clock.call_later(BEAT_S, news.set)
                try:
                    await news.wait()
                finally:
                    beat.cancel()
                news.clear()
                revision, message = self.since(revision)
                await send(message)
        finally:
            self._readers.discard(news)

    def _wake(self) -> None:
        for news in self._readers:
            news.set()


def _told(number: int, caption: Caption) -> dict[str, object]:
    text = caption.text
    if len(text) > MOST_CHARS:
        text = text[-MOST_CHARS:].partition(" ")[2] or text[-MOST_CHARS:]
    return {
        "number": number,
        "who": caption.who,
        "language": caption.language,
        "text": text,
        "final": caption.final,
        "cut": caption.cut,
    }
