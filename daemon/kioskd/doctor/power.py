"""Checks power supply and temperature: too little power or too much heat makes a Pi slow, then unreliable."""

from typing import Final

from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, fault, note, ok, skipped
from kioskd.doctor.machine import Machine

# Bits of `vcgencmd get_throttled`, as Raspberry Pi documents them.
_UNDER_VOLTAGE: Final = 1 << 0
_SLOWED: Final = (1 << 1) | (1 << 2)
_WAS_UNDER_VOLTAGE: Final = 1 << 16
_WAS_SLOWED: Final = (1 << 17) | (1 << 18)

HOT_C: Final = 80.0
"""Temperature from which a Pi slows itself down."""
WARM_C: Final = 70.0

_SUPPLY: Final = (
    "use the power supply made for this Pi and a short thick cable; put strong USB devices on a powered hub"
)


def power(context: CheckContext) -> Finding:
    """Prove that the supply voltage was high enough since the machine started."""
    flags = _throttling_flags(context.machine)
    if flags is None:
        return skipped("this machine does not report its supply voltage; only a Raspberry Pi does")
    figure = hex(flags)
    if flags & _UNDER_VOLTAGE:
        return fault("under-voltage", "the supply voltage is too low right now", _SUPPLY, throttled=figure)
    if flags & _WAS_UNDER_VOLTAGE:
        said = "the supply voltage was too low at some time since the machine started"
        return fault("was-under-voltage", said, _SUPPLY, throttled=figure)
    if flags & (_SLOWED | _WAS_SLOWED):
        when = "right now" if flags & _SLOWED else "at some time since the machine started"
        said = f"heat slowed the processor down, {when}"
        return note(said, "add a heat sink, or let air reach it", throttled=figure)
    return ok("the supply voltage was high enough since the machine started", throttled=figure)


def _throttling_flags(machine: Machine) -> int | None:
    for path in sorted(machine.at("/sys/devices/platform").glob("soc*/*/get_throttled")):
        if text := machine.text(path):
            return int(text, 16)
    printed = machine.output("vcgencmd", "get_throttled")
    if printed is not None and printed.startswith("throttled="):
        return int(printed.partition("=")[2], 16)
    # Newer kernels report under-voltage as the alarm of a hardware monitor.
    for path in machine.at("/sys/class/hwmon").glob("hwmon*"):
        if machine.text(path / "name") == "rpi_volt":
            return _UNDER_VOLTAGE if machine.text(path / "in0_lcrit_alarm") == "1" else 0
    return None


def temperature(context: CheckContext) -> Finding:
    """Prove that no part of the machine is hot."""
    machine = context.machine
    zones = map(machine.text, machine.at("/sys/class/thermal").glob("thermal_zone*/temp"))
    found = [int(text) / 1000 for text in zones if text and text.lstrip("-").isdigit()]
    if not found:
        return skipped("this machine does not report its temperature")
    hottest = max(found)
    said = f"{hottest:.0f} °C"
    if hottest >= HOT_C:
        words = f"{said}: the processor slows down, and sound will stutter"
        return fault("too-hot", words, "add a heat sink, let air reach it, or shade it", celsius=hottest)
    if hottest >= WARM_C:
        words = f"{said}: warm, and a hot summer day can make it too hot"
        return note(words, "let air reach it", celsius=hottest)
    return ok(said, celsius=hottest)
