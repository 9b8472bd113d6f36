"""The part of the kernel's Video4Linux interface that a webcam needs: find it, let it stream, take a frame.

It is own, small code. linuxpy's licence (GPL) does not fit this project's. OpenCV and PyAV take 30 to 90 MB,
and do not report a lost camera.
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

from kioskd.adapters.cameras import v4l2_abi as abi
from kioskd.media.raw_frame import LAYOUTS, Layout

SYSFS: Final = Path("/sys/class/video4linux")

PI_PARTS: Final = ("bcm2835-", "rpi", "pispbe", "rp1-cfe", "unicam")
"""Name prefixes, in the kernel, of a Raspberry Pi's receivers, converters and codecs."""

JPEGS: Final = ("MJPG", "JPEG")

FORMATS: Final = (*JPEGS, *LAYOUTS)
"""The pixel formats (fourcc) that kioskd takes, the best first."""

BUFFERS: Final = 3
"""Buffers in ordinary memory: the kernel fills one while the other frames wait to be dropped."""


class MappedMemory(Protocol):
    """Memory-mapped frames of the kernel."""

    def __getitem__(self, part: slice, /) -> bytes: ...

    def close(self) -> None: ...


class V4l2Kernel:
    """The system calls that reach a camera; each may raise OSError."""

    def nodes(self) -> Sequence[str]:
        """Return the paths of the video devices, sorted by number."""
        numbers = [path.name.removeprefix("video") for path in Path("/dev").glob("video*")]
        return [f"/dev/video{number}" for number in sorted(int(n) for n in numbers if n.isdecimal())]

    def name(self, path: str) -> str:
        """Return the device's name in sysfs, or its path if sysfs has none. Needs no permission."""
        with contextlib.suppress(OSError):
            return (SYSFS / Path(path).name / "name").read_text(errors="replace").strip()
        return path

    def open(self, path: str) -> int:
        """Open the device without blocking."""
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def ioctl(self, fd: int, request: int, argument: abi.Argument) -> None:
        """Call the device; the kernel reads `argument` and fills it in."""
        fcntl.ioctl(fd, request, argument)

    def map(self, fd: int, length: int, offset: int) -> MappedMemory:
        """Map one buffer into memory."""
        return mmap.mmap(fd, length, mmap.MAP_SHARED, mmap.PROT_READ, offset=offset)

    def wait(self, fd: int, seconds: float) -> bool:
        """Return whether, within `seconds`, a frame came or the camera was lost."""
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def close(self, fd: int) -> None:
        """Close the device."""
        os.close(fd)


@dataclass(frozen=True, slots=True)
class VideoDevice:
    """Camera of this machine. `name` comes from its maker."""

    path: str
    name: str
    fault: OSError | None = None
    """Why the camera cannot be used; None if it can."""


class NoFormat(OSError):
    """Error of a camera that has no pixel format for kioskd; the message names the formats that it has."""

    def __init__(self, formats: Sequence[str]) -> None:
        has = ", ".join(formats) or "none"
        super().__init__(
            errno.EINVAL, f"its picture formats are {has}, and kioskd takes {', '.join(FORMATS)} only"
        )


def devices(kernel: V4l2Kernel, *, busy: bool = False) -> Iterator[VideoDevice]:
    """Yield the cameras of this machine, unusable ones with the reason.

    `busy`: also find out whether another program uses the camera. A Raspberry Pi's own video devices are left
    out, as `picamera` lists its cameras.
    """
    for path in kernel.nodes():
        name, fault = "", None
        try:
            with _opened(kernel, path) as fd:
                capability = abi.Capability()
                kernel.ioctl(fd, abi.QUERYCAP, capability)
                name = capability.card.decode("utf-8", "replace")
                can = capability.capabilities
                if can & abi.HAS_DEVICE_CAPS:
                    can = capability.device_caps
                if not (can & abi.CAN_CAPTURE and can & abi.CAN_STREAM):
                    continue
                _format(kernel, fd)
                if busy:  # this changes nothing, and fails if another program has buffers
                    kernel.ioctl(
                        fd, abi.REQBUFS, abi.BufferRequest(count=0, type=abi.CAPTURE, memory=abi.MAPPED)
                    )
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOTTY):
                continue  # unplugged since it was listed, or not a camera
            name, fault = name or kernel.name(path), error
        if fault is None or not name.startswith(PI_PARTS):
            yield VideoDevice(path, name, fault)


