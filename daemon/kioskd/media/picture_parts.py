"""Counts and filters the parts of a picture's file before a library reads them.

Pillow keeps every part of the metadata, however many and large. The kiosk needs only one number of it: the
orientation.
"""

import re
import struct
from collections.abc import Iterator
from typing import Final

SOI: Final = b"\xff\xd8"
ADOBE: Final = 0xEE
"""Segment that explains the colours. The other application segments tell place, time and author."""
APPLICATION: Final = range(0xE0, 0xF0)
COMMENT: Final = 0xFE
SCAN: Final = 0xDA

MOST_PARTS: Final = 20_000
"""Most segments of a JPEG, or chunks of a PNG. A PNG of 20 MB in chunks of 8 kB has 2,500."""
MOST_SCANS: Final = 100
"""Most scans of a progressive JPEG. Common encoders write 10; libjpeg-turbo suggests a limit of 500."""

_EXIF: Final = 0xE1
_EXIF_NAME: Final = b"Exif\0\0"
_ORIENTATION: Final = 0x0112
_SHORT: Final = 3
_MOST_TAGS: Final = 1000
_PADDING: Final = re.compile(rb"\xff*")
_MARKER: Final = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
"""Marker that ends the data of a scan, unlike stuffed bytes, restarts and padding."""
_EOI: Final = 0xD9
_PNG: Final = b"\x89PNG\r\n\x1a\n"


class TooManyPartsError(ValueError):
    """The file has more parts than any camera or program writes; the message names the kind of part."""


def segments(jpeg: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield each segment up to the first scan: its marker, its start and its end in `jpeg`.

    Raises:
        TooManyPartsError: there are more than `MOST_PARTS`.
    """
    start = len(SOI)
    for _ in range(MOST_PARTS):
        if start + 4 > len(jpeg) or jpeg[start] != 0xFF:
            return
        padded = _PADDING.match(jpeg, start)
        assert padded is not None
        start = padded.end() - 1  # the last byte of the padding belongs to the marker
        if start + 4 > len(jpeg):
            return
        marker = jpeg[start + 1]
        stop = start + 2 + int.from_bytes(jpeg[start + 2 : start + 4], "big")
        yield marker, start, stop
        if marker == SCAN:
            return
        start = stop
    raise TooManyPartsError(f"more than {MOST_PARTS} segments")


def lean(data: bytes) -> tuple[bytes, int | None]:
    """Return a picture's file without unused metadata, and its EXIF orientation; None: it is not known yet.

    Only a JPEG loses parts. A file with a broken structure is returned as it is.

    Raises:
        TooManyPartsError: it has more parts than it needs.
    """
    if data.startswith(_PNG):
        _count_chunks(data)
        return data, None
    if not data.startswith(SOI):
        return data, None
    kept, upright = [SOI], 1
    for marker, start, stop in segments(data):
        if marker == SCAN:
            _count_scans(data, start)
            return b"".join([*kept, data[start:]]), upright
        if marker == _EXIF and upright == 1:
            upright = orientation(data[start + 4 : stop])
        if marker == ADOBE or (marker not in APPLICATION and marker != COMMENT):
            kept.append(data[start:stop])
    return data, None


def orientation(exif: bytes) -> int:
    """Return the EXIF tag Orientation (1 to 8); 1 (upright) if the tag is missing or unreadable."""
    tiff = exif.removeprefix(_EXIF_NAME)
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (first,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, first)
        for number in range(min(count, _MOST_TAGS)):
            tag, kind, values, value = struct.unpack_from(f"{order}HHIH", tiff, first + 2 + 12 * number)
            if tag == _ORIENTATION:
                return int(value) if (kind, values) == (_SHORT, 1) and 1 <= value <= 8 else 1
    except struct.error:
        pass  # the metadata are cut off, but the picture may be whole
    return 1


def _count_scans(jpeg: bytes, start: int) -> None:
    """Follow a JPEG from its first scan to its end, and ignore bytes after the end."""
    scans = 0
    for _ in range(MOST_PARTS):
        scans += jpeg[start + 1] == SCAN
        if scans > MOST_SCANS:
            raise TooManyPartsError(f"more than {MOST_SCANS} scans")
        found = _MARKER.search(jpeg, start + 2 + int.from_bytes(jpeg[start + 2 : start + 4], "big"))
        if found is None or jpeg[found.start() + 1] == _EOI:
            return
        start = found.start()
    raise TooManyPartsError(f"more than {MOST_PARTS} segments")


def _count_chunks(png: bytes) -> None:
    start = len(_PNG)
    for _ in range(MOST_PARTS):
        if start + 8 > len(png):
            return
        start += 12 + int.from_bytes(png[start : start + 4], "big")
    raise TooManyPartsError(f"more than {MOST_PARTS} chunks")
