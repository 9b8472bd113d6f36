"""Power and heat of the machine."""

from tests.doctor.planting import Kiosk, finding_of

from kioskd.doctor.finding import Verdict


async def test_a_warm_machine_gets_a_note(kiosk: Kiosk) -> None:
    kiosk.file("/sys/class/thermal/thermal_zone0/temp", "72000\n")
    assert finding_of(await kiosk.examined(), "temperature").verdict is Verdict.NOTE
