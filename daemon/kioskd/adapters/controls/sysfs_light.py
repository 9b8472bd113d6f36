"""Lamps that the kernel drives: its LEDs, and its pulse width modulation. Both are small files in /sys."""

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
"""1 kHz: no eye sees it, and every transistor follows."""


def write_attribute(path: Path, text: str) -> None:
    """Write a file of /sys, which takes what it is given in one piece, at once. OSError where the kernel refuses."""
    path.write_text(text)


WriteAttribute = Callable[[Path, str], None]
"""`write_attribute`, or what takes the kernel's place."""


class LedLamp(LampBase):
    """A kernel LED: `name` is its folder in `root`. What the kernel showed on it itself comes back afterwards."""

    def __init__(self, name: str, *, root: Path = LEDS, write: WriteAttribute = write_attribute) -> None:
        super().__init__()
        self._name = f"led:{name}"
        self._led = root / name
        self._write = write
        self._full = 1

    async def run(self) -> NoReturn:
        """Drive the LED until cancelled, then put it out and give it back to its trigger; see `ports.Lamp`."""
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
                # One that went away is dark already.
                with contextlib.suppress(OSError):
                    self._write(self._led / "brightness", "0")
                    if trigger != "none":
                        self._write(self._led / "trigger", trigger)
        except OSError as err:
            raise _lost(self._name, err) from err

    def _trigger(self) -> str:
        """Return what the kernel shows on it: the word in brackets of its list, if it has one."""
        triggers = self._led / "trigger"
        if not triggers.is_file():
            return "none"
        found = re.search(r"\[(.+?)\]", triggers.read_text(encoding="utf-8", errors="replace"))
        return found[1] if found else "none"

    def _set(self, light: Light) -> None:
        # Dim is not dark, however few levels there are.
        level = max(1, round(light.level * self._full)) if light.level > 0 else 0
        self._write(self._led / "brightness", str(level))


class PwmLamp(LampBase):
    """An LED on a channel of a PWM chip, dimmed in the finest steps.

    `chip` is its folder in `root` (pwmchip0), or what the kernel calls the device behind it (fe20c000.pwm), which does
    not depend on the order in which chips are found.
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
        """Drive the channel until cancelled, then put the light out and give the channel back; see `ports.Lamp`."""
        try:
            chip = self._find()
            pwm = chip / f"pwm{self._channel}"
            if not pwm.is_dir():
                self._write(chip / "export", str(self._channel))
                # Remembered over a failure: udev gives us the files a moment after they came, and we try again.
                self._exported = True
            self._start(pwm)
            try:
                await self._follow(lambda light: self._set(pwm, light))
            finally:
                # One that went away is dark already.
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
        # At no moment may a pulse be longer than its period, nor the period be nothing: the kernel refuses both.
        if _number(pwm / "duty_cycle") != 0:
            self._write(pwm / "duty_cycle", "0")
        self._write(pwm / "period", str(self._period_ns))
        self._write(pwm / "enable", "1")

    def _set(self, pwm: Path, light: Light) -> None:
        self._write(pwm / "duty_cycle", str(round(light.level * self._period_ns)))


def _missing(name: str, what: str, root: Path) -> DeviceLost:
    here = ", ".join(_names(root)) or "none"
    return DeviceLost(f"{name}: no such {what} (here: {here})", device=name)


def _number(path: Path) -> int:
    """Return the number in a file of the kernel's. OSError: it cannot be read, or holds no number."""
    try:
        return int(path.read_text(encoding="ascii"))
    except ValueError:
        raise OSError(errno.EINVAL, "holds no number", str(path)) from None


def _names(root: Path) -> Iterable[str]:
    return sorted(each.name for each in root.iterdir()) if root.is_dir() else ()


def _lost(name: str, err: OSError) -> DeviceLost:
    match err.errno:
        case errno.EACCES | errno.EPERM:
            why = f"no permission for {err.filename}; give it to the group of kioskd's user by a udev rule"
        case errno.EROFS:
            why = f"{err.filename} cannot be written to; give the unit ReadWritePaths=/sys/devices"
        case errno.EBUSY:
            why = "in use by something else; stop that, or choose another"
        case errno.ENODEV | errno.ENOENT:
            return DeviceLost(f"{name}: went away ({err})", device=name)
        case _:
            why = str(err)
    return DeviceLost(f"{name}: {why}", listed=True, device=name)
