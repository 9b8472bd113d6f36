"""A webcam and its kernel driver in memory, at the level of system calls, with the kernel's rules.

Frames are exposed as fast as they are taken, each into the buffer that was queued first. Without a queued
buffer they are lost, as with a real webcam. Each frame contains its number, in a comment or in its pixels.
"""

import ctypes
import errno
import threading
from collections import deque
from collections.abc import Callable, Sequence

from kioskd.adapters.cameras import v4l2_abi as v4l2
from kioskd.adapters.cameras.v4l2_device import V4l2Kernel

LENGTH = 200_000


class SimulatedWebcam(V4l2Kernel):
    """Kernel with a camera at /dev/video2, its metadata at /dev/video3, and an encoder at /dev/video0."""

    def __init__(
        self, sees: Callable[[int], bytes], sizes: Sequence[tuple[int, int]] = ((320, 240),)
    ) -> None:
        """`sees`: function that returns the frame of a number, in the size that is set."""
        self.sees = sees
        self.sizes = sizes
        self.card = b"HD Pro Webcam C920"
        self.formats: list[bytes] = [b"YUYV", b"MJPG"]
        self.set_to = v4l2.VideoFormat()
        self.stride = 0
        """Bytes from row to row; 0 for the bytes of a row."""
        self.busy = False
        """Whether another program streams from the camera."""
        self.streaming = False
        self.open_fds: dict[int, str] = {}
        self.mapped = 0
        self.fault: int | None = None
        """The errno of every call except closing; None for no error."""
        self.silent = False
        """Whether the camera silently gives no more frames."""
        self.padding = b""
        self.damaged: set[int] = set()
        """Numbers of the frames that arrive damaged and are marked so."""
        self.exposed = 0
        self._buffers: list[bytearray] = []
        self._queued: deque[int] = deque()
        self._filled: deque[v4l2.VideoBuffer] = deque()
        self._asked_for_nothing = threading.Event()

    def nodes(self) -> Sequence[str]:
        return () if self.fault == errno.ENODEV else ("/dev/video0", "/dev/video2", "/dev/video3")

    def name(self, path: str) -> str:
        return self.card.decode() if path == "/dev/video2" else "bcm2835-codec-encode"

    def open(self, path: str) -> int:
        if path not in self.nodes():
            raise OSError(errno.ENOENT, "No such file or directory")
        if self.fault == errno.EACCES:
            raise OSError(self.fault, "Permission denied")
        fd = max(self.open_fds, default=100) + 1
        self.open_fds[fd] = path
        return fd

    def close(self, fd: int) -> None:
        del self.open_fds[fd]
        self.streaming = False

    def map(self, fd: int, length: int, offset: int) -> "_Mapped":
        self._check(fd)
        assert (length, offset % 4096) == (LENGTH, 0)
        self.mapped += 1
        return _Mapped(self, self._buffers[offset // 4096])

    def wait(self, fd: int, seconds: float) -> bool:
        if self.fault is not None:
            return True  # POLLERR
        self._expose()
        if not self._filled:
            self._asked_for_nothing.wait(min(seconds, 0.01))
        return bool(self._filled)

    def ioctl(self, fd: int, request: int, argument: v4l2.Argument) -> None:
        self._check(fd)
        match request, argument:
            case v4l2.QUERYCAP, v4l2.Capability():
                self._query(self.open_fds[fd], argument)
            case v4l2.ENUM_FMT, v4l2.FormatDescription():
                if self.open_fds[fd] != "/dev/video2" or argument.index >= len(self.formats):
                    raise OSError(errno.EINVAL, "Invalid argument")
                argument.pixelformat = int.from_bytes(self.formats[argument.index], "little")
            case v4l2.ENUM_FRAMESIZES, v4l2.FrameSize():
                if argument.index >= len(self.sizes):
                    raise OSError(errno.EINVAL, "Invalid argument")
                argument.type = v4l2.DISCRETE
                argument.steps[0], argument.steps[1] = self.sizes[argument.index]
            case v4l2.S_FMT, v4l2.VideoFormat():
                self._refuse_if_busy()
                row = argument.width * {b"YUYV": 2, b"UYVY": 2, b"RGB3": 3, b"BGR3": 3}.get(
                    argument.pixelformat.to_bytes(4, "little"), 1
                )
                argument.bytesperline = max(row, self.stride)
                self.set_to = argument
            case v4l2.REQBUFS, v4l2.BufferRequest():
                self._refuse_if_busy()
                self._buffers = [bytearray(LENGTH) for _ in range(argument.count)]
                self._queued.clear()
                self._filled.clear()
            case v4l2.QUERYBUF, v4l2.VideoBuffer():
                argument.length, argument.offset = LENGTH, argument.index * 4096
            case v4l2.QBUF, v4l2.VideoBuffer():
                assert argument.index not in self._queued
                self._queued.append(argument.index)
            case v4l2.DQBUF, v4l2.VideoBuffer():
                self._dequeue(argument)
            case ((v4l2.STREAMON | v4l2.STREAMOFF), ctypes.c_int()):
                self.streaming = request == v4l2.STREAMON
            case _:
                raise OSError(errno.ENOTTY, "Inappropriate ioctl for device")

    def _refuse_if_busy(self) -> None:
        if self.busy:
            raise OSError(errno.EBUSY, "Device or resource busy")

    def _check(self, fd: int) -> None:
        assert fd in self.open_fds, "a closed descriptor was used"
        if self.fault is not None:
            raise OSError(self.fault, "it failed")

    def _query(self, path: str, capability: v4l2.Capability) -> None:
        capability.card = self.card
        capability.capabilities = v4l2.HAS_DEVICE_CAPS | v4l2.CAN_CAPTURE | v4l2.CAN_STREAM
        capability.device_caps = v4l2.CAN_STREAM | (v4l2.CAN_CAPTURE if path == "/dev/video2" else 0)

    def _expose(self) -> None:
        """Expose as many frames as a camera does between two calls: more than there are buffers."""
        for _ in range(2 * len(self._buffers)):
            if not self.streaming or self.silent:
                return
            self.exposed += 1
            if not self._queued:
                continue  # no buffer is free, so the frame is lost
            index = self._queued.popleft()
            frame = self.sees(self.exposed) + self.padding
            self._buffers[index][: len(frame)] = frame
            flags = v4l2.DAMAGED if self.exposed in self.damaged else 0
            self._filled.append(v4l2.VideoBuffer(index=index, bytesused=len(frame), flags=flags))

    def _dequeue(self, buffer: v4l2.VideoBuffer) -> None:
        if not self._filled:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        filled = self._filled.popleft()
        buffer.index, buffer.bytesused, buffer.flags = filled.index, filled.bytesused, filled.flags


class _Mapped:
    def __init__(self, webcam: SimulatedWebcam, memory: bytearray) -> None:
        self._webcam = webcam
        self._memory = memory

    def __getitem__(self, part: slice, /) -> bytes:
        return bytes(self._memory[part])

    def close(self) -> None:
        self._webcam.mapped -= 1
