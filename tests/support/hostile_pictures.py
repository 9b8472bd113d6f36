"""Pictures made to cost their reader time or memory: small files, one of each kind."""

import io
import itertools
import random
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from PIL import Image
from tests.support.pictures import encoded, noise, quarters

MEGA: Final = 1_000_000

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


def _segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def _in_jpeg(extra: bytes) -> bytes:
    """Return a valid JPEG with `extra` between its start and its first segment."""
    good = encoded(quarters(), quality=90)
    return good[:2] + extra + good[2:]


def empty_segments(count: int = 4_000_000) -> bytes:
    """Return a JPEG with millions of empty segments."""
    return _in_jpeg(b"\xff\xe5\x00\x02" * count)


def padding(count: int = 18 * MEGA) -> bytes:
    """Return a JPEG with millions of padding bytes before a marker."""
    return _in_jpeg(b"\xff" * count)


def comments(count: int = 290) -> bytes:
    """Return a JPEG with large comments, all of which a reader keeps."""
    return _in_jpeg(_segment(0xFE, bytes(65_000)) * count)


def tiny_applications(count: int = 1_500_000) -> bytes:
    """Return a JPEG with many application segments, all of which a reader keeps in a list."""
    return _in_jpeg(_segment(0xE7, b"12345678") * count)


def _overlapping(entries: int, each: int) -> bytes:
    """Return EXIF with `entries` values, which are all the same bytes."""
    ifd = struct.pack("<H", entries)
    for number in range(entries):
        ifd += struct.pack("<HHII", 0x8000 + number, 7, each, 8)
    return (b"II*\0" + struct.pack("<I", 8) + ifd).ljust(each + 100, b"\0")


def overlapping_exif(entries: int = 1_000, each: int = 3 * MEGA) -> bytes:
    """Return a JPEG with EXIF in several segments: a thousand values that are all the same bytes."""
    exif = _overlapping(entries, each)
    pieces = [exif[start : start + 65_000] for start in range(0, len(exif), 65_000)]
    return _in_jpeg(b"".join(_segment(0xE1, b"Exif\0\0" + piece) for piece in pieces))


def overlapping_exif_in_a_png(entries: int = 1_000, each: int = 3 * MEGA) -> bytes:
    """Return a PNG with EXIF in one chunk: a thousand values that are all the same bytes."""
    return _in_png(_chunk(b"eXIf", _overlapping(entries, each)))


def overlapping_exif_in_a_webp(entries: int = 1_000, each: int = 3 * MEGA) -> bytes:
    """Return a WebP with EXIF of a thousand values that are all the same bytes."""
    return encoded(quarters(), "WEBP", exif=_overlapping(entries, each))


def exif_that_leads_to_itself() -> bytes:
    """Return a JPEG whose EXIF directories form a circle."""
    ifd = struct.pack("<HHHIII", 1, 0x8769, 4, 1, 8, 8)
    return _in_jpeg(_segment(0xE1, b"Exif\0\0II*\0" + struct.pack("<I", 8) + ifd))


def large_profile(parts: int = 255) -> bytes:
    """Return a JPEG with a colour profile of 16 MB."""
    body = bytes(65_000)
    return _in_jpeg(
        b"".join(_segment(0xE2, b"ICC_PROFILE\0" + bytes([n + 1, parts]) + body) for n in range(parts))
    )


def progressive_scans(scans: int = 1_000) -> bytes:
    """Return a JPEG with a thousand scans, each over the whole picture."""
    good = encoded(Image.new("L", (3_000, 3_000)), progressive=True)
    start = good.index(b"\xff\xda")
    end = good.find(b"\xff", start + 2 + int.from_bytes(good[start + 2 : start + 4], "big"))
    while good[end + 1] in (0x00, *range(0xD0, 0xD8)):
        end = good.find(b"\xff", end + 2)
    refining = good[start:end]
    return good[:start] + refining * scans + good[start:]


def many_frames_in_one_jpeg(count: int = 1_000) -> bytes:
    """Return a JPEG that contains many pictures (MPO)."""
    out = io.BytesIO()
    one = quarters(32, 32)
    one.save(out, "MPO", save_all=True, append_images=[one] * count)
    return out.getvalue()


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _in_png(extra: bytes) -> bytes:
    good = encoded(quarters(64, 64), "PNG")
    return good[:33] + extra + good[33:]


def text_bombs(count: int = 60, of: int = 60 * MEGA) -> bytes:
    """Return a PNG with compressed texts (zTXt) that unpack to a thousand times their size."""
    bomb = zlib.compress(bytes(of), 9)
    return _in_png(_chunk(b"zTXt", b"k\0\0" + bomb) * count)


