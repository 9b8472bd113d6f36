"""The check that no other program holds the sound cards."""

import pytest
from tests.doctor.planting import Kiosk, finding_of

from kioskd.doctor.finding import Verdict


async def test_a_sound_server_that_shares_its_cards_is_no_fault(kiosk: Kiosk) -> None:
    kiosk.settings["speaker"]["device"] = "default"
    kiosk.process(800, "/usr/bin/pipewire", comm="pipewire")
    kiosk.hold(1, "pcm0p", 800)
    found = finding_of(await kiosk.examined(), "cards")
    assert (found.verdict, "pipewire" in found.said) == (Verdict.NOTE, True)


async def test_a_card_is_known_by_its_own_name_too(kiosk: Kiosk) -> None:
    kiosk.settings["speaker"]["device"] = "Spk: Audio"
    kiosk.process(801, "/usr/bin/pulseaudio", comm="pulseaudio")
    kiosk.process(800, "thread")
    kiosk.file("/proc/800/status", "Name:\talsa\nTgid:\t801\n")
    kiosk.hold(1, "pcm0p", 800)
    found = finding_of(await kiosk.examined(), "cards")
    assert (found.fault, "pulseaudio (process 801)" in found.said) == ("card-held", True)


@pytest.mark.parametrize(
    ("device", "verdict"),
    [
        ("hw:CARD=mic,DEV=0", Verdict.OK),
        ("hw:CARD=spk,DEV=1", Verdict.OK),
        ("hw:CARD=spk,DEV=0", Verdict.FAULT),
        ("hw:spk", Verdict.FAULT),
        ("default", Verdict.FAULT),
    ],
)
async def test_a_card_that_the_settings_do_not_name_may_be_held_by_anything(
    kiosk: Kiosk, device: str, verdict: Verdict
) -> None:
    kiosk.settings["speaker"]["device"] = device
    kiosk.process(800, "/usr/bin/aplay", comm="aplay")
    kiosk.hold(1, "pcm0p", 800)
    assert finding_of(await kiosk.examined(), "cards").verdict is verdict
