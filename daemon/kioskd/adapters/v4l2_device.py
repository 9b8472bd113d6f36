"""The part of the kernel's Video4Linux interface that a webcam needs: find it, have it stream JPEGs, take one.

Own code, and small: of the libraries, linuxpy (GPL) does not go with this licence, OpenCV and PyAV are 30 to 90 MB that
hide when a camera is lost. Structures and numbers are linux/videodev2.h's, for 64-bit machines; a test compares them.
"""

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import select
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

CAPTURE: Final = 1
"""V4L2_BUF_TYPE_VIDEO_CAPTURE."""
MAPPED: Final = 1
"""V4L2_MEMORY_MMAP."""
CAN_CAPTURE: Final = 0x0000_0001
CAN_STREAM: Final = 0x0400_0000
HAS_DEVICE_CAPS: Final = 0x8000_0000
DISCRETE: Final = 1
"""V4L2_FRMSIZE_TYPE_DISCRETE."""
DAMAGED: Final = 0x0000_0040
"""V4L2_BUF_FLAG_ERROR."""
MJPG: Final = int.from_bytes(b"MJPG", "little")
JPEG: Final = int.from_bytes(b"JPEG", "little")

BUFFERS: Final = 3
"""Of the kernel's ordinary memory; one being filled while the others wait to be thrown away."""


class Capability(ctypes.Structure):
    """struct v4l2_capability."""

    _fields_ = (
        *(("driver", ctypes.c_char * 16), ("card", ctypes.c_char * 32), ("bus_info", ctypes.c_char * 32)),
        *(("version", ctypes.c_uint32), ("capabilities", ctypes.c_uint32), ("device_caps", ctypes.c_uint32)),
        ("reserved", ctypes.c_uint32 * 3),
    )


class FormatDescription(ctypes.Structure):
    """struct v4l2_fmtdesc."""

    _fields_ = (
        *(("index", ctypes.c_uint32), ("type", ctypes.c_uint32), ("flags", ctypes.c_uint32)),
        *(("description", ctypes.c_char * 32), ("pixelformat", ctypes.c_uint32)),
        *(("mbus_code", ctypes.c_uint32), ("reserved", ctypes.c_uint32 * 3)),
    )


class FrameSize(ctypes.Structure):
    """struct v4l2_frmsizeenum; of the sizes by steps, the largest is in `steps[1]` and `steps[4]`."""

    _fields_ = (
        *(("index", ctypes.c_uint32), ("pixel_format", ctypes.c_uint32), ("type", ctypes.c_uint32)),
        *(("steps", ctypes.c_uint32 * 6), ("reserved", ctypes.c_uint32 * 2)),
    )


class Format(ctypes.Structure):
    """struct v4l2_format with struct v4l2_pix_format in it."""

    _fields_ = (
        *(("type", ctypes.c_uint32), ("padding", ctypes.c_uint32)),
        *(("width", ctypes.c_uint32), ("height", ctypes.c_uint32), ("pixelformat", ctypes.c_uint32)),
        ("rest", ctypes.c_uint8 * 188),
    )


class BufferRequest(ctypes.Structure):
    """struct v4l2_requestbuffers."""

    _fields_ = (
        *(("count", ctypes.c_uint32), ("type", ctypes.c_uint32), ("memory", ctypes.c_uint32)),
        *(("capabilities", ctypes.c_uint32), ("flags", ctypes.c_uint8), ("reserved", ctypes.c_uint8 * 3)),
    )


class Buffer(ctypes.Structure):
    """struct v4l2_buffer."""

    _fields_ = (
        *(("index", ctypes.c_uint32), ("type", ctypes.c_uint32), ("bytesused", ctypes.c_uint32)),
        *(("flags", ctypes.c_uint32), ("field", ctypes.c_uint32)),
        *(("timestamp", ctypes.c_int64 * 2), ("timecode", ctypes.c_uint32 * 4)),
        *(("sequence", ctypes.c_uint32), ("memory", ctypes.c_uint32), ("offset", ctypes.c_uint64)),
        *(("length", ctypes.c_uint32), ("reserved2", ctypes.c_uint32), ("request_fd", ctypes.c_int32)),
    )