def international_bombs(count: int = 60, of: int = 60 * MEGA) -> bytes:
    """Return a PNG with compressed international texts (iTXt) that unpack to a thousand times their size."""
    bomb = zlib.compress(bytes(of), 9)
    return _in_png(_chunk(b"iTXt", b"k\0\1\0\0\0" + bomb) * count)


def profile_bomb(of: int = 300 * MEGA) -> bytes:
    """Return a PNG whose colour profile unpacks to a thousand times its size."""
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(bytes(MEGA)) for _ in range(of // MEGA)) + packer.flush()
    return _in_png(_chunk(b"iCCP", b"p\0\0" + bomb))


def tiny_texts(count: int = 1_000_000) -> bytes:
    """Return a PNG with a million texts."""
    return _in_png(_chunk(b"tEXt", b"k\0v") * count)


def unknown_chunks(count: int = 1_500_000) -> bytes:
    """Return a PNG with many chunks of an unknown type."""
    return _in_png(_chunk(b"abCd", b"") * count)


def data_bomb(side: int = 4_900) -> bytes:
    """Return a PNG of a few kilobytes with 24 million pixels in the widest mode."""
    header = struct.pack(">IIBBBBB", side, side, 16, 6, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(1 + 8 * side)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def enormous_png(side: int = 2_000_000_000) -> bytes:
    """Return a PNG whose header claims more pixels than any memory holds."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", b"") + _chunk(b"IEND", b"")


def animated(kind: str, frames: int = 200) -> bytes:
    """Return an animation: PNG, WEBP or GIF."""
    out = io.BytesIO()
    first = Image.new("L", (200, 200))
    rest = [Image.new("L", (200, 200), number % 256) for number in range(frames)]
    first.save(out, kind, save_all=True, append_images=rest)
    return out.getvalue()


def tiff_tags(count: int = 60_000) -> bytes:
    """Return a TIFF with thousands of tags."""
    entries = b"".join(struct.pack("<HHII", number & 0xFFFF, 2, 4, 0) for number in range(count))
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", count) + entries + bytes(4)


KINDS: Final[dict[str, Callable[[], bytes]]] = {
    "empty segments": empty_segments,
    "padding": padding,
    "comments": comments,
    "tiny applications": tiny_applications,
    "overlapping EXIF": overlapping_exif,
    "overlapping EXIF in a PNG": overlapping_exif_in_a_png,
    "overlapping EXIF in a WebP": overlapping_exif_in_a_webp,
    "EXIF in a circle": exif_that_leads_to_itself,
    "large profile": large_profile,
    "progressive scans": progressive_scans,
    "many frames in a JPEG": many_frames_in_one_jpeg,
    "PNG text bombs": text_bombs,
    "PNG international bombs": international_bombs,
    "PNG profile bomb": profile_bomb,
    "PNG tiny texts": tiny_texts,
    "PNG unknown chunks": unknown_chunks,
    "PNG data bomb": data_bomb,
    "PNG without bounds": enormous_png,
    "animated PNG": lambda: animated("PNG"),
    "animated WebP": lambda: animated("WEBP", 100),
    "animated GIF": lambda: animated("GIF"),
    "TIFF tags": tiff_tags,
}


def mutations(seed: int) -> Iterator[bytes]:
    """Yield damaged pictures of each format without end; the same seed gives the same pictures."""
    chance = random.Random(seed)
    small = noise(120, 90)
    good = [
        encoded(small, quality=90),
        encoded(small, progressive=True),
        encoded(small, "PNG"),
        encoded(small, "WEBP"),
        encoded(small.convert("CMYK")),
    ]
    while True:
        data = bytearray(chance.choice(good))
        for _ in range(chance.randint(1, 12)):
            where = chance.randrange(min(len(data), 700) if chance.random() < 0.7 else len(data))
            match chance.randrange(4):
                case 0:
                    data[where] = chance.choice((0, 0xFF, 0x7F, chance.randrange(256)))
                case 1:
                    del data[where : where + chance.randint(1, 40)]
                case 2:
                    data[where:where] = chance.randbytes(chance.randint(1, 40))
                case _:
                    data[where : where + 4] = struct.pack(">I", chance.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF)))
            if not data:
                data = bytearray(b"\xff")
        yield bytes(data)


def hard(seed: int) -> Iterator[bytes]:
    """Yield pictures without end: each fifth is one of `KINDS` in turn, the others are damaged."""
    damaged = mutations(seed)
    for make in itertools.cycle(KINDS.values()):
        yield make()
        yield from itertools.islice(damaged, 4)


def main(file: Path, seed: int) -> None:
    """For each line that is read, write a picture to `file` and then print an empty line."""
    for _, data in zip(sys.stdin, hard(seed), strict=False):
        file.write_bytes(data)
        sys.stdout.write("\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
