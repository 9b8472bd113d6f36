import argparse
import json
from pathlib import Path

import pytest
from tests.support.pictures import jpeg
from tests.support.sound_server import MICROPHONE, SPEAKER, SoundServer
from tests.support.v4l2_sim import SimulatedWebcam

from kioskd.adapters import v4l2
from kioskd.cli import devices


def run(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    devices.add_arguments(parser)
    return devices.run(parser.parse_args(argv))


def test_it_lists_what_there_is_with_the_defaults_marked(
    sound_server: SoundServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    said = capsys.readouterr().out
    microphones, _, speakers = said.partition("speakers")
    assert f"  {MICROPHONE}   44100 Hz, channels: 32\n" in microphones
    assert "  default   44100 Hz, channels: 32   (default)\n" in microphones
    assert f"  {SPEAKER}   " in speakers
    assert MICROPHONE not in speakers


def test_json_says_the_same_for_programs(
    sound_server: SoundServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert {"name": SPEAKER, "default": False, "rate_hz": 44100, "channels": 32} in said["speakers"]
    assert [device["name"] for device in said["microphones"] if device["default"]] == ["default"]
    assert said["sound_fault"] is None


def test_no_sound_at_all_is_said_plainly_and_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "missing.conf"))
    monkeypatch.setattr(devices, "_DEV", tmp_path)
    assert run() == 0
    said = capsys.readouterr().out
    assert said.count("none: ALSA_CONFIG_PATH=") == 2
    assert "none: this machine has no /dev/gpiochip*" in said


def test_a_chip_that_is_none_is_listed_with_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "missing.conf"))
    monkeypatch.setattr(devices, "_DEV", tmp_path)
    (tmp_path / "gpiochip7").touch()
    assert run() == 0
    assert "gpiochip7   no label, cannot be opened: " in capsys.readouterr().out


def test_leds_and_pwm_chips_are_listed_by_the_names_that_a_lamp_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "missing.conf"))
    monkeypatch.setattr(devices, "_SYS", tmp_path)
    (tmp_path / "class/leds/ACT").mkdir(parents=True)
    (tmp_path / "class/pwm/pwmchip0").mkdir(parents=True)
    assert run("--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["leds"], said["pwm_chips"]) == (["ACT"], ["pwmchip0"])
    assert run() == 0
    assert 'leds (controls.lamp.source: "led:NAME"):\n  ACT\n' in capsys.readouterr().out


def with_webcam(monkeypatch: pytest.MonkeyPatch, sysfs: Path) -> SimulatedWebcam:
    """Have a webcam in this machine, and nothing else that may be listed."""
    webcam = SimulatedWebcam(lambda _: jpeg())
    monkeypatch.setattr(v4l2, "SystemKernel", lambda: webcam)
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(sysfs / "missing.conf"))
    monkeypatch.setattr(devices, "_SYS", sysfs)
    return webcam


@pytest.mark.parametrize(
    ("formats", "busy", "why"),
    [
        ([b"H264"], False, "its formats are H264, and kioskd takes MJPG"),
        ([b"MJPG"], True, "in use by something else"),
    ],
)
def test_a_camera_that_is_seen_and_cannot_be_used_is_named_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    *,
    formats: list[bytes],
    busy: bool,
    why: str,
) -> None:
    webcam = with_webcam(monkeypatch, tmp_path)
    webcam.formats, webcam.busy = formats, busy
    assert run() == 0
    assert f"  v4l2:HD Pro Webcam C920   cannot be used: {why}" in capsys.readouterr().out
    assert run("--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert "v4l2:HD Pro Webcam C920" not in said["cameras"]
    assert said["camera_faults"]["v4l2:HD Pro Webcam C920"].startswith(why)


def test_a_camera_on_a_ribbon_cable_that_no_package_here_can_use_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with_webcam(monkeypatch, tmp_path)
    (tmp_path / "class/video4linux/video0").mkdir(parents=True)
    (tmp_path / "class/video4linux/video0/name").write_text("rp1-cfe-csi2_ch0\n")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert run() == 0
    said = capsys.readouterr().out
    assert "  picamera   cannot be used: the Python package libcamera is not there; apt install" in said
    assert "  v4l2:HD Pro Webcam C920\n" in said
