"""Each picture is rejected in one line, or becomes a small upright JPEG that carries nothing else."""

import random
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.support.pictures import (
    DESPITE_ORIENTATION,
    UPRIGHT,
    corners,
    encoded,
    grey,
    jpeg,
    noise,
    opened,
    quarters,
)

from kioskd.media import picture
from kioskd.media.picture import BadPicture, Rotation

ORIENTATION = 0x0112
SECRET = b"52.5200 N 13.4050 E"


def fit(
    data: bytes, *, size: int = 100, quality: int = 80, rotate: Rotation = 0, mirror: bool = False
) -> bytes:
    return picture.fit(data, size=size, quality=quality, rotate=rotate, mirror=mirror)


def labelled(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    exif[0x010E] = SECRET.decode()
    stored = quarters(
        *((240, 320) if orientation > 4 else (320, 240)), corners=DESPITE_ORIENTATION[orientation]
    )
    return encoded(stored, exif=exif, comment=SECRET)


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 9))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_becomes_a_jpeg_of_the_size(kind: str) -> None:
    fitted = opened(fit(encoded(quarters(640, 480), kind), size=200))
    assert (fitted.format, fitted.size) == ("JPEG", (200, 150))


def test_a_small_picture_is_not_enlarged() -> None:
    assert opened(fit(jpeg(80, 60), size=768)).size == (80, 60)


@given(st.integers(1, 400), st.integers(1, 400), st.integers(16, 300))
def test_the_longer_side_is_never_longer_than_asked_and_the_shape_stays(
    width: int, height: int, size: int
) -> None:
    fitted = opened(fit(encoded(Image.new("RGB", (width, height)), "PNG"), size=size))
    assert max(fitted.size) == min(size, max(width, height))
    scale = max(fitted.size) / max(width, height)
    assert fitted.width == pytest.approx(width * scale, abs=1)
    assert fitted.height == pytest.approx(height * scale, abs=1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied_and_then_removed(orientation: int) -> None:
    fitted = fit(labelled(orientation))
    assert corners(fitted) == UPRIGHT
    assert opened(fitted).size == (100, 75)
    assert not opened(fitted).getexif()
    assert SECRET not in fitted
    assert SECRET in labelled(orientation), "the original must hold the secret"


@pytest.mark.parametrize(
    ("rotate", "mirror", "seen"),
    [
        (90, False, ("blue", "red", "white", "green")),
        (180, False, ("white", "blue", "green", "red")),
        (270, False, ("green", "white", "red", "blue")),
        (0, True, ("green", "red", "white", "blue")),
        (90, True, ("red", "blue", "green", "white")),
    ],
)
def test_a_picture_is_turned_clockwise_and_then_mirrored(
    rotate: Rotation, mirror: bool, seen: tuple[str, ...]
) -> None:
    assert corners(fit(jpeg(), rotate=rotate, mirror=mirror)) == seen


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_colour_mode_is_accepted(mode: str) -> None:
    image = quarters().convert("L").convert(mode) if mode == "I;16" else quarters().convert(mode)
    opened(fit(encoded(image, "JPEG" if mode == "CMYK" else "PNG")))


def test_sixteen_bit_grey_keeps_its_brightness() -> None:
    image = Image.fromarray(np.full((10, 10), 0x8000, dtype=np.uint16))
    assert opened(fit(encoded(image, "PNG"))).getpixel((5, 5)) == pytest.approx(128, abs=2)


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_transparency_becomes_white(mode: str) -> None:
    clear = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    options = {} if mode == "RGBA" else {"transparency": 0}
    data = encoded(clear if mode == "RGBA" else Image.new("P", (16, 16), 0), "PNG", **options)
    assert opened(fit(data)).getpixel((8, 8)) == (255, 255, 255)


def test_the_first_picture_of_an_animation_stays() -> None:
    moving = encoded(Image.new("RGB", (16, 16), "white"), "WEBP", save_all=True,
                     append_images=[Image.new("RGB", (16, 16), "black")])  # fmt: skip
    assert opened(fit(moving)).getpixel((8, 8)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty file"),
        (b"GIF89a" + bytes(100), "it is not a JPEG, PNG or WebP picture"),
        (b"<svg/>", "it is not a JPEG, PNG or WebP picture"),
        (jpeg()[:40], "it is not a JPEG, PNG or WebP picture"),
        (jpeg()[:1000], "cut off or damaged picture"),
        (encoded(noise(64, 64), "PNG")[:5000], "cut off or damaged picture"),
        (encoded(noise(64, 64), "WEBP")[:1000], "cut off or damaged picture|not a JPEG"),
        (png(64, 64), "cut off or damaged picture"),
        (png(60_000, 60_000), "60000 x 60000 pixels, which is more than 25 million"),
        (bytes(20_000_001), "it is larger than 20 MB"),
    ],
)
def test_a_bad_picture_is_rejected_in_one_line(data: bytes, why: str) -> None:
    with pytest.raises(BadPicture, match=why) as refused:
        fit(data)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200


def test_a_jpeg_may_have_twice_the_pixels_of_a_png() -> None:
    image = Image.new("L", (100, 60))
    assert picture.fit(encoded(image), size=50, quality=75, most_pixels=6000)
    with pytest.raises(BadPicture, match="100 x 60 pixels"):
        picture.fit(encoded(image, "PNG"), size=50, quality=75, most_pixels=6000)


