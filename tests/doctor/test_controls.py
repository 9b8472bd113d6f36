"""The checks of buttons, readers, sensors and lamps, with and without a person at the kiosk."""

import pytest
from tests.doctor.planting import Kiosk, faults, finding_of

from kioskd.adapters.fakes.devices import MemoryButton
from kioskd.doctor.checks import examine_one
from kioskd.doctor.finding import Finding, Verdict


async def test_without_a_person_buttons_and_lamps_are_only_opened(kiosk: Kiosk) -> None:
    kiosk.asking = False
    findings = await kiosk.examined()
    assert faults(findings) == []
    assert "asked for no press" in finding_of(findings, "button").said
    assert "no person watched" in finding_of(findings, "lamp").said
    assert kiosk.lamp.shown.count("listening") == 1


async def test_a_person_is_asked_to_press_and_to_look(kiosk: Kiosk) -> None:
    await kiosk.examined()
    assert [text.split()[0] for text in kiosk.bystander.told] == ["Press", "Watch", "Did"]
    assert kiosk.lamp.shown.count("listening") == 3


def with_reader_and_sensor(kiosk: Kiosk) -> None:
    """Give the kiosk a subject, a reader, and a sensor that only ends conversations."""
    kiosk.settings["subjects"] = {"code": {"about": "A clock."}}
    kiosk.settings["controls"] |= {
        "readers": [{"source": "evdev:Scanner"}],
        "presence": {"source": "gpio:gpiochip0/23", "greets": False},
    }


async def looked_at(kiosk: Kiosk, monkeypatch: pytest.MonkeyPatch) -> tuple[Finding, Finding]:
    """Return the findings about reader and sensor."""
    monkeypatch.setattr("kioskd.doctor.controls.PRESS_S", 0.3)
    with_reader_and_sensor(kiosk)
    (reader,), (presence,) = [await examine_one(check, kiosk.context()) for check in ("reader", "presence")]
    return reader, presence


async def test_without_a_person_the_sensor_says_what_it_sees_now(
    kiosk: Kiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    kiosk.asking = False
    async with kiosk.clock.running():
        reader, presence = await looked_at(kiosk, monkeypatch)
        assert reader.said == "reader evdev:Scanner: opens; doctor asked for no scan"
        assert presence.said == "presence gpio:gpiochip0/23: opens, and sees no person now"
        kiosk.sensor = MemoryButton(down=True)
        _, presence = await looked_at(kiosk, monkeypatch)
        assert presence.said.endswith("sees a person now")


async def test_a_person_is_asked_to_scan_and_to_step_before_the_sensor(
    kiosk: Kiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, presence = await looked_at(kiosk, monkeypatch)
    assert (reader.verdict, presence.verdict) == (Verdict.OK, Verdict.OK)
    assert [text.split()[0] for text in kiosk.bystander.told] == ["Show", "Step"]


async def test_a_reader_and_a_sensor_that_do_nothing_are_faults(
    kiosk: Kiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    kiosk.bystander.scans = kiosk.bystander.comes = False
    reader, presence = await looked_at(kiosk, monkeypatch)
    assert (reader.fault, presence.fault) == ("reader-silent", "presence-unseen")
    kiosk.reader.unplug()
    kiosk.sensor.unplug()
    reader, presence = await looked_at(kiosk, monkeypatch)
    assert (reader.fault, presence.fault) == ("reader-missing", "presence-missing")


async def test_a_kiosk_without_reader_and_sensor_skips_both(kiosk: Kiosk) -> None:
    for check in ("reader", "presence"):
        (finding,) = await examine_one(check, kiosk.context())
        assert finding.verdict is Verdict.SKIPPED
