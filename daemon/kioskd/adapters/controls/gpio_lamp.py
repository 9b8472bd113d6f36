"""Lamps on GPIO lines that are on or off: an LED, a relay, a triple of colours."""

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

from kioskd.adapters.controls import gpio_chips
from kioskd.adapters.controls.gpio_chips import ActiveLevel, RequestedLines, RequestLines
from kioskd.adapters.controls.lamp_base import LampBase
from kioskd.errors import DeviceLost
from kioskd.ports import DARK, Light


class _LineLamp(LampBase):
    """Drives lines, each on when there is any of its part of the light."""

    def __init__(
        self,
        name: str,
        chip: str,
        lines: Sequence[int],
        parts: Callable[[Light], Sequence[float]],
        *,
        active: ActiveLevel,
        open_lines: RequestLines,
    ) -> None:
        super().__init__()
        gpio_chips.require_gpiod(name)
        self._name = name
        self._chip = chip
        self._lines = lines
        self._parts = parts
        self._active = active
        self._open_lines = open_lines

    async def run(self) -> NoReturn:
        """Drive the lines until cancelled, then put the light out; see `ports.Lamp`.

        Raises:
            DeviceLost: a line is not there, is taken, or went away.
        """
        lines = self._open()
        try:
            await self._follow(partial(self._write, lines))
        finally:
            # Lines that went away are dark already, and their DeviceLost is on the way up.
            with contextlib.suppress(DeviceLost):
                self._write(lines, DARK)
            lines.release()

    def _open(self) -> RequestedLines:
        from gpiod import LineSettings  # noqa: PLC0415 - only machines with a GPIO lamp need it
        from gpiod.line import Direction, Value  # noqa: PLC0415 - as above

        settings = LineSettings(
            direction=Direction.OUTPUT, active_low=self._active == "low", output_value=Value.INACTIVE
        )
        try:
            return self._open_lines(self._chip, self._lines, settings)
        except gpio_chips.REFUSALS as err:
            raise gpio_chips.refused(self._name, err) from err

    def _write(self, lines: RequestedLines, light: Light) -> None:
        from gpiod.line import Value  # noqa: PLC0415 - as above

        try:
            for line, part in zip(self._lines, self._parts(light), strict=True):
                lines.set_value(line, Value.ACTIVE if part > 0 else Value.INACTIVE)
        except OSError as err:
            raise gpio_chips.gone(self._name, err) from err


class GpioLamp(_LineLamp):
    """An LED or a relay on line `line` of `chip` (a name, a label or `pi`): on when there is any light to show.

    `active`: the level of the wire while it is lit.

    Raises:
        ConfigError: the Python package gpiod is missing, or is older than 2.
    """

    def __init__(
        self,
        chip: str,
        line: int,
        *,
        active: ActiveLevel = "high",
        open_lines: RequestLines = gpio_chips.open_lines,
    ) -> None:
        super().__init__(
            f"gpio:{chip}/{line}",
            chip,
            [line],
            lambda light: [light.level],
            active=active,
            open_lines=open_lines,
        )


class RgbLamp(_LineLamp):
    """Three LEDs, red, green and blue in that order, on `lines` of `chip`: each on when there is any of its colour.

    Raises:
        ConfigError: as `GpioLamp`.
    """

    def __init__(
        self,
        chip: str,
        lines: tuple[int, int, int],
        *,
        active: ActiveLevel = "high",
        open_lines: RequestLines = gpio_chips.open_lines,
    ) -> None:
        super().__init__(
            f"rgb:{chip}/{','.join(map(str, lines))}",
            chip,
            lines,
            lambda light: [light.red, light.green, light.blue],
            active=active,
            open_lines=open_lines,
        )
