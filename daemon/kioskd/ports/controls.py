"""Buttons and lamps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, Protocol


@dataclass(frozen=True, slots=True)
class Edge:
    """A button went down or up."""

    down: bool
    at_s: float | None = None
    """When the kernel saw it, in seconds of CLOCK_MONOTONIC (``Clock.now`). None: the kernel did not say."""


class Button(Protocol):
    """Something a visitor presses. Debounced by the adapter; what a press means is not its business."""

    async def watch(self, on_edge: Callable[[Edge], None]) -> NoReturn:
        """Call `on_edge` first with how the button is, then at each press and release, until cancelled.

        Raises:
            DeviceLost: the line or device is not there, or went away.
        """

    def catch_up(self) -> None:
        """Report each edge that has happened and waits to be read, before this returns.

        A loop that starves may run a timer before it reads the edges that came first. The owner of
        that timer calls this before it judges. It does nothing while `watch` does not run, and a
        device that is gone raises from `watch` alone.
        """


@dataclass(frozen=True, slots=True)
class Light:
    """How a lamp looks at one moment."""

    state: str
    """What it tells, for lamps that have their own idea of a picture: a state shown to people."""
    red: float
    green: float
    blue: float
    """Each from 0 (dark) to 1 (as bright as the lamp can); brightness and rhythm are in it already."""
    code: str = ""
    """What is wrong, for the same lamps: a code, or nothing. The rhythm tells it already, where it is to be told."""
    overlay: str = ""
    """What lies over the state, for the same lamps, or nothing; the rhythm is its own already."""
    asking: str = ""
    """The tool that waits for a press of the button, with the overlay of that."""

    @property
    def level(self) -> float:
        """The brightness of a lamp without colours, 0 to 1."""
        return max(self.red, self.green, self.blue)


DARK = Light("starting", 0.0, 0.0, 0.0)


class Lamp(Protocol):
    """Whatever shows the state: a line, several, a kernel LED, a command."""

    def shine(self, light: Light) -> None:
        """Look like `light` from now on; returns at once. Remembered while the lamp is not driven."""

    async def run(self) -> NoReturn:
        """Drive the lamp until cancelled, then put it out.

        Raises:
            DeviceLost: the line is not there, or went away.
        """
