"""WAV files of all kinds from recorders, editors and pipes."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kioskd.media.wav import UnfitWav, decoded, opened

RATE_HZ = 16_000
SUFFIX = bytes.fromhex("000000001000800000aa00389b71")
RAMP = np.linspace(-0.9, 0.9, 320)
WANTED = np.rint(RAMP * 32768)


def chunk(name: bytes, data: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(data) if size is None else size) + data + b"\0" * (len(data) % 2)


def form(
    tag: int, bits: int, *, channels: int = 1, width: int | None = None, extensible: bool = False
) -> bytes:
    frame_bytes = (width or bits // 8) * channels
    head = (channels, RATE_HZ, RATE_HZ * frame_bytes, frame_bytes, bits)
    if not extensible:
        return chunk(b"fmt ", struct.pack("<HHIIHH", tag, *head))
    return chunk(b"fmt ", struct.pack("<HHIIHHHHIH", 0xFFFE, *head, 22, bits, 0, tag) + SUFFIX)


def riff(*chunks: bytes, kind: bytes = b"RIFF", size: int | None = None) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return kind + struct.pack("<I", len(body) if size is None else size) + body


def samples(tag: int, width: int) -> bytes:
    if tag == 3:
        return RAMP.astype(f"<f{width}").tobytes()
    if width == 1:
        return (np.rint(RAMP * 128) + 128).astype(np.uint8).tobytes()
    wide = np.rint(RAMP * 2.0 ** (8 * width - 1)).astype("<i8").view(np.uint8).reshape(-1, 8)
    return wide[:, :width].tobytes()


def heard(data: bytes) -> np.ndarray:
    return np.frombuffer(decoded(io.BytesIO(data), RATE_HZ), "<i2").astype(float)


KINDS = [(1, 1), (1, 2), (1, 3), (1, 4), (3, 4), (3, 8)]


@pytest.mark.parametrize(("tag", "width"), KINDS)
@pytest.mark.parametrize("extensible", [False, True])
def test_every_kind_of_sample_is_read(tag: int, width: int, extensible: bool) -> None:
    data = riff(form(tag, 8 * width, extensible=extensible), chunk(b"data", samples(tag, width)))
    assert np.abs(heard(data) - WANTED).max() <= (128 if width == 1 else 1)


def test_twenty_bits_come_in_three_bytes() -> None:
    data = riff(form(1, 20, width=3, extensible=True), chunk(b"data", samples(1, 3)))
    assert np.abs(heard(data) - WANTED).max() <= 1


def test_channels_are_averaged() -> None:
    stereo = np.stack([WANTED, np.zeros(320)], axis=1).astype("<i2").tobytes()
    assert np.abs(heard(riff(form(1, 16, channels=2), chunk(b"data", stereo))) - WANTED / 2).max() <= 1


@pytest.mark.parametrize("more", [b"", b"odd", b"even"])
def test_chunks_before_and_behind_the_sound_are_skipped_with_their_padding(more: bytes) -> None:
    plain = chunk(b"data", samples(1, 2))
    data = riff(chunk(b"LIST", more), form(1, 16), chunk(b"fact", more), plain, chunk(b"id3 ", b"\x7f" * 99))
    assert np.array_equal(heard(data), heard(riff(form(1, 16), plain)))


def test_a_format_of_an_odd_size_is_followed_by_its_padding() -> None:
    odd = chunk(b"fmt ", form(1, 16)[8:] + b"\0")
    assert len(heard(riff(odd, chunk(b"data", samples(1, 2))))) == 320


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000, 641])
@pytest.mark.parametrize("file_size", [0, 36, 0xFFFFFFFF, 0x7FFFF024])
def test_a_header_that_was_written_into_a_pipe_is_accepted(size: int, file_size: int) -> None:
    data = riff(form(1, 16), b"data" + struct.pack("<I", size) + samples(1, 2), size=file_size)
    assert len(heard(data)) == 320


@pytest.mark.parametrize("file_size", [0, 36, 0xFFFFFFFF])
def test_a_header_that_was_never_filled_in_is_accepted(file_size: int) -> None:
    data = riff(form(1, 16), b"data" + bytes(4) + samples(1, 2), size=file_size)
    assert len(heard(data)) == 320


def test_a_large_file_of_ffmpeg_is_read() -> None:
    big = struct.pack("<QQQI", 0, 640, 320, 0)
    data = riff(
        chunk(b"ds64", big),
        form(1, 16),
        chunk(b"data", samples(1, 2), 0xFFFFFFFF),
        kind=b"RF64",
        size=0xFFFFFFFF,
    )
    assert len(heard(data)) == 320


def test_half_a_sample_at_the_end_is_dropped() -> None:
    assert len(heard(riff(form(1, 24), chunk(b"data", samples(1, 3)[:-1])))) == 319


def test_not_a_number_is_silence_and_infinity_is_full_scale() -> None:
    odd = np.array([np.nan, np.inf, -np.inf, 1e300, 0.5], "<f8").tobytes()
    assert heard(riff(form(3, 64), chunk(b"data", odd))).tolist() == [0, 32767, -32768, 32767, 16384]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "ends too early"),
        (b"ID3\x04 is an MP3", "it is no WAV file"),
        (riff(kind=b"RIFX"), "big-endian"),
        (riff(form(1, 16)), "ends too early"),
        (riff(chunk(b"data", b"\0\0")), "has no format before its sound"),
        (riff(form(7, 8), chunk(b"data", b"\0")), "is compressed \\(µ-law\\)"),
        (riff(form(2, 4, width=1), chunk(b"data", b"\0")), "is compressed \\(ADPCM\\)"),
        (riff(form(9999, 16), chunk(b"data", b"\0")), "is compressed \\(format 9999\\)"),
        (riff(form(1, 16, channels=0, width=2), chunk(b"data", b"\0")), "has 0 channels"),
        (riff(form(1, 16, channels=65), chunk(b"data", b"\0")), "has 65 channels"),
        (riff(form(1, 16, width=1), chunk(b"data", b"\0")), "has 16 bits a sample in 1 bytes"),
        (riff(form(3, 16), chunk(b"data", b"\0\0")), "has 16 bits a sample in 2 bytes"),
        (riff(chunk(b"fmt ", b"\1\0"), chunk(b"data", b"\0")), "format header that is cut off"),
        (riff(form(1, 16), chunk(b"data", b"")), "is empty"),
        (riff(form(1, 16), chunk(b"data", b""), chunk(b"LIST", b"\1" * 64)), "is empty"),
        (riff(*[chunk(b"LIST", b"")] * 2000), "has 1000 parts and no sound"),
    ],
)  # fmt: skip
def test_an_unfit_wav_is_reported_in_one_line(data: bytes, why: str) -> None:
    with pytest.raises(UnfitWav, match=why) as unfit:
        decoded(io.BytesIO(data), RATE_HZ)
    assert "\n" not in str(unfit.value)


def test_a_sound_that_is_too_long_is_not_read_to_its_end() -> None:
    file = io.BytesIO(riff(form(1, 16), chunk(b"data", bytes(2 * RATE_HZ))))
    with pytest.raises(UnfitWav, match=r"longer than 0\.5 s; cut it"):
        decoded(file, RATE_HZ, most_s=0.5)
    assert file.tell() < RATE_HZ + 100


@given(st.binary(max_size=200), st.integers(0, 40))
@settings(max_examples=300, deadline=None)
def test_a_file_of_random_bytes_is_read_or_rejected(noise: bytes, at: int) -> None:
    good = riff(form(1, 16, extensible=True), chunk(b"data", samples(1, 2)))
    try:
        reader = opened(io.BytesIO(good[:at] + noise + good[at + len(noise) :]))
    except UnfitWav:
        return
    assert len(reader.read(1000)) <= 4 * 64 * 1000
