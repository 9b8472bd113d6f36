"""picamera2 is opened once; pictures are turned once; a missing package is reported with its remedy."""

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import picamera_box
from tests.support.pictures import corners, encoded, form, jpeg, noise, opened

from kioskd.adapters.cameras.picamera import PiCamera, cameras
from kioskd.adapters.cameras.picamera_device import remaining
from kioskd.errors import ConfigError, DeviceLost
from kioskd.media import picture
from kioskd.media.picture import Rotation

TURNS: tuple[Rotation, ...] = (0, 90, 180, 270)

# picamera2 calls Thread.setDaemon, which is deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:setDaemon:DeprecationWarning")


@pytest.mark.parametrize(
    ("rotate", "mirror", "hflip", "vflip"),
    list(itertools.product(TURNS, (False, True), (False, True), (False, True))),
)
def test_a_turn_that_the_camera_has_not_made_is_made(
    rotate: Rotation, mirror: bool, hflip: bool, vflip: bool
) -> None:
    flipped = jpeg()
    if vflip:
        flipped = picture.fit(flipped, size=320, quality=95, rotate=180, mirror=True)
    if hflip:
        flipped = picture.fit(flipped, size=320, quality=95, mirror=True)
    turn, mirrored = remaining(rotate, mirror=mirror, hflip=hflip, vflip=vflip)
    wanted = picture.fit(jpeg(), size=320, quality=95, rotate=rotate, mirror=mirror)
    assert corners(picture.fit(flipped, size=320, quality=95, rotate=turn, mirror=mirrored)) == corners(
        wanted
    )


@pytest.mark.parametrize("absent", ["libcamera", "picamera2"])
def test_a_missing_package_is_a_configuration_error_with_its_remedy(
    absent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == absent else object())
    with pytest.raises(ConfigError, match=f"{absent} is not installed; run `apt install python3-picamera2`"):
        PiCamera(**form())


def test_a_picamera2_that_cannot_be_imported_lists_no_camera_and_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "libcamera.py").touch()
    (tmp_path / "picamera2.py").write_text("import screens_of_raspberry_pi_os")
    for name in ("libcamera", "picamera2"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert cameras() == []
    assert "picamera2 cannot be imported: error=No module named 'screens_of_raspberry_pi_os'" in caplog.text


def test_listing_cameras_keeps_libcamera_from_printing_more_than_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "libcamera.py").touch()
    (tmp_path / "picamera2.py").write_text(
        "import os\n"
        "assert os.environ['LIBCAMERA_LOG_LEVELS'] == '*:ERROR'\n"
        "class Picamera2:\n    global_camera_info = staticmethod(lambda: [{'Id': '/base/imx708'}])\n"
    )
    monkeypatch.setenv("LIBCAMERA_LOG_LEVELS", "")  # so that it is put back
    monkeypatch.delenv("LIBCAMERA_LOG_LEVELS")
    for name in ("libcamera", "picamera2"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert cameras() == ["picamera"]


@pytest.mark.parametrize(
    ("driver", "is_one"),
    [("unicam", True), ("rp1-cfe", True), ("vimc", False), ("uvcvideo", False), ("bcm2835-codec", False)],
)
def test_only_the_media_device_of_a_camera_receiver_is_a_camera_of_a_pi(
    driver: str, is_one: bool, tmp_path: Path
) -> None:
    device, devices = tmp_path / "devices/platform/one", tmp_path / "bus/media/devices"
    for folder in (device / "media0", devices, tmp_path / driver):
        folder.mkdir(parents=True)
    (device / "driver").symlink_to(tmp_path / driver)
    (devices / "media0").symlink_to(device / "media0")
    assert picamera_box.has_camera(devices) is is_one


def test_a_machine_without_media_devices_has_no_camera_of_a_pi(tmp_path: Path) -> None:
    assert not picamera_box.has_camera(tmp_path)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Path]:
    """The folder with the virtual camera's pictures; read when a camera is opened for the first time."""
    if lacking := picamera_box.missing():
        pytest.skip(lacking)
    if picamera_box.has_camera():
        pytest.skip("this machine has a real camera, whose pictures are unknown")
    (tmp_path / "0.jpg").write_bytes(jpeg(1280, 960))
    picamera_box.install(tmp_path)
    yield tmp_path
    (tmp_path / "0.jpg").unlink()


@pytest.mark.hardware
async def test_memory_is_allocated_once_for_any_number_of_looks(scene: Path) -> None:
    camera = PiCamera(**form(size=320))
    before = picamera_box.allocations()
    for _ in range(5):
        async with camera.look() as sight:
            await sight.shoot()
    assert picamera_box.allocations() == before + 1
    await camera.aclose()


@pytest.mark.hardware
@pytest.mark.parametrize("rotate", TURNS)
@pytest.mark.parametrize("mirror", [False, True])
async def test_a_camera_mounted_askew_gives_upright_pictures(
    scene: Path, rotate: Rotation, mirror: bool
) -> None:
    camera = PiCamera(**form(size=320, rotate=rotate, mirror=mirror))
    async with camera.look() as sight:
        shot = await sight.shoot()
    await camera.aclose()
    assert max(opened(shot).size) == 320
    assert corners(shot) == corners(picture.fit(jpeg(), size=320, quality=95, rotate=rotate, mirror=mirror))


@pytest.mark.hardware
async def test_quality_is_the_one_in_the_settings(scene: Path) -> None:
    (scene / "0.jpg").write_bytes(encoded(noise(320, 180).resize((1280, 720)), quality=95))
    sizes = []
    for quality in (30, 90):
        camera = PiCamera(**form(size=1280, quality=quality))
        async with camera.look() as sight:
            sizes.append(len(await sight.shoot()))
        await camera.aclose()
    assert sizes[1] > 2 * sizes[0]


@pytest.mark.hardware
async def test_a_socket_without_a_camera_is_reported_and_costs_nothing(scene: Path) -> None:
    camera, opened_files = PiCamera(camera_number=3, **form()), []
    for _ in range(10):
        with pytest.raises(
            DeviceLost, match=r"picamera:3: the machine has no camera number 3 .*; check its cable"
        ) as lost:
            async with camera.look():
                pytest.fail("it was opened")
        assert not lost.value.listed
        opened_files.append(open_files())
    assert opened_files[-1] == opened_files[0], "libcamera keeps some files open, once"


@pytest.mark.hardware
async def test_a_camera_in_use_is_reported_and_works_when_it_is_free(scene: Path) -> None:
    first, second = PiCamera(**form(size=320)), PiCamera(**form(size=320))
    async with first.look():
        with pytest.raises(DeviceLost, match=r"camera picamera: .*stop other programs that use it"):
            async with second.look():
                pytest.fail("it was opened twice")
    await first.aclose()
    async with second.look() as sight:
        assert opened(await sight.shoot()).size
    await second.aclose()


@pytest.mark.hardware
async def test_closing_an_unopened_camera_does_nothing(scene: Path) -> None:
    await PiCamera(**form()).aclose()
