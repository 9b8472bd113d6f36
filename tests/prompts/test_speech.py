import io
import os
import shutil
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from tests.room.sounds import likeness
from tests.support.slow import SLOW

from kioskd.adapters.espeak import Espeak
from kioskd.media import pcm
from kioskd.media.wav import UnfitWav
from kioskd.prompts import texts
from kioskd.prompts.speech import LONGEST_S, read_aloud, read_wav

SUFFIX = bytes.fromhex("000000001000800000aa00389b71")


def wav(rate_hz: int = 24_000, channels: int = 1, width: int = 2, seconds: float = 0.5) -> bytes:
    """Return a sound that sweeps through many pitches."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    samples = np.sin(2 * np.pi * (300 + 1000 * times) * times) * 0.4 * 2 ** (8 * width - 1)
    every = np.repeat(np.rint(samples).astype("<i4"), channels)
    data = every.view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate_hz)
        file.writeframes(data)
    return out.getvalue()


def test_sound_in_the_speakers_format_is_not_changed() -> None:
    assert read_wav(wav()) == wav()[44:]


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize(("channels", "width"), [(1, 2), (2, 2), (2, 3), (6, 4)])
def test_any_rate_channels_and_depth_become_the_speakers_format(
    rate_hz: int, channels: int, width: int
) -> None:
    sound = read_wav(wav(rate_hz, channels, width))
    assert pcm.duration_s(len(sound), pcm.DOWNLINK_HZ) == pytest.approx(0.5, abs=0.02)
    one, other = (np.frombuffer(data, "<i2") / 32768 for data in (read_wav(wav()), sound))
    assert likeness(one, other) > 0.97


def test_a_header_that_promises_too_much_sound_is_accepted() -> None:
    piped = bytearray(wav())
    piped[40:44] = (0x7FFFF000).to_bytes(4, "little")
    assert read_wav(bytes(piped)) == wav()[44:]


def test_a_wav_can_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "W1.wav").write_bytes(wav())
    assert read_wav(tmp_path / "W1.wav") == wav()[44:]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "cannot be read"),
        (b"\0" * 100, "cannot be read"),
        (wav()[:30], "cannot be read"),
        (b"ID3\x04 an mp3", "cannot be read"),
        (wav()[:44], "is empty"),
        (wav(seconds=0), "is empty"),
        (wav(rate_hz=8000, seconds=LONGEST_S + 1), "is longer than 30 s; cut it"),
    ],
)
def test_a_wav_that_cannot_be_used_raises_an_error(content: bytes, why: str) -> None:
    with pytest.raises(UnfitWav, match=why):
        read_wav(content)


def test_24_bits_of_sox_are_read() -> None:
    plain = wav(width=3)
    extensible = struct.pack("<HHIIHHHHIH", 0xFFFE, 1, 24_000, 72_000, 3, 24, 22, 24, 4, 1) + SUFFIX
    piped = b"RIFF" + plain[4:12] + b"fmt " + struct.pack("<I", 40) + extensible + plain[36:]
    assert read_wav(piped) == read_wav(plain)


def test_eight_bits_are_read() -> None:
    one, other = (np.frombuffer(read_wav(data), "<i2") / 32768 for data in (wav(), unsigned(wav(width=1))))
    assert likeness(one, other) > 0.97


def unsigned(data: bytes) -> bytes:
    return data[:44] + (np.frombuffer(data[44:], np.uint8) ^ 128).tobytes()


def test_a_pipe_in_place_of_a_file_raises_an_error_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "W1.wav")
    with pytest.raises(UnfitWav, match="no regular file"):
        read_wav(tmp_path / "W1.wav")


def test_a_folder_in_place_of_a_file_raises_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnfitWav, match="cannot be read"):
        read_wav(tmp_path)


def test_a_missing_file_raises_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_wav(tmp_path / "none.wav")


def test_a_wav_that_is_not_a_regular_file_is_unfit_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "prompt.wav")
    with pytest.raises(UnfitWav, match="no regular file but a named pipe"):
        read_wav(tmp_path / "prompt.wav")


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is missing")
@pytest.mark.parametrize("language", sorted(path.stem for path in texts.shipped().glob("*.yaml")))
async def test_each_shipped_language_is_spoken(language: str) -> None:
    """With KIOSKD_SLOW=1, each sentence is spoken."""
    sentences = list(texts.read(language, None).sentences.values())
    for sentence in sentences if SLOW else sentences[:1]:
        sound = await read_aloud(Espeak(), sentence, language)
        # A sentence takes seconds, and no voice spells its letters.
        a_letter = pcm.duration_s(len(sound), pcm.DOWNLINK_HZ) / len(sentence)
        assert 0.04 < a_letter < 0.4, (sentence, a_letter)
