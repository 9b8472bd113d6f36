"""The service's voice detection, on human speech."""

from typing import Any

import numpy as np
import pytest
import soxr

from kioskd.simulator.schema import Detection
from kioskd.simulator.vad import UplinkResampler, VadEvent, VoiceActivityDetector

SECOND = 32_000


def silence(seconds: float) -> bytes:
    return bytes(2 * round(16_000 * seconds))


def hear(
    sound: bytes, step: int = 640, silence_ms: int = 500, **detection: Any
) -> list[tuple[VadEvent, float]]:
    """Return the detected events, each with its time in the audio."""
    hearing = VoiceActivityDetector(Detection(**detection), silence_ms)
    return [
        (heard, (start + step) / SECOND)
        for start in range(0, len(sound), step)
        for heard in hearing.feed(sound[start : start + step])
    ]


def kinds(noticed: list[tuple[VadEvent, float]]) -> list[VadEvent]:
    return [heard for heard, _ in noticed]


ONE_TURN = [VadEvent.BEGAN, VadEvent.ENDED]


def test_a_sentence_begins_and_ends_once(speech: bytes) -> None:
    noticed = hear(silence(1) + speech + silence(1))
    assert kinds(noticed) == ONE_TURN
    assert 1.0 < noticed[0][1] < 1.5


def test_silence_and_faint_noise_are_no_speech() -> None:
    noise = np.random.default_rng(1).normal(0, 30, 5 * 16_000).astype("<i2").tobytes()
    assert hear(silence(5) + noise) == []


def test_speech_without_silence_after_it_does_not_end(speech: bytes) -> None:
    assert kinds(hear(speech[: SECOND // 2])) == [VadEvent.BEGAN]


def test_the_end_comes_after_the_requested_silence(speech: bytes) -> None:
    sound = speech + silence(3)
    early = hear(sound, silence_duration_ms=600)[-1]
    late = hear(sound, silence_duration_ms=1600)[-1]
    assert early[0] is late[0] is VadEvent.ENDED
    assert late[1] - early[1] == pytest.approx(1.0, abs=0.021)


def test_the_script_sets_the_silence_if_the_client_does_not(speech: bytes) -> None:
    sound = speech + silence(3)
    assert hear(sound, silence_ms=900) == hear(sound, silence_ms=500, silence_duration_ms=900)


def test_a_short_silence_limit_cuts_a_pause(speech: bytes) -> None:
    sound = speech + silence(0.4) + speech + silence(2)
    assert kinds(hear(sound, silence_duration_ms=1000)) == ONE_TURN
    assert len(hear(sound, silence_duration_ms=100)) > 2


def test_more_prefix_padding_takes_more_speech_to_begin(speech: bytes) -> None:
    quick = hear(speech, prefix_padding_ms=20)[0][1]
    slow = hear(speech, prefix_padding_ms=200)[0][1]
    assert slow - quick >= 0.16


def test_a_low_start_sensitivity_ignores_a_whisper(speech: bytes) -> None:
    samples = np.frombuffer(speech, "<i2").astype(np.float64)
    loud = np.sqrt(np.mean(np.square(samples)))
    whisper = (samples * (150 / loud)).astype("<i2").tobytes() + silence(1)
    assert kinds(hear(whisper, start_of_speech_sensitivity="START_SENSITIVITY_HIGH"))[:1] == [VadEvent.BEGAN]
    assert hear(whisper, start_of_speech_sensitivity="START_SENSITIVITY_LOW") == []


def test_a_low_end_sensitivity_is_not_quicker_to_end(speech: bytes) -> None:
    sound = speech + silence(2)
    low = hear(sound, end_of_speech_sensitivity="END_SENSITIVITY_LOW")[-1][1]
    high = hear(sound, end_of_speech_sensitivity="END_SENSITIVITY_HIGH")[-1][1]
    assert low >= high


@pytest.mark.parametrize("step", [2, 100, 642, 3200, 10 * SECOND])
def test_the_size_of_audio_messages_makes_no_difference(speech: bytes, step: int) -> None:
    assert kinds(hear(speech + silence(1), step)) == ONE_TURN


def test_the_end_of_the_stream_ends_the_speech(speech: bytes) -> None:
    hearing = VoiceActivityDetector(Detection(), 500)
    assert hearing.feed(speech[: SECOND // 2]) == [VadEvent.BEGAN]
    assert hearing.end_stream() == [VadEvent.ENDED]
    assert hearing.end_stream() == []


def test_audio_of_any_rate_becomes_16_khz(speech: bytes) -> None:
    samples = np.frombuffer(speech + silence(1), "<i2")
    at_48 = soxr.resample(samples, 16_000, 48_000).astype("<i2").tobytes()
    ear = UplinkResampler()
    heard = b"".join(
        ear.resample(at_48[start : start + 1920], 48_000) for start in range(0, len(at_48), 1920)
    )
    assert len(heard) == pytest.approx(samples.size * 2, rel=0.02)
    assert kinds(hear(heard)) == ONE_TURN


def test_audio_at_16_khz_stays_unchanged_even_after_another_rate(speech: bytes) -> None:
    ear = UplinkResampler()
    assert ear.resample(speech, 16_000) == speech
    ear.resample(speech, 24_000)
    assert ear.resample(speech, 16_000) == speech
