"""That the machine has enough power, and is not too hot: both make a Pi slow, and then unreliable."""

from collections.abc import Sequence
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


def power(context: CheckContext) -> Sequence[Finding]:
    """Prove that the supply has not sagged since the machine started."""
    flags = _throttling_flags(context.machine)
    if flags is None:
        return [skipped("this machine does not tell (no Raspberry Pi)")]
    if flags & _UNDER_VOLTAGE:
        return [fault("under-voltage", "under-voltage right now", _SUPPLY, throttled=hex(flags))]
    if flags & _WAS_UNDER_VOLTAGE:
        return [
            fault(
                "was-under-voltage", "under-voltage since the machine started", _SUPPLY, throttled=hex(flags)
            )
        ]
    if flags & (_SLOWED | _WAS_SLOWED):
        when = "right now" if flags & _SLOWED else "since the machine started"
        return [note(f"slowed down {when}, by heat", "give it a heat sink or air", throttled=hex(flags))]
    return [ok("never too little since the machine started", throttled=hex(flags))]


def _throttling_flags(machine: Machine) -> int | None:
    for path in sorted(machine.at("/sys/devices/platform").glob("soc*/*/get_throttled")):
        if text := machine.text(f"/{path.relative_to(machine.root)}"):
            return int(text, 16)
    ran = machine.run("vcgencmd", "get_throttled")
    if ran is not None and ran.code == 0 and ran.out.startswith("throttled="):
        return int(ran.out.partition("=")[2], 16)
    # Newer kernels have an alarm of their own.
    for path in machine.at("/sys/class/hwmon").glob("hwmon*"):
        at = f"/{path.relative_to(machine.root)}"
        if machine.text(f"{at}/name") == "rpi_volt":
            return _UNDER_VOLTAGE if machine.text(f"{at}/in0_lcrit_alarm") == "1" else 0
    return None


def temperature(context: CheckContext) -> Sequence[Finding]:
    """Prove that no part is hot."""
    machine = context.machine
    zones = [
        machine.text(f"/{path.relative_to(machine.root)}")
        for path in machine.at("/sys/class/thermal").glob("thermal_zone*/temp")
    ]
    found = [int(text) / 1000 for text in zones if text and text.lstrip("-").isdigit()]
    if not found:
        return [skipped("this machine does not tell")]
    hottest = max(found)
    if hottest >= HOT_C:
        return [
            fault(
                "too-hot",
                f"{hottest:.0f} °C: it slows down, and sound will stutter",
                "give it a heat sink, air, or shade",
                celsius=hottest,
            )
        ]
    if hottest >= WARM_C:
        return [
            note(
                f"{hottest:.0f} °C: warm for a case that will be warmer in summer",
                "give it air",
                celsius=hottest,
            )
        ]
    return [ok(f"{hottest:.0f} °C", celsius=hottest)]
