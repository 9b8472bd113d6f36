"""The service uses sound cards of a real kernel by their ALSA ids, in its sandbox."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest

PULLS: Final = 4
"""How often a card is pulled. In two of four times it came back in another format."""


def devices(here: Any) -> dict[str, Any]:
    """Return the output of `kioskd devices`."""
    found: dict[str, Any] = json.loads(here.machine.exec("kioskd", "devices", "--json").stdout)
    return found


def formats(here: Any, part: str, since: int) -> list[str]:
    """Return the formats in which a part was opened."""
    said = here.machine.journal.text("kioskd.service", since)
    return re.findall(rf"{part} '[^']*' open: .*?format=(.*?) took", said)


@pytest.fixture
def stopped(here: Any) -> Iterator[Any]:
    """Return the machine while no program uses its devices."""
    here.machine.exec("systemctl", "stop", "kioskd")
    yield here
    here.machine.exec("systemctl", "start", "kioskd", within_s=900.0)
    here.shows("Asleep", within_s=900.0)


def test_cards_by_their_ids_are_in_use_in_the_sandbox(here: Any) -> None:
    assert here.machine.show("ProcSubset") == "pid"
    assert formats(here, "microphone", 0)
    assert formats(here, "speaker", 0)


def test_devices_lists_the_names_that_the_service_can_open(here: Any) -> None:
    found = devices(here)
    assert found["outside"] is None
    faults = [device.get("fault") for device in found["speakers"] if device["name"] == "hw:CARD=Spk,DEV=0"]
    assert [str(fault).partition(" (")[0] for fault in faults] == ["in use by the kiosk itself"]


BEST: Final = {"microphone": "16000 Hz, 1 channels, int16", "speaker": "24000 Hz, 2 channels, int16"}


@pytest.mark.parametrize(("card", "part"), [("Mic", "microphone"), ("Spk", "speaker")])
def test_a_card_that_is_put_back_is_opened_in_its_best_format_without_raw_messages(
    here: Any, card: str, part: str
) -> None:
    restarts, begun = here.restarts, here.machine.journal.now
    for _ in range(PULLS):
        place = here.machine.journal.now
        here.unplug(card)
        here.loses(part, place)
        here.replug(card)
        here.regains(part, place)
    assert set(formats(here, part, begun)) == {BEST[part]}
    assert "Expression" not in here.machine.journal.text("kioskd.service", begun)
    assert here.restarts == restarts, here.machine.journal.text("kioskd.service", begun)


def test_a_card_that_another_program_holds_is_reported_with_the_programs_name(stopped: Any) -> None:
    with stopped.machine.running("arecord", "-q", "-D", "hw:CARD=Mic,DEV=1", "-f", "S16_LE", "/dev/null"):
        stopped.machine.sh("until grep -q owner_pid /proc/asound/Mic/pcm1c/sub0/status; do sleep 0.5; done")
        [fault] = [
            device["fault"]
            for device in devices(stopped)["microphones"]
            if device["name"] == "hw:CARD=Mic,DEV=1"
        ]
        assert fault.startswith("in use by arecord (process ")
        place = stopped.machine.journal.now
        stopped.machine.exec("systemctl", "start", "kioskd", within_s=900.0)
        stopped.machine.journal.wait(
            "another program is using it; `sudo fuser -v /dev/snd/pcmC0D1c` names it",
            since=place,
            within_s=300.0,
        )
    stopped.regains("microphone", place)


def test_the_doctor_opens_cards_from_inside_the_sandbox(stopped: Any) -> None:
    done = stopped.machine.exec("kioskd", "doctor", "--yes", "--json", check=False, within_s=900.0)
    findings = json.loads(done.stdout)["findings"]
    assert not [one for one in findings if "from outside the service's sandbox" in one["said"]]
    assert not {"microphone-missing", "speaker-missing"} & {one["fault"] for one in findings}
