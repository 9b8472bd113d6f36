"""A check whether a start would succeed, without starting."""

from pathlib import Path

import pytest

from kioskd import app
from kioskd.settings.load import SettingsError, load


def written(folder: Path, text: str) -> Path:
    path = folder / "kioskd.yaml"
    path.write_text(text)
    return path


def test_usable_settings_are_returned(tmp_path: Path) -> None:
    path = written(tmp_path, "conversation:\n  wake: [remote]\nspeaker:\n  volume: 30\n")
    assert app.tried(path, {"GEMINI_API_KEY": "not-used"}).speaker.volume == 30


def test_the_fault_of_a_missing_library_has_the_place_of_its_setting(tmp_path: Path) -> None:
    missing = tmp_path / "map.jpg"
    path = written(tmp_path, f"assistant:\n  pictures:\n    - {missing}\n")
    [fault] = app.unfit(path, load(path))
    assert (fault.file, fault.line) == (str(path), 3)
    assert "cannot be read" in fault.what
    with pytest.raises(SettingsError):
        app.tried(path, {"GEMINI_API_KEY": "not-used"})
