"""The checks of power supply and temperature."""

import pytest
from tests.doctor.planting import Kiosk, finding_of

from kioskd.doctor import power
from kioskd.doctor.finding import Verdict


async def test_a_warm_machine_gets_a_note(kiosk: Kiosk) -> None:
    kiosk.file("/sys/class/thermal/thermal_zone0/temp", "72000\n")
    assert finding_of(await kiosk.examined(), "temperature").verdict is Verdict.NOTE


THROTTLED = "/sys/devices/platform/soc/soc:firmware/get_throttled"


@pytest.mark.parametrize(
    ("flags", "verdict", "fault"),
    [
        ("0", Verdict.OK, None),
        ("1", Verdict.FAULT, "under-voltage"),
        ("50005", Verdict.FAULT, "under-voltage"),
        ("10000", Verdict.FAULT, "was-under-voltage"),
        ("4", Verdict.NOTE, None),
        ("20000", Verdict.NOTE, None),
        ("8", Verdict.OK, None),
    ],
)
async def test_each_bit_of_the_firmware_has_its_verdict(
    kiosk: Kiosk, flags: str, verdict: Verdict, fault: str | None
) -> None:
    kiosk.file(THROTTLED, f"{flags}\n")
    found = power.power(kiosk.context())
    assert (found.verdict, found.fault) == (verdict, fault)


async def test_without_the_kernels_file_the_firmwares_program_is_asked(kiosk: Kiosk) -> None:
    (kiosk.root / THROTTLED.lstrip("/")).unlink()
    kiosk.program("vcgencmd", "echo throttled=0x50000")
    found = power.power(kiosk.context())
    assert (found.fault, found.figures) == ("was-under-voltage", {"throttled": "0x50000"})


async def test_the_hottest_zone_counts(kiosk: Kiosk) -> None:
    kiosk.file("/sys/class/thermal/thermal_zone1/temp", "80000\n")
    kiosk.file("/sys/class/thermal/thermal_zone2/temp", "unknown\n")
    found = power.temperature(kiosk.context())
    assert (found.fault, found.figures) == ("too-hot", {"celsius": 80.0})
