"""Settings of subjects, of readers, and of the presence sensor."""

from pathlib import Path

import pytest
from tests.settings.test_cross_checks import faults_of

from kioskd.settings.load import load, load_to_run
from kioskd.settings.sandbox import named, paths
from kioskd.settings.subjects import MOST_LINE_CHARS, MOST_PICTURES

READER = "controls: {readers: [{source: evdev:Scanner}]}\nconversation: {wake: [reader]}\n"
SENSOR = "conversation: {wake: [presence]}\nassistant: {greeting: Hello}\n"


def test_any_line_can_be_a_key_also_one_that_looks_like_a_number_or_a_secret(tmp_path: Path) -> None:
    file = tmp_path / "kioskd.yaml"
    file.write_text(
        READER + "subjects:\n"
        "  https://museum.example/a?id=1: {about: A}\n  0042: {about: B}\n  token: {about: C}\n"
        f"  {'x' * MOST_LINE_CHARS}: {{about: D}}\n"
    )
    settings = load_to_run(file, {"GEMINI_API_KEY": "a-key-of-the-service"})
    assert [*settings.subjects][:3] == ["https://museum.example/a?id=1", "0042", "token"]
    assert settings.controls.readers[0].does == "subject"


@pytest.mark.parametrize(
    ("subjects", "fault"),
    [
        (
            "  a: {about: A, greting: A}\n",
            "4:17 subjects.a.greting: is not a setting; did you mean greeting?",
        ),
        ("  a: {}\n", "4:3 subjects.a.about: is missing, and has no default; add it"),
        ("  '**': {about: A}\n", "4:3 subjects.**: '**' fits every line, also hostile ones;"),
        ("  ' a': {about: A}\n", "4:3 subjects. a: ' a' is not a key; write 1 to 200 characters,"),
        (f"  {'x' * 201}: {{about: A}}\n", "4:3 subjects.(201 characters): is not the name of a setting;"),
        ("  a: {about: A}\n  a: {about: B}\n", "5:3 subjects.a: is set a second time here"),
        (
            "  a: clock\n",
            "4:6 subjects.a: clock is not a group of settings; write NAME: VALUE lines below it",
        ),
    ],
)
def test_a_wrong_subject_is_rejected_at_its_place(tmp_path: Path, subjects: str, fault: str) -> None:
    (found,) = faults_of(tmp_path / "kioskd.yaml", f"{READER}subjects:\n{subjects}")
    assert found.startswith(fault)


def test_the_pictures_of_all_subjects_are_bounded(tmp_path: Path) -> None:
    four = "[a.jpg, b.jpg, c.jpg, d.jpg]"
    many = "".join(f"  k{n}: {{about: A, pictures: {four}}}\n" for n in range(MOST_PICTURES // 4 + 1))
    found = faults_of(tmp_path / "kioskd.yaml", f"{READER}subjects:\n{many}")
    assert any(
        "subjects.k8.pictures: has picture number 36; all subjects have 32 at most" in one for one in found
    )


def test_a_picture_that_is_missing_or_hidden_from_the_service_is_named_with_its_subject(
    tmp_path: Path,
) -> None:
    file = tmp_path / "kioskd.yaml"
    text = f"{READER}subjects:\n  a.b: {{about: A, pictures: [none.jpg]}}\n"
    (found,) = faults_of(file, text)
    assert found.startswith("4:30 subjects.a.b.pictures: cannot be read: No such file or directory")
    assert [named(place) for place, _ in paths(load(file))] == ["subjects.a.b.pictures[0]"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (READER, "controls.readers: has no effect: no line has a subject; add subjects, or remove it"),
        ("conversation: {wake: [reader]}\n", "1:22 conversation.wake: reader cannot wake the kiosk:"),
        (SENSOR, "1:22 conversation.wake: presence cannot wake the kiosk: set controls.presence"),
        (
            SENSOR + "controls: {presence: {source: gpio:pi/23, greets: false}}\n",
            "1:22 conversation.wake: presence cannot wake the kiosk: set controls.presence",
        ),
        (
            "conversation: {wake: [presence]}\ncontrols: {presence: {source: gpio:pi/23}}\n",
            "controls.presence.greets: needs a greeting; add greeting here or to assistant",
        ),
        (
            SENSOR.replace("presence", "start") + "controls: {presence: {source: gpio:pi/23}}\n",
            "controls.presence.greets: has no effect: with conversation.wake: [start]",
        ),
        (
            SENSOR + "controls: {presence: {source: evdev:PIR/KEY_A, active: low}}\n",
            "3:56 controls.presence.active: has no effect: it is for gpio lines",
        ),
        (
            SENSOR + "controls: {presence: {source: gpio:pi/23, greets: false, greeting: Hi}}\n",
            "controls.presence.greeting: has no effect: greets is false",
        ),
        (
            SENSOR + "controls: {button: {source: gpio:pi/23}, presence: {source: gpio:pi/23}}\n",
            "controls.presence.source: gpio:pi/23 is already used by controls.button",
        ),
        (
            READER.replace("{readers:", "{button: {source: evdev:Scanner/KEY_SPACE}, readers:"),
            "controls.readers.source: evdev:Scanner/KEY_SPACE is already used by controls.button",
        ),
        (
            "controls: {button: {source: evdev:Scan}}\n",
            "controls.button.source: evdev:Scan is not a key of an input device;",
        ),
    ],
)
def test_readers_and_sensors_that_cannot_work_are_rejected(tmp_path: Path, text: str, fault: str) -> None:
    found = faults_of(tmp_path / "kioskd.yaml", text)
    assert any(fault in one for one in found), found


def test_a_button_may_be_a_key_that_the_reader_beside_it_never_types(tmp_path: Path) -> None:
    text = (
        "subjects: {a: {about: A}}\ncontrols: {button: {source: evdev:Scan/KEY_F13}, "
        "readers: [{source: evdev:Scan, layout: de}], presence: {source: gpio:pi/23, greets: false}}\n"
    )
    assert faults_of(tmp_path / "kioskd.yaml", text) == []
