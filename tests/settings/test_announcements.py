"""Settings of announcements, as written in YAML."""

from pathlib import Path

import pytest
from tests.support.settings import refusal, taken

from kioskd.prompts import texts
from kioskd.settings import announcements
from kioskd.settings.announcements import AnnouncementsSettings, within
from kioskd.settings.load import SettingsError, load, read, startup_faults
from kioskd.settings.model import Settings

CLOSING = {"at": "17:45", "say": "We close soon."}


def written(folder: Path, text: str) -> Path:
    path = folder / "kioskd.yaml"
    path.write_text(text)
    return path


def test_nothing_is_announced_by_default() -> None:
    assert Settings().announcements == AnnouncementsSettings(voice=None, quiet_hours=(), schedule=())


def test_announcements_are_read(tmp_path: Path) -> None:
    text = """
announcements:
  voice: {argv: [/bin/cat, voice.wav], network: true}
  volume: 60
  quiet_hours: [21:00-08:00]
  schedule:
    - {at: "17:45", days: [sat, sun], say: We close soon., language: en-GB}
    - {at: "12:00", file: bell.wav}
"""
    found = load(written(tmp_path, text)).announcements
    assert found.voice is not None
    assert (found.voice.argv, found.voice.network) == (("/bin/cat", "voice.wav"), True)
    assert (found.volume, found.quiet_hours) == (60, ("21:00-08:00",))
    first, second = found.schedule
    assert (first.at, first.days, first.say, first.language) == (
        "17:45", ("sat", "sun"), "We close soon.", "en-GB",
    )  # fmt: skip
    assert (second.file, second.days) == (tmp_path / "bell.wav", announcements.DAYS)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"at": "17:45"}, "is missing, and so is say"),
        ({"at": "25:00", "say": "Now."}, "not a time of day"),
        ({**CLOSING, "days": ()}, "it would never come"),
        ({**CLOSING, "days": ("monday",)}, "'mon'"),
        ({**CLOSING, "say": " "}, "is empty"),
        ({**CLOSING, "say": "a" * 501}, "at most 500"),
        ({**CLOSING, "language": "english"}, "not a language with a country"),
    ],
)
def test_an_entry_that_says_nothing_or_never_comes_is_rejected(entry: dict[str, object], why: str) -> None:
    assert why in refusal("announcements", schedule=(entry,))


def test_an_entry_in_quiet_hours_is_rejected_at_its_place(tmp_path: Path) -> None:
    text = """announcements:
  quiet_hours: [21:00-08:00]
  schedule:
    - {at: "08:00", say: Welcome.}
    - {at: "23:15", say: Good night.}
"""
    with pytest.raises(SettingsError) as refused:
        load(written(tmp_path, text))
    (fault,) = refused.value.faults
    assert (fault.line, fault.key) == (5, "announcements.schedule.at")
    assert "lies in quiet_hours (21:00-08:00), so it would never come" in fault.what


@pytest.mark.parametrize(
    ("clock", "hours", "inside"),
    [
        ("08:00", "21:00-08:00", False),
        ("07:59", "21:00-08:00", True),
        ("21:00", "21:00-08:00", True),
        ("12:00", "12:00-13:00", True),
        ("13:00", "12:00-13:00", False),
    ],
)
def test_a_span_holds_its_begin_and_not_its_end(clock: str, hours: str, inside: bool) -> None:
    assert within(clock, hours) is inside


def test_a_volume_that_is_not_heard_is_rejected() -> None:
    assert "would not be heard" in refusal("announcements", volume=0)
    assert isinstance(taken("announcements", volume=1), AnnouncementsSettings)


def test_a_missing_program_or_recording_is_a_fault_of_the_start(tmp_path: Path) -> None:
    text = """
conversation: {wake: [remote]}
announcements:
  voice: {argv: [./missing]}
  schedule:
    - {at: "12:00", file: bell.wav}
"""
    faults = startup_faults(read(written(tmp_path, text)), {})
    assert [fault.key for fault in faults] == [
        "announcements.voice.argv",
        "announcements.schedule.file",
    ]


def test_an_announcement_is_as_long_as_a_prompt_at_most() -> None:
    assert announcements.LONGEST == texts.LONGEST
