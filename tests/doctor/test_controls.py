"""The checks of buttons and lamps, with and without a person at the kiosk."""

from tests.doctor.planting import Kiosk, faults, finding_of


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
