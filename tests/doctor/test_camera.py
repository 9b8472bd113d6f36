"""The check of the camera: the number of its pictures, and its verdict on them."""

from PIL import Image
from tests.doctor.planting import Kiosk, finding_of
from tests.support.pictures import encoded, quarters

from kioskd.doctor.finding import Verdict

DARK = encoded(Image.new("RGB", (320, 240), (3, 2, 4)))


async def test_one_picture_that_shows_something_is_enough(kiosk: Kiosk) -> None:
    found = finding_of(await kiosk.examined(), "camera")
    assert (found.verdict, kiosk.camera.shots) == (Verdict.OK, 1)
    assert not kiosk.camera.running


async def test_a_camera_is_given_time_to_find_its_exposure(kiosk: Kiosk) -> None:
    kiosk.camera.sees = DARK
    began = kiosk.clock.now()

    def expose() -> None:
        if kiosk.camera.shots < 3:
            kiosk.clock.call_later(0.1, expose)
        else:
            kiosk.camera.sees = encoded(quarters())

    kiosk.clock.call_later(0.1, expose)
    found = finding_of(await kiosk.examined(), "camera")
    assert (found.verdict, kiosk.camera.shots) == (Verdict.OK, 4)
    assert kiosk.clock.now() - began >= 1.2


async def test_a_picture_all_of_one_colour_is_not_called_black(kiosk: Kiosk) -> None:
    kiosk.camera.sees = encoded(Image.new("RGB", (320, 240), (200, 200, 200)))
    found = finding_of(await kiosk.examined(), "camera")
    assert (found.fault, "all of one colour" in found.said, kiosk.camera.shots) == ("camera-black", True, 6)


async def test_the_camera_check_is_skipped_without_a_camera(kiosk: Kiosk) -> None:
    kiosk.settings["camera"]["source"] = "off"
    assert finding_of(await kiosk.examined(), "camera").verdict is Verdict.SKIPPED
