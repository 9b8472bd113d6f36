"""The visitor's recordings, as the microphone will have them."""

import io
import wave
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kioskd import regular_file
from kioskd.errors import ConfigError
from kioskd.media import pcm
from kioskd.media.resample import Resampler, SampleFormat

LARGEST_BYTES: Final = 500_000_000
"""An hour of the most lavish PCM."""

_FORMATS: Final = {2: SampleFormat.INT16, 3: SampleFormat.INT24, 4: SampleFormat.INT32}


@dataclass(frozen=True, slots=True)
class Speech:
    """A recording: its name for people, and its sound at 16 kHz."""

    name: str
    sound: bytes

    @property
    def duration_s(self) -> float:
        """How long it takes to say."""
        return pcm.duration_s(len(self.sound), pcm.UPLINK_HZ)


def load_speeches(paths: Iterable[Path]) -> dict[Path, Speech]:
    """Return the recordings, by path. Blocks: reads and resamples.

    Raises:
        ConfigError: a file is not there, or is no PCM WAV of 16, 24 or 32 bits.
    """
    return {path: _load(path) for path in paths}


def _load(path: Path) -> Speech:
    try:
        with wave.open(io.BytesIO(regular_file.content(path, LARGEST_BYTES)), "rb") as file:
            resampler = Resampler(
                file.getframerate(),
                pcm.UPLINK_HZ,
                channels=file.getnchannels(),
                sample_format=_FORMATS[file.getsampwidth()],
            )
            sound = resampler.process(file.readframes(file.getnframes()), last=True)
    except (OSError, EOFError, KeyError, wave.Error) as error:
        raise ConfigError(
            f"recording {path}: cannot be used: {type(error).__name__} {error}; give a PCM WAV file of 16, 24 or 32 bits"
        ) from error
    return Speech(path.stem.replace("_", " "), sound)