def _number(direction: int, number: int, argument: type[ctypes.Structure] | type[ctypes.c_int]) -> int:
    return direction << 30 | ctypes.sizeof(argument) << 16 | ord("V") << 8 | number


_WRITE, _READ = 1, 2

QUERYCAP: Final = _number(_READ, 0, Capability)
ENUM_FMT: Final = _number(_READ | _WRITE, 2, FormatDescription)
S_FMT: Final = _number(_READ | _WRITE, 5, Format)
REQBUFS: Final = _number(_READ | _WRITE, 8, BufferRequest)
QUERYBUF: Final = _number(_READ | _WRITE, 9, Buffer)
QBUF: Final = _number(_READ | _WRITE, 15, Buffer)
DQBUF: Final = _number(_READ | _WRITE, 17, Buffer)
STREAMON: Final = _number(_WRITE, 18, ctypes.c_int)
STREAMOFF: Final = _number(_WRITE, 19, ctypes.c_int)
ENUM_FRAMESIZES: Final = _number(_READ | _WRITE, 74, FrameSize)

Argument = ctypes.Structure | ctypes.c_int


class Memory(Protocol):
    """Frames of the kernel, mapped."""

    def __getitem__(self, part: slice, /) -> bytes: ...

    def close(self) -> None: ...


class Kernel(Protocol):
    """The system calls of which a camera is made; each may raise OSError."""

    def nodes(self) -> Sequence[str]:
        """Return the paths of the video devices."""

    def open(self, path: str) -> int: ...

    def ioctl(self, fd: int, request: int, argument: Argument) -> None: ...

    def map(self, fd: int, length: int, offset: int) -> Memory: ...

    def wait(self, fd: int, seconds: float) -> bool:
        """Return whether a frame, or a loss, is there within so many seconds."""

    def close(self, fd: int) -> None: ...


class SystemKernel:
    """This machine's."""

    def nodes(self) -> Sequence[str]:
        """Return the video devices by their numbers."""
        numbers = [path.name.removeprefix("video") for path in Path("/dev").glob("video*")]
        return [f"/dev/video{number}" for number in sorted(int(n) for n in numbers if n.isdecimal())]

    def open(self, path: str) -> int:
        """Open without ever waiting."""
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def ioctl(self, fd: int, request: int, argument: Argument) -> None:
        """Have the kernel fill in `argument`."""
        fcntl.ioctl(fd, request, argument)

    def map(self, fd: int, length: int, offset: int) -> mmap.mmap:
        """Map one buffer."""
        return mmap.mmap(fd, length, mmap.MAP_SHARED, mmap.PROT_READ, offset=offset)

    def wait(self, fd: int, seconds: float) -> bool:
        """Wait by poll(2)."""
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def close(self, fd: int) -> None:
        """Close."""
        os.close(fd)


@dataclass(frozen=True, slots=True)
class VideoDevice:
    """A camera of this machine that gives JPEGs. `name` is what its maker calls it."""

    path: str
    name: str


def devices(kernel: Kernel) -> Iterator[VideoDevice]:
    """Yield the cameras of this machine that give JPEGs; those that may not be opened are passed over."""
    for path in kernel.nodes():
        with contextlib.suppress(OSError), _opened(kernel, path) as fd:
            capability = Capability()
            kernel.ioctl(fd, QUERYCAP, capability)
            can = (
                capability.device_caps
                if capability.capabilities & HAS_DEVICE_CAPS
                else capability.capabilities
            )
            if can & CAN_CAPTURE and can & CAN_STREAM and _jpeg_format(kernel, fd) is not None:
                yield VideoDevice(path, capability.card.decode("utf-8", "replace"))


