"""Pictures with a different colour in each corner, and functions that read them."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from kioskd.adapters.cameras.source import PictureForm
from kioskd.settings.camera import CameraSettings

CORNERS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}
UPRIGHT = ("red", "green", "blue", "white")
"""The colours of an upright picture: top left, top right, bottom left, bottom right."""

DESPITE_ORIENTATION = {
    1: UPRIGHT,
    2: ("green", "red", "white", "blue"),
    3: ("white", "blue", "green", "red"),
    4: ("blue", "white", "red", "green"),
    5: ("red", "blue", "green", "white"),
    6: ("green", "white", "red", "blue"),
    7: ("white", "green", "blue", "red"),
    8: ("blue", "red", "white", "green"),
}
"""The corners in the file, for each EXIF orientation of an upright picture."""


def form(**changed: Any) -> PictureForm:
    """Return the form of pictures for `camera` settings with these changes."""
    return CameraSettings(**changed).form


def quarters(width: int = 320, height: int = 240, corners: Sequence[str] = UPRIGHT) -> Image.Image:
    """Return a picture with four colours, one in each quarter."""
    image = Image.new("RGB", (width, height))
    for number, colour in enumerate(corners):
        left, top = number % 2 * width // 2, number // 2 * height // 2
        image.paste(CORNERS[colour], (left, top, left + width // 2, top + height // 2))
    return image


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """Return the picture as the bytes of a file."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def jpeg(width: int = 320, height: int = 240, corners: Sequence[str] = UPRIGHT) -> bytes:
    """Return a JPEG with four colours, like one from a camera."""
    return encoded(quarters(width, height, corners), quality=90)


def raw(image: Image.Image, fourcc: str, stride: int = 0) -> bytes:
    """Return an image as an uncompressed frame, in rows of `stride` bytes (0 for the shortest rows)."""
    pixels = np.asarray(image)
    if fourcc in ("RGB3", "BGR3"):
        return _rows(pixels if fourcc == "RGB3" else pixels[..., ::-1], stride)
    if fourcc == "GREY":
        return _rows(np.asarray(image.convert("L")), stride)
    full = np.asarray(image.convert("YCbCr")).astype(float)
    luma = np.round(full[..., 0] * 219 / 255 + 16).astype(np.uint8)
    blue, red = (
        np.round((full[..., plane] - 128) * 224 / 255 + 128).astype(np.uint8)[:, ::2] for plane in (1, 2)
    )
    match fourcc:
        case "YUYV":
            return _rows(np.stack([luma[:, ::2], blue, luma[:, 1::2], red], axis=-1), stride)
        case "UYVY":
            return _rows(np.stack([blue, luma[:, ::2], red, luma[:, 1::2]], axis=-1), stride)
        case "NV12":
            return _rows(luma, stride) + _rows(np.stack([blue[::2], red[::2]], axis=-1), stride)
        case _:
            return _rows(luma, stride) + _rows(blue[::2], stride // 2) + _rows(red[::2], stride // 2)


def _rows(pixels: Any, stride: int) -> bytes:
    rows = np.ascontiguousarray(pixels).reshape(pixels.shape[0], -1)
    return b"".join(bytes(row).ljust(stride, b"\x55") for row in rows)


def grey(level: int) -> bytes:
    """Return a JPEG of one shade of grey."""
    return encoded(Image.new("RGB", (64, 48), (level, level, level)))


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    """Return a picture that does not compress."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def opened(data: bytes) -> Image.Image:
    """Return a JPEG, fully decoded."""
    image: Image.Image = Image.open(io.BytesIO(data), formats=("JPEG",))
    image.load()
    return image


def corners(data: bytes) -> tuple[str, ...]:
    """Return the colours of a JPEG's corners, row by row."""
    image = opened(data).convert("RGB")
    right, bottom = image.width * 7 // 8, image.height * 7 // 8
    spots = [(image.width // 8, image.height // 8), (right, image.height // 8)]
    spots += [(image.width // 8, bottom), (right, bottom)]
    return tuple(_colour(image.getpixel(spot)) for spot in spots)


def _colour(pixel: Any) -> str:
    distances = {
        name: sum(abs(a - b) for a, b in zip(pixel, rgb, strict=True)) for name, rgb in CORNERS.items()
    }
    return min(distances, key=lambda name: distances[name])
