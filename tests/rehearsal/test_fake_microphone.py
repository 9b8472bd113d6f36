"""The scripted microphone: one track in real time, with the script's speech."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import NoReturn

import numpy as np
import pytest
from tests.support.fakes_devices import ManualClock, MemoryMicrophone

from kioskd.media import pcm
from kioskd.rehearsal.fake_microphone import FRAME_SAMPLES, FakeMicrophone, RecordedMicrophone

TONE = np.full(1000, 9000, "<i2").tobytes()


class Capturing:
    """A microphone that captures."""

    def __init__(self, capture: Callable[[Callable[[bytes], None]], Coroutine[None, None, NoReturn]]) -> None:
        self.frames: list[bytes] = []
        self._capture = capture

    async def __aenter__(self) -> "Capturing":
        self._task = asyncio.get_running_loop().create_task(self._run())
        return self

    async def _run(self) -> None:
        await self._capture(self.frames.append)

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self._task


async def test_frames_come_every_20_ms_from_the_start_of_capture() -> None:
    clock = ManualClock()
    microphone = FakeMicrophone(clock)
    async with Capturing(microphone.capture) as capturing:
        await clock.advance(0.0199)
        assert capturing.frames == []
        await clock.advance(0.0002)
        assert len(capturing.frames) == 1
        await clock.advance(1.0)
    assert len(capturing.frames) == 51
    assert {len(frame) for frame in capturing.frames} == {pcm.FRAME_BYTES}
    assert capturing.frames == microphone.track.frames


class LateClock(ManualClock):
    """A clock whose sleep ends too late once."""

    late_s = 0.07

    async def sleep(self, seconds: float) -> None:
        late_s, self.late_s = self.late_s, 0.0
        await super().sleep(seconds + late_s)


async def test_frames_after_a_stall_come_faster_and_the_track_does_not_drift() -> None:
    clock = LateClock()
    microphone = FakeMicrophone(clock)
    async with Capturing(microphone.capture) as capturing:
        await clock.advance(0.0895)
        assert capturing.frames == []
        await clock.advance(0.001)
        assert len(capturing.frames) == 4
        await clock.advance(0.11)
    assert len(capturing.frames) == 10
    assert microphone.track.taken_at == pytest.approx([1000 + 0.02 * n for n in range(1, 11)])
    assert microphone.track.late_s == pytest.approx(0.07)


async def test_all_frames_differ_and_the_room_is_nearly_silent() -> None:
    clock = ManualClock()
    microphone = FakeMicrophone(clock)
    async with Capturing(microphone.capture) as capturing:
        await clock.advance(20)
    assert len(set(capturing.frames)) == len(capturing.frames) == 1000
    samples = np.frombuffer(b"".join(capturing.frames), "<i2")
    assert 0 < np.abs(samples).max() <= 3


async def test_the_same_seed_makes_the_same_noise() -> None:
    rooms = []
    for seed in (1, 1, 2):
        clock = ManualClock()
        microphone = FakeMicrophone(clock, seed=seed)
        async with Capturing(microphone.capture):
            await clock.advance(1)
        rooms.append(microphone.track.frames)
    assert rooms[0] == rooms[1] != rooms[2]


async def test_speech_lies_where_the_utterance_says() -> None:
    clock = ManualClock()
    start = clock.now()
    microphone = FakeMicrophone(clock)
    speech = bytes(200 * 2) + TONE + bytes(300 * 2)
    async with Capturing(microphone.capture) as capturing:
        await clock.advance(0.1)
        said = microphone.say(speech)
        await clock.advance(0.5)
    assert (said.began, said.onset, said.end) == (
        5 * FRAME_SAMPLES,
        5 * FRAME_SAMPLES + 200,
        5 * FRAME_SAMPLES + 1199,
    )
    samples = np.frombuffer(b"".join(capturing.frames), "<i2").astype(int)
    assert np.abs(samples[said.onset : said.end + 1] - 9000).max() <= 3
    assert np.abs(samples[: said.onset]).max() <= 3
    assert np.abs(samples[said.end + 1 :]).max() <= 3
    assert microphone.track.time_of(said.onset) == pytest.approx(start + said.onset / pcm.UPLINK_HZ)


async def test_loud_speech_and_noise_together_do_not_wrap_round() -> None:
    clock = ManualClock()
    microphone = FakeMicrophone(clock)
    async with Capturing(microphone.capture) as capturing:
        microphone.say(np.full(3200, 32767, "<i2").tobytes())
        await clock.advance(0.2)
    assert np.frombuffer(b"".join(capturing.frames), "<i2").min() > 32000


async def test_a_second_capture_goes_on_with_the_same_track() -> None:
    clock = ManualClock()
    microphone = FakeMicrophone(clock)
    for _ in range(2):
        async with Capturing(microphone.capture):
            await clock.advance(0.1)
        await clock.advance(1)
    assert len(microphone.track.frames) == 10
    assert microphone.track.taken_at[5] - microphone.track.taken_at[4] == pytest.approx(1.02)


async def test_speech_to_a_closed_device_is_lost() -> None:
    clock = ManualClock()
    microphone = FakeMicrophone(clock)
    async with Capturing(microphone.capture):
        await clock.advance(0.1)
        assert not microphone.closed
    assert microphone.closed
    microphone.say(np.full(pcm.UPLINK_HZ, 9000, "<i2").tobytes())  # for a second
    await clock.advance(0.75)
    async with Capturing(microphone.capture) as capturing:
        await clock.advance(1)
    samples = np.abs(np.frombuffer(b"".join(capturing.frames), "<i2").astype(int))
    assert np.flatnonzero(samples > 8000)[[0, -1]].tolist() == [0, pcm.UPLINK_HZ // 4 - 1]


async def test_a_device_that_closes_during_a_word_loses_the_speech_until_it_opens() -> None:
    clock = ManualClock()
    microphone = FakeMicrophone(clock)
    async with Capturing(microphone.capture):
        microphone.say(np.full(pcm.UPLINK_HZ, 9000, "<i2").tobytes())
        await clock.advance(0.2)
    await clock.advance(0.5)
    async with Capturing(microphone.capture) as capturing:
        await clock.advance(1)
    samples = np.abs(np.frombuffer(b"".join(capturing.frames), "<i2").astype(int))
    assert np.count_nonzero(samples > 8000) == round(0.3 * pcm.UPLINK_HZ)


async def test_the_track_of_a_real_microphone_is_kept_unchanged() -> None:
    clock, real = ManualClock(), MemoryMicrophone()
    microphone = RecordedMicrophone(real, clock)
    async with Capturing(microphone.capture) as capturing:
        real.say(b"\1" * pcm.FRAME_BYTES * 3)
        await clock.advance(0)
    assert microphone.track.frames == capturing.frames == [b"\1" * pcm.FRAME_BYTES] * 3
