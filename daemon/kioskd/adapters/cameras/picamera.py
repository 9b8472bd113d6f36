"""The camera on the ribbon cable of a Raspberry Pi, by picamera2.

It is opened once, in one small configuration, and only started and stopped after that. Each opening or change
of mode takes new buffers of the kernel's contiguous memory (CMA), until none is left.
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
"""The kernel's names of the ribbon cable's receiver: on a Raspberry Pi 4 and older, and on a 5."""

_INSTALL: Final = (
    "run `apt install python3-picamera2`, and create kioskd's virtual environment with "
    "--system-site-packages, so that it finds the system's packages"
)


def cameras() -> list[str]:
    """Return the sources of ribbon-cable cameras; none if picamera2 cannot be used. Blocks for seconds."""
    if _absent():
        return []
    quiet_libcamera()
    try:
        from picamera2 import Picamera2  # noqa: PLC0415 - three seconds on a Raspberry Pi
    except ImportError as error:  # a system without all of Raspberry Pi's packages
        log.warning("ribbon-cable cameras not listed, as picamera2 cannot be imported: error=%s", error)
        return []

    # libcamera lists webcams too; their source is `v4l2:NAME`.
    own = [number for number, info in enumerate(Picamera2.global_camera_info()) if "usb" not in info["Id"]]
    return ["picamera" if number == 0 else f"picamera:{number}" for number in own]


def fault(sysfs: Path = Path("/sys")) -> str | None:
    """Return why a ribbon-cable camera cannot be used; None if it can, or there is no receiver."""
    names = (path.read_text(errors="replace") for path in sysfs.glob("class/video4linux/*/name"))
    if not any(name.startswith(RECEIVERS) for name in names):
        return None
    return _absent()


def _absent() -> str | None:
    """Return which package is missing and how to install it; None if both are installed."""
    for name in ("libcamera", "picamera2"):
        if importlib.util.find_spec(name) is None:
            return f"the Python package {name} is not installed; {_INSTALL}"
    return None


class PiCamera(CameraThread):
    """Camera on a ribbon cable; a `ports.Camera`.

    The camera itself turns its pictures where it can (by 180 degrees, mirrored), and Pillow does the rest.
    JPEGs come from the hardware encoder if the machine has one; otherwise the processor encodes them, one at
    a time.
    """

    def __init__(self, *, camera_number: int = 0, **form: Unpack[PictureForm]) -> None:
        """Open nothing yet. `camera_number`: the number in `rpicam-hello --list-cameras`.

        ConfigError: picamera2 is not installed where this Python finds it.
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
        """Close the camera, within 2 s. The next `look` opens it again."""
        opened, self._device = self._device, None
        if opened is None:
            return
        # A thread of its own: at its end the loop waits for the threads of its executor, and a camera driver
        # may hang.
        loop = asyncio.get_running_loop()
        closed: asyncio.Future[None] = loop.create_future()

        def close() -> None:
            opened.close()
            with contextlib.suppress(RuntimeError):  # the loop is closed by now
                loop.call_soon_threadsafe(closed.set_result, None)

        threading.Thread(target=close, name=f"{self._name} closing", daemon=True).start()
        done, _ = await asyncio.wait([closed], timeout=STOP_S)
        if not done:
            log.warning("%s does not close, kioskd goes on without it: waited=%.1fs", self._name, STOP_S)

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
            with contextlib.suppress(*FAILURES):  # a camera that is unplugged has stopped
                opened.stop()

    def _shoot(self, opened: OpenedCamera) -> bytes:
        with self._as_device_lost():
            try:
                return opened.shoot()
            except BadPicture as error:
                raise RuntimeError(f"its picture cannot be used: {error}") from error

    @contextlib.contextmanager
    def _as_device_lost(self) -> Iterator[None]:
        try:
            yield
        except ImportError as error:
            raise DeviceLost(
                f"{self._name}: picamera2 cannot be imported ({error}); "
                "run `apt install --reinstall python3-picamera2`",
                device=self._name,
            ) from error
        except FAILURES as error:
            why = " ".join(str(error.__cause__ or error).split()) or "it gave no picture in time"
            opened, self._device = self._device, None
            if opened is not None:
                opened.close()  # the next `look` opens it again
            raise DeviceLost(
                f"{self._name}: {why}; check its cable with `rpicam-hello --list-cameras`, "
                "and stop other programs that use it",
                listed=opened is not None,
                device=self._name,
            ) from error
