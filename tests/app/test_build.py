"""The groups of workers that make up the daemon."""

from tests.support.fakes_devices import MemoryLamp
from tests.support.kiosk import QUIET, Kiosk
from tests.support.parts import changed

from kioskd.adapters.fakes.devices import MemoryCamera
from kioskd.app import LampSpec
from kioskd.app.build import lamp_workers, picture_service, storage
from kioskd.flow.camera.no_camera import NoPictureService
from kioskd.flow.link.picture_pacer import PicturePacer


def made(it: Kiosk, **others: object) -> str:
    """Return the status of the picture service of a kiosk with these parts."""
    pacer = PicturePacer(it.clock, uplink_idle=lambda: True)
    parts = changed(it.parts(), **others)
    return picture_service(
        it.settings, parts, pacer, lambda _event: None, lambda _jpeg, _settled: False
    ).status


async def test_a_camera_begins_off_and_a_missing_camera_has_the_status_none() -> None:
    it = Kiosk(QUIET, watchdog_s=None)
    assert made(it, camera=None) == NoPictureService.status == "none"
    assert made(it, camera=MemoryCamera(b"")) == "off"


async def test_each_lamp_has_a_worker_of_its_own() -> None:
    it = Kiosk(QUIET, watchdog_s=None)
    parts = changed(it.parts(), lamps=[LampSpec(MemoryLamp()), LampSpec(MemoryLamp())])
    assert len(lamp_workers(parts, lambda _event: None)) == 2


async def test_a_day_without_limits_is_not_stored() -> None:
    it = Kiosk(QUIET, watchdog_s=None)
    group = storage(it.settings, it.parts(), lambda _event: None)
    assert not group.day.limited
    assert group.recorder.kept == ""
