"""A button on a GPIO line: edge events by file descriptor, debounced by the kernel."""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, NoReturn

from kioskd.adapters import gpio_chips
from kioskd.adapters.gpio_chips import Lines, OpenLines

if TYPE_CHECKING:
    from gpiod import LineSettings

log = logging.getLogger(__name__)

Pull = Literal["up", "down", "none"]
Active = Literal["low", "high"]

DEBOUNCE_MS: Final = 20
"""Longer than the contacts of a common push button bounce (5 to 10 ms), shorter than anybody notices."""


class GpioButton:
    """A switch on line `line` of `chip` (a name, a label or `pi`).

    `active`: the level of the wire while it is pressed, low for a switch to ground. `pull`: the line's own resistor;
    with `none` there is one on the board. Changes shorter than `debounce_ms` are passed over, by the kernel; where it
    refuses, by ourselves: the first edge counts at once, and those that follow within that time do not.

    Raises:
        ConfigError: the Python package gpiod is missing, or is older than 2.
    """

    def __init__(
        self,
        chip: str,
        line: int,
        *,
        pull: Pull = "up",
        active: Active = "low",
        debounce_ms: float = DEBOUNCE_MS,
        open_lines: OpenLines = gpio_chips.open_lines,
    ) -> None:
        self._name = f"gpio:{chip}/{line}"
        gpio_chips.require_gpiod(self._name)
        self._chip = chip
        self._line = line
        self._pull = pull
        self._active = active
        self._debounce_s = debounce_ms / 1000
        self._open_lines = open_lines

    async def watch(self, on_edge: Callable[[bool], None]) -> NoReturn:
        """Report how the button is, then each press and release until cancelled; see `ports.Button`.

        Raises:
            DeviceLost: the line is not there, is taken, or went away.
        """
        lines, debounced = self._open()
        try:
            await self._follow(lines, on_edge, debounced=debounced)
        finally:
            lines.release()

    async def _follow(self, lines: Lines, on_edge: Callable[[bool], None], *, debounced: bool) -> NoReturn:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        # The loop may find the line readable once more before we have read it.
        os.set_blocking(lines.fd, False)
        loop.add_reader(lines.fd, readable.set)
        try:
            pressed = self._pressed(lines)
            on_edge(pressed)
            deaf_until = loop.time()
            while True:
                await readable.wait()
                readable.clear()
                levels = self._edges(lines)
                if not debounced:
                    if loop.time() < deaf_until:
                        continue
                    # What came while we were deaf may have left the line as it was, or not.
                    levels = [level for level in (*levels, self._pressed(lines)) if level is not pressed][:1]
                for level in levels:
                    # An edge from before we first looked repeats what we saw.
                    if level is not pressed:
                        pressed = level
                        on_edge(pressed)
                if levels and not debounced:
                    deaf_until = loop.time() + self._debounce_s
                    loop.call_at(deaf_until, readable.set)
        finally:
            loop.remove_reader(lines.fd)

    def _open(self) -> tuple[Lines, bool]:
        """Return the line, and whether the kernel debounces it: one that refuses to may still give its edges."""
        try:
            return self._open_lines(self._chip, [self._line], self._settings(self._debounce_s)), True
        except gpio_chips.REFUSALS as err:
            refusal = err
        if getattr(refusal, "errno", None) in gpio_chips.NOT_OURS:
            raise gpio_chips.refused(self._name, refusal) from refusal
        try:
            lines = self._open_lines(self._chip, [self._line], self._settings(0.0))
        except gpio_chips.REFUSALS as err:
            raise gpio_chips.refused(self._name, err) from err
        log.info("button not debounced by the kernel, but by kioskd: line=%s error=%s", self._name, refusal)
        return lines, False

    def _settings(self, debounce_s: float) -> "LineSettings":
        from gpiod import LineSettings  # noqa: PLC0415 - only machines with a GPIO button need it
        from gpiod.line import Bias, Direction, Edge  # noqa: PLC0415 - as above

        return LineSettings(
            direction=Direction.INPUT,
            # Of the logical level: pressed is active, whatever the wire does.
            edge_detection=Edge.BOTH,
            bias={"up": Bias.PULL_UP, "down": Bias.PULL_DOWN, "none": Bias.DISABLED}[self._pull],
            active_low=self._active == "low",
            debounce_period=timedelta(seconds=debounce_s),
        )

    def _pressed(self, lines: Lines) -> bool:
        try:
            return bool(lines.get_value(self._line))
        except OSError as err:
            raise gpio_chips.gone(self._name, err) from err

    def _edges(self, lines: Lines) -> Sequence[bool]:
        try:
            edges = lines.read_edge_events()
        except BlockingIOError:
            return ()
        except OSError as err:
            raise gpio_chips.gone(self._name, err) from err
        return [edge.event_type is edge.Type.RISING_EDGE for edge in edges]
