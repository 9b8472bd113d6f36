"""A USB webcam, by the kernel's Video4Linux. It is found by its maker's name, since its number may change."""

import contextlib
import errno
from collections.abc import Iterator
from typing import Final, Unpack

from kioskd.adapters.cameras.source import PictureForm
from kioskd.adapters.cameras.thread import CameraDriver, CameraThread
from kioskd.adapters.cameras.v4l2_device import (
    JPEGS,
    NoFormat,
    V4l2Kernel,
    VideoDevice,
    VideoStream,
    devices,
    streaming,
)
from kioskd.errors import DeviceLost
from kioskd.media import picture, raw_frame
from kioskd.media.picture import BadPicture

SETTLE_FRAMES: Final = 10
"""Frames until a webcam has settled its exposure."""

WAIT_S: Final = 2.0
"""Seconds for one good frame. In the dark 5 a second come, and a bad cable may damage several of them."""

_DAMAGED_AT_MOST: Final = 2


def cameras(kernel: V4l2Kernel | None = None) -> list[VideoDevice]:
    """Return the webcams of this machine, usable ones first, others with the reason; see `why`."""
    return sorted(devices(kernel or V4l2Kernel(), busy=True), key=lambda camera: camera.fault is not None)


def why(camera: VideoDevice) -> str:
    """Return why a camera cannot be used, and what to do; empty if it can."""
    return "" if camera.fault is None else _reason(camera.fault)[0]


class V4l2Camera(CameraThread):
    """Webcam; a `ports.Camera`.

    A JPEG that is small enough is sent as the camera made it, without its metadata. Larger or turned JPEGs
    are decoded and encoded again, and uncompressed frames are encoded. Each `look` opens the camera and
    closes it at its end: its buffers are ordinary memory, not contiguous.
    """

    def __init__(self, name: str, *, kernel: V4l2Kernel | None = None, **form: Unpack[PictureForm]) -> None:
        """`name`: a path (/dev/video0), or part of the name that `cameras` returns (case does not matter)."""
        super().__init__(f"camera v4l2:{name}", self._running)
        self._wanted = name
        self._form = form
        self._kernel = kernel or V4l2Kernel()

    @contextlib.contextmanager
    def _running(self) -> Iterator[CameraDriver]:
        with contextlib.ExitStack() as undo:
            with self._as_device_lost():
                stream = undo.enter_context(streaming(self._kernel, self._path(), size=self._form["size"]))
                for _ in range(SETTLE_FRAMES):
                    stream.next(WAIT_S)
            yield lambda: self._shoot(stream)

    def _shoot(self, stream: VideoStream) -> bytes:
        with self._as_device_lost():
            stream.drain()
            for _ in range(_DAMAGED_AT_MOST):
                with contextlib.suppress(BadPicture):
                    return self._fitted(stream.next(WAIT_S), stream)
            raise OSError(errno.EIO, "its pictures arrive damaged; try another cable or USB socket")

    def _fitted(self, frame: bytes, stream: VideoStream) -> bytes:
        if stream.layout.fourcc not in JPEGS:
            return raw_frame.jpeg(frame, stream.layout, **self._form)
        if not self._form.get("rotate") and not self._form.get("mirror"):
            jpeg = picture.bare(frame, size=self._form["size"])
            if jpeg is not None:
                return jpeg
        return picture.fit(frame, **self._form)

    def _path(self) -> str:
        if self._wanted.startswith("/"):
            return self._wanted
        here = list(devices(self._kernel))
        fitting = [camera for camera in here if self._wanted.casefold() in camera.name.casefold()]
        for camera in sorted(fitting, key=lambda camera: camera.fault is not None):
            if camera.fault is not None:
                raise camera.fault
            return camera.path
        names = ", ".join(dict.fromkeys(f"{camera.name!r}" for camera in here)) or "none"
        raise OSError(errno.ENODEV, f"no webcam has this name (webcams here: {names})")

    @contextlib.contextmanager
    def _as_device_lost(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise self._lost(f"{error}; plug it in again", listed=True) from error
        except OSError as error:
            raise self._lost(*_reason(error)) from error

    def _lost(self, why: str, listed: bool) -> DeviceLost:
        return DeviceLost(f"{self._name}: {why}", listed=listed, device=self._name)


def _reason(error: OSError) -> tuple[str, bool]:
    """Return the fault and what to do, and whether the camera is still connected."""
    match error.errno:
        case _ if isinstance(error, NoFormat):
            return f"{error.strerror}; use another camera", True
        case errno.EBUSY:
            return "another program is using it; stop that program (`fuser -v /dev/video*` names it)", True
        case errno.EACCES | errno.EPERM:
            return "kioskd has no permission; add the user that kioskd runs as to the group video", True
        case errno.ENOSPC:
            return "its USB bus has no bandwidth left; plug it into a socket away from other cameras", True
        case errno.ENODEV | errno.ENOENT | errno.ENXIO:
            return f"{error.strerror}; plug it in, or name another one (`kioskd devices` lists them)", False
        case _:
            return f"{error.strerror or error}; plug it in again, or try another", True
