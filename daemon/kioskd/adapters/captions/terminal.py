"""Captions on a terminal of this machine, such as /dev/tty1, for a small screen without a browser."""

import asyncio
import contextlib
import errno
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from kioskd.adapters.captions.terminal_layout import END, screen
from kioskd.ports import Clock, FollowCaptions
from kioskd.retry import RetryDelays, TryEnded, retry

log = logging.getLogger(__name__)

WRITE_S: Final = 5.0
"""The most seconds in which a terminal must take a screen."""

REDRAW_S: Final = 0.1
"""The seconds between two screens. A serial terminal needs time for each."""

FIRST_RETRY_S: Final = 1.0
MOST_RETRY_S: Final = 60.0

_SIZE: Final = (80, 24)
"""Columns and rows of a terminal that does not tell its size."""


class CaptionTerminal:
    """A terminal that shows captions; a `ports.CaptionScreen`."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """`path`: the device of the terminal."""
        self._path = path
        self._clock = clock

    async def show(self, follow: FollowCaptions) -> NoReturn:
        """Show the captions until cancelled, then clear the screen. A lost terminal is tried again."""
        await retry(
            lambda: self._show_once(follow),
            delays=RetryDelays(FIRST_RETRY_S, MOST_RETRY_S),
            lost=self._report,
            pause=self._clock.sleep,
        )

    async def _show_once(self, follow: FollowCaptions) -> TryEnded:
        drawn = False
        lines: dict[int, Mapping[str, Any]] = {}
        status: Mapping[str, Any] = {}

        async def draw(message: Mapping[str, Any]) -> None:
            nonlocal drawn, status
            for number in [each for each in lines if each < message["first"]]:
                del lines[number]
            lines.update({line["number"]: line for line in message["lines"]})
            status = message.get("status", status)
            # Without news, a screen is drawn all the same: so an unplugged terminal is noticed.
            await self._write(terminal, screen(list(lines.values()), status, *_size(terminal)))
            drawn = True
            await self._clock.sleep(REDRAW_S)

        try:
            with _opened(self._path) as terminal:
                await follow(draw)
        except OSError as error:  # TimeoutError is an OSError
            return TryEnded(error.strerror or "it takes no text", worked=drawn)

    def _report(self, error: str) -> None:
        log.warning(
            "captions cannot be shown on a terminal, kioskd goes on without and retries: terminal=%s "
            "error=%s; see kioskd help captions",
            self._path,
            error,
        )

    async def _write(self, terminal: int, text: str) -> None:
        data = memoryview(text.encode("utf-8", "replace"))
        async with asyncio.timeout(WRITE_S):
            while data:
                try:
                    data = data[os.write(terminal, data) :]
                except BlockingIOError:
                    await _writable(terminal)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Open a terminal, and leave its screen empty."""
    terminal = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not os.isatty(terminal):
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
        try:
            yield terminal
        finally:
            with contextlib.suppress(OSError):
                os.write(terminal, END.encode())
    finally:
        os.close(terminal)


async def _writable(terminal: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(terminal, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(terminal)


def _size(terminal: int) -> tuple[int, int]:
    try:
        columns, rows = os.get_terminal_size(terminal)
    except OSError:
        return _SIZE
    return (columns or _SIZE[0], rows or _SIZE[1])
