"""`picamera` and `picamera:N`: a camera on the ribbon cable of a Raspberry Pi."""

from pathlib import Path
from typing import TYPE_CHECKING

from kioskd.adapters.cameras.source import CameraSource, PictureForm
from kioskd.adapters.source import DeviceAccess, Library

if TYPE_CHECKING:
    from kioskd import ports


class PiCameraSource(CameraSource):
    """`picamera`, or `picamera:1` for the second one."""

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
        """Return the cameras; see `CameraSource.found`. It takes a second where there may be one."""
        from kioskd.adapters.cameras import picamera  # noqa: PLC0415

        fault = picamera.fault(sysfs)
        return picamera.cameras(), {} if fault is None else {cls.prefix: fault}
