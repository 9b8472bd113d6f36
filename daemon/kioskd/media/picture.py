"""Makes pictures fit for the service: small upright JPEGs that carry nothing but the visible picture.

Only `raw_frame` and the decoder's process import Pillow, too. All functions need processor time (1 to 50 ms
on a Raspberry Pi): do not call them in the loop's thread. Pillow releases the interpreter's lock, so a thread
is enough.
"""

import io
import struct
import warnings
from typing import Final, Literal

from PIL import Image

from kioskd.media.picture_parts import (
    ADOBE,
    APPLICATION,
    COMMENT,
    SCAN,
    SOI,
    TooManyPartsError,
    lean,
    orientation,
    segments,
)

Rotation = Literal[0, 90, 180, 270]
"""Degrees clockwise by which a picture is turned to be upright."""

MOST_BYTES: Final = 20_000_000
MOST_PIXELS: Final = 50_000_000
"""Most pixels of a JPEG that can be decoded at a fraction of its size, as photos of telephones have. A
progressive JPEG (in several runs), a JPEG in CMYK and a WebP may have a quarter as many. A PNG may have half
as many. That is 200 MB in memory at worst. A larger file is a bomb, or the scan of a wall."""

SKETCH_SIDE: Final = 32

_FORMATS: Final = ("JPEG", "PNG", "WEBP")

_HOSTILE: Final = (
    *(OSError, SyntaxError, ValueError, struct.error, EOFError),
    *(LookupError, ArithmeticError, TypeError, AttributeError, MemoryError, RuntimeError),
)
"""Errors of Pillow's readers for files made to break them: in truth nearly any error."""

_UPRIGHT: Final[dict[int, tuple[Rotation, bool]]] = {
    2: (0, True),
    3: (180, False),
    4: (180, True),
    5: (90, True),
    6: (90, False),
    7: (270, True),
    8: (270, False),
}
"""EXIF orientation -> the turn, and whether to mirror after it (EXIF 2.32, tag Orientation). 1 is upright."""

_TURNS: Final = {
    90: Image.Transpose.ROTATE_270,  # Pillow counts the other way round
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}

_EOI: Final = b"\xff\xd9"
_JFIF: Final = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_HUFFMAN: Final = 0xC4
_CMYK: Final = 4
"""Number of colour components of a JPEG for a printing press."""
_PROGRESSIVE: Final = 0xC2
_FRAMES: Final = frozenset({0xC0, 0xC1, _PROGRESSIVE})
"""Baseline, extended and progressive JPEG, which every decoder reads."""

# BadPicture describes the fault in one line. Pillow would also warn on stderr: about bombs, which this module
# rejects sooner, and about broken metadata, which no code reads.
Image.MAX_IMAGE_PIXELS = None
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


class BadPicture(ValueError):
    """The data are no picture that can be opened. The message is one line and names no file."""


def fit(
    data: bytes,
    *,
    size: int,
    quality: int,
    rotate: Rotation = 0,
    mirror: bool = False,
    most_pixels: int = MOST_PIXELS,
    most_bytes: int = MOST_BYTES,
) -> bytes:
    """Return a JPEG, PNG or WebP as a JPEG whose longer side is at most `size` pixels; never enlarge it.

    The picture is set upright by its EXIF, then turned clockwise by `rotate`, then mirrored left to right if
    `mirror`. No metadata is left, transparency becomes white, and only the first picture of an animation
    stays. `quality`: 1 to 95.

    Raises:
        BadPicture: the data are none of these formats, are damaged, or exceed `most_bytes` or `most_pixels`.
    """
    image, known = _opened(data, most_pixels, most_bytes)
    try:
        turn, mirrored = _UPRIGHT.get(_orientation(image) if known is None else known, (0, False))
        if image.mode in ("1", "P", "PA"):  # scaling needs colours, not palette numbers
            image = image.convert("RGBA")
        elif image.mode.startswith("I"):
            # Pillow cannot scale sixteen-bit grey, and convert() alone would take the lower eight bits.
            image.info.pop("transparency", None)  # a sixteen-bit number
            image = image.point(lambda value: value * (1 / 257)).convert("L")
        image.thumbnail((size, size))  # a large JPEG is already decoded at an eighth to a half of its size
        image = _upright(_coloured(image), turn, mirror=mirrored)
        return _encoded(_upright(image, rotate, mirror=mirror), quality)
    except _HOSTILE as error:
        raise _damaged(error) from error


