"""Settings of the camera, accepted or rejected."""

from typing import Any

import pytest
from tests.support.settings import refusal, taken

from kioskd.settings.buttons_lamps import LampSettings
from kioskd.settings.camera import CameraSettings


@pytest.mark.parametrize(
    "values",
    [
        {"source": "picamera"},
        {"source": "picamera:1", "when": "conversation"},
        {"source": "v4l2:HD Webcam C270", "when": "speech"},
        {"source": "folder:/srv/pictures", "when": "request"},
        # A camera that is off keeps its settings.
        {"every_s": 1, "size": 64, "quality": 20, "min_change": 0, "refresh_s": 1},
        {"source": "picamera", "when": "speech", "every_s": 5, "min_change": 0.1, "refresh_s": 5},
        # Defaults can be written out, as in config/kioskd.yaml.
        {"source": "picamera", "when": "request", "every_s": 2, "min_change": 0.02, "refresh_s": 30},
        {"source": "picamera", "when": "speech", "every_s": 60, "refresh_s": 30},
        {"every_s": 3600, "size": 4096, "quality": 95, "min_change": 1, "refresh_s": 3600},
        {"rotate": 180, "mirror": True, "lamp": "led:camera"},
    ],
)
def test_valid_values_are_accepted(values: dict[str, Any]) -> None:
    assert taken("camera", **values).model_dump(exclude_unset=True) == values


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"source": "usb"}, "use off, picamera, v4l2:NAME or folder:PATH"),
        ({"source": "v4l2:"}, "is no camera"),
        ({"source": "picamera:one"}, "is no camera"),
        ({"every_s": 0.9}, "0.9 is below 1"),
        ({"size": 63}, "63 is below 64"),
        ({"quality": 96}, "96 is above 95"),
        ({"rotate": 45}, "0, 90, 180 or 270"),
        ({"min_change": 1.1}, "1.1 is above 1"),
        ({"refresh_s": 0}, "0 is below 1"),
        ({"when": "always"}, "'conversation', 'speech' or 'request'"),
        ({"lamp": "evdev:Pedal/KEY_A"}, "names no lamp"),
        ({"source": "picamera", "every_s": 9}, "sent only on request"),
        ({"source": "picamera", "min_change": 0.5}, "sent only on request"),
        ({"source": "picamera", "when": "request", "refresh_s": 60}, "sent only on request"),
        ({"source": "picamera", "when": "speech", "every_s": 9, "refresh_s": 8}, "8 is below every_s (9)"),
        ({"source": "picamera", "when": "speech", "min_change": 0, "refresh_s": 60}, "every picture is sent"),
    ],
)
def test_invalid_values_are_rejected_with_the_expected_form(values: dict[str, Any], words: str) -> None:
    assert words in refusal("camera", **values)


def test_the_form_of_the_pictures_comes_from_the_settings() -> None:
    camera = CameraSettings(source="picamera", size=320, quality=90, rotate=90, mirror=True)
    assert camera.form == {"size": 320, "quality": 90, "rotate": 90, "mirror": True}


def test_a_camera_is_on_unless_its_source_is_off() -> None:
    assert not CameraSettings().on
    assert CameraSettings(source="v4l2:C920").on


def test_the_light_of_the_camera_is_a_lamp_like_any_other() -> None:
    assert CameraSettings().own_lamp is None
    assert CameraSettings(lamp="led:camera").own_lamp == LampSettings(source="led:camera")
