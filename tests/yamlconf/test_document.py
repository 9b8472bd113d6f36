"""What is taken of YAML, and where its mistakes are pointed at."""

from pathlib import Path

import pytest
from tests.support.settings_files import faults_of, settings_of


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("speaker:\n\tvolume: 3\n", 2, 1, "a tab indents"),
        ("a: b: c\n", 1, 5, "a colon where none can be"),
        ("speaker:\n  volume: 3\n cues: false\n", 3, 2, "the indentation fits no line above"),
        ('service:\n  model: "x\n', 2, 10, "closing quote is missing"),
        ("conversation:\n  wake: [button\nspeaker: {}\n", 2, 9, "does not end"),
        ("service: {}\nspeaker\ncamera: {}\n", 2, 1, "without its colon"),
        ("service:\n  model: @x\n", 2, 10, "put the text in quotes"),
        ("service: }\n", 1, 10, "put the text in quotes"),
        ("service: {}\n---\nspeaker: {}\n", 2, 1, "a second document"),
        ("service: &s {}\ncamera: *s\n", 1, 10, "anchors and aliases"),
        ("a: " + "[" * 3000, 1, 20, "nested too deeply"),
        ("service: {}\nspeaker: \x01\n", 2, 10, "a character that text never holds"),
        ('service: {model: "\\UFFFFFFFF"}\n', 0, 0, "out of range"),
        ("- service\n", 1, 1, "a group of settings is needed"),
        ("service\n", 1, 1, "a group of settings is needed"),
    ],
)
def test_invalid_yaml_is_one_fault_at_its_place(
    file: Path, text: str, line: int, column: int, words: str
) -> None:
    (fault,) = faults_of(file, text)
    assert fault[:3] == (line, column, "")
    assert words in fault[3]


def test_a_tag_is_refused_and_never_obeyed(file: Path) -> None:
    (fault,) = faults_of(file, "service:\n  model: !!python/object/apply:os.getcwd []\n")
    assert fault[:3] == (2, 10, "service.model")
    assert "tags are not taken" in fault[3]


def test_words_are_those_of_yaml_1_2(file: Path) -> None:
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
