"""Settings of captions: off by default, and each wrong value is named."""

from pathlib import Path

import pytest

from kioskd.settings.captions import CaptionsSettings
from kioskd.settings.load import SettingsError, load


def faults(tmp_path: Path, text: str) -> str:
    path = tmp_path / "kioskd.yaml"
    path.write_text(f"conversation: {{wake: [remote]}}\ncaptions: {text}\n")
    try:
        load(path)
    except SettingsError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{port: 80}", "captions.port: 80 is a port for root only"),
        ("{port: 70000}", "captions.port: 70000 is above 65535"),
        ("{terminal: /dev/sda}", "captions.terminal: /dev/sda is no terminal of this machine"),
        ("{terminal: /etc/tty1}", "captions.terminal: /etc/tty1 is no terminal of this machine"),
        ("{terminal: tty1}", "is no terminal of this machine"),
        ("{ports: 8088}", "did you mean port?"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, text: str, why: str) -> None:
    assert why in faults(tmp_path, text)


def test_right_values_are_accepted(tmp_path: Path) -> None:
    assert faults(tmp_path, "{port: 8088, terminal: /dev/tty1, stream: true}") == ""


@pytest.mark.parametrize(
    ("settings", "on"),
    [
        (CaptionsSettings(), False),
        (CaptionsSettings(port=8088), True),
        (CaptionsSettings(terminal=Path("/dev/tty1")), True),
        (CaptionsSettings(stream=True), True),
    ],
)
def test_captions_are_on_if_anything_shows_them(settings: CaptionsSettings, *, on: bool) -> None:
    assert settings.on is on
