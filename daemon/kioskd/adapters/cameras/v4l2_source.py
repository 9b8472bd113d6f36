"""`v4l2:NAME`: a USB webcam."""

from pathlib import Path
from typing import TYPE_CHECKING

from kioskd.adapters.cameras.source import CameraSource, PictureForm
from kioskd.adapters.source import DeviceAccess

if TYPE_CHECKING:
    from kioskd import ports


class V4l2Source(CameraSource):
    """`v4l2:NAME`; the name is a part of the webcam's own, or a path."""

    prefix, form = "v4l2", "v4l2:NAME"
    pattern = r"v4l2:(.+)"
    access = DeviceAccess("video", (("/dev/video*", "video4linux"),))

    def build(self, form: PictureForm) -> "ports.Camera":
        """Return the camera; see `CameraSource.build`."""
        from kioskd.adapters.cameras.v4l2 import V4l2Camera  # noqa: PLC0415

        return V4l2Camera(self.parts[0], **form)

    @classmethod
    def found(cls, sysfs: Path) -> tuple[list[str], dict[str, str]]:
        """Return the webcams; see `CameraSource.found`. Of two with one name, one that can be used counts."""
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