class Stream:
    """A camera that streams."""

    def __init__(self, kernel: Kernel, fd: int, memory: Sequence[Memory]) -> None:
        self._kernel = kernel
        self._fd = fd
        self._memory = memory

    def drain(self) -> None:
        """Throw away the frames that wait: they are as old as the last one that was taken."""
        for _ in self._memory:
            if not self._kernel.wait(self._fd, 0.0):
                return
            self._take(keep=False)

    def next(self, within_s: float) -> bytes:
        """Return the next frame, padding and all.

        Raises:
            TimeoutError: none came in time.
            OSError: the camera is gone.
        """
        due = time.monotonic() + within_s
        while (left_s := due - time.monotonic()) > 0 and self._kernel.wait(self._fd, left_s):
            frame = self._take(keep=True)
            if frame:
                return frame
        raise TimeoutError(f"no picture for {within_s:.0f} s")

    def _take(self, *, keep: bool) -> bytes:
        buffer = Buffer(type=CAPTURE, memory=MAPPED)
        try:
            self._kernel.ioctl(self._fd, DQBUF, buffer)
        except BlockingIOError:
            return b""
        try:
            whole = keep and not buffer.flags & DAMAGED
            return self._memory[buffer.index][: buffer.bytesused] if whole else b""
        finally:
            self._kernel.ioctl(self._fd, QBUF, buffer)


@contextlib.contextmanager
def streaming(kernel: Kernel, path: str, *, size: int) -> Iterator[Stream]:
    """Have the camera at `path` stream JPEGs whose longer side is about `size` pixels, at most if it can.

    Raises:
        OSError: it is gone, taken, or gives no JPEGs.
    """
    with contextlib.ExitStack() as undo, _opened(kernel, path) as fd:
        pixel_format = _jpeg_format(kernel, fd)
        if pixel_format is None:
            raise OSError(errno.EINVAL, "gives no JPEGs (MJPG)")
        width, height = fitting(_sizes(kernel, fd, pixel_format), size)
        kernel.ioctl(fd, S_FMT, Format(type=CAPTURE, width=width, height=height, pixelformat=pixel_format))
        request = BufferRequest(count=BUFFERS, type=CAPTURE, memory=MAPPED)
        kernel.ioctl(fd, REQBUFS, request)
        memory: list[Memory] = []
        for index in range(request.count):
            buffer = Buffer(index=index, type=CAPTURE, memory=MAPPED)
            kernel.ioctl(fd, QUERYBUF, buffer)
            memory.append(kernel.map(fd, buffer.length, buffer.offset))
            undo.callback(memory[-1].close)
            kernel.ioctl(fd, QBUF, buffer)
        kernel.ioctl(fd, STREAMON, ctypes.c_int(CAPTURE))
        try:
            yield Stream(kernel, fd, memory)
        finally:
            with contextlib.suppress(OSError):  # one that is gone has stopped
                kernel.ioctl(fd, STREAMOFF, ctypes.c_int(CAPTURE))


def fitting(sizes: Sequence[tuple[int, int]], size: int) -> tuple[int, int]:
    """Return the largest of a camera's sizes that is not larger than `size`, unless it is much smaller; else the next.

    Without any, the camera chooses what is nearest to the answer.
    """
    within = [one for one in sizes if size * 3 // 4 <= max(one) <= size]
    beyond = [one for one in sizes if max(one) > size]
    if within:
        return max(within, key=lambda one: (max(one), min(one)))
    if beyond:
        return min(beyond, key=lambda one: (max(one), -min(one)))
    return max(sizes, key=max) if sizes else (size, size * 3 // 4)


@contextlib.contextmanager
def _opened(kernel: Kernel, path: str) -> Iterator[int]:
    fd = kernel.open(path)
    try:
        yield fd
    finally:
        kernel.close(fd)


def _jpeg_format(kernel: Kernel, fd: int) -> int | None:
    description = FormatDescription(type=CAPTURE)
    with contextlib.suppress(OSError):  # EINVAL after the last
        for index in range(64):
            description.index = index
            kernel.ioctl(fd, ENUM_FMT, description)
            if description.pixelformat in (MJPG, JPEG):
                return int(description.pixelformat)
    return None


def _sizes(kernel: Kernel, fd: int, pixel_format: int) -> list[tuple[int, int]]:
    sizes: list[tuple[int, int]] = []
    with contextlib.suppress(OSError):  # EINVAL after the last
        for index in range(64):
            found = FrameSize(index=index, pixel_format=pixel_format)
            kernel.ioctl(fd, ENUM_FRAMESIZES, found)
            if found.type != DISCRETE:
                break  # any size will do
            sizes.append((int(found.steps[0]), int(found.steps[1])))
    return sizes
