"""Settings and parts -> the camera's worker."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from kioskd.app.devices import Parts
from kioskd.core.events import Event
from kioskd.flow.camera.snapshot_requests import ShowPicture
from kioskd.flow.link.picture_pacer import PicturePacer
from kioskd.settings.model import Settings

if TYPE_CHECKING:
    from kioskd.flow.camera.stream import CameraStream


def camera(
    settings: Settings, parts: Parts, way: PicturePacer, post: Callable[[Event], None], show: ShowPicture
) -> "CameraStream | None":
    """Return what runs the camera and sends its pictures; None where there is no camera.

    `show` puts a picture before the model on request.
    """
    if parts.camera is None:
        return None
    from kioskd.flow.camera.stream import CameraStream  # noqa: PLC0415 - brings Pillow

    return CameraStream(
        parts.camera,
        parts.clock,
        way=way,
        post=post,
        every_s=settings.camera.every_s,
        min_change=settings.camera.min_change,
        refresh_s=settings.camera.refresh_s,
        lamp=parts.camera_lamp,
        show=show,
    )
