"""WAV files in the place of microphone and speaker: a desk without a device."""

import contextlib
import io
import logging
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NoReturn

from kioskd import regular_file
from kioskd.errors import DeviceLost
from kioskd.media import pcm
from kioskd.media.resample import Resampler
from kioskd.media.wav import UnfitWav, WavReader, opened
from kioskd.ports import AudioSource, Clock

log = logging.getLogger(__name__)

_PERIOD_BYTES: Final = pcm.DOWNLINK_HZ * pcm.PERIOD_MS // 1000 * pcm.SAMPLE_BYTES
_FRAME_S: Final = pcm.FRAME_MS / 1000
_PERIOD_S: Final = pcm.PERIOD_MS / 1000
_WAV_HEADER_BYTES: Final = 44
_WAV_LIMIT_BYTES: Final = 2**32 - 2 * _WAV_HEADER_BYTES


class WavMicrophone:
    """Hears a WAV file, then silence; a `ports.Microphone`. Each capture begins at the file's beginning.

    What `media.wav` reads, any rate, any channels (averaged). What is 16 kHz, mono and 16 bits comes sample by
    sample as it is in the file; its last frame is filled up with zeros.
    """

    def __init__(self, path: Path, clock: Clock, *, paced: bool = True) -> None:
        """`paced`: as fast as a person speaks; otherwise as fast as the loop allows, and no silence after the end."""
        self._path = path
        self._clock = clock
        self._paced = paced

    async def capture(self, sink: Callable[[bytes], None]) -> NoReturn:
        """Hand each frame to `sink` until cancelled; see `ports.Microphone`."""
        silence = bytes(pcm.FRAME_BYTES)
        with _opened(self._path) as wav:
            frames = _frames(wav)
            due = self._clock.now()
            while True:
                frame = next(frames, None)
                if frame is None and not self._paced:
                    await _for_ever(self._clock)
                due += _FRAME_S
                await self._clock.sleep(max(0.0, due - self._clock.now()) if self._paced else 0.0)
                sink(silence if frame is None else frame)


class WavSpeaker:
    """Plays into a WAV file (24 kHz, mono, 16 bits); a `ports.Speaker`.

    The first `play` begins the file anew, those after it go on. The file is a right one whenever no `play` runs.
    """

    latency_s = 0.0
    """What is pulled is in the file."""

    def __init__(self, path: Path, clock: Clock, *, paced: bool = True) -> None:
        """`paced`: as fast as a person listens; otherwise as fast as the loop allows."""
        self._path = path
        self._clock = clock
        self._paced = paced
        self._begun = False

    async def play(self, source: AudioSource) -> NoReturn:
        """Play from `source` until cancelled; see `ports.Speaker`. The source is pulled in the loop's thread.

        Raises:
            DeviceLost: the file cannot be written, or is as long as a WAV file can be (24 h).
        """
        try:
            with _rewritable(self._path, anew=not self._begun) as file:
                if not self._begun:
                    file.write(bytes(_WAV_HEADER_BYTES))
                    self._begun = True
                file.seek(0, io.SEEK_END)
                try:
                    await self._fill(file, source)
                finally:
                    _write_header(file)
        except OSError as error:
            raise DeviceLost(
                f"speaker {self._path}: cannot be written: {error}; make room or choose another",
                device=str(self._path),
            ) from error

    async def _fill(self, file: io.BufferedRandom, source: AudioSource) -> NoReturn:
        due = self._clock.now()
        while file.tell() < _WAV_LIMIT_BYTES:
            due += _PERIOD_S
            await self._clock.sleep(max(0.0, due - self._clock.now()) if self._paced else 0.0)
            file.write(source.pull(_PERIOD_BYTES))
        raise DeviceLost(
            f"speaker {self._path}: the file is as long as a WAV file can be; choose another",
            device=str(self._path),
        )


async def _for_ever(clock: Clock) -> NoReturn:
    while True:
        await clock.sleep(3600.0)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[WavReader]:
    try:
        file = regular_file.opened(path)
    except OSError as error:
        raise _unfit(path, f"cannot be read: {error.strerror}") from error
    with file:
        try:
            reader = opened(file)
        except (OSError, UnfitWav) as error:
            raise _unfit(path, str(error).partition(";")[0]) from error
        yield reader


def _unfit(path: Path, why: str) -> DeviceLost:
    return DeviceLost(
        f"microphone {path}: no WAV file that can be read: {why}; name a PCM WAV file that is there",
        device=str(path),
    )


def _frames(wav: WavReader) -> Iterator[bytes]:
    """The file in frames. Reads 20 ms at a time: what the page cache gives in microseconds."""
    convert = Resampler(wav.rate_hz, pcm.UPLINK_HZ, channels=wav.channels, sample_format=wav.sample_format)
    piece_frames = max(1, wav.rate_hz * pcm.FRAME_MS // 1000)
    pending = bytearray()
    more = True
    while more:
        data = wav.read(piece_frames)
        more = bool(data)
        pending += convert.process(data, last=not more)
        while len(pending) >= pcm.FRAME_BYTES:
            yield bytes(pending[: pcm.FRAME_BYTES])
            del pending[: pcm.FRAME_BYTES]
    if pending:
        yield bytes(pending.ljust(pcm.FRAME_BYTES, b"\0"))


def _rewritable(path: Path, *, anew: bool) -> io.BufferedRandom:
    return path.open("w+b" if anew else "r+b")


def _write_header(file: io.BufferedRandom) -> None:
    """Say at the beginning how long the file has become. The wave module cannot go on with a file; this can."""
    data_bytes = file.tell() - _WAV_HEADER_BYTES
    file.seek(0)
    file.write(
        struct.pack(
            "<4sI4s4sIHHIIHH4sI",
            *(b"RIFF", data_bytes + _WAV_HEADER_BYTES - 8, b"WAVE"),
            *(b"fmt ", 16, 1, 1, pcm.DOWNLINK_HZ, pcm.DOWNLINK_HZ * pcm.SAMPLE_BYTES),
            *(pcm.SAMPLE_BYTES, pcm.SAMPLE_BYTES * 8, b"data", data_bytes),
        )
    )
