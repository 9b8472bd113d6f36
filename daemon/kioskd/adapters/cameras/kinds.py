"""The kinds of `camera.source`. A new kind is a module beside its adapter, and a name in `CAMERAS`."""

from pathlib import Path
from typing import Annotated, Final

from kioskd.adapters.cameras.folder_source import FolderSource
from kioskd.adapters.cameras.picamera_source import PiCameraSource
from kioskd.adapters.cameras.source import CameraSource, PictureForm
from kioskd.adapters.cameras.v4l2_source import V4l2Source
from kioskd.adapters.source import by_prefix, forms, parsed, source_text


class NoCamera(CameraSource):
    """`off`."""

    prefix = form = pattern = "off"
    on = False

    def build(self, form: PictureForm) -> None:
        """Return None: there is no camera."""


CAMERAS: Final[dict[str, type[CameraSource]]] = by_prefix(NoCamera, PiCameraSource, V4l2Source, FolderSource)


def camera_source(text: str) -> CameraSource:
    """Return a `camera.source`, taken apart.

    Raises:
        ValueError: `text` is none.
    """
    return parsed(CAMERAS, text)


def cameras_found(sysfs: Path) -> tuple[list[str], dict[str, str]]:
    """Return the sources of all cameras that this machine has, and those that cannot be used; see `CameraSource.found`."""
    usable: list[str] = []
    faults: dict[str, str] = {}
    for kind in CAMERAS.values():
        here, unusable = kind.found(sysfs)
        usable += here
        faults |= unusable
    return usable, faults


def _refusal(_text: str) -> str:
    return f"is no camera: none has that name; use {forms(CAMERAS)}"


CameraSourceText = Annotated[str, source_text(camera_source, _refusal)]
"""The value of `camera.source`."""
