"""The behaviour that all cameras share: memory, a folder, a simulated webcam, and connected ones."""

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest
from tests.support import picamera_box
from tests.support.pictures import UPRIGHT, corners, form, jpeg, opened
from tests.support.v4l2_sim import SimulatedWebcam

from kioskd.adapters.cameras.folder import FolderCamera
from kioskd.adapters.cameras.picamera import PiCamera
from kioskd.adapters.cameras.v4l2 import V4l2Camera, cameras
from kioskd.adapters.fakes.devices import MemoryCamera
from kioskd.errors import DeviceLost
from kioskd.ports import Camera, RunningCamera

SIZE = 200

# picamera2 calls Thread.setDaemon, which is deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:setDaemon:DeprecationWarning")


class Bench(Protocol):
    """A camera that sees the picture of four colours, and functions that unplug it."""

    @property
    def camera(self) -> Camera: ...

    @property
    def staged(self) -> bool:
        """Whether it sees the picture; a real camera sees the room."""

    @property
    def running(self) -> bool | None:
        """Whether the camera runs; None if this cannot be known."""

    def unplug(self) -> None: ...

    def replug(self) -> None: ...

    async def close(self) -> None: ...


class MemoryBench:
    staged = True

    def __init__(self) -> None:
        self.camera = MemoryCamera(jpeg(200, 150))

    @property
    def running(self) -> bool | None:
        return self.camera.running

    def unplug(self) -> None:
        self.camera.unplug()

    def replug(self) -> None:
        self.camera.replug()

    async def close(self) -> None:
        pass


class FolderBench:
    staged = True
    running = None

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "pictures"
        self._folder.mkdir()
        (self._folder / "1.jpg").write_bytes(jpeg(640, 480))
        self.camera = FolderCamera(self._folder, **form(size=SIZE))

    def unplug(self) -> None:
        self._folder.rename(self._folder.with_suffix(".gone"))

    def replug(self) -> None:
        self._folder.with_suffix(".gone").rename(self._folder)

    async def close(self) -> None:
        pass


class WebcamBench:
    staged = True

    def __init__(self) -> None:
        self._webcam = SimulatedWebcam(lambda _: jpeg(640, 480), sizes=[(640, 480)])
        self.camera = V4l2Camera("c920", kernel=self._webcam, **form(size=SIZE))

    @property
    def running(self) -> bool | None:
        return self._webcam.streaming

    def unplug(self) -> None:
        self._webcam.fault = errno.ENODEV

    def replug(self) -> None:
        self._webcam.fault = None

    async def close(self) -> None:
        assert not self._webcam.open_fds
        assert self._webcam.mapped == 0


class RealBench:
    """A real camera, which a test cannot unplug."""

    staged = False

    def __init__(self, camera: Camera) -> None:
        self.camera = camera

    @property
    def running(self) -> bool | None:
        return None

    def unplug(self) -> None:
        pytest.skip("a test cannot unplug a real camera")

    def replug(self) -> None:
        raise AssertionError("the camera was not unplugged")

    async def close(self) -> None:
        pass


class PiBench(RealBench):
    def __init__(self, *, staged: bool) -> None:
        self._camera = PiCamera(**form(size=SIZE))
        super().__init__(self._camera)
        self.staged = staged

    @property
    def running(self) -> bool:
        return self._camera.running

    async def close(self) -> None:
        await self._camera.aclose()
        assert not self.running


@pytest.fixture(scope="session")
def virtual_pi(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Simulate a Pi camera that sees the picture, if picamera2 is installed and no camera is connected."""
    if not picamera_box.has_camera():
        folder = tmp_path_factory.mktemp("scene")
        (folder / "0.jpg").write_bytes(jpeg(1280, 960))
        picamera_box.install(folder)


@pytest.fixture(
    params=[
        *("memory", "folder", "simulated webcam"),
        pytest.param("webcam", marks=pytest.mark.hardware),
        pytest.param("picamera", marks=pytest.mark.hardware),
    ]
)
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    bench: Bench
    match request.param:
        case "memory":
            bench = MemoryBench()
        case "folder":
            bench = FolderBench(tmp_path)
        case "simulated webcam":
            bench = WebcamBench()
        case "webcam":
            here = cameras()
            if not here:
                pytest.skip("no webcam is connected; plug one in")
            bench = RealBench(V4l2Camera(here[0].path, **form(size=SIZE)))
        case _:
            if lacking := picamera_box.missing():
                pytest.skip(lacking)
            request.getfixturevalue("virtual_pi")
            bench = PiBench(staged=not picamera_box.has_camera())
    yield bench
    await bench.close()


@asynccontextmanager
async def looking(bench: Bench) -> AsyncIterator[RunningCamera]:
    async with asyncio.timeout(60), bench.camera.look() as sight:
        yield sight


async def test_a_picture_is_a_small_upright_jpeg_without_metadata(bench: Bench) -> None:
    async with looking(bench) as sight:
        shot = await sight.shoot()
    image = opened(shot)
    assert max(image.size) <= SIZE
    assert min(image.size) > SIZE // 4
    assert not image.getexif()
    assert not set(image.info) - {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    if bench.staged:
        assert corners(shot) == UPRIGHT


async def test_a_camera_runs_only_during_a_look(bench: Bench) -> None:
    if bench.running is None:
        pytest.skip("it cannot be known whether this camera runs")
    assert not bench.running
    async with looking(bench):
        assert bench.running
    assert not bench.running


async def test_an_unused_camera_is_released(bench: Bench) -> None:
    async with asyncio.timeout(60):
        await bench.camera.released()
        async with looking(bench):
            pass
        await bench.camera.released()
        assert not bench.running


async def test_a_camera_can_be_used_again_and_again(bench: Bench) -> None:
    for _ in range(3):
        async with looking(bench) as sight:
            for _ in range(2):
                assert opened(await sight.shoot()).size


async def test_a_cancelled_picture_does_no_harm(bench: Bench) -> None:
    async with looking(bench) as sight:
        async with asyncio.TaskGroup() as tasks:
            shot = tasks.create_task(sight.shoot())
            await asyncio.sleep(0)
            shot.cancel()
        assert opened(await sight.shoot()).size


async def test_a_look_that_is_cancelled_during_a_picture_can_be_followed_by_another(bench: Bench) -> None:
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        looked = asyncio.Event()

        async def look() -> None:
            async with bench.camera.look() as sight:
                looked.set()
                while True:
                    await sight.shoot()
                    await asyncio.sleep(0)

        task = tasks.create_task(look())
        await looked.wait()
        task.cancel()
    async with looking(bench) as sight:
        assert opened(await sight.shoot()).size


async def test_an_unplugged_camera_is_lost_and_works_when_it_is_back(bench: Bench) -> None:
    async with looking(bench) as sight:
        assert await sight.shoot()
        bench.unplug()
        with pytest.raises(DeviceLost):
            await sight.shoot()
    with pytest.raises(DeviceLost):
        async with looking(bench) as sight:
            pytest.fail("the camera was started")
    bench.replug()
    async with looking(bench) as sight:
        assert opened(await sight.shoot()).size
