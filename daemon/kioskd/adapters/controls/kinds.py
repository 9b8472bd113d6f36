"""The kinds of button, reader and lamp sources. A new kind is a class here, in a table here."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from kioskd.adapters.controls.gpio_source import CHIP, NUMBER, GpioButtonSource, GpioLampSource, RgbLampSource
from kioskd.adapters.controls.source import (
    ButtonOptions,
    ButtonSource,
    LampOptions,
    LampSource,
    ReaderOptions,
    ReaderSource,
)
from kioskd.adapters.controls.typed_lines import typing_keys
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
    """`evdev:NAME/KEY`. NAME may contain slashes, and may be a path."""

    prefix, form = "evdev", "evdev:NAME/KEY"
    pattern = r"evdev:(.+)/([A-Z][A-Z0-9_]*)"
    refusal = (
        "is not a key of an input device; write evdev:NAME/KEY, such as evdev:Pedal/KEY_SPACE "
        "(a reader that types lines belongs into controls.readers)"
    )
    called = "an input device"
    library = Library("evdev", extra="input")
    access = DeviceAccess("input", (("/dev/input/event*", "input"),), written=False)
    listing = DeviceListing("input devices", 'controls.button.source: "evdev:NAME/KEY"', _inputs)

    def build(self, options: ButtonOptions, shared: dict[str, Any]) -> "ports.Button":
        """Return the button; see `ButtonSource.build`. Buttons on one device share one grab."""
        from kioskd.adapters.controls.evdev import EvdevButton, InputDevices  # noqa: PLC0415

        device, key = self.parts
        return EvdevButton(device, key, shared.setdefault(self.prefix, InputDevices()))


class EvdevReaderSource(ReaderSource):
    """`evdev:NAME`: an input device that types lines, all keys of it."""

    prefix, form = "evdev", "evdev:NAME"
    pattern = r"evdev:(\S|\S.*\S)"
    library, access = EvdevSource.library, EvdevSource.access

    @property
    def wires(self) -> tuple[str, ...]:
        """Each key that types a character or ends the line; see `Source.wires`."""
        return tuple(f"{self.text}/{key}" for key in typing_keys())

    def build(self, options: ReaderOptions, shared: dict[str, Any]) -> "ports.LineReader":
        """Return the reader; see `ReaderSource.build`. It shares the grab with buttons on its device."""
        from kioskd.adapters.controls.evdev import EvdevReader, InputDevices  # noqa: PLC0415

        return EvdevReader(self.parts[0], options.layout, shared.setdefault(self.prefix, InputDevices()))


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


class PwmLampSource(LampSource):
    """`pwm:CHIP/CHANNEL`: an LED on a PWM channel."""

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
    """`led:NAME`: an LED of the kernel."""

    prefix, form = "led", "led:NAME"
    pattern = r"led:([A-Za-z0-9_.:+@-]+)"
    dims = True
    listing = DeviceListing(
        "leds", 'controls.lamp.source: "led:NAME"', lambda _, sysfs: _names(sysfs / "class/leds")
    )

    @property
    def attributes(self) -> tuple[str, ...]:
        """The path of the LED's brightness file."""
        return (f"/sys/class/leds/{self.parts[0]}/brightness",)

    def build(self, options: LampOptions) -> "ports.Lamp":
        """Return the lamp; see `LampSource.build`."""
        from kioskd.adapters.controls.sysfs_light import LedLamp  # noqa: PLC0415

        return LedLamp(self.parts[0])


class CommandSource(LampSource):
    """A lamp with a command instead of a source."""

    def __init__(self, argv: Sequence[str]) -> None:
        """`argv`: the program and its arguments."""
        self.text, self.parts = "command", tuple(argv)

    @property
    def wires(self) -> tuple[str, ...]:
        """Empty: a command may drive a line that another lamp has."""
        return ()

    def build(self, options: LampOptions) -> "ports.Lamp":
        """Return the lamp; see `LampSource.build`."""
        from kioskd.adapters.controls.command_lamp import CommandLamp  # noqa: PLC0415

        return CommandLamp(self.parts)


BUTTONS: Final[dict[str, type[ButtonSource]]] = by_prefix(GpioButtonSource, EvdevSource)
READERS: Final[dict[str, type[ReaderSource]]] = by_prefix(EvdevReaderSource)
LAMPS: Final[dict[str, type[LampSource]]] = by_prefix(
    GpioLampSource, RgbLampSource, PwmLampSource, LedLampSource
)


def button_source(text: str) -> ButtonSource:
    """Return the parsed source of a button. ValueError: `text` is not one."""
    return parsed(BUTTONS, text)


def reader_source(text: str) -> ReaderSource:
    """Return the parsed source of a reader. ValueError: `text` is not one."""
    return parsed(READERS, text)


def lamp_source(text: str) -> LampSource:
    """Return the parsed source of a lamp. ValueError: `text` is not one."""
    return parsed(LAMPS, text)


def listings() -> Iterator[DeviceListing]:
    """Yield the lists that `kioskd devices` prints for buttons and lamps, each once."""
    yield from dict.fromkeys(
        kind.listing for table in (BUTTONS, LAMPS) for kind in table.values() if kind.listing is not None
    )


def _no_button(text: str) -> str:
    return (kind_of(BUTTONS, text) or GpioButtonSource).refusal


def _no_reader(_text: str) -> str:
    return "is not a reader; write evdev:NAME, such as evdev:Barcode Scanner"


def _no_lamp(_text: str) -> str:
    return f"is not a lamp; use {forms(LAMPS)}, such as gpio:pi/25"


ButtonSourceText = Annotated[str, source_text(button_source, _no_button)]
"""Type of a button's `source` in the settings."""
ReaderSourceText = Annotated[str, source_text(reader_source, _no_reader)]
"""Type of a reader's `source` in the settings."""
LampSourceText = Annotated[str, source_text(lamp_source, _no_lamp)]
"""Type of a lamp's `source` in the settings."""
