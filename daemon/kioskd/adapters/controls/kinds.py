"""The kinds of button and lamp sources. A new kind is a module beside its adapter, and a name in a table here."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Final

from kioskd.adapters.controls.evdev_source import EvdevSource
from kioskd.adapters.controls.gpio_source import GpioButtonSource, GpioLampSource, RgbLampSource
from kioskd.adapters.controls.source import ButtonSource, LampOptions, LampSource
from kioskd.adapters.controls.sysfs_source import LedLampSource, PwmLampSource
from kioskd.adapters.source import DeviceListing, by_prefix, forms, kind_of, parsed, source_text

if TYPE_CHECKING:
    from kioskd import ports

BUTTONS: Final[dict[str, type[ButtonSource]]] = by_prefix(GpioButtonSource, EvdevSource)
LAMPS: Final[dict[str, type[LampSource]]] = by_prefix(
    GpioLampSource, RgbLampSource, PwmLampSource, LedLampSource
)


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


def button_source(text: str) -> ButtonSource:
    """Return the source of a button, taken apart.

    Raises:
        ValueError: `text` is none.
    """
    return parsed(BUTTONS, text)


def lamp_source(text: str) -> LampSource:
    """Return the source of a lamp, taken apart.

    Raises:
        ValueError: `text` is none.
    """
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
