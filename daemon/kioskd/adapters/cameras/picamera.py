"""A Raspberry Pi's own camera, by picamera2.

Opened once, in one small configuration, and only started and stopped after that: each opening and each change of mode
takes its buffers from the kernel's contiguous memory (CMA) again, until there is none left.
"""

import asyncio
import contextlib
import importlib.util
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Unpack

from kioskd.adapters.cameras.picamera_device import FAILURES, OpenedCamera, quiet_libcamera
from kioskd.adapters.cameras.source import PictureForm
from kioskd.adapters.cameras.thread import STOP_S, CameraDriver, CameraThread
from kioskd.errors import ConfigError, DeviceLost
from kioskd.media.picture import BadPicture

log = logging.getLogger(__name__)

RECEIVERS: Final = ("unicam", "rp1-cfe")
"""How the kernel calls what a ribbon cable ends in: on a Raspberry Pi 4 and before, and on a 5."""

_INSTALL: Final = (
    "apt install python3-picamera2, and let the environment see the system's packages "
    "(python3 -m venv --system-site-packages)"
)


def cameras() -> list[str]:
    """Return how the settings name each camera on a ribbon cable; none where picamera2 cannot be used. Blocks for seconds."""
    if _absent():
        return []
    quiet_libcamera()
    try:
        from picamera2 import Picamera2  # noqa: PLC0415 - three seconds on a Raspberry Pi
    except ImportError as error:  # a system without all of Raspberry Pi's packages
        log.warning("cameras on ribbon cables not listed, picamera2 cannot be imported: error=%s", error)
        return []

    # libcamera knows webcams, too; those have a name of their own.
    own = [number for number, info in enumerate(Picamera2.global_camera_info()) if "usb" not in info["Id"]]
    return ["picamera" if number == 0 else f"picamera:{number}" for number in own]


def fault(sysfs: Path = Path("/sys")) -> str | None:
    """Return why a camera on a ribbon cable cannot be used though the kernel has its receiver; None where all is well."""
    names = (path.read_text(errors="replace") for path in sysfs.glob("class/video4linux/*/name"))
    if not any(name.startswith(RECEIVERS) for name in names):
        return None
    return _absent()


def _absent() -> str | None:
    """Return which package is missing and how to install it; None where picamera2 is installed."""
    for name in ("libcamera", "picamera2"):
        if importlib.util.find_spec(name) is None:
            return f"the Python package {name} is not there; {_INSTALL}"
    return None


class PiCamera(CameraThread):
    """A camera on the ribbon cable; a `ports.Camera`.

    Pictures are turned by the camera itself where it can (180 degrees, mirror), and by Pillow where it cannot. JPEGs
    come from the hardware encoder where there is one, else from the processor, one at a time.
    """

    def __init__(self, *, camera_number: int = 0, **form: Unpack[PictureForm]) -> None:
        """Open nothing yet. `camera_number`: as `rpicam-hello --list-cameras` counts, on a Pi with two sockets.

        ConfigError: picamera2 is not installed where this Python can see it.
        """
        name = "camera picamera" if camera_number == 0 else f"camera picamera:{camera_number}"
        super().__init__(name, self._running)
        if fault := _absent():
            raise ConfigError(f"{name}: {fault}, or set camera.source: off")
        self._form = form
        self._number = camera_number
        self._device: OpenedCamera | None = None

    @property
    def running(self) -> bool:
        """Whether the camera is open and started."""
        opened = self._device
        return opened is not None and opened.running

    async def aclose(self) -> None:
        """Give the camera back, within 2 s. It may be looked through again: then it is opened again."""
        opened, self._device = self._device, None
        if opened is None:
            return
        # A thread of its own, and not the loop's: that one is waited for at the end, and drivers may hang.
        loop = asyncio.get_running_loop()
        closed: asyncio.Future[None] = loop.create_future()

        def close() -> None:
            opened.close()
            with contextlib.suppress(RuntimeError):  # the loop has not waited
                loop.call_soon_threadsafe(closed.set_result, None)

        threading.Thread(target=close, name=f"{self._name} closing", daemon=True).start()
        done, _ = await asyncio.wait([closed], timeout=STOP_S)
        if not done:
            log.warning("%s does not close, left alone: waited=%.1fs", self._name, STOP_S)

    @contextlib.contextmanager
    def _running(self) -> Iterator[CameraDriver]:
        with self._as_device_lost():
            if self._device is None:
                self._device = OpenedCamera(self._number, **self._form)
            opened = self._device
            opened.start()
        try:
            yield lambda: self._shoot(opened)
        finally:
            with contextlib.suppress(*FAILURES):  # one that is gone has stopped
                opened.stop()

    def _shoot(self, opened: OpenedCamera) -> bytes:
        with self._as_device_lost():
            try:
                return opened.shoot()
            except BadPicture as error:
                raise RuntimeError(f"gives no picture: {error}") from error

    @contextlib.contextmanager
    def _as_device_lost(self) -> Iterator[None]:
        try:
            yield
        except ImportError as error:
            raise DeviceLost(
                f"{self._name}: picamera2 cannot be imported ({error}); apt install --reinstall python3-picamera2",
                device=self._name,
            ) from error
        except FAILURES as error:
            why = " ".join(str(error.__cause__ or error).split()) or "no picture in time"
            opened, self._device = self._device, None
            if opened is not None:
                opened.close()  # what is lost is opened again
            raise DeviceLost(
                f"{self._name}: {why}; see its cable and `rpicam-hello --list-cameras`, and stop what else uses it",
                listed=opened is not None,
                device=self._name,
            ) from error
