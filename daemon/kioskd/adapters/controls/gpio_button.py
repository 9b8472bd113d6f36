"""A button on a GPIO line: edge events by file descriptor, debounced by the kernel."""

import asyncio
import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, NoReturn

from kioskd.adapters.controls import gpio_chips
from kioskd.adapters.controls.gpio_chips import ActiveLevel, RequestedLines, RequestLines
from kioskd.errors import DeviceLost
from kioskd.ports import Edge

if TYPE_CHECKING:
    from gpiod import LineSettings

log = logging.getLogger(__name__)

Pull = Literal["up", "down", "none"]

DEBOUNCE_MS: Final = 20
"""Milliseconds: longer than a common push button bounces (5 to 10 ms), too short for people to notice."""


class GpioButton:
    """Push button on line `line` of `chip` (a chip's name, its label, or `pi`).

    `active`: the wire's level while the button is pressed; `low` for a switch to ground. `pull`: the line's
    internal resistor; use `none` if the board has a resistor. The kernel ignores changes shorter than
    `debounce_ms`. If it cannot, the button does: the first edge counts at once, and edges within that time
    after it do not. ConfigError: the Python package gpiod is missing, or is older than 2.
    """

    def __init__(
        self,
        chip: str,
        line: int,
        *,
        pull: Pull = "up",
        active: ActiveLevel = "low",
        debounce_ms: float = DEBOUNCE_MS,
        open_lines: RequestLines = gpio_chips.open_lines,
    ) -> None:
        self._name = f"gpio:{chip}/{line}"
        gpio_chips.require_gpiod(self._name)
        self._chip = chip
        self._line = line
        self._pull = pull
        self._active = active
        self._debounce_s = debounce_ms / 1000
        self._open_lines = open_lines
        self._watch: _Watch | None = None

    async def watch(self, on_edge: Callable[[Edge], None]) -> NoReturn:
        """Report the button's state, then each press and release until cancelled; see `ports.Button`."""
        lines, debounced = self._open()
        self._watch = _Watch(self._name, lines, self._line, on_edge, 0.0 if debounced else self._debounce_s)
        try:
            await self._watch.run()
        finally:
            self._watch = None
            lines.release()

    def catch_up(self) -> None:
        """Report the edges that wait in the kernel; see `ports.Button`."""
        if self._watch is not None:
            self._watch.catch_up()

    def _open(self) -> tuple[RequestedLines, bool]:
        """Return the line, and whether the kernel debounces it. If it cannot, edges still work."""
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
        log.info("button debounced by kioskd, as the kernel cannot: line=%s error=%s", self._name, refusal)
        return lines, False

    def _settings(self, debounce_s: float) -> "LineSettings":
        from gpiod import LineSettings  # noqa: PLC0415 - only machines with a GPIO button need it
        from gpiod.line import Bias, Direction, Edge  # noqa: PLC0415 - as above

        return LineSettings(
            direction=Direction.INPUT,
            # Edges of the logical level: pressed is active, whatever the wire's level.
            edge_detection=Edge.BOTH,
            bias={"up": Bias.PULL_UP, "down": Bias.PULL_DOWN, "none": Bias.DISABLED}[self._pull],
            active_low=self._active == "low",
            debounce_period=timedelta(seconds=debounce_s),
        )


class _Watch:
    """Requested line, read until it is lost."""

    def __init__(
        self, name: str, lines: RequestedLines, line: int, on_edge: Callable[[Edge], None], debounce_s: float
    ) -> None:
        """`debounce_s`: seconds; 0.0 if the kernel debounces."""
        self._name = name
        self._lines = lines
        self._line = line
        self._on_edge = on_edge
        self._debounce_s = debounce_s
        self._readable = asyncio.Event()
        self._pressed = False
        self._bouncing_until_s = -math.inf
        """Until this time, by the clock of the edges, a change counts as bouncing."""
        self._last_bounce: Edge | None = None
        """The last edge that counted as bouncing."""
        self._settle_timer: asyncio.TimerHandle | None = None
        self._lost: DeviceLost | None = None

    async def run(self) -> NoReturn:
        """Report whether the button is down, then each edge. DeviceLost: the line went away."""
        loop = asyncio.get_running_loop()
        # The loop may find the line readable once more although it has been read.
        os.set_blocking(self._lines.fd, False)
        loop.add_reader(self._lines.fd, self._readable.set)
        try:
            self._pressed = self._level()
            self._on_edge(Edge(self._pressed))
            while True:
                await self._readable.wait()
                self._readable.clear()
                self._read()
                if self._lost is not None:
                    raise self._lost
        finally:
            loop.remove_reader(self._lines.fd)
            if self._settle_timer is not None:
                self._settle_timer.cancel()

    def catch_up(self) -> None:
        """Report the waiting edges. If the line went away, `run` raises DeviceLost."""
        self._read()
        if self._lost is not None:
            self._readable.set()

    def _read(self) -> None:
        try:
            for edge in self._edges():
                self._take(edge)
            if self._debounce_s:
                self._check_level()
        except OSError as err:
            self._lost = gpio_chips.gone(self._name, err)

    def _take(self, edge: Edge) -> None:
        if self._last_bounce is not None and self._at(edge) >= self._bouncing_until_s:
            bounce, self._last_bounce = self._last_bounce, None
            if bounce.down is not self._pressed:
                self._report(bounce)
        if self._at(edge) < self._bouncing_until_s:
            self._last_bounce = edge
        # An edge from before the first look repeats the level that was seen then.
        elif edge.down is not self._pressed:
            self._report(edge)

    def _check_level(self) -> None:
        """Read the level when the bouncing is over: edges since then were ignored or lost."""
        wait_s = self._bouncing_until_s - time.monotonic()
        if wait_s > 0:
            if self._settle_timer is None:
                self._settle_timer = asyncio.get_running_loop().call_later(wait_s, self._on_settled)
            return
        bounce, self._last_bounce = self._last_bounce, None
        if (pressed := bool(self._lines.get_value(self._line))) is not self._pressed:
            self._report(bounce if bounce is not None and bounce.down is pressed else Edge(pressed))
            self._check_level()

    def _on_settled(self) -> None:
        self._settle_timer = None
        self._readable.set()

    def _report(self, edge: Edge) -> None:
        self._pressed = edge.down
        self._on_edge(edge)
        if self._debounce_s:
            self._bouncing_until_s = self._at(edge) + self._debounce_s

    @staticmethod
    def _at(edge: Edge) -> float:
        return time.monotonic() if edge.at_s is None else edge.at_s

    def _level(self) -> bool:
        try:
            return bool(self._lines.get_value(self._line))
        except OSError as err:
            raise gpio_chips.gone(self._name, err) from err

    def _edges(self) -> Sequence[Edge]:
        try:
            edges = self._lines.read_edge_events()
        except BlockingIOError:
            return ()
        # gpiod asks for stamps of CLOCK_MONOTONIC by default.
        return [Edge(edge.event_type is edge.Type.RISING_EDGE, edge.timestamp_ns / 1e9) for edge in edges]