@pytest.mark.parametrize(
    "data",
    [
        encoded(Image.new("RGB", (100, 60)), progressive=True),
        encoded(Image.new("CMYK", (100, 60))),
        encoded(Image.new("RGB", (100, 60)), "WEBP"),
    ],
)
def test_a_format_that_takes_most_memory_may_have_a_quarter_of_the_pixels(data: bytes) -> None:
    assert picture.fit(data, size=50, quality=75, most_pixels=24_000)
    with pytest.raises(BadPicture, match="100 x 60 pixels"):
        picture.fit(data, size=50, quality=75, most_pixels=23_999)


def test_a_jpeg_with_one_scan_per_colour_has_the_limit_of_a_progressive_one() -> None:
    data = encoded(Image.new("RGB", (100, 60)))
    scan = data.index(b"\xff\xda")
    apart = data[: scan + 2] + b"\x00\x08\x01\x01\x00\x00\x3f\x00" + data[scan + 14 :]
    with pytest.raises(BadPicture, match="100 x 60 pixels"):
        picture.fit(apart, size=50, quality=75, most_pixels=23_999)


def test_scaling_keeps_the_brightness_of_sixteen_bit_grey() -> None:
    image = Image.fromarray(np.full((900, 900), 0x8000, dtype=np.uint16))
    assert opened(fit(encoded(image, "PNG"))).getpixel((5, 5)) == pytest.approx(128, abs=2)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_a_broken_picture_is_rejected_or_mended() -> None:
    chance = random.Random(20)
    whole = [
        *(labelled(6), encoded(noise(40, 30), progressive=True), encoded(noise(40, 30), "PNG")),
        *(encoded(noise(40, 30), "WEBP"), encoded(noise(40, 30), "WEBP", lossless=True)),
        *(encoded(noise(40, 30).convert("P"), "PNG", transparency=3), encoded(noise(40, 30).convert("CMYK"))),
    ]
    refused = 0
    for _ in range(1500):
        broken = bytearray(chance.choice(whole))
        for _ in range(chance.choice((1, 2, 8, 30))):
            broken[chance.randrange(min(len(broken), chance.choice((60, 300, len(broken)))))] = (
                chance.randrange(256)
            )
        if chance.random() < 0.2:
            del broken[chance.randrange(len(broken)) :]
        try:
            opened(fit(bytes(broken)))
        except BadPicture:
            refused += 1
        if (passed := picture.bare(bytes(broken), size=400)) is not None:
            assert passed.startswith(b"\xff\xd8\xff\xe0\x00\x10JFIF")
    assert 300 < refused < 1400


# Pictures of a camera


def segment(marker: int, data: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(data) + 2).to_bytes(2, "big") + data


def test_a_cameras_jpeg_keeps_its_pixels_and_loses_metadata_and_padding() -> None:
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()
    came = encoded(quarters(), exif=exif, comment=SECRET) + bytes(1000)
    goes = picture.bare(came, size=320)
    assert goes is not None
    assert SECRET not in goes
    assert len(goes) < len(came) - 1000
    assert opened(goes).tobytes() == opened(came).tobytes()
    assert picture.bare(goes, size=320) == goes


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("too large", jpeg(321, 240)),
        ("cut off", jpeg()[:-2]),
        ("no picture", b"\xff\xd8" + segment(0xFE, b"hello") + b"\xff\xd9"),
        ("no JPEG", encoded(quarters(), "PNG")),
        ("empty", b""),
    ],
)
def test_an_unfit_jpeg_does_not_pass_unchanged(what: str, data: bytes) -> None:
    assert picture.bare(data, size=320) is None, what


def test_encoding_again_mends_a_frame_without_huffman_tables() -> None:
    whole = encoded(quarters(), optimize=False)
    cut = bytearray(whole)
    while (at := cut.find(b"\xff\xc4")) >= 0:
        del cut[at : at + 2 + int.from_bytes(cut[at + 2 : at + 4], "big")]
    assert len(cut) < len(whole)
    assert picture.bare(bytes(cut), size=320) is None
    mended = fit(bytes(cut), size=320)
    assert corners(mended) == UPRIGHT
    assert picture.bare(mended, size=320) is not None


# Sameness


def seen(image: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bytes:
    """Return the sketch of a camera's picture of a scene."""
    return picture.sketch(encoded(Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)), quality=75))


def scene() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.asarray(noise(12, 9).resize((768, 576), Image.Resampling.BICUBIC)).astype(np.float64)


def test_two_pictures_of_one_scene_differ_only_by_the_sensors_noise() -> None:
    chance = np.random.default_rng(1)
    views = [seen(scene() + chance.normal(0, 8, (576, 768, 3))) for _ in range(2)]
    assert 0 < picture.difference(*views) < 0.004


def test_a_person_who_steps_into_the_picture_is_noticed() -> None:
    visited = scene()
    visited[150:576, 300:450] = (60, 40, 30)
    assert picture.difference(seen(scene()), seen(visited)) > 0.03


def test_a_light_that_is_switched_off_is_noticed() -> None:
    assert picture.difference(seen(scene()), seen(scene() * 0.3)) > 0.1


def test_difference_goes_from_the_same_to_black_and_white() -> None:
    assert picture.difference(picture.sketch(grey(0)), picture.sketch(grey(0))) == 0
    assert picture.difference(picture.sketch(grey(0)), picture.sketch(grey(255))) == pytest.approx(
        1, abs=0.01
    )


def test_a_sketch_of_no_picture_is_rejected() -> None:
    for data in (b"", b"hello", jpeg()[:1000]):
        with pytest.raises(BadPicture):
            picture.sketch(data)


def test_a_sketch_has_one_size_for_pictures_of_any_size() -> None:
    for size in ((1, 1), (7, 300), (2000, 1500)):
        assert len(picture.sketch(encoded(Image.new("RGB", size)))) == picture.SKETCH_SIDE**2
