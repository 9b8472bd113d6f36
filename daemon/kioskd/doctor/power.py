"""Checks that the machine has enough power, and is not too hot: both make a Pi slow, and then unreliable."""

from typing import Final

from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, fault, note, ok, skipped
from kioskd.doctor.machine import Machine

_UNDER_VOLTAGE: Final = 1 << 0
_SLOWED: Final = (1 << 1) | (1 << 2)
_WAS_UNDER_VOLTAGE: Final = 1 << 16
_WAS_SLOWED: Final = (1 << 17) | (1 << 18)
"""Bits of `vcgencmd get_throttled`, as Raspberry Pi documents them."""

HOT_C: Final = 80.0
"""A Pi slows itself down from here."""
WARM_C: Final = 70.0

_SUPPLY: Final = (
    "use the supply made for this Pi, and a short thick cable; take hungry USB devices to a hub of their own"
)


def power(context: CheckContext) -> Finding:
    """Prove that the supply has not sagged since the machine started."""
    flags = _throttling_flags(context.machine)
    if flags is None:
        return skipped("this machine does not tell (no Raspberry Pi)")
    figure = hex(flags)
    if flags & _UNDER_VOLTAGE:
        return fault("under-voltage", "under-voltage right now", _SUPPLY, throttled=figure)
    if flags & _WAS_UNDER_VOLTAGE:
        said = "under-voltage since the machine started"
        return fault("was-under-voltage", said, _SUPPLY, throttled=figure)
    if flags & (_SLOWED | _WAS_SLOWED):
        when = "right now" if flags & _SLOWED else "since the machine started"
        return note(f"slowed down {when}, by heat", "give it a heat sink or air", throttled=figure)
    return ok("never too little since the machine started", throttled=figure)


def _throttling_flags(machine: Machine) -> int | None:
    for path in sorted(machine.at("/sys/devices/platform").glob("soc*/*/get_throttled")):
        if text := machine.text(path):
            return int(text, 16)
    printed = machine.output("vcgencmd", "get_throttled")
    if printed is not None and printed.startswith("throttled="):
        return int(printed.partition("=")[2], 16)
    # Newer kernels have an alarm of their own.
    for path in machine.at("/sys/class/hwmon").glob("hwmon*"):
        if machine.text(path / "name") == "rpi_volt":
            return _UNDER_VOLTAGE if machine.text(path / "in0_lcrit_alarm") == "1" else 0
    return None


def temperature(context: CheckContext) -> Finding:
    """Prove that no part is hot."""
    machine = context.machine
    zones = map(machine.text, machine.at("/sys/class/thermal").glob("thermal_zone*/temp"))
    found = [int(text) / 1000 for text in zones if text and text.lstrip("-").isdigit()]
    if not found:
        return skipped("this machine does not tell")
    hottest = max(found)
    said = f"{hottest:.0f} °C"
    if hottest >= HOT_C:
        words = f"{said}: it slows down, and sound will stutter"
        return fault("too-hot", words, "give it a heat sink, air, or shade", celsius=hottest)
    if hottest >= WARM_C:
        words = f"{said}: warm for a case that will be warmer in summer"
        return note(words, "give it air", celsius=hottest)
    return ok(said, celsius=hottest)
