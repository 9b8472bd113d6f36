"""The service uses a webcam and a camera on the ribbon cable in its sandbox. Both are pulled and put back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pytest
from tests.vm.kiosk import CAMERA_LAMP, YAML, Kiosk


@dataclass(frozen=True)
class Camera:
    """A camera with a plug."""

    source: str
    unplug: Callable[[Kiosk], None]
    replug: Callable[[Kiosk], None]
    restarts: int = 0
    """How often the daemon may restart when the camera is pulled in use."""

    def __str__(self) -> str:
        return self.source


CAMERAS: Final = (
    Camera("v4l2:Front", Kiosk.unplug_webcam, Kiosk.replug_webcam),
    # libcamera 0.4 aborts the process if the device itself vanishes while it runs. Pulling a ribbon cable
    # only ends the pictures.
    Camera("picamera", Kiosk.unplug_sensor, Kiosk.replug_sensor, restarts=1),
)
OF_THE_KIOSK: Final = '"v4l2:Front", when: request'
ALL_THE_TIME: Final = '"{}", when: conversation, every_s: 1, min_change: 0, size: 320'
"""Settings that send each picture, as these cameras always see the same."""


@pytest.fixture(scope="module", params=CAMERAS, ids=str)
def camera(request: pytest.FixtureRequest, here: Kiosk) -> Camera:
    """Return the camera that the daemon uses by its settings."""
    chosen: Camera = request.param
    assert OF_THE_KIOSK in YAML
    here.settings(YAML.replace(OF_THE_KIOSK, ALL_THE_TIME.format(chosen.source)))
    here.shows("Asleep")
    return chosen


def sees(here: Kiosk, times: int = 2) -> None:
    """Wait until the service has got this number of pictures."""
    with here.service.sees("picture", times, within_s=here.machine.patience_s):
        pass


def test_the_service_gets_pictures_as_long_as_a_conversation_lasts(here: Kiosk, camera: Camera) -> None:
    assert not here.lit(CAMERA_LAMP)
    here.wakes()
    sees(here)
    assert here.lit(CAMERA_LAMP)
    here.sleeps()
    here.lights(CAMERA_LAMP, lit=False)


def test_a_camera_that_is_pulled_while_the_kiosk_sleeps_is_missed_at_the_next_press(
    here: Kiosk, camera: Camera
) -> None:
    place = here.machine.journal.now
    camera.unplug(here)
    here.wakes()
    here.loses("camera", place)
    camera.replug(here)
    here.regains("camera", place)
    sees(here)
    here.sleeps()


@pytest.mark.parametrize("state", ["listening", "speaking"])
def test_a_camera_that_is_pulled_in_a_conversation_is_lost_and_used_again(
    here: Kiosk, camera: Camera, state: str
) -> None:
    restarts = here.restarts
    here.wakes()
    sees(here)
    if state == "speaking":
        here.speaks()
    place = here.machine.journal.now
    camera.unplug(here)
    here.loses("camera", place)
    camera.replug(here)
    here.regains("camera", place)
    sees(here)
    here.answers()
    assert here.says()["conversation"] is not None
    here.sleeps()
    assert here.restarts - restarts <= camera.restarts, here.machine.journal.text("kioskd.service", place)