def finished(
    image: Image.Image, *, size: int, quality: int, rotate: Rotation = 0, mirror: bool = False
) -> bytes:
    """Return an image that was made here as a JPEG; see `fit` for the arguments."""
    image.thumbnail((size, size))
    return _encoded(_upright(_coloured(image), rotate, mirror=mirror), quality)


def bare(jpeg: bytes, *, size: int) -> bytes | None:
    """Return a camera's JPEG without metadata and padding, its pixels untouched; None: it cannot be sent as
    it is.

    There are four causes: it is larger than `size`, it is cut off, it lacks its Huffman tables, or not every
    decoder reads it. A stream of motion JPEG may leave out the tables. `fit` mends some of these faults.
    """
    end = jpeg.rfind(_EOI)
    if not jpeg.startswith(SOI) or end < 0:
        return None
    kept, huffman, sized = [SOI, _JFIF], False, False
    for marker, start, stop in segments(jpeg):
        if marker in _FRAMES and stop - start >= 9:
            height, width = struct.unpack_from(">HH", jpeg, start + 5)
            sized = 0 < max(width, height) <= size and min(width, height) > 0
        huffman = huffman or marker == _HUFFMAN
        if marker == SCAN:
            return b"".join([*kept, jpeg[start:end], _EOI]) if sized and huffman and stop <= end else None
        if marker == ADOBE or (marker not in APPLICATION and marker != COMMENT):
            kept.append(jpeg[start:stop])
    return None


def sketch(jpeg: bytes) -> bytes:
    """Return a coarse copy of a JPEG: a square of `SKETCH_SIDE` grey pixels a side, one byte each.

    Each grey pixel is the mean of a few hundred pixels, which removes the sensor's noise.

    Raises:
        BadPicture: the JPEG cannot be decoded.
    """
    image, _ = _opened(jpeg, MOST_PIXELS, MOST_BYTES)
    try:
        image.draft("L", (4 * SKETCH_SIDE, 4 * SKETCH_SIDE))
        return image.convert("L").resize((SKETCH_SIDE, SKETCH_SIDE), Image.Resampling.BOX).tobytes()
    except _HOSTILE as error:
        raise _damaged(error) from error


def difference(one: bytes, other: bytes) -> float:
    """Return the mean difference of two sketches' pixels, from 0 (the same) to 1 (black and white)."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / (255 * len(one))


def _opened(data: bytes, most_pixels: int, most_bytes: int) -> tuple[Image.Image, int | None]:
    """Return the picture, not decoded yet, and its EXIF orientation, or None if it is not known yet."""
    if not data:
        raise BadPicture("empty file")
    if len(data) > most_bytes:
        raise BadPicture(f"it is larger than {most_bytes / 1e6:.0f} MB")
    try:
        data, upright = lean(data)
        image: Image.Image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except TooManyPartsError as error:
        raise BadPicture(str(error)) from error
    except _HOSTILE as error:
        raise BadPicture("it is not a JPEG, PNG or WebP picture") from error
    match image.format:
        case "JPEG" | "MPO" if _in_one_run(data):
            most = most_pixels
        case "PNG":
            most = most_pixels // 2
        case _:
            most = most_pixels // 4
    if image.width * image.height > most:
        raise BadPicture(
            f"{image.width} x {image.height} pixels, which is more than {most / 1e6:.0f} million"
        )
    return image, upright


def _in_one_run(jpeg: bytes) -> bool:
    """Return whether a JPEG is decoded while it is read: it has only one scan, and is not in CMYK."""
    components = 0
    for marker, start, _ in segments(jpeg):
        if marker in _FRAMES - {_PROGRESSIVE}:
            components = int.from_bytes(jpeg[start + 9 : start + 10], "big")
        if marker == SCAN:
            return 0 < components < _CMYK and jpeg[start + 4 : start + 5] == bytes([components])
    return False


def _damaged(error: BaseException) -> BadPicture:
    if isinstance(error, MemoryError):
        return BadPicture("needs too much memory to decode")
    why = " ".join(str(error).split())[:100] or type(error).__name__
    return BadPicture(f"cut off or damaged picture ({why})")


def _orientation(image: Image.Image) -> int:
    if image.format == "PNG":
        image.load()  # a PNG's metadata may follow its pixels
    exif = image.info.get("exif")
    return orientation(exif) if isinstance(exif, bytes) else 1


def _coloured(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image).convert("RGB")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _upright(image: Image.Image, turn: Rotation, *, mirror: bool) -> Image.Image:
    if turn:
        image = image.transpose(_TURNS[turn])
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirror else image


def _encoded(image: Image.Image, quality: int) -> bytes:
    image.info.clear()  # Pillow would write comments and the like again
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()
