"""Settings and parts -> the camera's worker."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from kioskd.app.parts import Parts
from kioskd.core.events import Event
from kioskd.flow.looks import Show
from kioskd.flow.way import Way
from kioskd.settings.model import Settings

if TYPE_CHECKING:
    from kioskd.flow.camera_to_live import CameraToLive


def camera(
    settings: Settings, parts: Parts, way: Way, post: Callable[[Event], None], show: Show
) -> "CameraToLive | None":
    """Return what runs the camera and sends its pictures; None where there is no camera.

    `show` puts a picture before the model on request.
    """
    if parts.camera is None:
        return None
    from kioskd.flow.camera_to_live import CameraToLive  # noqa: PLC0415 - brings Pillow

    return CameraToLive(
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
