"""The pictures that a client sends: which kinds the service takes, and their size."""

import struct
import time
from typing import Final, Literal

from kioskd.media.picture_parts import TooManyPartsError, segments
from kioskd.simulator.records import ReceivedPicture
from kioskd.simulator.schema import Blob
from kioskd.simulator.wire import RefusalError, blob_bytes, mime_of

_START: Final = {"image/jpeg": b"\xff\xd8", "image/png": b"\x89PNG\r\n\x1a\n", "image/webp": b"RIFF"}
_FRAME_HEADERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def picture_of(blob: Blob, where: str, way: Literal["realtime", "content", "answer"]) -> ReceivedPicture:
    """Return the picture in a blob; raise RefusalError unless it is of a kind that the service accepts."""
    kind, _ = mime_of(blob, where)
    if kind not in _START:
        raise RefusalError(f"Unsupported mime_type at '{where}': use image/jpeg, image/png or image/webp")
    data = blob_bytes(blob, where)
    if not data.startswith(_START[kind]):
        raise RefusalError(f"Unable to process input image at '{where}': it is not {kind}")
    return ReceivedPicture(time.monotonic(), kind, data, way, _size_of(kind, data))


def _size_of(kind: str, data: bytes) -> tuple[int, int] | None:
    """Return width and height in pixels as the header says; None if it does not say, and for a WebP."""
    try:
        if kind == "image/png":
            width, height = struct.unpack_from(">II", data, 16)
            return width, height
        if kind == "image/jpeg":
            for marker, start, _ in segments(data):
                if marker in _FRAME_HEADERS:
                    height, width = struct.unpack_from(">HH", data, start + 5)
                    return width, height
    except (struct.error, TooManyPartsError):
        return None
    return None
