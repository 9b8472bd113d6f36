"""Settings of the microphone and the speaker."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.settings import refusal, taken
from tests.support.settings_files import settings_of

from kioskd.settings.model import Settings


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("microphone", {"device": "hw:CARD=Jabra,DEV=0", "echo": "hardware", "preroll_ms": 0}),
        ("speaker", {"volume": 0}),
        ("speaker", {"volume_floor": 0, "volume_ceiling": 0}),
        ("speaker", {"volume_floor": 100, "cues": ("end",), "prompts": False}),
        ("microphone", {"channel": 1}),
        ("microphone", {"channel": 64}),
        ("speaker", {"device": "Jabra SPEAK 410"}),
    ],
)
def test_valid_values_are_accepted(section: str, values: dict[str, Any]) -> None:
    assert taken(section, **values).model_dump(exclude_unset=True) == values


@pytest.mark.parametrize(
    ("section", "values", "words"),
    [
        ("microphone", {"preroll_ms": 5001}, "write 0 to 5000"),
        (
            "speaker",
            {"prompts": False, "prompts_folder": "words"},
            "with prompts: false the kiosk speaks no prompt",
        ),
        ("microphone", {"channel": 0}, "0 is below 1 (it is a channel of the device)"),
        ("microphone", {"channel": 65}, "65 is above 64"),
        ("speaker", {"volume_floor": 101}, "101 is above 100"),
        ("speaker", {"volume_ceiling": 19}, "19 is below volume_floor (20)"),
        ("speaker", {"cues": "wake"}, "is not a list of chimes"),
        ("speaker", {"cues": ("beep",)}, "'wake', 'end', 'mute', 'error' or 'warn'"),
        ("microphone", {"device": "hw:1,0"}, "write a name that kioskd devices prints, or hw:CARD=NAME"),
        ("microphone", {"device": "hw:1"}, "is the number of a card"),
        ("speaker", {"device": "plughw:0"}, "is the number of a card"),
        ("speaker", {"device": "hw:CARD=1"}, "is the number of a card"),
        ("speaker", {"device": "USB Audio (hw:1,0)"}, "is the number of a card"),
        ("speaker", {"device": "1"}, "is the number of a card"),
    ],
)
def test_invalid_values_are_rejected_with_the_expected_form(
    section: str, values: dict[str, Any], words: str
) -> None:
    message = refusal(section, **values)
    assert words in message
    assert "pass@" not in message


@pytest.mark.parametrize("part", ["noise_suppression", "gain_control"])
def test_parts_of_the_canceller_need_the_canceller(part: str) -> None:
    assert "set echo to cancel" in refusal("microphone", **{"echo": "half_duplex", part: True})
    Settings.model_validate({"microphone": {"echo": "cancel", part: True}})


@pytest.mark.parametrize(
    ("text", "cues"),
    [
        ("true", ("wake", "end", "mute", "error", "warn")),
        ("false", ()),
        ("[]", ()),
        ("[error, wake]", ("error", "wake")),
    ],
)
def test_chimes_can_be_all_none_or_some(file: Path, text: str, cues: tuple[str, ...]) -> None:
    assert settings_of(file, f"speaker: {{cues: {text}}}").speaker.cues == cues
