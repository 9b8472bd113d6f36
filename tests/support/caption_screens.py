"""A screen for captions that remembers what it has shown."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from kioskd.ports import FollowCaptions


class MemoryCaptionScreen:
    """Screen in memory; a `ports.CaptionScreen`. It follows the protocol as a browser's page does."""

    def __init__(self) -> None:
        self.lines: dict[int, Mapping[str, Any]] = {}
        self.status: Mapping[str, Any] = {}
        self.messages = 0
        self.history: list[str] = []
        """Each state of each line that was shown, as `who: text`."""
        self._changed = asyncio.Event()

    async def show(self, follow: FollowCaptions) -> NoReturn:
        """See `ports.CaptionScreen`."""
        await follow(self.take)

    async def take(self, message: Mapping[str, Any]) -> None:
        """Take one message."""
        self.messages += 1
        for number in [each for each in self.lines if each < message["first"]]:
            del self.lines[number]
        for line in message["lines"]:
            self.lines[line["number"]] = line
            self.history.append(f"{line['who']}: {line['text']}")
        self.status = message.get("status", self.status)
        self._changed.set()

    @property
    def texts(self) -> list[str]:
        """The lines as they are now, as `who: text`."""
        return [f"{line['who']}: {line['text']}" for line in self.lines.values()]

    async def until(self, holds: Callable[[], object], *, within_s: float = 30.0) -> None:
        """Wait until `holds()` is true; it is checked after each message."""
        async with asyncio.timeout(within_s):
            while not holds():
                self._changed.clear()
                await self._changed.wait()
