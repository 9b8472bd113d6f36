"""A WAV of any rate to what the speaker plays."""

import io
import wave
from pathlib import Path
from typing import Final

from kioskd import regular_file
from kioskd.errors import KioskError
from kioskd.media import pcm
from kioskd.media.resample import Resampler, SampleFormat

LONGEST_S: Final = 30.0
"""A prompt is a sentence or two; and what is longer would be kept in memory for nothing."""

LARGEST_BYTES: Final = 100_000_000
"""As far as a file is read: a minute of the most lavish PCM is a tenth of that."""

_FORMATS: Final = {2: SampleFormat.INT16, 3: SampleFormat.INT24, 4: SampleFormat.INT32}


class UnfitWav(KioskError):
    """A WAV that cannot be used; the message says why and what to do."""


def read(source: Path | bytes) -> bytes:
    """Return a WAV (PCM of 16, 24 or 32 bits, any rate, channels averaged) as 24 kHz 16-bit mono PCM.

    A header that promises more than follows is not minded: that is how espeak-ng writes into a pipe.

    Raises:
        UnfitWav: it is none of that, is empty, or longer than `LONGEST_S`.
        FileNotFoundError: it is not there.
    """
    try:
        content = source if isinstance(source, bytes) else regular_file.content(source, LARGEST_BYTES)
        with wave.open(io.BytesIO(content), "rb") as wav:
            rate_hz, channels, width = wav.getframerate(), wav.getnchannels(), wav.getsampwidth()
            if width not in _FORMATS or not rate_hz:
                raise UnfitWav(f"has {8 * width} bits a sample at {rate_hz} Hz; save it as 16-bit PCM WAV")
            most = round(LONGEST_S * rate_hz)
            data = wav.readframes(most + 1)
    except FileNotFoundError:
        raise
    except (OSError, EOFError, wave.Error) as error:
        raise UnfitWav(
            f"cannot be read ({str(error) or 'it ends too early'}); save it as 16-bit PCM WAV"
        ) from error
    count = len(data) // (width * channels)
    if not count:
        raise UnfitWav("is empty; save it again, or remove it")
    if count > most:
        raise UnfitWav(f"is longer than {LONGEST_S:g} s; cut it")
    resampler = Resampler(rate_hz, pcm.DOWNLINK_HZ, channels=channels, sample_format=_FORMATS[width])
    return resampler.process(data, last=True)
