"""Lamps that the kernel drives through files in /sys: its LEDs, and pulse width modulation (PWM)."""

import contextlib
import errno
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NoReturn

from kioskd.adapters.controls.lamp_base import LampBase
from kioskd.errors import DeviceLost
from kioskd.ports import Light

LEDS: Final = Path("/sys/class/leds")
PWM: Final = Path("/sys/class/pwm")

PERIOD_NS: Final = 1_000_000
"""Nanoseconds: 1 kHz, too fast for any eye, and slow enough for any transistor."""


def write_attribute(path: Path, text: str) -> None:
    """Write a file of /sys, in one piece. OSError: the kernel refuses."""
    path.write_text(text)


WriteAttribute = Callable[[Path, str], None]
"""The type of `write_attribute`, for tests that replace it."""


class LedLamp(LampBase):
    """Kernel LED. `name` is its folder in `root`. The LED's trigger is restored at the end."""

    def __init__(self, name: str, *, root: Path = LEDS, write: WriteAttribute = write_attribute) -> None:
        super().__init__()
        self._name = f"led:{name}"
        self._led = root / name
        self._write = write
        self._full = 1

    async def run(self) -> NoReturn:
        """Drive the LED until cancelled, then switch it off and restore its trigger; see `ports.Lamp`."""
        try:
            if not self._led.is_dir():
                raise _missing(self._name, "LED", self._led.parent)
            self._full = _number(self._led / "max_brightness")
            trigger = self._trigger()
            if trigger != "none":
                self._write(self._led / "trigger", "none")
            try:
                await self._follow(self._set)
            finally:
                # An LED that is gone is dark already.
                with contextlib.suppress(OSError):
                    self._write(self._led / "brightness", "0")
                    if trigger != "none":
                        self._write(self._led / "trigger", trigger)
        except OSError as err:
            raise _lost(self._name, err) from err

    def _trigger(self) -> str:
        """Return the LED's trigger, which is the word in brackets of its list; `none` without a list."""
        triggers = self._led / "trigger"
        if not triggers.is_file():
            return "none"
        found = re.search(r"\[(.+?)\]", triggers.read_text(encoding="utf-8", errors="replace"))
        return found[1] if found else "none"

    def _set(self, light: Light) -> None:
        # A dim light is not off, however few levels the LED has.
        level = max(1, round(light.level * self._full)) if light.level > 0 else 0
        self._write(self._led / "brightness", str(level))


class PwmLamp(LampBase):
    """LED on a channel of a PWM chip, dimmed in the finest steps.

    `chip` is a folder in `root` (pwmchip0), or the kernel's name of the device behind it (fe20c000.pwm). The
    device's name does not depend on the order in which the kernel finds chips.
    """

    def __init__(
        self,
        chip: str,
        channel: int,
        *,
        period_ns: int = PERIOD_NS,
        root: Path = PWM,
        write: WriteAttribute = write_attribute,
    ) -> None:
        super().__init__()
        self._name = f"pwm:{chip}/{channel}"
        self._chip = chip
        self._channel = channel
        self._period_ns = period_ns
        self._root = root
        self._write = write
        self._exported = False

    async def run(self) -> NoReturn:
        """Drive the channel until cancelled, then switch it off and release it; see `ports.Lamp`."""
        try:
            chip = self._find()
            pwm = chip / f"pwm{self._channel}"
            if not pwm.is_dir():
                self._write(chip / "export", str(self._channel))
                # Kept for the retry after a failure: udev sets the files' permissions a moment after they
                # appear.
                self._exported = True
            self._start(pwm)
            try:
                await self._follow(lambda light: self._set(pwm, light))
            finally:
                # A channel that is gone is dark already.
                with contextlib.suppress(OSError):
                    self._write(pwm / "duty_cycle", "0")
                    self._write(pwm / "enable", "0")
                    if self._exported:
                        self._exported = False
                        self._write(chip / "unexport", str(self._channel))
        except OSError as err:
            raise _lost(self._name, err) from err

    def _find(self) -> Path:
        chip = self._root / self._chip
        if chip.is_dir():
            return chip
        for each in sorted(self._root.glob("pwmchip*")):
            if (each / "device").resolve().name == self._chip:
                return each
        raise _missing(self._name, "PWM chip", self._root)

    def _start(self, pwm: Path) -> None:
        # The kernel rejects a pulse that is longer than the period, and a period of zero.
        if _number(pwm / "duty_cycle") != 0:
            self._write(pwm / "duty_cycle", "0")
        self._write(pwm / "period", str(self._period_ns))
        self._write(pwm / "enable", "1")

    def _set(self, pwm: Path, light: Light) -> None:
        self._write(pwm / "duty_cycle", str(round(light.level * self._period_ns)))


def _missing(name: str, what: str, root: Path) -> DeviceLost:
    here = ", ".join(_names(root)) or "none"
    return DeviceLost(
        f"{name}: this machine has no {what} of this name (here: {here}); correct controls.lamp", device=name
    )


def _number(path: Path) -> int:
    """Return the number in a kernel file. OSError: the file cannot be read, or does not hold a number."""
    try:
        return int(path.read_text(encoding="ascii"))
    except ValueError:
        raise OSError(errno.EINVAL, "does not hold a number", str(path)) from None


def _names(root: Path) -> Iterable[str]:
    return sorted(each.name for each in root.iterdir()) if root.is_dir() else ()


def _lost(name: str, err: OSError) -> DeviceLost:
    match err.errno:
        case errno.EACCES | errno.EPERM:
            why = (
                f"kioskd has no permission to write {err.filename}; "
                "give it to the group of kioskd's user by a udev rule"
            )
        case errno.EROFS:
            why = f"{err.filename} is read-only for kioskd; add ReadWritePaths=/sys/devices to the unit"
        case errno.EBUSY:
            why = "another program is using it; stop that program, or choose another lamp"
        case errno.ENODEV | errno.ENOENT:
            return DeviceLost(f"{name}: the lamp is gone ({err}); connect it again", device=name)
        case _:
            why = str(err)
    return DeviceLost(f"{name}: {why}", listed=True, device=name)
