"""The camera runs while pictures are wanted, and keeps none of them for long."""

from tests.support.fakes_devices import ManualClock
from tests.support.kiosk import running, soon
from tests.support.pictures import jpeg

from kioskd.adapters.fakes.devices import MemoryCamera
from kioskd.flow.camera.camera_device import REUSE_S, CameraDevice, Snapshot


async def test_a_picture_is_kept_only_as_long_as_it_may_answer_a_request() -> None:
    clock, camera = ManualClock(), MemoryCamera(jpeg())
    device = CameraDevice(camera, clock, lambda _event: None)
    async with running(device.run()):
        await soon(device.once(5.0))
        assert device.keeps_picture
        await clock.advance(REUSE_S)
        assert not device.keeps_picture


async def test_a_scheduled_picture_is_taken_when_it_is_due_and_the_camera_is_off_afterwards() -> None:
    clock, camera = ManualClock(), MemoryCamera(jpeg())
    device = CameraDevice(camera, clock, lambda _event: None)
    taken: list[tuple[float, bool]] = []

    def take(shot: Snapshot, asked: bool) -> None:
        taken.append((shot.at, asked))
        device.schedule(None)

    device.on_shot = take
    due = clock.now() + 3.0
    async with running(device.run()):
        device.schedule(due)
        await clock.advance(2.0)
        assert (device.running, taken) == (True, [])
        await clock.advance(2.0)
        assert taken == [(due, False)]
        assert not device.running
