"""The extras of the package that settings need."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from kioskd.settings.extras import extras, main
from kioskd.settings.model import Settings

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"

EVERYTHING = """\
conversation: {wake: [button, wakeword], uplink: voice}
microphone: {echo: cancel}
controls: {button: {source: "evdev:Pedal/KEY_SPACE"}}
tools:
  - {kind: mcp, name: shop, argv: [/bin/true], allow: [stock]}
  - kind: mqtt
    name: light
    description: Switches the light.
    parameters: {type: object, properties: {}}
    broker: mqtt://127.0.0.1
    topic: light
    payload: "on"
"""


def test_the_default_settings_need_only_the_extra_watch() -> None:
    assert extras(Settings()) == ["watch"]


@pytest.mark.parametrize("conversation", [{"wake": ["voice"]}, {"turn_taking": "local"}, {"uplink": "voice"}])
def test_a_kiosk_that_judges_speech_needs_the_extra_voice(conversation: dict[str, object]) -> None:
    assert extras(Settings.model_validate_json(json.dumps({"conversation": conversation}))) == [
        "voice",
        "watch",
    ]


def test_each_needed_extra_has_its_name_in_the_package(tmp_path: Path) -> None:
    path = tmp_path / "kioskd.yaml"
    path.write_text(EVERYTHING)
    assert main(path) == "echo,input,mcp,mqtt,voice,wakeword,watch"
    offered = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"]
    assert set(main(path).split(",")) <= offered.keys()


@pytest.mark.parametrize(
    "source", ["{source: 'picamera'}", '{"source": "picamera:1"}', "\n  source: picamera"]
)
def test_a_library_that_only_debian_has_is_on_its_own_line(tmp_path: Path, source: str) -> None:
    path = tmp_path / "kioskd.yaml"
    path.write_text(f"camera: {source}\n")
    assert main(path) == "watch\npicamera2"


@pytest.mark.parametrize("text", ["microphone: {echo: telepathy}", ":::", ""])
def test_a_file_with_faults_needs_the_extras_of_the_defaults(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kioskd.yaml"
    path.write_text(text)
    assert main(path) == "watch"


def test_the_installer_can_run_the_module(tmp_path: Path) -> None:
    path = tmp_path / "kioskd.yaml"
    path.write_text("microphone: {echo: cancel}")
    command = [sys.executable, "-m", "kioskd.settings.extras", str(path)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "echo,watch\n"
