"""Structures and numbers of the kernel's Video4Linux (linux/videodev2.h) on 64-bit machines."""

import ctypes
from collections.abc import Iterator
from typing import Final

CAPTURE: Final = 1  # V4L2_BUF_TYPE_VIDEO_CAPTURE
MAPPED: Final = 1  # V4L2_MEMORY_MMAP
CAN_CAPTURE: Final = 0x0000_0001
CAN_STREAM: Final = 0x0400_0000
HAS_DEVICE_CAPS: Final = 0x8000_0000
DISCRETE: Final = 1  # V4L2_FRMSIZE_TYPE_DISCRETE
DAMAGED: Final = 0x0000_0040  # V4L2_BUF_FLAG_ERROR
JPEG_COLORS: Final = 7
"""V4L2_COLORSPACE_JPEG: full range, unless the driver reports another one."""
FULL_RANGE: Final = 1  # V4L2_QUANTIZATION_FULL_RANGE


def _u32(names: str) -> Iterator[tuple[str, type[ctypes.c_uint32]]]:
    return ((name, ctypes.c_uint32) for name in names.split())


class Capability(ctypes.Structure):
    """struct v4l2_capability."""

    _fields_ = (
        *(("driver", ctypes.c_char * 16), ("card", ctypes.c_char * 32), ("bus_info", ctypes.c_char * 32)),
        *_u32("version capabilities device_caps"),
        ("reserved", ctypes.c_uint32 * 3),
    )


class FormatDescription(ctypes.Structure):
    """struct v4l2_fmtdesc."""

    _fields_ = (
        *_u32("index type flags"),
        ("description", ctypes.c_char * 32),
        *_u32("pixelformat mbus_code"),
        ("reserved", ctypes.c_uint32 * 3),
    )


class FrameSize(ctypes.Structure):
    """struct v4l2_frmsizeenum; for sizes in steps, `steps[1]` and `steps[4]` hold the largest."""

    _fields_ = (
        *_u32("index pixel_format type"),
        *(("steps", ctypes.c_uint32 * 6), ("reserved", ctypes.c_uint32 * 2)),
    )


class VideoFormat(ctypes.Structure):
    """struct v4l2_format with struct v4l2_pix_format in it."""

    _fields_ = (
        *_u32("type padding width height pixelformat field bytesperline sizeimage"),
        *_u32("colorspace priv flags ycbcr_enc quantization"),
        ("rest", ctypes.c_uint8 * 156),
    )


class BufferRequest(ctypes.Structure):
    """struct v4l2_requestbuffers."""

    _fields_ = (
        *_u32("count type memory capabilities"),
        *(("flags", ctypes.c_uint8), ("reserved", ctypes.c_uint8 * 3)),
    )


class VideoBuffer(ctypes.Structure):
    """struct v4l2_buffer."""

    _fields_ = (
        *_u32("index type bytesused flags field"),
        *(("timestamp", ctypes.c_int64 * 2), ("timecode", ctypes.c_uint32 * 4)),
        *_u32("sequence memory"),
        ("offset", ctypes.c_uint64),
        *_u32("length reserved2"),
        ("request_fd", ctypes.c_int32),
    )


def _number(direction: int, number: int, argument: type[ctypes.Structure] | type[ctypes.c_int]) -> int:
    return direction << 30 | ctypes.sizeof(argument) << 16 | ord("V") << 8 | number


_WRITE, _READ = 1, 2

QUERYCAP: Final = _number(_READ, 0, Capability)
ENUM_FMT: Final = _number(_READ | _WRITE, 2, FormatDescription)
S_FMT: Final = _number(_READ | _WRITE, 5, VideoFormat)
REQBUFS: Final = _number(_READ | _WRITE, 8, BufferRequest)
QUERYBUF: Final = _number(_READ | _WRITE, 9, VideoBuffer)
QBUF: Final = _number(_READ | _WRITE, 15, VideoBuffer)
DQBUF: Final = _number(_READ | _WRITE, 17, VideoBuffer)
STREAMON: Final = _number(_WRITE, 18, ctypes.c_int)
STREAMOFF: Final = _number(_WRITE, 19, ctypes.c_int)
ENUM_FRAMESIZES: Final = _number(_READ | _WRITE, 74, FrameSize)

Argument = ctypes.Structure | ctypes.c_int
