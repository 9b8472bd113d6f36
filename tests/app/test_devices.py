"""Making of the devices from the settings, and the libraries that are loaded for it."""

import subprocess
import sys
from pathlib import Path

import pytest

from kioskd import app
from kioskd.app.devices import startup_faults_of_devices
from kioskd.errors import ConfigError
from kioskd.settings.conversation import AssistantSettings
from kioskd.settings.model import Settings
from kioskd.settings.sound import SpeakerSettings

SOURCE = Path(app.__file__).parents[1]


def test_without_a_key_there_are_no_parts() -> None:
    with pytest.raises(ConfigError, match="GEMINI_API_KEY"):
        app.real_parts(Settings(), {})


def test_no_vendor_library_is_imported_unless_a_setting_needs_it() -> None:
    vendors = ("pyaudio", "google.genai", "gpiod", "systemd", "picamera2")
    asked = f"import sys, kioskd.app; print([v for v in {vendors} if v in sys.modules])"

    answer = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True, cwd=SOURCE, timeout=240
    )

    assert answer.stdout == "[]\n"


def test_without_the_service_managers_folders_no_data_is_stored() -> None:
    stores = app.real_parts(Settings(), {"GEMINI_API_KEY": "not-used"}).stores
    assert (stores.budget, stores.transcripts, stores.recordings) == (None, None, None)
    assert stores.resumption.recover() is None


def test_the_state_directory_is_used_and_checked(tmp_path: Path) -> None:
    environ = {"GEMINI_API_KEY": "not-used", "STATE_DIRECTORY": str(tmp_path)}
    stores = app.real_parts(Settings(), environ).stores
    assert stores.budget is not None
    assert list(stores.places) == ["state directory"]


def test_the_missing_library_of_each_device_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpiod", None)
    button = {"source": "gpio:pi/17"}
    settings = Settings.model_validate({"controls": {"button": button, "lamp": {"source": "gpio:pi/18"}}})
    faults = startup_faults_of_devices(settings)
    assert [fault.partition(": ")[0] for fault in faults] == ["gpio:pi/17", "gpio:pi/18"]
    assert all("gpiod" in fault for fault in faults)


def test_a_listed_language_without_prompts_gets_a_note(tmp_path: Path) -> None:
    assistant = AssistantSettings(language=("de-DE", "fi-FI"))
    (note,) = app.prompt_notes(Settings(assistant=assistant))
    assert "no prompts in fi-FI" in note
    (tmp_path / "fi.yaml").write_text("W1: Ei verkkoa, koodi W 1.\n", encoding="utf-8")
    for speaker in (SpeakerSettings(prompts_folder=tmp_path), SpeakerSettings(prompts=False)):
        assert app.prompt_notes(Settings(assistant=assistant, speaker=speaker)) == []
