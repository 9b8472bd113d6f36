"""Turns uncompressed camera frames, planes of brightness and colour, into pictures.

The names are Video4Linux's (fourcc). Like `media.picture`, this is work for a processor, so keep it out of
the loop's thread.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image

from kioskd.media.picture import BadPicture, Rotation, finished


@dataclass(frozen=True, slots=True)
class Layout:
    """Layout of one frame's bytes."""

    fourcc: str
    """One of `LAYOUTS`."""
    width: int
    height: int
    """Both in pixels."""
    stride: int
    """Bytes from one row to the next, in the first plane."""
    full_range: bool = False
    """Whether brightness goes from 0 to 255 instead of from 16 to 235 (ITU-R BT.601)."""


def jpeg(
    data: bytes, layout: Layout, *, size: int, quality: int, rotate: Rotation = 0, mirror: bool = False
) -> bytes:
    """Return a frame as a JPEG whose longer side is at most `size` pixels; see `picture.fit` for the other
    arguments.

    Raises:
        BadPicture: the frame is shorter than its layout says.
    """
    try:
        image = _LAYOUTS[layout.fourcc](_Planes(data, layout))
    except ValueError as error:
        raise BadPicture(f"a frame of {len(data)} bytes, which is too short") from error
    return finished(image, size=size, quality=quality, rotate=rotate, mirror=mirror)


class _Planes:
    """Planes of one frame, taken one after the other."""

    def __init__(self, data: bytes, layout: Layout) -> None:
        self._data = data
        self._start = 0
        self.layout = layout
        self.size = (layout.width, layout.height)
        self.half = (layout.width // 2, layout.height)
        self.quarter = (layout.width // 2, layout.height // 2)

    def take(self, mode: str, size: tuple[int, int], stride: int, raw: str | None = None) -> Image.Image:
        """Return the next plane.

        Raises:
            ValueError: the data are too short.
        """
        plane = self._data[self._start : self._start + stride * size[1]]
        # A camera may leave out the padding of the last row.
        if len(plane) >= stride * (size[1] - 1) + size[0] * len(mode):
            plane = plane.ljust(stride * size[1], b"\0")
        self._start += stride * size[1]
        return Image.frombytes(mode, size, plane, "raw", raw or mode, stride, 1)

    def coloured(self, luma: Image.Image, blue: Image.Image, red: Image.Image) -> Image.Image:
        """Return the picture of brightness and the two colour differences, which may be coarser."""
        if not self.layout.full_range:
            luma, blue, red = luma.point(_LUMA), blue.point(_CHROMA), red.point(_CHROMA)
        fine = [plane.resize(self.size) for plane in (blue, red)]
        return Image.merge("YCbCr", [luma, *fine]).convert("RGB")


_LUMA: Final = [min(255, max(0, round((level - 16) * 255 / 219))) for level in range(256)]
_CHROMA: Final = [min(255, max(0, round((level - 128) * 255 / 224 + 128))) for level in range(256)]


def _packed(planes: _Planes, *, luma_first: bool) -> Image.Image:
    """Two pixels in four bytes share their colour."""
    stride = planes.layout.stride
    whole = planes.take("RGBA", planes.half, stride)
    one, two, three, four = whole.split()
    left, blue, right, red = (one, two, three, four) if luma_first else (two, one, four, three)
    # The two pictures of half the width become one again: a pair of bytes is a pixel of mode LA.
    pairs = Image.merge("LA", [left, right]).tobytes()
    luma = Image.frombytes("L", planes.size, pairs)
    return planes.coloured(luma, blue, red)


def _semi_planar(planes: _Planes) -> Image.Image:
    luma = planes.take("L", planes.size, planes.layout.stride)
    blue, red = planes.take("LA", planes.quarter, planes.layout.stride).split()
    return planes.coloured(luma, blue, red)


def _planar(planes: _Planes) -> Image.Image:
    luma = planes.take("L", planes.size, planes.layout.stride)
    blue = planes.take("L", planes.quarter, planes.layout.stride // 2)
    red = planes.take("L", planes.quarter, planes.layout.stride // 2)
    return planes.coloured(luma, blue, red)


_LAYOUTS: Final[dict[str, Callable[[_Planes], Image.Image]]] = {
    "YUYV": lambda planes: _packed(planes, luma_first=True),
    "UYVY": lambda planes: _packed(planes, luma_first=False),
    "NV12": _semi_planar,
    "YU12": _planar,
    "RGB3": lambda planes: planes.take("RGB", planes.size, planes.layout.stride),
    "BGR3": lambda planes: planes.take("RGB", planes.size, planes.layout.stride, "BGR"),
    "GREY": lambda planes: planes.take("L", planes.size, planes.layout.stride),
}

LAYOUTS: Final[Sequence[str]] = tuple(_LAYOUTS)
"""The readable formats, the best first."""
