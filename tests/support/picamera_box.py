"""picamera2 and libcamera as on a Raspberry Pi, on a machine without a camera, a media device or a DMA heap.

libcamera's virtual camera is the sensor: it shows the pictures of a folder. It needs a system with libcamera's Python
(Debian 13: python3-libcamera) and picamera2 0.3.38 from PyPI; `tests.support.rootfs.rootfs("camera")` is one. There,

    python3 -P picamera_box.py FOLDER run --config FILE

is `kioskd run` with `camera.source: picamera` seeing FOLDER, one picture after the other, 30 a second. Nothing else is
needed of this file's folder (-P keeps modules from being looked for there). Where the system is read only, have
`CONFIGURATION` written before. The virtual camera gives NV12 in 640 x 480 or 1280 x 720 only, of which picamera2 chooses
the nearest; the adapter takes it as it comes. It stretches pictures, and does not turn them.

Replaced is only what the kernel lacks: frames live in memfds instead of DMA buffers, there are no raw modes and no
screen (pykms), and what libcamera 0.4's virtual camera leaves to chance is fixed: a frame's status, and its pace.
"""

import importlib.util
import mmap
import os
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any, Final

CONFIGURATION: Final = Path("/usr/share/libcamera/pipeline/virtual/virtual.yaml")
FRAMES_PER_S: Final = 30.0
_RECEIVERS: Final = frozenset({"unicam", "bcm2835-unicam", "rp1-cfe"})
"""Drivers of the camera receiver: mainline's and Raspberry Pi's name up to the Pi 4, and that of the Pi 5."""

_TEXT: Final = """\
"Kiosk":
  supported_formats:
  - {{width: 640, height: 480, frame_rates: [30, 60]}}
  - {{width: 1280, height: 720, frame_rates: [15, 30]}}
  frames: {{path: "{folder}/"}}
  location: "CameraLocationFront"
  model: "Kiosk"
"""


def missing() -> str | None:
    """Say what keeps picamera2 from running here; None if nothing does."""
    for name in ("libcamera", "picamera2"):
        if importlib.util.find_spec(name) is None:
            return f"no Python package {name} here (apt install python3-picamera2, or see tests/support/picamera_box.py)"
    return None


def has_camera(devices: Path = Path("/sys/bus/media/devices")) -> bool:
    """Whether a Pi's camera is connected: it has a media device of the Pi's camera receiver.

    A webcam, a video decoder and the kernel's virtual camera have media devices too, of other drivers.
    """
    drivers = {(path.resolve().parent / "driver").resolve().name for path in devices.glob("media*")}
    return not drivers.isdisjoint(_RECEIVERS)


def configuration(folder: Path) -> str:
    """Return what `CONFIGURATION` holds for a camera that sees the JPEGs of `folder`."""
    return _TEXT.format(folder=folder)


def install(folder: Path) -> None:
    """Have a camera that sees the JPEGs of `folder`, from when picamera2 opens one the next time.

    As root, unless `CONFIGURATION` says so already: a sandboxed service cannot write there.
    """
    text = configuration(folder)
    if not CONFIGURATION.exists() or CONFIGURATION.read_text() != text:
        CONFIGURATION.parent.mkdir(parents=True, exist_ok=True)
        CONFIGURATION.write_text(text)
    if _Memfds.installed:
        return
    _Memfds.installed = True
    os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:FATAL")
    # Whatever else is here, webcam or vimc, is no camera of this machine.
    os.environ.setdefault("LIBCAMERA_PIPELINES_MATCH_LIST", "virtual")
    sys.modules.setdefault("pykms", _Screen("pykms"))
    import libcamera  # noqa: PLC0415 - what was set above comes first
    from picamera2 import Picamera2, picamera2  # noqa: PLC0415 - as above
    from picamera2.allocators import dmaallocator  # noqa: PLC0415 - as above

    dmaallocator.DmaHeap = _Heap
    picamera2.DmaAllocator = _memory(libcamera, dmaallocator.DmaAllocator)
    Picamera2._get_raw_modes = _modes(libcamera)
    Picamera2.process_requests = _paced(Picamera2.process_requests)
    status = libcamera.FrameMetadata.Status
    status.Success = _anything(status)


def allocations() -> int:
    """Return how often picamera2 has taken memory for frames."""
    return _Memfds.allocations


class _Memfds:
    """What a process has of it."""

    installed = False
    allocations = 0


class _Screen(types.ModuleType):
    """A module that has whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Screen(name)


class _Heap:
    isValid = True  # noqa: N815 - picamera2's name

    def close(self) -> None:
        """Nothing was opened."""


def _memory(libcamera: Any, base: Any) -> Any:
    class Memory(base):  # type: ignore[misc]  # picamera2 has no types
        """Frame buffers in memfds."""

        def allocate(self, configuration: Any, _use_case: Any) -> None:
            _Memfds.allocations += 1
            self.libcamera_fds.clear()
            self.cleanup()
            for fd in self.open_fds:
                os.close(fd)
            self.open_fds.clear()
            self.frame_buffers.clear()
            for stream in configuration:
                self.frame_buffers[stream.stream] = [self._buffer(stream) for _ in range(stream.buffer_count)]

        def _buffer(self, stream: Any) -> Any:
            fd = os.memfd_create("frame", os.MFD_CLOEXEC)
            os.ftruncate(fd, stream.frame_size)
            self.open_fds.append(fd)
            luma = stream.stride * stream.size.height
            planes, offset = [], 0
            for length in (luma, stream.frame_size - luma):  # NV12 is two planes
                plane = libcamera.FrameBuffer.Plane()
                plane.fd, plane.offset, plane.length = fd, offset, length
                planes.append(plane)
                offset += length
            buffer = libcamera.FrameBuffer(planes)
            own_fd = buffer.planes[0].fd  # libcamera's copy, by which picamera2 finds it again
            self.libcamera_fds.append(own_fd)
            self.mapped_buffers_used[own_fd] = False
            self.mapped_buffers[buffer] = mmap.mmap(fd, stream.frame_size)
            return buffer

        class DmaSync(base.DmaSync):  # type: ignore[misc]  # as above
            """Memory that is everybody's needs no syncing."""

            def __enter__(self) -> Any:
                return self.get_buffer()

            def __exit__(self, *_error: object) -> None:
                pass

    return Memory


def _modes(libcamera: Any) -> Any:
    def modes(self: Any) -> list[dict[str, Any]]:
        formats = self.camera.generate_configuration([libcamera.StreamRole.Viewfinder]).at(0).formats
        return [
            {"format": str(format_), "size": (size.width, size.height)}
            for format_ in formats.pixel_formats
            for size in formats.sizes(format_)
        ]

    return modes


def _paced(process: Any) -> Any:
    pause = threading.Event()
    due = 0.0

    def paced(self: Any, display: Any) -> None:
        nonlocal due
        now = time.monotonic()
        pause.wait(max(0.0, due - now))
        due = max(due, now) + 1 / FRAMES_PER_S
        process(self, display)

    return paced


def _anything(status: Any) -> Any:
    class Anything(status):  # type: ignore[misc]  # libcamera has no types
        """Equal to every status."""

        def __eq__(self, _other: object) -> bool:
            return True

        __hash__ = status.__hash__

    return Anything(0)


def main() -> int:
    """Run kioskd with such a camera."""
    folder, *arguments = sys.argv[1:]
    install(Path(folder))
    from kioskd.cli import main as kioskd  # noqa: PLC0415 - as above

    return int(kioskd(arguments))


if __name__ == "__main__":
    sys.exit(main())
