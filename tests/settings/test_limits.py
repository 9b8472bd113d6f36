"""Settings of limits on the bill and of stored conversations, as written in YAML."""

from pathlib import Path

import pytest
from tests.support.settings import refusal

from kioskd.settings.limits import LimitsSettings, PrivacySettings, RecordSettings
from kioskd.settings.load import SettingsError, load
from kioskd.settings.model import Settings


def loaded(folder: Path, text: str) -> Settings:
    path = folder / "kioskd.yaml"
    path.write_text(text)
    return load(path)


def faults(folder: Path, text: str) -> list[tuple[int, int, str, str]]:
    with pytest.raises(SettingsError) as refused:
        loaded(folder, text)
    return [(fault.line, fault.column, fault.key, fault.what) for fault in refused.value.faults]


def test_nothing_is_limited_or_stored_by_default() -> None:
    settings = Settings()
    limits = settings.limits
    assert (limits.minutes_per_day, limits.tokens_per_day, limits.tokens_per_conversation) == (0, 0, 0)
    assert limits.quiet_hours == ()
    assert settings.privacy == PrivacySettings(transcripts=None, recordings=None)


def test_limits_are_read(tmp_path: Path) -> None:
    text = """
limits:
  minutes_per_day: 120
  tokens_per_day: 2000000
  tokens_per_conversation: 200000
  quiet_hours: [22:00-07:00, 13:00-14:00]
  warn_s: 30
  warn_percent: 80
  notice: Say goodbye.
"""
    assert loaded(tmp_path, text).limits == LimitsSettings(
        minutes_per_day=120,
        tokens_per_day=2_000_000,
        tokens_per_conversation=200_000,
        quiet_hours=("22:00-07:00", "13:00-14:00"),
        warn_s=30,
        warn_percent=80,
        notice="Say goodbye.",
    )


def test_records_have_a_folder_a_time_limit_and_a_size_limit(tmp_path: Path) -> None:
    text = """
privacy:
  transcripts: {folder: words, keep_days: 7, most_mb: 10}
  recordings: off
"""
    privacy = loaded(tmp_path, text).privacy
    assert privacy.transcripts == RecordSettings(folder=tmp_path / "words", keep_days=7, most_mb=10)
    assert privacy.recordings is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("{folder: words, keep_days: 7}", [("most_mb", "is missing")]),
        ("{}", [("folder", "is missing"), ("keep_days", "is missing"), ("most_mb", "is missing")]),
        ("{folder: words, keep_days: 0, most_mb: 1}", [("keep_days", "0 is below 1")]),
        (
            "{folder: words, keep_days: 1, most_gb: 1, most_mb: 1}",
            [("most_gb", "is not a setting; did you mean most_mb?")],
        ),
        ("on", [("", "on does not say where to store, for how long, and how much")]),
        ("true", [("", "true does not say where to store")]),
    ],
)  # fmt: skip
def test_a_record_without_a_limit_is_rejected(
    tmp_path: Path, given: str, expected: list[tuple[str, str]]
) -> None:
    found = faults(tmp_path, f"privacy:\n  recordings: {given}\n")
    assert len(found) == len(expected)
    for (line, _, key, what), (name, begins) in zip(found, expected, strict=True):
        assert (line, key) == (2, "privacy.recordings" + (f".{name}" if name else ""))
        assert what.startswith(begins), what


@pytest.mark.parametrize(
    ("place", "begins"),
    [
        ("words", "is also the folder of transcripts"),
        ("./words", "is also the folder of transcripts"),
        ("~/words", "'~/words' begins with ~"),
    ],
)
def test_a_folder_for_records_must_be_separate_and_outside_of_homes(
    tmp_path: Path, place: str, begins: str
) -> None:
    bounds = "keep_days: 7, most_mb: 10"
    text = f"""
privacy:
  transcripts: {{folder: words, {bounds}}}
  recordings: {{folder: {place}, {bounds}}}
"""
    [(line, _, key, what)] = faults(tmp_path, text)
    assert (line, key.startswith("privacy.recordings")) == (4, True)
    assert what.startswith(begins), what


@pytest.mark.parametrize(
    ("given", "begins"),
    [
        ("minutes_per_day: 1441", "1441 is above 1440"),
        ("tokens_per_day: -1", "-1 is below 0"),
        ("tokens_per_conversation: many", "many is not a whole number"),
        ("warn_s: 601", "601 is above 600"),
        ("warn_percent: 0", "0 is below 1"),
        ("notice: ''", "is empty"),
    ],
)
def test_a_limit_out_of_its_range_is_rejected(tmp_path: Path, given: str, begins: str) -> None:
    [(line, _, key, what)] = faults(tmp_path, f"limits:\n  {given}\n")
    assert (line, key) == (2, f"limits.{given.partition(':')[0]}")
    assert what.startswith(begins), what


@pytest.mark.parametrize("span", ["24:00-07:00", "07:00-07:00"])
def test_quiet_hours_are_a_span_between_two_times_of_day(span: str) -> None:
    assert "is not a span of time" in refusal("limits", quiet_hours=(span,))