class VideoStream:
    """Streaming camera."""

    def __init__(self, kernel: V4l2Kernel, fd: int, memory: Sequence[MappedMemory], layout: Layout) -> None:
        self._kernel = kernel
        self._fd = fd
        self._memory = memory
        self.layout = layout
        """The layout of each frame; its `fourcc` is one of `FORMATS`."""

    def drain(self) -> None:
        """Drop the frames that wait: they date from right after the last picture."""
        for _ in self._memory:
            if not self._kernel.wait(self._fd, 0.0):
                return
            self._take(keep=False)

    def next(self, within_s: float) -> bytes:
        """Return the next frame, with its padding.

        TimeoutError: no frame came in time. OSError: the camera is gone.
        """
        due = time.monotonic() + within_s
        while (left_s := due - time.monotonic()) > 0 and self._kernel.wait(self._fd, left_s):
            frame = self._take(keep=True)
            if frame:
                return frame
        raise TimeoutError(f"no picture for {within_s:.0f} s")

    def _take(self, *, keep: bool) -> bytes:
        buffer = abi.VideoBuffer(type=abi.CAPTURE, memory=abi.MAPPED)
        try:
            self._kernel.ioctl(self._fd, abi.DQBUF, buffer)
        except BlockingIOError:
            return b""
        try:
            whole = keep and not buffer.flags & abi.DAMAGED
            return self._memory[buffer.index][: buffer.bytesused] if whole else b""
        finally:
            self._kernel.ioctl(self._fd, abi.QBUF, buffer)


@contextlib.contextmanager
def streaming(kernel: V4l2Kernel, path: str, *, size: int) -> Iterator[VideoStream]:
    """Let the camera at `path` stream pictures whose longer side is near `size` pixels, or below.

    OSError: the camera is gone, is in use, or has no format in `FORMATS` (`NoFormat`).
    """
    with contextlib.ExitStack() as undo, _opened(kernel, path) as fd:
        fourcc = _format(kernel, fd)
        pixel_format = int.from_bytes(fourcc.encode(), "little")
        width, height = fitting(_sizes(kernel, fd, pixel_format), size)
        made = abi.VideoFormat(type=abi.CAPTURE, width=width, height=height, pixelformat=pixel_format)
        kernel.ioctl(fd, abi.S_FMT, made)
        if made.pixelformat != pixel_format:
            raise NoFormat([_fourcc(made.pixelformat)])
        full = made.quantization == abi.FULL_RANGE or (
            not made.quantization and made.colorspace == abi.JPEG_COLORS
        )
        layout = Layout(fourcc, made.width, made.height, made.bytesperline, full_range=full)
        request = abi.BufferRequest(count=BUFFERS, type=abi.CAPTURE, memory=abi.MAPPED)
        kernel.ioctl(fd, abi.REQBUFS, request)
        memory: list[MappedMemory] = []
        for index in range(request.count):
            buffer = abi.VideoBuffer(index=index, type=abi.CAPTURE, memory=abi.MAPPED)
            kernel.ioctl(fd, abi.QUERYBUF, buffer)
            memory.append(kernel.map(fd, buffer.length, buffer.offset))
            undo.callback(memory[-1].close)
            kernel.ioctl(fd, abi.QBUF, buffer)
        kernel.ioctl(fd, abi.STREAMON, ctypes.c_int(abi.CAPTURE))
        try:
            yield VideoStream(kernel, fd, memory, layout)
        finally:
            with contextlib.suppress(OSError):  # a camera that is unplugged has stopped
                kernel.ioctl(fd, abi.STREAMOFF, ctypes.c_int(abi.CAPTURE))


def fitting(sizes: Sequence[tuple[int, int]], size: int) -> tuple[int, int]:
    """Return a camera's picture size: the largest one whose longer side is between 3/4 of `size` and `size`.

    If none is, return the next larger one, or else the largest. If the camera lists none, return `size` by
    3/4 of it: the camera then chooses the nearest size.
    """
    within = [one for one in sizes if size * 3 // 4 <= max(one) <= size]
    beyond = [one for one in sizes if max(one) > size]
    if within:
        return max(within, key=lambda one: (max(one), min(one)))
    if beyond:
        return min(beyond, key=lambda one: (max(one), -min(one)))
    return max(sizes, key=max) if sizes else (size, size * 3 // 4)


@contextlib.contextmanager
def _opened(kernel: V4l2Kernel, path: str) -> Iterator[int]:
    fd = kernel.open(path)
    try:
        yield fd
    finally:
        kernel.close(fd)


def _format(kernel: V4l2Kernel, fd: int) -> str:
    """Return the camera's best format. `NoFormat`: it has none that is in `FORMATS`."""
    has: list[str] = []
    description = abi.FormatDescription(type=abi.CAPTURE)
    with contextlib.suppress(OSError):  # EINVAL after the last
        for index in range(64):
            description.index = index
            kernel.ioctl(fd, abi.ENUM_FMT, description)
            has.append(_fourcc(description.pixelformat))
    for fourcc in FORMATS:
        if fourcc in has:
            return fourcc
    raise NoFormat(has)


def _fourcc(number: int) -> str:
    name = (number & 0x7FFF_FFFF).to_bytes(4, "little").decode("ascii", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in name).strip()


def _sizes(kernel: V4l2Kernel, fd: int, pixel_format: int) -> list[tuple[int, int]]:
    sizes: list[tuple[int, int]] = []
    with contextlib.suppress(OSError):  # EINVAL after the last
        for index in range(64):
            found = abi.FrameSize(index=index, pixel_format=pixel_format)
            kernel.ioctl(fd, abi.ENUM_FRAMESIZES, found)
            if found.type != abi.DISCRETE:
                break  # the camera takes any size
            sizes.append((int(found.steps[0]), int(found.steps[1])))
    return sizes
