"""Uncompressed frames: each layout gives the right picture."""

import pytest
from PIL import Image
from tests.support.pictures import UPRIGHT, corners, opened, quarters, raw

from kioskd.media.picture import BadPicture
from kioskd.media.raw_frame import LAYOUTS, Layout, jpeg


def layout(fourcc: str, stride: int = 0, *, full_range: bool = False) -> Layout:
    row = {"YUYV": 2, "UYVY": 2, "RGB3": 3, "BGR3": 3}.get(fourcc, 1)
    return Layout(fourcc, 160, 120, stride or 160 * row, full_range=full_range)


@pytest.mark.parametrize("stride", [0, 640])
@pytest.mark.parametrize("fourcc", [fourcc for fourcc in LAYOUTS if fourcc != "GREY"])
def test_every_layout_keeps_colours_and_places(fourcc: str, stride: int) -> None:
    frame = raw(quarters(160, 120), fourcc, stride)
    assert corners(jpeg(frame, layout(fourcc, stride), size=768, quality=90)) == UPRIGHT


def test_a_grey_frame_keeps_its_level() -> None:
    frame = raw(Image.new("L", (160, 120), 77).convert("RGB"), "GREY")
    level = opened(jpeg(frame, layout("GREY"), size=768, quality=90)).convert("L").getpixel((80, 60))
    assert level == pytest.approx(77, abs=1)


@pytest.mark.parametrize(("full_range", "seen"), [(False, 255), (True, 235)])
def test_white_is_white_where_brightness_ends_at_235(full_range: bool, seen: int) -> None:
    frame = bytes([235, 128]) * (160 * 120)
    made = jpeg(frame, layout("YUYV", full_range=full_range), size=768, quality=90)
    assert opened(made).convert("L").getpixel((80, 60)) == pytest.approx(seen, abs=1)


@pytest.mark.parametrize("fourcc", LAYOUTS)
def test_a_frame_that_ends_early_is_rejected(fourcc: str) -> None:
    with pytest.raises(BadPicture, match="too short"):
        jpeg(raw(quarters(160, 120), fourcc)[:-1], layout(fourcc), size=768, quality=90)


@pytest.mark.parametrize("fourcc", ["YUYV", "RGB3", "GREY"])
def test_the_padding_of_the_last_row_may_be_missing(fourcc: str) -> None:
    whole = raw(quarters(160, 120), fourcc, 640)
    row = layout(fourcc).stride
    assert jpeg(whole[: len(whole) - (640 - row)], layout(fourcc, 640), size=768, quality=90)
