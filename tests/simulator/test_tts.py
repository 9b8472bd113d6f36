"""The simulator's voice, from texts and from files."""

import wave
from pathlib import Path

import numpy as np
import pytest

from kioskd.errors import ConfigError, KioskError
from kioskd.simulator import Reply
from kioskd.simulator.tts import SpeechRenderer


def write(path: Path, rate: int, channels: int = 1, width: int = 2, seconds: float = 0.5) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(b"\x11" * (round(rate * seconds) * channels * width))
    return path


async def test_a_text_is_spoken_aloud_at_24_khz() -> None:
    voice, reply = SpeechRenderer("en"), Reply(text="Hello, I am the guide.")
    await voice.prepare([reply])
    sound = voice.sound_of(reply)
    assert 24_000 * 2 < len(sound) < 24_000 * 2 * 4
    assert np.abs(np.frombuffer(sound, "<i2")).max() > 3000


async def test_the_same_text_is_rendered_once_and_a_longer_one_is_longer() -> None:
    voice = SpeechRenderer("en")
    short, again, long = (
        Reply(text="Yes."),
        Reply(text="Yes.", think_s=1),
        Reply(text="Yes, and no, and perhaps."),
    )
    await voice.prepare([short, again, long])
    assert voice.sound_of(short) is voice.sound_of(again)
    assert len(voice.sound_of(long)) > len(voice.sound_of(short))


@pytest.mark.parametrize(("rate", "channels"), [(24_000, 1), (48_000, 1), (16_000, 2), (22_050, 1)])
async def test_a_file_of_any_rate_becomes_24_khz_mono(tmp_path: Path, rate: int, channels: int) -> None:
    voice, reply = SpeechRenderer("en"), Reply(wav=write(tmp_path / "a.wav", rate, channels))
    await voice.prepare([reply])
    assert len(voice.sound_of(reply)) == pytest.approx(24_000, abs=4)


async def test_a_silent_reply_has_no_sound() -> None:
    voice, reply = SpeechRenderer("en"), Reply(silent=True)
    await voice.prepare([reply])
    assert voice.sound_of(reply) == b""


async def test_a_missing_wav_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"wav = .*nowhere\.wav: cannot be read"):
        await SpeechRenderer("en").prepare([Reply(wav=tmp_path / "nowhere.wav")])


@pytest.mark.parametrize("width", [1, 3, 4])
async def test_a_file_of_any_depth_becomes_16_bit(tmp_path: Path, width: int) -> None:
    voice, reply = SpeechRenderer("en"), Reply(wav=write(tmp_path / "a.wav", 24_000, width=width))
    await voice.prepare([reply])
    assert len(voice.sound_of(reply)) == 24_000


async def test_a_file_that_is_no_wav_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("not a sound")
    with pytest.raises(ConfigError, match="cannot be read"):
        await SpeechRenderer("en").prepare([Reply(wav=tmp_path / "a.wav")])


async def test_an_unknown_voice_is_named_in_the_error() -> None:
    with pytest.raises(KioskError, match="voice 'xx-none'"):
        await SpeechRenderer("xx-none").prepare([Reply(text="Hello.")])


async def test_a_missing_espeak_is_an_error_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KioskError, match="apt install espeak-ng"):
        await SpeechRenderer("en").prepare([Reply(text="Hello.")])
