"""The kinds of button and lamp sources. A new kind is a class beside these, and a name in a table here."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from kioskd.adapters.controls.gpio_source import CHIP, NUMBER, GpioButtonSource, GpioLampSource, RgbLampSource
from kioskd.adapters.controls.source import ButtonOptions, ButtonSource, LampOptions, LampSource
from kioskd.adapters.source import (
    DeviceAccess,
    DeviceListing,
    Library,
    by_prefix,
    forms,
    kind_of,
    parsed,
    source_text,
)

if TYPE_CHECKING:
    from kioskd import ports


def _inputs(_dev: Path, _sysfs: Path) -> list[str]:
    from kioskd.adapters.controls.evdev_inputs import inputs  # noqa: PLC0415

    return sorted({device.name for device in inputs()})


class EvdevSource(ButtonSource):
    """`evdev:NAME/KEY`; the name may hold slashes, and may be a path."""

    prefix, form = "evdev", "evdev:NAME/KEY"
    pattern = r"evdev:(.+)/([A-Z][A-Z0-9_]*)"
    refusal = "names no key: its form is evdev:NAME/KEY; write evdev:Pedal/KEY_SPACE, say"
    called = "an input device"
    library = Library("evdev", extra="input")
    access = DeviceAccess("input", (("/dev/input/event*", "input"),), written=False)
    listing = DeviceListing("input devices", 'controls.button.source: "evdev:NAME/KEY"', _inputs)

    def build(self, options: ButtonOptions, shared: dict[str, Any]) -> "ports.Button":
        """Return the button; see `ButtonSource.build`. A device with two keys can be grabbed only once."""
        from kioskd.adapters.controls.evdev import EvdevButton, InputDevices  # noqa: PLC0415

        device, key = self.parts
        return EvdevButton(device, key, shared.setdefault(self.prefix, InputDevices()))


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


class PwmLampSource(LampSource):
    """`pwm:CHIP/CHANNEL`."""

    prefix, form = "pwm", "pwm:CHIP/CHANNEL"
    pattern = rf"pwm:({CHIP})/({NUMBER})"
    dims = True
    listing = DeviceListing(
        "pwm chips", 'controls.lamp.source: "pwm:CHIP/CHANNEL"', lambda _, sysfs: _names(sysfs / "class/pwm")
    )

    def build(self, options: LampOptions) -> "ports.Lamp":
        """Return the lamp; see `LampSource.build`."""
        from kioskd.adapters.controls.sysfs_light import PwmLamp  # noqa: PLC0415

        chip, channel = self.parts
        return PwmLamp(chip, int(channel))


class LedLampSource(LampSource):
    """`led:NAME`, a kernel LED."""

    prefix, form = "led", "led:NAME"
    pattern = r"led:([A-Za-z0-9_.:+@-]+)"
    dims = True
    listing = DeviceListing(
        "leds", 'controls.lamp.source: "led:NAME"', lambda _, sysfs: _names(sysfs / "class/leds")
    )

    @property
    def attributes(self) -> tuple[str, ...]:
        """The file of its brightness."""
        return (f"/sys/class/leds/{self.parts[0]}/brightness",)

    def build(self, options: LampOptions) -> "ports.Lamp":
        """Return the lamp; see `LampSource.build`."""
        from kioskd.adapters.controls.sysfs_light import LedLamp  # noqa: PLC0415

        return LedLamp(self.parts[0])


class CommandSource(LampSource):
    """A lamp that has a command in place of a source."""

    def __init__(self, argv: Sequence[str]) -> None:
        """`argv`: the program and its arguments."""
        self.text, self.parts = "command", tuple(argv)

    @property
    def wires(self) -> tuple[str, ...]:
        """None: it may take what another lamp has."""
        return ()

    def build(self, options: LampOptions) -> "ports.Lamp":
        """Return the lamp; see `LampSource.build`."""
        from kioskd.adapters.controls.command_lamp import CommandLamp  # noqa: PLC0415

        return CommandLamp(self.parts)


BUTTONS: Final[dict[str, type[ButtonSource]]] = by_prefix(GpioButtonSource, EvdevSource)
LAMPS: Final[dict[str, type[LampSource]]] = by_prefix(
    GpioLampSource, RgbLampSource, PwmLampSource, LedLampSource
)


def button_source(text: str) -> ButtonSource:
    """Return the source of a button, taken apart. ValueError: `text` is none."""
    return parsed(BUTTONS, text)


def lamp_source(text: str) -> LampSource:
    """Return the source of a lamp, taken apart. ValueError: `text` is none."""
    return parsed(LAMPS, text)


def listings() -> Iterator[DeviceListing]:
    """Yield what `kioskd devices` lists for buttons and lamps, each once."""
    yield from dict.fromkeys(
        kind.listing for table in (BUTTONS, LAMPS) for kind in table.values() if kind.listing is not None
    )


def _no_button(text: str) -> str:
    return (kind_of(BUTTONS, text) or GpioButtonSource).refusal


def _no_lamp(_text: str) -> str:
    return f"names no lamp: it takes {forms(LAMPS)}; write gpio:pi/25, say"


ButtonSourceText = Annotated[str, source_text(button_source, _no_button)]
"""The value of a button's `source`."""
LampSourceText = Annotated[str, source_text(lamp_source, _no_lamp)]
"""The value of a lamp's `source`."""
