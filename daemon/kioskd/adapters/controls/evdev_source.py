"""`evdev:NAME/KEY`: a button that is a key of an input device."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kioskd.adapters.controls.source import ButtonOptions, ButtonSource
from kioskd.adapters.source import DeviceAccess, DeviceListing, Library

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
