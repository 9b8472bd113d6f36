"""Reads WAV files of recorders, editors and pipes piece by piece.

Before 3.12 Python's `wave` rejects WAVE_FORMAT_EXTENSIBLE, which sox writes for 24 bits, and it still rejects
floating point. The library soundfile reads all of it, but brings the decoders of a dozen other formats. This
module reads uncompressed RIFF and RF64, and nothing else.
"""

import struct
from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np

from kioskd.errors import KioskError
from kioskd.media import pcm
from kioskd.media.resample import Resampler, SampleFormat

MOST_CHANNELS: Final = 64
RATES_HZ: Final = range(1_000, 768_001)
LONGEST_S: Final = 3600.0
"""Longest recording that is kept in memory."""

_MOST_CHUNKS: Final = 1_000
_HEADER_BYTES: Final = 40
"""Bytes of a format header that are read; later ones are ignored."""

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_SUFFIX: Final = bytes.fromhex("000000001000800000aa00389b71")
"""Last 14 of the 16 bytes of a format's name in WAVE_FORMAT_EXTENSIBLE; the first two are the format."""
_UNKNOWN_SIZES: Final = (0, 0xFFFFFFFF)
_NAMES: Final = {
    2: "ADPCM", 6: "A-law", 7: "µ-law", 0x11: "IMA ADPCM", 0x31: "GSM",
    0x50: "MPEG", 0x55: "MP3", 0x161: "WMA", 0xFF: "AAC",
}  # fmt: skip
_FORMATS: Final = {
    (_PCM, 1): SampleFormat.INT16,
    (_PCM, 2): SampleFormat.INT16,
    (_PCM, 3): SampleFormat.INT24,
    (_PCM, 4): SampleFormat.INT32,
    (_FLOAT, 4): SampleFormat.FLOAT32,
    (_FLOAT, 8): SampleFormat.FLOAT32,
}
"""Format and bytes of a sample -> the sample format that `read` returns."""


class UnfitWav(KioskError):
    """The WAV cannot be used; the message says why and what to do."""


@dataclass(slots=True)
class WavReader:
    """Reader of a WAV whose sound comes next in `file`."""

    file: BinaryIO
    rate_hz: int
    channels: int
    sample_format: SampleFormat
    """Format of the samples that `read` returns."""
    _is_float: bool
    _width: int
    _left: int | None
    """Bytes of sound to come; None: up to the end of the file."""

    def read(self, frames: int) -> bytes:
        """Return up to `frames` frames as `sample_format`; b"" at the end. An incomplete last frame is
        dropped.

        Raises:
            OSError: the file cannot be read.
        """
        frame_bytes = self._width * self.channels
        size = frames * frame_bytes if self._left is None else min(frames * frame_bytes, self._left)
        data = self.file.read(size)
        if self._left is not None:
            self._left -= len(data)
        data = data[: len(data) - len(data) % frame_bytes]
        if self._width == 1:
            wider: bytes = ((np.frombuffer(data, np.uint8).astype("<i2") - 128) << 8).tobytes()
            return wider
        if not self._is_float:
            return data
        # The clip also handles NaN, and numbers that overflow 32 bits.
        limited = np.clip(np.nan_to_num(np.frombuffer(data, f"<f{self._width}")), -1.0, 1.0)
        single: bytes = limited.astype("<f4").tobytes()
        return single


def opened(file: BinaryIO) -> WavReader:
    """Return a reader of the WAV in `file`, which must be seekable.

    A header with a size that is too large or missing is accepted: programs that write into a pipe leave it
    so.

    Raises:
        UnfitWav: it is no WAV, or an unsupported kind of WAV.
        OSError: the file cannot be read.
    """
    kind, riff_size, form = struct.unpack("<4sI4s", _exactly(file, 12))
    if kind == b"RIFX":
        raise UnfitWav("is big-endian (RIFX); save it as an ordinary WAV")
    if kind not in (b"RIFF", b"RF64", b"BW64") or form != b"WAVE":
        raise UnfitWav("cannot be read (it is no WAV file); save it as 16-bit PCM WAV")
    header = None
    for _ in range(_MOST_CHUNKS):
        name, size = struct.unpack("<4sI", _exactly(file, 8))
        if name == b"data":
            if header is None:
                raise UnfitWav("has no format before its sound; save it again")
            left = None if _is_open_ended(size, riff_size, file.tell()) else size
            return _reader(file, header, left)
        if name == b"fmt ":
            header = _exactly(file, min(size, _HEADER_BYTES))
            size -= len(header)
            file.seek(size + (size + len(header)) % 2, 1)
        else:
            # The size does not count the byte that makes an odd size even.
            file.seek(size + size % 2, 1)
    raise UnfitWav(f"has {_MOST_CHUNKS} parts and no sound among them; save it again")


def decoded(file: BinaryIO, to_hz: int, *, most_s: float = LONGEST_S) -> bytes:
    """Return all sound of the WAV in `file` as 16-bit mono at `to_hz`, channels averaged.

    Raises:
        UnfitWav: it cannot be used, is empty, or is longer than `most_s` seconds.
        OSError: the file cannot be read.
    """
    reader = opened(file)
    most = round(most_s * reader.rate_hz)
    data = reader.read(most + 1)
    count = len(data) // (reader.sample_format.width * reader.channels)
    if not count:
        raise UnfitWav("is empty; save it again, or remove it")
    if count > most:
        raise UnfitWav(f"is longer than {most_s:g} s; cut it")
    resampler = Resampler(reader.rate_hz, to_hz, channels=reader.channels, sample_format=reader.sample_format)
    return resampler.process(data, last=True)


def _reader(file: BinaryIO, header: bytes, left: int | None) -> WavReader:
    if len(header) < 16:
        raise UnfitWav("has a format header that is cut off; save it again")
    tag, channels, rate_hz, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", header)
    if tag == _EXTENSIBLE:
        if len(header) < _HEADER_BYTES or header[26:40] != _SUFFIX:
            raise UnfitWav("is of an unknown kind (WAVE_FORMAT_EXTENSIBLE); save it as PCM WAV")
        (tag,) = struct.unpack_from("<H", header, 24)
    if tag not in (_PCM, _FLOAT):
        raise UnfitWav(f"is compressed ({_NAMES.get(tag, f'format {tag}')}); save it as PCM WAV")
    if not 0 < channels <= MOST_CHANNELS or rate_hz not in RATES_HZ:
        raise UnfitWav(f"has {channels} channels at {rate_hz} Hz; save it as mono at {pcm.DOWNLINK_HZ} Hz")
    # Samples of 20 bits come in three bytes, for example.
    width = frame_bytes // channels
    kind = _FORMATS.get((tag, width))
    if kind is None or frame_bytes % channels or bits > 8 * width:
        raise UnfitWav(f"has {bits} bits a sample in {frame_bytes} bytes; save it as 16-bit PCM WAV")
    return WavReader(file, rate_hz, channels, kind, tag == _FLOAT, width, left)


def _is_open_ended(size: int, riff_size: int, at: int) -> bool:
    """Return whether the sound goes on to the end of the file, because the writer did not know its size."""
    # Other data behind an empty sound prove that its size is right, if the file's own size says so.
    return size in _UNKNOWN_SIZES and (size != 0 or riff_size + 8 <= at or riff_size in _UNKNOWN_SIZES)


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise UnfitWav("cannot be read (it ends too early); save it as 16-bit PCM WAV")
    return data
