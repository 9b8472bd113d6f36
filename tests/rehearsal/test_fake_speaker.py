"""The fake speaker, which pulls like a sound card, and keeps the sound with its times."""

import asyncio

import numpy as np
import pytest
from tests.support.fakes_devices import ManualClock, MemorySpeaker

from kioskd.media import pcm
from kioskd.rehearsal.fake_speaker import FakeSpeaker, PlayedSound, RecordedSpeaker

LOUD = np.full(240, 5000, "<i2").tobytes()
SILENCE = bytes(pcm.PERIOD_BYTES)


class Periods:
    """A source of prepared periods, and then silence."""

    def __init__(self, *periods: bytes) -> None:
        self._periods = list(periods)
        self.asked: list[int] = []

    def pull(self, byte_count: int) -> bytes:
        self.asked.append(byte_count)
        return self._periods.pop(0) if self._periods else bytes(byte_count)


async def test_the_fake_speaker_pulls_10_ms_every_10_ms() -> None:
    clock, source = ManualClock(), Periods()
    rings: list[float] = []
    ear = FakeSpeaker(clock, lambda: rings.append(clock.now()))
    playing = asyncio.get_running_loop().create_task(ear.play(source))
    await clock.advance(0.995)
    playing.cancel()
    assert source.asked == [pcm.PERIOD_BYTES] * 100
    assert len(rings) == 100
    assert len(ear.heard.sound) == 100 * pcm.PERIOD_BYTES
    assert [at for at, _ in ear.heard.periods] == pytest.approx([1000 + 0.01 * n for n in range(100)])


def test_begin_and_end_of_sound_are_exact_to_the_sample() -> None:
    heard = PlayedSound()
    tone = np.zeros(240, "<i2")
    tone[24:121] = 5000
    for number, sound in enumerate([SILENCE, tone.tobytes(), SILENCE]):
        heard.add(sound, 5 + number * 0.01)
    assert heard.first_audible(0, 9) == pytest.approx(5.01 + 24 / 24000)
    assert heard.last_audible_between(0, 9) == pytest.approx(5.01 + 120 / 24000)
    assert heard.first_audible(5.0121, 9) == pytest.approx(5.0121, abs=1 / 24000)
    assert heard.first_audible(5.02, 9) is None


def test_a_sound_that_was_pulled_late_was_not_heard_before_the_pull() -> None:
    heard = PlayedSound()
    heard.add(LOUD, 5.00, pulled_at=5.013)  # after all of it was due
    heard.add(LOUD, 5.01, pulled_at=5.013)
    heard.add(LOUD, 5.02)
    assert np.array(list(heard.spans_since_pulled())) == pytest.approx(
        np.array([(5.013, 5.02), (5.02, 5.03)])
    )


def test_a_pause_between_words_does_not_end_the_sounding_but_a_longer_one_does() -> None:
    heard = PlayedSound()
    times = iter(np.arange(0, 100, 0.01))

    def play(sound: bytes, periods: int) -> None:
        for _ in range(periods):
            heard.add(sound, float(next(times)))

    play(SILENCE, 10)
    assert heard.sounding_since is None
    play(LOUD, 10)
    play(SILENCE, 35)
    assert heard.sounding_since == pytest.approx(0.1)
    play(LOUD, 1)
    play(SILENCE, 41)
    assert heard.sounding_since is None


async def test_a_real_speakers_sound_is_kept_with_its_latency() -> None:
    clock = ManualClock()
    speaker = RecordedSpeaker(MemorySpeaker(clock, latency_s=0.04), clock, lambda: None)
    playing = asyncio.get_running_loop().create_task(speaker.play(Periods(LOUD)))
    await clock.advance(0.035)
    playing.cancel()
    assert bytes(speaker.heard.sound) == LOUD + SILENCE * 2
    assert speaker.heard.first_audible(0, 2000) == pytest.approx(1000 + 0.01 + 0.04)
    assert speaker.latency_s == 0.04
