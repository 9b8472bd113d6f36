"""The context of all checks: the settings of a file, and the devices that they name."""

from pathlib import Path

from tests.doctor.planting import Kiosk

from kioskd import app
from kioskd.doctor.context import CheckContext
from kioskd.settings.model import Settings


def test_settings_with_faults_leave_the_defaults_to_be_checked(tmp_path: Path) -> None:
    file = tmp_path / "kioskd.yaml"
    file.write_text("speaker: {volume: 300}")
    found = CheckContext.of(file, {})
    assert [fault.key for fault in found.faults] == ["speaker.volume"]
    assert found.settings == Settings()


def test_a_fault_that_prevents_the_start_is_a_fault_of_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "kioskd.yaml"
    file.write_text("speaker: {volume: 30}")
    found = CheckContext.of(file, {"GEMINI_API_KEY": "a-key"})
    assert [fault.key for fault in found.faults] == ["conversation.wake"]
    assert found.settings.speaker.volume == 30


async def test_a_check_gets_the_devices_of_its_own_settings_and_no_others(kiosk: Kiosk) -> None:
    asked: list[Settings] = []
    whole = kiosk.context()

    def parts(settings: Settings) -> app.Parts:
        asked.append(settings)
        return whole.parts(settings)

    CheckContext(whole.settings, parts=parts).only("microphone", "speaker")
    assert asked[0].microphone == whole.settings.microphone
    assert asked[0].speaker == whole.settings.speaker
    assert asked[0].camera == Settings().camera != whole.settings.camera


def test_the_environment_is_not_shown() -> None:
    assert "sesame" not in repr(CheckContext(Settings(), {"GEMINI_API_KEY": "sesame"}))
