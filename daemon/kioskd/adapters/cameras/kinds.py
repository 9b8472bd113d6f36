"""The kinds of `camera.source`. A new kind is a class here, and a name in `CAMERAS`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import ValidationInfo

from kioskd.adapters.cameras.source import CameraSource, PictureForm
from kioskd.adapters.source import DeviceAccess, Library, by_prefix, forms, parsed, source_text
from kioskd.yamlconf.value_types import resolved_path

if TYPE_CHECKING:
    from kioskd import ports


class NoCamera(CameraSource):
    """`off`: no camera."""

    prefix = form = pattern = "off"
    on = False

    def build(self, form: PictureForm) -> None:
        """Return None: there is no camera."""


class PiCameraSource(CameraSource):
    """`picamera`, or `picamera:1` for the second ribbon-cable camera."""

    prefix = form = "picamera"
    pattern = r"picamera(?::([0-9]))?"
    library = Library("picamera2", debian="python3-picamera2")
    access = DeviceAccess(
        "video",
        (
            ("/dev/video*", "video4linux"),
            ("/dev/media*", "media"),
            ("/dev/dma_heap/*", "dma_heap"),
        ),
    )

    def build(self, form: PictureForm) -> "ports.Camera":
        """Return the camera; see `CameraSource.build`."""
        from kioskd.adapters.cameras.picamera import PiCamera  # noqa: PLC0415

        return PiCamera(camera_number=int(self.parts[0] or 0), **form)

    @classmethod
    def found(cls, sysfs: Path) -> tuple[list[str], dict[str, str]]:
        """Return the cameras; see `CameraSource.found`. Takes a second where the machine may have one."""
        from kioskd.adapters.cameras import picamera  # noqa: PLC0415

        fault = picamera.fault(sysfs)
        return picamera.cameras(), {} if fault is None else {cls.prefix: fault}


class V4l2Source(CameraSource):
    """`v4l2:NAME`, where NAME is a part of the webcam's name, or a path."""

    prefix, form = "v4l2", "v4l2:NAME"
    pattern = r"v4l2:(.+)"
    access = DeviceAccess("video", (("/dev/video*", "video4linux"),))

    def build(self, form: PictureForm) -> "ports.Camera":
        """Return the camera; see `CameraSource.build`."""
        from kioskd.adapters.cameras.v4l2 import V4l2Camera  # noqa: PLC0415

        return V4l2Camera(self.parts[0], **form)

    @classmethod
    def found(cls, sysfs: Path) -> tuple[list[str], dict[str, str]]:
        """Return the webcams; see `CameraSource.found`. Of two with one name, a usable one counts."""
        from kioskd.adapters.cameras import v4l2  # noqa: PLC0415

        usable: list[str] = []
        faults: dict[str, str] = {}
        for camera in v4l2.cameras():
            name, fault = f"{cls.prefix}:{camera.name}", v4l2.why(camera)
            if not fault:
                usable.append(name)
            elif name not in usable:
                faults[name] = fault
        return usable, faults


class FolderSource(CameraSource):
    """`folder:PATH`. A relative path starts at the folder of the YAML file."""

    prefix, form = "folder", "folder:PATH"
    pattern = r"folder:((?s:.*))"
    rehearsed = True

    def resolved(self, info: ValidationInfo) -> str:
        """Return the text with an absolute path; see `Source.resolved`."""
        return f"{self.prefix}:{resolved_path(self.parts[0], info)}"

    @property
    def folder(self) -> Path:
        """The folder of the pictures."""
        return Path(self.parts[0])

    def build(self, form: PictureForm) -> "ports.Camera":
        """Return the camera; see `CameraSource.build`."""
        from kioskd.adapters.cameras.folder import FolderCamera  # noqa: PLC0415 - brings Pillow

        return FolderCamera(self.folder, **form)


CAMERAS: Final[dict[str, type[CameraSource]]] = by_prefix(NoCamera, PiCameraSource, V4l2Source, FolderSource)


def camera_source(text: str) -> CameraSource:
    """Return a parsed `camera.source`. ValueError: `text` is not the name of a camera."""
    return parsed(CAMERAS, text)


def cameras_found(sysfs: Path) -> tuple[list[str], dict[str, str]]:
    """Return the sources of all usable cameras, and the faults of unusable ones; see `CameraSource.found`."""
    usable: list[str] = []
    faults: dict[str, str] = {}
    for kind in CAMERAS.values():
        here, unusable = kind.found(sysfs)
        usable += here
        faults |= unusable
    return usable, faults


CameraSourceText = Annotated[
    str, source_text(camera_source, lambda _text: f"is not a camera; use {forms(CAMERAS)}")
]
"""The value of `camera.source`."""
