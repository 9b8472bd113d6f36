"""Interfaces of buttons, readers and lamps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol


@dataclass(frozen=True, slots=True)
class Edge:
    """A change of a button, down or up."""

    down: bool
    at_s: float | None = None
    """Time at which the kernel saw the edge, in seconds of CLOCK_MONOTONIC (`Clock.now`); None: unknown."""


class Button(Protocol):
    """A button that a visitor presses. The adapter debounces it; the core interprets a press."""

    async def watch(self, on_edge: Callable[[Edge], None]) -> NoReturn:
        """Call `on_edge` with the button's position, then at each press and release, until cancelled.

        Raises:
            DeviceLost: the line or device is missing, or went away.
        """

    def catch_up(self) -> None:
        """Report every edge that waits to be read, before this returns.

        A starving loop may run a timer before it reads earlier edges, so the owner of the timer calls this
        before it decides. Without a running `watch` it does nothing. A device that went away raises from
        `watch` alone.
        """


class LineReader(Protocol):
    """A device that types lines: a reader of QR codes, barcodes or NFC tags. Others may type with it, too."""

    async def watch(self, on_line: Callable[[str], None]) -> NoReturn:
        """Call `on_line` with each line that was typed, until cancelled.

        A line has at most `MOST_LINE_CHARS` characters. An empty text means that a line cannot be used: it
        was too long, or a part of it was lost.

        Raises:
            DeviceLost: the device is missing, or went away.
        """


MOST_LINE_CHARS: Final = 200
"""The most characters of a line that a `LineReader` reports."""


@dataclass(frozen=True, slots=True)
class Light:
    """Look of a lamp at one moment."""

    state: str
    """State shown to people, for lamps that make a picture of their own."""
    red: float
    green: float
    blue: float
    """Red, green and blue from 0 (dark) to 1 (the lamp's brightest); brightness and pattern are applied."""
    code: str = ""
    """Code of the trouble or "", for lamps with a picture of their own; the pattern shows it to the
    others."""
    overlay: str = ""
    """Name of the overlay or "", for lamps with a picture of their own; the pattern shows it to the
    others."""
    asking: str = ""
    """Name of the tool that waits for a press of the button, or ""."""

    @property
    def level(self) -> float:
        """Brightness of a lamp without colours, 0 to 1."""
        return max(self.red, self.green, self.blue)


DARK = Light("starting", 0.0, 0.0, 0.0)


class Lamp(Protocol):
    """A device that shows the state: one GPIO line, several, a kernel LED, or a command."""

    def shine(self, light: Light) -> None:
        """Show `light` from now on; return at once. A lamp that is not running remembers it."""

    async def run(self) -> NoReturn:
        """Drive the lamp until cancelled, then switch it off.

        Raises:
            DeviceLost: the line is missing, or went away.
        """
