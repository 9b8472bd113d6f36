"""A webcam: feeds v4l2loopback's /dev/video20 with one picture, ten times a second.

`webcam.py PICTURE WIDTH HEIGHT FORMAT`. The format is MJPG (the picture is a JPEG) or YUYV (it is raw).
"""

import fcntl
import os
import struct
import sys
import time
from pathlib import Path

S_FMT = 0xC0D05605
"""VIDIOC_S_FMT: _IOWR('V', 5, struct v4l2_format)."""
VIDEO_OUTPUT = 2
FORMAT_BYTES = 208
"""struct v4l2_format. Its first fields: type, padding, width, height, pixelformat."""


def main() -> None:
    """Feed for ever."""
    _, picture, width, height, pixels = sys.argv
    data = Path(picture).read_bytes()
    head = struct.pack("=IIII4s", VIDEO_OUTPUT, 0, int(width), int(height), pixels.encode())
    fd = os.open("/dev/video20", os.O_RDWR)
    fcntl.ioctl(fd, S_FMT, head.ljust(FORMAT_BYTES, b"\0"))
    while True:
        os.write(fd, data)
        time.sleep(0.1)


if __name__ == "__main__":
    main()
