"""The check of the echo: the mode that it recommends, and measurements on a busy machine."""

import pytest
from tests.doctor.planting import Kiosk, faults, finding_of

from kioskd.doctor.audio import recommended_mode
from kioskd.doctor.finding import Verdict


@pytest.mark.parametrize(
    ("delay_s", "return_db", "mode"),
    [
        (0.08, -10.0, "cancel"),
        (0.30, 0.0, "cancel"),
        (0.08, 6.0, "half_duplex"),
        (0.70, -10.0, "half_duplex"),
        (0.08, -40.0, "hardware"),
        (0.70, -40.0, "hardware"),
    ],
)
def test_the_recommended_echo_mode_follows_from_delay_and_level(
    delay_s: float, return_db: float, mode: str
) -> None:
    assert recommended_mode(delay_s, return_db)[0] == mode


async def test_a_better_echo_mode_is_recommended_and_half_duplex_is_no_fault(kiosk: Kiosk) -> None:
    findings = await kiosk.examined()
    echo = finding_of(findings, "echo")
    assert echo.verdict is Verdict.NOTE
    assert echo.remedy == "set microphone.echo: cancel"
    assert echo.figures["recommended"] == "cancel"
    assert float(echo.figures["return_db"]) == pytest.approx(-10, abs=2)
    # The delay of the microphone, and up to one frame.
    assert float(echo.figures["delay_ms"]) == pytest.approx(80, abs=40)


async def test_an_echo_mode_that_fits_is_ok(kiosk: Kiosk) -> None:
    kiosk.settings["microphone"]["echo"] = "cancel"
    assert finding_of(await kiosk.examined(), "echo").verdict is Verdict.OK


async def test_no_echo_is_right_for_a_card_that_cancels_it(kiosk: Kiosk) -> None:
    kiosk.settings["microphone"]["echo"] = "hardware"
    kiosk.microphone.return_db = -200
    assert finding_of(await kiosk.examined(), "echo").verdict is Verdict.OK


async def test_a_sound_that_a_person_hears_and_the_microphone_does_not_means_hardware_echo_cancelling(
    kiosk: Kiosk,
) -> None:
    kiosk.microphone.return_db = -200
    echo = finding_of(await kiosk.examined(), "echo")
    assert (echo.verdict, echo.remedy is not None and "hardware" in echo.remedy) == (Verdict.NOTE, True)


async def test_a_rate_that_is_wrong_once_is_measured_again(kiosk: Kiosk) -> None:
    kiosk.microphone.held_up = 1
    assert faults(await kiosk.examined()) == []
    assert kiosk.microphone.held_up == 0
