"""The pictures that a client sends: what the service takes, and what they are."""

import struct
import time
from typing import Final, Literal

from kioskd.simulator.records import ReceivedPicture
from kioskd.simulator.schema import Blob
from kioskd.simulator.wire import INVALID, RefusalError, blob_bytes, mime_of

_START: Final = {"image/jpeg": b"\xff\xd8", "image/png": b"\x89PNG\r\n\x1a\n", "image/webp": b"RIFF"}
_WITHOUT_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xD8)})
_FRAME_HEADERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def picture_of(blob: Blob, where: str, way: Literal["realtime", "content", "answer"]) -> ReceivedPicture:
    """Return what a blob shows.

    Raises:
        RefusalError: it is no picture, or of a kind that the service does not take.
    """
    kind, _ = mime_of(blob, where)
    if kind not in _START:
        raise RefusalError(
            INVALID, f"Unsupported mime_type at '{where}': use image/jpeg, image/png or image/webp"
        )
    data = blob_bytes(blob, where)
    if not data.startswith(_START[kind]):
        raise RefusalError(INVALID, f"Unable to process input image at '{where}': it is not {kind}")
    return ReceivedPicture(time.monotonic(), kind, data, way, _size_of(kind, data))


def _size_of(kind: str, data: bytes) -> tuple[int, int] | None:
    """Return width and height in pixels as the header says; None if it does not, or in words that are not known."""
    try:
        if kind == "image/png":
            width, height = struct.unpack_from(">II", data, 16)
            return width, height
        return _jpeg_size(data) if kind == "image/jpeg" else None
    except struct.error:
        return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    place = 2
    while data[place : place + 1] == b"\xff":
        (mark,) = struct.unpack_from("B", data, place + 1)
        if mark in _FRAME_HEADERS:
            height, width = struct.unpack_from(">HH", data, place + 5)
            return width, height
        length = 0 if mark in _WITHOUT_LENGTH else struct.unpack_from(">H", data, place + 2)[0]
        place += 2 + length
    return None
