"""picamera2 and libcamera as on a Raspberry Pi, for a machine without camera, media device and DMA heap.

libcamera's virtual camera is the sensor, and shows the pictures of a folder. The system needs libcamera's
Python (Debian 13: python3-libcamera), and picamera2 0.3.38 from PyPI; `tests.support.rootfs.rootfs("camera")`
has both. There,

    python3 -P picamera_box.py FOLDER run --config FILE

runs `kioskd run`, and `camera.source: picamera` shows the pictures of FOLDER one after another, 30 a second.
-P keeps Python from importing other modules of this file's folder. If the system is read-only, write
`CONFIGURATION` beforehand. The virtual camera gives NV12 in 640 x 480 or 1280 x 720 only. picamera2 chooses
the nearest of them, and the adapter takes it. The camera stretches pictures, and does not rotate them.

Only missing parts of the kernel are replaced: frames are in memfds instead of DMA buffers, and there are
neither raw modes nor a screen (pykms). Two random properties of libcamera 0.4's virtual camera are fixed: a
frame's status and the frame rate.
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
"""Drivers of the camera receiver: mainline's and Raspberry Pi's up to the Pi 4, and the Pi 5's."""

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
    """Return why picamera2 cannot run here; None if it can."""
    for name in ("libcamera", "picamera2"):
        if importlib.util.find_spec(name) is None:
            return f"the Python package {name} is missing; see tests/support/picamera_box.py"
    return None


def has_camera(devices: Path = Path("/sys/bus/media/devices")) -> bool:
    """Return whether a Pi's camera is connected: a media device of the Pi's camera receiver exists.

    Webcams, video decoders and the kernel's virtual camera have media devices, too, with other drivers.
    """
    drivers = {(path.resolve().parent / "driver").resolve().name for path in devices.glob("media*")}
    return not drivers.isdisjoint(_RECEIVERS)


def configuration(folder: Path) -> str:
    """Return the text of `CONFIGURATION` for a camera that shows the JPEGs of `folder`."""
    return _TEXT.format(folder=folder)


def install(folder: Path) -> None:
    """Replace the camera by one that shows the JPEGs of `folder`, from picamera2's next opening on.

    Needs root, unless `CONFIGURATION` has that text already: a sandboxed service cannot write it.
    """
    text = configuration(folder)
    if not CONFIGURATION.exists() or CONFIGURATION.read_text() != text:
        CONFIGURATION.parent.mkdir(parents=True, exist_ok=True)
        CONFIGURATION.write_text(text)
    if _Memfds.installed:
        return
    _Memfds.installed = True
    os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:FATAL")
    # Other cameras of this machine, such as a webcam or vimc, must not be used.
    os.environ.setdefault("LIBCAMERA_PIPELINES_MATCH_LIST", "virtual")
    sys.modules.setdefault("pykms", _Screen("pykms"))
    import libcamera  # noqa: PLC0415 - must follow the settings above
    from picamera2 import Picamera2, picamera2  # noqa: PLC0415 - as above
    from picamera2.allocators import dmaallocator  # noqa: PLC0415 - as above

    dmaallocator.DmaHeap = _Heap
    picamera2.DmaAllocator = _memory(libcamera, dmaallocator.DmaAllocator)
    Picamera2._get_raw_modes = _modes(libcamera)
    Picamera2.process_requests = _paced(Picamera2.process_requests)
    status = libcamera.FrameMetadata.Status
    status.Success = _anything(status)


def allocations() -> int:
    """Return how often picamera2 has allocated memory for frames."""
    return _Memfds.allocations


class _Memfds:
    """State of the replacement in this process."""

    installed = False
    allocations = 0


class _Screen(types.ModuleType):
    """Module that has every attribute."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Screen(name)


class _Heap:
    isValid = True  # noqa: N815 - picamera2's name

    def close(self) -> None:
        """Do nothing."""


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
            for length in (luma, stream.frame_size - luma):  # NV12 has two planes
                plane = libcamera.FrameBuffer.Plane()
                plane.fd, plane.offset, plane.length = fd, offset, length
                planes.append(plane)
                offset += length
            buffer = libcamera.FrameBuffer(planes)
            own_fd = buffer.planes[0].fd  # libcamera's copy, by which picamera2 finds the buffer
            self.libcamera_fds.append(own_fd)
            self.mapped_buffers_used[own_fd] = False
            self.mapped_buffers[buffer] = mmap.mmap(fd, stream.frame_size)
            return buffer

        class DmaSync(base.DmaSync):  # type: ignore[misc]  # as above
            """Shared memory, which needs no syncing."""

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
    """Run kioskd with the replaced camera."""
    folder, *arguments = sys.argv[1:]
    install(Path(folder))
    from kioskd.cli import main as kioskd  # noqa: PLC0415 - as above

    return int(kioskd(arguments))


if __name__ == "__main__":
    sys.exit(main())
