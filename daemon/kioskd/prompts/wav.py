"""A WAV of any rate to what the speaker plays."""

import io
from pathlib import Path
from typing import Final

from kioskd import regular_file
from kioskd.media import pcm
from kioskd.media.wav import UnfitWav, decoded

__all__ = ["LONGEST_S", "UnfitWav", "read"]

LONGEST_S: Final = 30.0
"""A prompt is a sentence or two; and what is longer would be kept in memory for nothing."""


def read(source: Path | bytes) -> bytes:
    """Return a WAV (see `media.wav`; any rate, channels averaged) as 24 kHz 16-bit mono PCM.

    Raises:
        UnfitWav: it is none, is empty, or longer than `LONGEST_S`.
        FileNotFoundError: it is not there.
    """
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else regular_file.opened(source) as file:
            return decoded(file, pcm.DOWNLINK_HZ, most_s=LONGEST_S)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnfitWav(f"cannot be read ({error.strerror or error}); save it as 16-bit PCM WAV") from error
