"""Noise that replaces silence for speakers."""

import array

import pytest

from kioskd.adapters.portaudio.formats import SAMPLES, SampleType, SoundFormat
from kioskd.adapters.portaudio.keepalive_noise import FRAMES, KeepaliveNoise, noise_period

BYTES = {"int16": 2, "int24": 3, "int32": 4, "float32": 4}


@pytest.mark.parametrize("samples", SAMPLES)
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_the_noise_is_one_16_bit_step_in_every_format_and_equal_in_all_channels(
    samples: SampleType, channels: int
) -> None:
    sound = noise_period(SoundFormat(48_000, channels, samples))
    width = BYTES[samples]
    assert len(sound) == FRAMES * channels * width
    frames = [sound[at : at + width * channels] for at in range(0, len(sound), width * channels)]
    assert all(frame == frame[:width] * channels for frame in frames)
    assert {_steps(frame[:width], samples) for frame in frames} == {-1.0, 0.0, 1.0}


def _steps(sample: bytes, samples: SampleType) -> float:
    if samples == "float32":
        return array.array("f", sample)[0] * 32768
    return int.from_bytes(sample, "little", signed=True) / (1 << (8 * len(sample) - 16))


def test_sound_is_not_changed() -> None:
    sleepless = KeepaliveNoise(SoundFormat(24_000, 1, "int16"))
    sound = bytes(478) + b"\x01\x00"
    assert sleepless.fill(sound) is sound


def test_silence_becomes_noise_that_continues_from_period_to_period() -> None:
    form = SoundFormat(24_000, 1, "int16")
    sleepless = KeepaliveNoise(form)
    periods = [sleepless.fill(bytes(480)) for _ in range(30)]
    whole = noise_period(form)
    assert b"".join(periods) == (whole + whole)[: 30 * 480]
    assert all(any(period) for period in periods)


def test_a_period_longer_than_the_noise_is_filled() -> None:
    form = SoundFormat(24_000, 1, "int16")
    assert len(KeepaliveNoise(form).fill(bytes(5 * FRAMES))) == 5 * FRAMES
