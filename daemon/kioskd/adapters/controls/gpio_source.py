"""`gpio:CHIP/LINE` and `rgb:CHIP/R,G,B`: a button or a lamp on GPIO lines."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pydantic import ValidationInfo

from kioskd.adapters.controls.source import ButtonOptions, ButtonSource, LampOptions, LampSource
from kioskd.adapters.source import DeviceAccess, DeviceListing, Library, Source
from kioskd.yamlconf.value_types import said, shown

if TYPE_CHECKING:
    from kioskd import ports

CHIP: Final = r"[A-Za-z0-9_.:-]+"
NUMBER: Final = r"(?:0|[1-9][0-9]{0,4})"


def _chips(dev: Path, _sysfs: Path) -> list[dict[str, Any]]:
    paths = sorted(dev.glob("gpiochip*"))
    if not paths:
        return []
    from kioskd.adapters.controls import gpio_chips  # noqa: PLC0415

    return [gpio_chips.described(path) for path in paths]


def _words(chip: dict[str, Any]) -> str:
    lines = f"lines: {chip['lines']}" if chip["fault"] is None else f"cannot be opened: {chip['fault']}"
    return f"{chip['name']}   {chip['label'] or 'no label'}, {lines}"


class GpioSource(Source):
    """Base of all sources on GPIO lines: a chip, and one or more of its lines."""

    library = Library("gpiod")
    access = DeviceAccess("gpio", (("/dev/gpiochip*", "gpio"),))
    listing = DeviceListing(
        "GPIO chips",
        'controls.*.source: "gpio:CHIP/LINE"',
        _chips,
        _words,
        none="none: this machine has no GPIO chips (/dev/gpiochip*)",
    )
    prefix, form = "gpio", "gpio:CHIP/LINE"
    pattern = rf"gpio:({CHIP})/({NUMBER})"
    is_line: ClassVar[bool] = True

    @property
    def chip(self) -> str:
        """The chip's name as the settings give it."""
        return self.parts[0]

    @property
    def lines(self) -> tuple[int, ...]:
        """The numbers of the lines."""
        return tuple(map(int, self.parts[1:]))

    @property
    def wires(self) -> tuple[str, ...]:
        """Each line on its own; see `Source.wires`."""
        return tuple(f"gpio:{self.chip}/{line}" for line in self.lines)


class GpioButtonSource(GpioSource, ButtonSource):
    """`gpio:CHIP/LINE` of a button."""

    refusal = "is not a GPIO line; write gpio:CHIP/LINE with a line number, such as gpio:pi/17"
    called = "a GPIO line"

    def build(self, options: ButtonOptions, shared: dict[str, Any]) -> "ports.Button":
        """Return the button; see `ButtonSource.build`. By default, `pull` is the released level."""
        from kioskd.adapters.controls.gpio_button import GpioButton  # noqa: PLC0415

        return GpioButton(
            self.chip,
            self.lines[0],
            pull=options.pull or ("down" if options.active == "high" else "up"),
            active=options.active,
            debounce_ms=options.debounce_ms,
        )


class GpioLampSource(GpioSource, LampSource):
    """`gpio:CHIP/LINE` of a lamp."""

    def build(self, options: LampOptions) -> "ports.Lamp":
        """Return the lamp; see `LampSource.build`."""
        from kioskd.adapters.controls.gpio_lamp import GpioLamp  # noqa: PLC0415

        return GpioLamp(self.chip, self.lines, active=options.active)


class RgbLampSource(GpioLampSource):
    """`rgb:CHIP/RED,GREEN,BLUE`: a lamp with a line for each colour."""

    prefix, form = "rgb", "rgb:CHIP/R,G,B"
    pattern = rf"rgb:({CHIP})/({NUMBER}),({NUMBER}),({NUMBER})"

    def resolved(self, info: ValidationInfo) -> str:
        """Return the text; see `Source.resolved`."""
        if len(set(self.lines)) < len(self.lines):
            raise said(
                f"{shown(self.text)} names one line twice; give each colour its own, such as rgb:pi/5,6,13"
            )
        return self.text
