"""The parts of a picture's file are counted, and unused ones do not reach the decoder."""

import io
import struct

import pytest
from PIL import Image
from tests.support.hostile_pictures import (
    empty_segments,
    exif_that_leads_to_itself,
    overlapping_exif,
    padding,
)
from tests.support.pictures import encoded, jpeg, quarters

from kioskd.media.picture import BadPicture, fit
from kioskd.media.picture_parts import MOST_PARTS, MOST_SCANS, TooManyPartsError, lean, orientation, segments


def tiff(entries: list[tuple[int, int, int, int]], order: str = "<") -> bytes:
    """Return EXIF data with one directory of these: tag, kind, count, value."""
    body = b"".join(struct.pack(f"{order}HHIHH", *entry, 0) for entry in entries)
    name = b"II*\0" if order == "<" else b"MM\0*"
    return b"Exif\0\0" + name + struct.pack(f"{order}I", 8) + struct.pack(f"{order}H", len(entries)) + body


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", range(1, 9))
def test_the_orientation_is_read_in_both_byte_orders(order: str, value: int) -> None:
    assert orientation(tiff([(0x010F, 2, 1, 0), (0x0112, 3, 1, value)], order)) == value


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"Exif\0\0",
        b"Exif\0\0XX*\0",
        tiff([]),
        tiff([(0x0112, 3, 1, 9)]),
        tiff([(0x0112, 3, 1, 0)]),
        tiff([(0x0112, 4, 1, 6)]),
        tiff([(0x0112, 3, 2, 6)]),
        tiff([(0x0112, 3, 1, 6)])[:-6],
        b"Exif\0\0II*\0\xff\xff\xff\xff",
    ],
)
def test_an_unreadable_orientation_is_upright(exif: bytes) -> None:
    assert orientation(exif) == 1


def test_only_the_picture_and_its_colours_reach_the_decoder() -> None:
    image = quarters().convert("CMYK")
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(image, exif=exif.tobytes(), icc_profile=bytes(90_000), comment=b"a comment")
    left, upright = lean(data)
    assert upright == 6
    markers = {marker for marker, _, _ in segments(left)}
    assert 0xEE in markers, "Adobe's segment says how the colours are meant"
    assert not markers & {0xE1, 0xE2, 0xFE}
    assert Image.open(io.BytesIO(left)).tobytes() == Image.open(io.BytesIO(data)).tobytes()


def test_metadata_of_any_size_does_not_reach_the_library() -> None:
    for data in (overlapping_exif(), exif_that_leads_to_itself(), padding(100_000)):
        assert len(lean(data)[0]) < 20_000
        assert fit(data, size=100, quality=75)


def test_too_many_parts_are_rejected() -> None:
    with pytest.raises(TooManyPartsError, match=f"more than {MOST_PARTS} segments"):
        lean(empty_segments(MOST_PARTS + 1))
    with pytest.raises(BadPicture, match="more than"):
        fit(empty_segments(MOST_PARTS + 1), size=100, quality=75)


def test_scans_behind_a_picture_are_not_counted() -> None:
    data = jpeg() + b"\xff\xda\0\0" * (MOST_SCANS + 1)
    assert fit(data, size=100, quality=75)


def test_too_many_scans_are_rejected() -> None:
    good = encoded(quarters(), progressive=True)
    start = good.index(b"\xff\xda")
    end = good.index(b"\xff", start + 20)
    while good[end + 1] in (0, *range(0xD0, 0xD8)):
        end = good.index(b"\xff", end + 2)
    with pytest.raises(TooManyPartsError, match=f"more than {MOST_SCANS} scans"):
        lean(good[:start] + good[start:end] * (MOST_SCANS + 1) + good[start:])
