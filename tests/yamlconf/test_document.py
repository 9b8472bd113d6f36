"""The accepted part of YAML, and the places of faults."""

from pathlib import Path

import pytest
from tests.support.settings_files import faults_of, settings_of


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("speaker:\n\tvolume: 3\n", 2, 1, "indented with a tab"),
        ("a: b: c\n", 1, 5, "a colon is not allowed here"),
        ("speaker:\n  volume: 3\n cues: false\n", 3, 2, "the indentation fits no line above"),
        ('service:\n  model: "x\n', 2, 10, "add the closing quote"),
        ("conversation:\n  wake: [button\nspeaker: {}\n", 2, 9, "has no end"),
        ("service: {}\nspeaker\ncamera: {}\n", 2, 1, "the colon after the name of a setting is missing"),
        ("service:\n  model: @x\n", 2, 10, "put the text in quotes"),
        ("service: }\n", 1, 10, "put the text in quotes"),
        ("service: {}\n---\nspeaker: {}\n", 2, 1, "a second document"),
        ("service: &s {}\ncamera: *s\n", 1, 10, "anchors and aliases"),
        ("a: " + "[" * 3000, 1, 20, "no setting is nested this deeply"),
        ("service: {}\nspeaker: \x01\n", 2, 10, "never occurs in a text"),
        ('service: {model: "\\UFFFFFFFF"}\n', 0, 0, "out of range"),
        ("- service\n", 1, 1, "is not a group of settings"),
        ("service\n", 1, 1, "is not a group of settings"),
    ],
)
def test_invalid_yaml_is_one_fault_at_its_place(
    file: Path, text: str, line: int, column: int, words: str
) -> None:
    (fault,) = faults_of(file, text)
    assert fault[:3] == (line, column, "")
    assert words in fault[3]


def test_a_tag_is_rejected_and_never_followed(file: Path) -> None:
    (fault,) = faults_of(file, "service:\n  model: !!python/object/apply:os.getcwd []\n")
    assert fault[:3] == (2, 10, "service.model")
    assert "tags are not allowed" in fault[3]


def test_plain_values_follow_yaml_1_2(file: Path) -> None:
    settings = settings_of(
        file,
        """
        assistant: {instructions: yes, greeting: on}
        camera: {source: off}
        privacy: {transcripts: off}
        microphone: {device: 22:00}
        speaker: {device: "7e1", volume: 0x1E, cues: False}
        conversation: {idle_s: 3e1, longest_s: 60}
        """,
    )
    assert (settings.assistant.instructions, settings.assistant.greeting) == ("yes", "on")
    assert settings.camera.source == "off"
    assert settings.microphone.device == "22:00"
    assert (settings.speaker.device, settings.speaker.volume, settings.speaker.cues) == ("7e1", 30, ())
    assert (settings.conversation.idle_s, settings.conversation.longest_s) == (30.0, 60.0)
