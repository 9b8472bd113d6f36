"""Lamps on GPIO lines that are on or off: an LED, a relay, or three lines for red, green and blue."""

import contextlib
from collections.abc import Sequence
from functools import partial
from typing import NoReturn

from kioskd.adapters.controls import gpio_chips
from kioskd.adapters.controls.gpio_chips import ActiveLevel, RequestedLines, RequestLines
from kioskd.adapters.controls.lamp_base import LampBase
from kioskd.errors import DeviceLost
from kioskd.ports import DARK, Light


class GpioLamp(LampBase):
    """LED or relay on one line of `chip` (a name, a label or `pi`), or three LEDs: red, green and blue.

    One line is on while the light has any brightness. Each of three lines is on while the light has any of
    its colour. `active`: the level of a wire while its LED is lit.
    ConfigError: the Python package gpiod is missing, or is older than 2.
    """

    def __init__(
        self,
        chip: str,
        lines: Sequence[int],
        *,
        active: ActiveLevel = "high",
        open_lines: RequestLines = gpio_chips.open_lines,
    ) -> None:
        super().__init__()
        self._name = f"{'gpio' if len(lines) == 1 else 'rgb'}:{chip}/{','.join(map(str, lines))}"
        gpio_chips.require_gpiod(self._name)
        self._chip = chip
        self._lines = lines
        self._active = active
        self._open_lines = open_lines

    async def run(self) -> NoReturn:
        """Drive the lines until cancelled, then switch them off; see `ports.Lamp`."""
        lines = self._open()
        try:
            await self._follow(partial(self._write, lines))
        finally:
            # Lines of a lost chip are dark already, and their DeviceLost is being raised.
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

        levels = [light.level] if len(self._lines) == 1 else [light.red, light.green, light.blue]
        try:
            for line, level in zip(self._lines, levels, strict=True):
                lines.set_value(line, Value.ACTIVE if level > 0 else Value.INACTIVE)
        except OSError as err:
            raise gpio_chips.gone(self._name, err) from err
