"""A source that is added to the tables works everywhere: in YAML, in commands, and in the composed daemon."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

import pytest
from pydantic import SecretStr
from tests.support.fakes_devices import MemoryLamp
from tests.support.kiosk import Kiosk, running, soon
from tests.support.parts import changed
from tests.support.pictures import jpeg

from kioskd import app
from kioskd.adapters.cameras.kinds import CAMERAS
from kioskd.adapters.cameras.source import CameraSource, PictureForm
from kioskd.adapters.controls.kinds import BUTTONS, LAMPS
from kioskd.adapters.controls.source import ButtonOptions, ButtonSource, LampOptions, LampSource
from kioskd.adapters.fakes.devices import MemoryButton, MemoryCamera
from kioskd.adapters.source import AnySource, DeviceAccess, DeviceListing, Library
from kioskd.cli import Exit, main
from kioskd.doctor.access import groups
from kioskd.doctor.configuration import libraries
from kioskd.doctor.context import CheckContext
from kioskd.doctor.machine import Machine
from kioskd.rehearsal.environment import scripted_environment
from kioskd.settings.extras import extras
from kioskd.settings.load import load

YAML: Final = """\
speaker: {cues: []}
camera: {source: "periscope:7", when: conversation}
controls:
  button: {source: "doorbell:front", mute_s: 0}
  lamp: {source: "beacon:roof"}
"""

Device = TypeVar("Device")


class Periscope(CameraSource):
    prefix, form = "periscope", "periscope:DEGREES"
    pattern = r"periscope:([0-9]+)"
    rehearsed = True
    library = Library("periscope_of_no_package", extra="periscope")
    access = DeviceAccess("navy", (("/dev/periscope*", "periscope"),))
    made: ClassVar[dict[str, MemoryCamera]] = {}

    def build(self, form: PictureForm) -> MemoryCamera:
        return self.made.setdefault(self.text, MemoryCamera(jpeg(form["size"], 64)))

    @classmethod
    def found(cls, sysfs: Path) -> tuple[list[str], dict[str, str]]:
        return ["periscope:7"], {"periscope:8": "it is under water"}


class Doorbell(ButtonSource):
    prefix, form = "doorbell", "doorbell:NAME"
    pattern = r"doorbell:([a-z]+)"
    refusal = "names no doorbell; write doorbell:front, say"
    called = "a doorbell"
    listing = DeviceListing("doorbells", "controls.button.source", lambda _dev, _sysfs: ["front", "back"])

    def build(self, options: ButtonOptions, shared: dict[str, Any]) -> MemoryButton:
        button: MemoryButton = shared.setdefault(self.text, MemoryButton())
        return button


class Beacon(LampSource):
    prefix, form = "beacon", "beacon:NAME"
    pattern = r"beacon:([a-z]+)"
    dims = True

    def build(self, options: LampOptions) -> MemoryLamp:
        return MemoryLamp()


@contextmanager
def added(table: dict[str, type[AnySource]], kind: type[AnySource]) -> Iterator[None]:
    """Add a kind to its table, as a line of code would."""
    table[kind.prefix] = kind
    try:
        yield
    finally:
        del table[kind.prefix]


@pytest.fixture(autouse=True)
def _own_kinds() -> Iterator[None]:
    with added(CAMERAS, Periscope), added(BUTTONS, Doorbell), added(LAMPS, Beacon):
        yield
    Periscope.made.clear()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "kioskd.yaml"
    path.write_text(YAML)
    return path


def test_check_takes_them_and_says_so(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(file)]) == Exit.OK
    said = capsys.readouterr().out
    assert "periscope:7, " in said
    assert "doorbell:front toggle" in said
    assert "beacon:roof" in said


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ("periscope:7", "periscope:up", "use off, picamera, v4l2:NAME, folder:PATH or periscope:DEGREES"),
        ("doorbell:front", "doorbell:1", "doorbell:1 names no doorbell; write doorbell:front, say"),
        ("beacon:roof", "beacon:1", "led:NAME or beacon:NAME, such as gpio:pi/25"),
        ("mute_s: 0", "pull: up", "it is for gpio lines, and this is a doorbell"),
        ('"beacon:roof"', '"beacon:roof", active: low', "it is for lamps of gpio and rgb only"),
    ],
)
def test_check_refuses_a_source_of_another_form(
    file: Path, capsys: pytest.CaptureFixture[str], right: str, wrong: str, words: str
) -> None:
    file.write_text(YAML.replace(right, wrong))
    assert main(["check", "--config", str(file)]) == Exit.CONFIGURATION
    assert words in capsys.readouterr().out


def test_privacy_tells_of_the_pictures(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["privacy", "--json", "--config", str(file)]) == Exit.OK
    leaving = json.loads(capsys.readouterr().out)["leaves"]
    assert "pictures of at most 768 pixels a side" in [one["what"] for one in leaving]


def test_devices_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices", "--here"]) == Exit.OK
    found = json.loads(capsys.readouterr().out)
    assert "periscope:7" in found["cameras"]
    assert found["camera_faults"]["periscope:8"] == "it is under water"
    assert found["doorbells"] == ["front", "back"]


def test_installer_and_doctor_know_the_libraries_and_groups_of_sources(file: Path, tmp_path: Path) -> None:
    settings = load(file)
    assert extras(settings) == ["periscope", "watch"]
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("kioskd:x:990:990::/:/usr/sbin/nologin\n")
    (tmp_path / "etc/group").write_text("audio:x:29:kioskd\nnavy:x:55:\nkioskd:x:990:\n")
    patient = CheckContext(settings, machine=Machine(tmp_path))
    assert "navy" in str(groups(patient))
    [missing] = libraries(patient)
    assert "periscope_of_no_package: this Python library is not installed" in str(missing)
    assert "pip install 'kioskd[periscope]'" in str(missing)


def test_a_rehearsal_uses_a_camera_that_says_so(file: Path, tmp_path: Path) -> None:
    environment = scripted_environment(load(file), SecretStr("not-used"), tmp_path)
    assert environment.parts.devices.camera is Periscope.made["periscope:7"]


class Equipped(Kiosk):
    """A kiosk with the devices that its settings name."""

    def parts(self) -> app.Parts:
        real = app.real_parts(self.settings, {"GEMINI_API_KEY": "not-used"})
        devices = real.devices
        [button], [lamp] = devices.buttons, devices.lamps
        self.button, self.lamp = _as(MemoryButton, button.button), _as(MemoryLamp, lamp.lamp)
        return changed(super().parts(), buttons=devices.buttons, lamps=devices.lamps, camera=devices.camera)


def _as(kind: type[Device], device: object) -> Device:
    assert isinstance(device, kind)
    return device


async def test_the_daemon_is_pressed_shines_and_sees_by_them(file: Path) -> None:
    made = Equipped(load(file), watchdog_s=None)
    async with running(made.serve()):
        await made.start()
        connection = await made.wake()
        assert made.lamp.shown[-1] == "listening"
        await soon(connection.until(lambda: connection.pictures))
        assert connection.pictures[0] == Periscope.made["periscope:7"].sees
