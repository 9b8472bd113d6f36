"""The messages about mistakes in the settings."""

from pathlib import Path

import pytest
from tests.support.settings_files import faults_of

from kioskd.settings.load import (
    SettingsError,
    load,
)

GROUP, LIST = "{a: 1}", "[a, b]"


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("mic: {}", "mic", "did you mean microphone?"),
        ("speaker: {vol: 5}", "speaker.vol", "did you mean volume?"),
        (
            "conversation: {volume_celing: 5}",
            "conversation.volume_celing",
            "did you mean volume_ceiling, under speaker?",
        ),
        (
            "assistant: {profiles: {easy: {voise: Leda}}}",
            "assistant.profiles.easy.voise",
            "did you mean voice?",
        ),
        (
            "assistant: {profiles: {easy: {speed: 2}}}",
            "assistant.profiles.easy.speed",
            "this section has instructions, voice, pace",
        ),
        (
            "controls: {button: {source: led, pin: 17}}",
            "controls.button.pin",
            "this section has source, does, double",
        ),
    ],
)
def test_an_unknown_name_gets_the_nearest_known_one(file: Path, text: str, key: str, words: str) -> None:
    (found,) = (fault for fault in faults_of(file, text) if fault[2] == key)
    assert words in found[3]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            f"camera: {{source: 'folder:/tmp', lamp: {GROUP}}}",
            "camera.lamp: a group of settings is not a text",
        ),
        (
            f"camera: {{source: 'folder:/tmp', lamp: {LIST}}}",
            "camera.lamp: a list is not a text",
        ),
        (
            f"speaker: {{device: {GROUP}}}",
            "speaker.device: a group of settings is not a text",
        ),
        (f"speaker: {{volume: {LIST}}}", "speaker.volume: a list is not a whole number"),
        (
            f"conversation: {{idle_s: {GROUP}}}",
            "conversation.idle_s: a group of settings is not a number",
        ),
        (
            f"service: {{key_file: {LIST}}}",
            "service.key_file: a list is not a path",
        ),
    ],
)
def test_a_group_or_a_list_in_the_place_of_one_value_is_named_as_the_fault(
    tmp_path: Path, text: str, says: str
) -> None:
    message = refusal(tmp_path, text)
    assert says in message
    assert "quotes" not in message
    how = "without names below it" if GROUP in text else "without brackets or -"
    assert f"write one value on the line of this setting, {how}" in message


@pytest.mark.parametrize("written", ["gpio:pi/17", "[gpio:pi/17]"])
def test_a_value_in_the_place_of_a_group_gets_the_names_of_that_group(tmp_path: Path, written: str) -> None:
    message = refusal(tmp_path, f"controls: {{button: {written}}}")
    assert "write NAME: VALUE lines below it, with the names source, does, double" in message


def test_a_group_in_the_place_of_a_list_gets_the_dash_as_remedy(tmp_path: Path) -> None:
    message = refusal(tmp_path, "controls: {buttons: {source: 'gpio:pi/17', does: end}}")
    assert (
        "a group of settings is not a list; "
        "put - before its first line, also where the list has one item only" in message
    )


def refusal(folder: Path, text: str) -> str:
    """Return the message about an invalid configuration."""
    file = folder / "kioskd.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as raised:
        load(file)
    return str(raised.value)
