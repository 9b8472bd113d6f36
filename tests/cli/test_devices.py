import argparse
import json
from functools import partial
from pathlib import Path

import pytest
from tests.support.pictures import jpeg
from tests.support.sound_cards import hold
from tests.support.sound_server import MICROPHONE, SPEAKER, SoundServer
from tests.support.v4l2_sim import SimulatedWebcam

from kioskd.adapters.cameras import v4l2
from kioskd.adapters.portaudio import alsa, sound_cards, streams
from kioskd.adapters.portaudio.devices import Direction, SoundDevice
from kioskd.adapters.portaudio.sound_cards import Pcm
from kioskd.cli import devices
from kioskd.doctor.machine import Machine


def run(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    devices.add_arguments(parser)
    return devices.run(parser.parse_args(argv))


def test_devices_are_listed_with_the_defaults_marked(
    sound_server: SoundServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    said = capsys.readouterr().out
    microphones, _, speakers = said.partition("speakers")
    assert f"  {MICROPHONE}   44100 Hz, channels: 32\n" in microphones
    assert "  default   44100 Hz, channels: 32   (default)\n" in microphones
    assert f"  {SPEAKER}   " in speakers
    assert MICROPHONE not in speakers


def test_json_has_the_same_content(sound_server: SoundServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert {"name": SPEAKER, "default": False, "rate_hz": 44100, "channels": 32} in said["speakers"]
    assert [device["name"] for device in said["microphones"] if device["default"]] == ["default"]
    assert said["sound_fault"] is None


def test_a_machine_without_sound_cards_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "missing.conf"))
    monkeypatch.setattr(devices, "_DEV", tmp_path)
    assert run() == 0
    said = capsys.readouterr().out
    assert said.count("none: ALSA_CONFIG_PATH=") == 2
    assert "none: this machine has no GPIO chips (/dev/gpiochip*)" in said


def test_a_gpio_chip_that_cannot_be_used_is_listed_with_its_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "missing.conf"))
    monkeypatch.setattr(devices, "_DEV", tmp_path)
    (tmp_path / "gpiochip7").touch()
    assert run() == 0
    assert "gpiochip7   no label, cannot be opened: " in capsys.readouterr().out


def test_leds_and_pwm_chips_are_listed_by_the_names_that_a_lamp_setting_takes(
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
    """Plant a webcam in this machine, and no other device that may be listed."""
    webcam = SimulatedWebcam(lambda _: jpeg())
    monkeypatch.setattr(v4l2, "V4l2Kernel", lambda: webcam)
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(sysfs / "missing.conf"))
    monkeypatch.setattr(devices, "_SYS", sysfs)
    return webcam


@pytest.mark.parametrize(
    ("formats", "busy", "why"),
    [
        ([b"H264"], False, "its picture formats are H264, and kioskd takes MJPG"),
        ([b"MJPG"], True, "another program is using it"),
    ],
)
def test_a_camera_that_cannot_be_used_is_listed_with_the_reason(
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


def test_a_ribbon_camera_without_picamera2_is_listed_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with_webcam(monkeypatch, tmp_path)
    (tmp_path / "class/video4linux/video0").mkdir(parents=True)
    (tmp_path / "class/video4linux/video0/name").write_text("rp1-cfe-csi2_ch0\n")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert run() == 0
    said = capsys.readouterr().out
    assert "  picamera   cannot be used: the Python package libcamera is not installed; run `apt" in said
    assert "  v4l2:HD Pro Webcam C920\n" in said


BUSY = "another program is using it; `sudo fuser -v /dev/snd/pcmC1D0c` names it"
LISTED = [
    SoundDevice(0, "Headset: USB Audio (hw:1,0)", 0, 2, 48_000),
    *(
        SoundDevice(number, name, 0, 2, 48_000)
        for number, name in enumerate(("dmix", "surround51", "front"), 1)
    ),
    SoundDevice(4, "default", 2, 2, 48_000, frozenset(Direction)),
    SoundDevice(5, "room", 2, 2, 48_000),
]


@pytest.fixture
def headset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Plant a card that plays, and whose microphone is busy."""
    monkeypatch.setattr(
        streams, "list_devices", lambda: (LISTED, [(Pcm(1, 0, Direction.IN), "hw:CARD=Head,DEV=0", BUSY)])
    )
    monkeypatch.setattr(alsa, "plugins", lambda: frozenset({"dmix", "surround51", "front"}))
    monkeypatch.setattr(sound_cards, "holder", partial(sound_cards.holder, root=tmp_path))
    return tmp_path


def listed(capsys: pytest.CaptureFixture[str], kind: str, *options: str) -> list[str]:
    assert run("--json", *options) == 0
    return [device["name"] for device in json.loads(capsys.readouterr().out)[kind]]


def test_plugins_of_alsa_are_listed_only_on_demand(headset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert listed(capsys, "speakers") == ["Headset: USB Audio", "default", "room"]
    assert len(listed(capsys, "speakers", "--all")) == len(LISTED)


def test_a_card_that_another_program_holds_is_listed_with_that_program(
    headset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    assert f"  hw:CARD=Head,DEV=0   {BUSY}\n" in capsys.readouterr().out
    hold(headset, 1, "0c", 4242, "arecord")
    assert run() == 0
    assert "  hw:CARD=Head,DEV=0   in use by arecord (process 4242); end" in capsys.readouterr().out


def test_a_card_that_the_kiosk_itself_holds_is_no_fault(
    headset: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(headset, 1, "0c", 77, "kioskd")
    (headset / "proc/77/cmdline").write_bytes(b"python\0/opt/kioskd/current/bin/kioskd\0run\0")
    monkeypatch.setattr(devices, "MACHINE", Machine(headset))
    assert run() == 0
    assert "  hw:CARD=Head,DEV=0   in use by the kiosk itself (process 77)" in capsys.readouterr().out


def test_a_list_from_outside_the_sandbox_says_why(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(devices, "MACHINE", Machine(tmp_path))
    assert run() == 0
    assert capsys.readouterr().out.endswith(
        "The service's sandbox may hide some of these; this list ignores it: systemd does not run here.\n"
    )


def test_plugins_of_alsa_are_the_devices_that_its_files_define(tmp_path: Path) -> None:
    (tmp_path / "usr/share/alsa").mkdir(parents=True)
    (tmp_path / "usr/share/alsa/alsa.conf").write_text(
        "pcm.dmix cards.pcm.dmix\npcm.default x\n  pcm.!surround51 {\n# pcm.none\n"
    )
    (tmp_path / "etc/alsa/conf.d").mkdir(parents=True)
    (tmp_path / "etc/alsa/conf.d/50-pulse.conf").write_text("pcm.pulse { type pulse }\n")
    assert alsa.plugins(tmp_path) == {"dmix", "surround51"}
