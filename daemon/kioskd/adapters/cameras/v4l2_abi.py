"""Structures and numbers of the kernel's Video4Linux: linux/videodev2.h's, for 64-bit machines. A test compares them."""

import ctypes
from typing import Final

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
JPEG_COLORS: Final = 7
"""V4L2_COLORSPACE_JPEG: of full range where nothing else is said."""
FULL_RANGE: Final = 1
"""V4L2_QUANTIZATION_FULL_RANGE."""


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


class VideoFormat(ctypes.Structure):
    """struct v4l2_format with struct v4l2_pix_format in it."""

    _fields_ = (
        *(("type", ctypes.c_uint32), ("padding", ctypes.c_uint32)),
        *(("width", ctypes.c_uint32), ("height", ctypes.c_uint32), ("pixelformat", ctypes.c_uint32)),
        *(("field", ctypes.c_uint32), ("bytesperline", ctypes.c_uint32), ("sizeimage", ctypes.c_uint32)),
        *(("colorspace", ctypes.c_uint32), ("priv", ctypes.c_uint32), ("flags", ctypes.c_uint32)),
        *(("ycbcr_enc", ctypes.c_uint32), ("quantization", ctypes.c_uint32)),
        ("rest", ctypes.c_uint8 * 156),
    )


class BufferRequest(ctypes.Structure):
    """struct v4l2_requestbuffers."""

    _fields_ = (
        *(("count", ctypes.c_uint32), ("type", ctypes.c_uint32), ("memory", ctypes.c_uint32)),
        *(("capabilities", ctypes.c_uint32), ("flags", ctypes.c_uint8), ("reserved", ctypes.c_uint8 * 3)),
    )


class VideoBuffer(ctypes.Structure):
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
S_FMT: Final = _number(_READ | _WRITE, 5, VideoFormat)
REQBUFS: Final = _number(_READ | _WRITE, 8, BufferRequest)
QUERYBUF: Final = _number(_READ | _WRITE, 9, VideoBuffer)
QBUF: Final = _number(_READ | _WRITE, 15, VideoBuffer)
DQBUF: Final = _number(_READ | _WRITE, 17, VideoBuffer)
STREAMON: Final = _number(_WRITE, 18, ctypes.c_int)
STREAMOFF: Final = _number(_WRITE, 19, ctypes.c_int)
ENUM_FRAMESIZES: Final = _number(_READ | _WRITE, 74, FrameSize)

Argument = ctypes.Structure | ctypes.c_int
