"""`pwm:CHIP/CHANNEL` and `led:NAME`: lamps that the kernel drives."""

from pathlib import Path
from typing import TYPE_CHECKING

from kioskd.adapters.controls.gpio_source import CHIP, NUMBER
from kioskd.adapters.controls.source import LampOptions, LampSource
from kioskd.adapters.source import DeviceListing

if TYPE_CHECKING:
    from kioskd import ports


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
