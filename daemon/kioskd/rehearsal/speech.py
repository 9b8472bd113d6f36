"""The visitor's recordings, as the microphone will have them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kioskd import regular_file
from kioskd.errors import ConfigError
from kioskd.media import pcm
from kioskd.media.wav import UnfitWav, decoded


@dataclass(frozen=True, slots=True)
class SpeechRecording:
    """A recording: its name for people, and its sound at 16 kHz."""

    name: str
    sound: bytes

    @property
    def duration_s(self) -> float:
        """How long it takes to say."""
        return pcm.duration_s(len(self.sound), pcm.UPLINK_HZ)


def load_speeches(paths: Iterable[Path]) -> dict[Path, SpeechRecording]:
    """Return the recordings, by path. Blocks: reads and resamples.

    Raises:
        ConfigError: a file is not there, or is no WAV that is read (see `media.wav`).
    """
    return {path: _load(path) for path in paths}


def _load(path: Path) -> SpeechRecording:
    try:
        with regular_file.opened(path) as file:
            sound = decoded(file, pcm.UPLINK_HZ)
    except UnfitWav as error:
        raise ConfigError(f"recording {path}: {error}") from error
    except OSError as error:
        raise ConfigError(
            f"recording {path}: cannot be read: {error.strerror}; give a PCM WAV file"
        ) from error
    return SpeechRecording(path.stem.replace("_", " "), sound)
