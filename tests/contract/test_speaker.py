"""The behaviour that all speakers share: in memory, on a virtual sound server, and a real device."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
from tests.support import loop_card
from tests.support.fakes_devices import MemorySpeaker
from tests.support.likeness import THROUGH_THE_AIR, carried, murmur
from tests.support.patience import patient
from tests.support.sound_server import SoundServer

from kioskd.adapters.clock import SystemClock
from kioskd.adapters.portaudio.streams import PortAudioSpeaker
from kioskd.errors import DeviceLost
from kioskd.media import pcm
from kioskd.ports import Speaker

PLAYBACK_DEVICES = list(Path("/dev/snd").glob("pcmC*p"))


class Bench(Protocol):
    """A speaker, and functions that listen to it and unplug it."""

    @property
    def speaker(self) -> Speaker: ...

    @property
    def exact(self) -> bool:
        """Whether `heard` returns the sound sample by sample."""

    def heard(self) -> bytes:
        """Return all sound since the first pull."""

    def unplug(self) -> None: ...

    def replug(self) -> None: ...


class MemoryBench:
    exact = True

    def __init__(self) -> None:
        self.speaker = MemorySpeaker(SystemClock())

    def heard(self) -> bytes:
        return bytes(self.speaker.heard)

    def unplug(self) -> None:
        self.speaker.unplug()

    def replug(self) -> None:
        self.speaker.replug()


class VirtualBench:
    exact = False

    def __init__(self, server: SoundServer) -> None:
        self._server = server
        self.speaker = PortAudioSpeaker("default")

    def heard(self) -> bytes:
        raise NotImplementedError

    def unplug(self) -> None:
        self._server.unplug("spk")

    def replug(self) -> None:
        self._server.replug("spk")


class RealBench:
    exact = False

    def __init__(self) -> None:
        self.speaker = PortAudioSpeaker("default")

    def heard(self) -> bytes:
        raise NotImplementedError

    def unplug(self) -> None:
        pytest.skip("a test cannot unplug a real speaker")

    def replug(self) -> None:
        pytest.skip("a test cannot plug in a real speaker")


class LoopBench(RealBench):
    def __init__(self) -> None:
        self.speaker = PortAudioSpeaker(loop_card.SPEAKER)

    def unplug(self) -> None:
        loop_card.unplug("Spk")

    def replug(self) -> None:
        loop_card.replug("Spk")


@pytest.fixture(params=["memory", "virtual", pytest.param("real", marks=pytest.mark.hardware)])
async def bench(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    match request.param:
        case "memory":
            yield MemoryBench()
        case "virtual":
            server: SoundServer = request.getfixturevalue("sound_server")
            yield VirtualBench(server)
            await asyncio.to_thread(server.replug, "spk")
        case _:
            if not PLAYBACK_DEVICES:
                pytest.skip("this machine has no playback device (/dev/snd/pcmC*p)")
            monkeypatch.delenv("ALSA_CONFIG_PATH", raising=False)
            yield LoopBench() if loop_card.is_here() else RealBench()


class Sound:
    """Source of one sound and then silence; tests can wait until part of it was pulled."""

    def __init__(self, data: bytes = b"") -> None:
        self.pulls: list[int] = []
        self._data = data
        self._at = 0
        self._more = threading.Condition()

    def pull(self, byte_count: int) -> bytes:
        piece = self._data[self._at : self._at + byte_count]
        with self._more:
            self._at += byte_count
            self.pulls.append(byte_count)
            self._more.notify_all()
        return piece.ljust(byte_count, b"\0")

    async def until(self, byte_count: int, playing: asyncio.Task[object]) -> None:
        """Wait until `byte_count` bytes were pulled; raise the error of `playing` if it fails."""
        pulled = asyncio.create_task(asyncio.to_thread(self._wait, byte_count))
        await asyncio.wait([pulled, playing], return_when=asyncio.FIRST_COMPLETED)
        if playing.done():
            await playing
        await pulled

    async def standstill(self) -> int:
        """Wait until no pull has come for 0.3 s; return the number of pulls."""
        async with asyncio.timeout(patient(10.0)):
            pulls = -1
            while pulls != len(self.pulls):
                pulls = len(self.pulls)
                await asyncio.sleep(0.3)
        return pulls

    def _wait(self, byte_count: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: self._at >= byte_count, patient(10.0)), (
                f"pulled {self._at} of {byte_count}"
            )


async def stop(playing: asyncio.Task[object]) -> None:
    playing.cancel()
    async with asyncio.timeout(3):
        with pytest.raises(asyncio.CancelledError):
            await playing


async def test_the_source_is_played_sample_by_sample(bench: Bench) -> None:
    if not bench.exact:
        pytest.skip("this device's sound cannot be read; see the test with the recorded monitor")
    tone = murmur(0.3, pcm.DOWNLINK_HZ)
    sound = Sound(tone)
    playing = asyncio.create_task(bench.speaker.play(sound))
    await sound.until(len(tone), playing)
    await stop(playing)
    heard = bench.heard()
    assert heard[: len(tone)] == tone
    assert not any(heard[len(tone) :])


async def test_the_source_is_pulled_without_a_pause(bench: Bench) -> None:
    sound = Sound()
    playing = asyncio.create_task(bench.speaker.play(sound))
    await sound.until(pcm.byte_count(0.3, pcm.DOWNLINK_HZ), playing)
    assert 0 <= bench.speaker.latency_s < 0.3
    await stop(playing)
    assert all(size > 0 and size % pcm.SAMPLE_BYTES == 0 for size in sound.pulls)


async def test_a_cancelled_play_pulls_no_more_and_can_be_followed_by_another(bench: Bench) -> None:
    for _ in range(2):
        sound = Sound()
        playing = asyncio.create_task(bench.speaker.play(sound))
        await sound.until(960, playing)
        await stop(playing)
        pulls = len(sound.pulls)
        await asyncio.sleep(0.05)
        assert len(sound.pulls) == pulls


async def test_a_paused_speaker_pulls_nothing_until_it_resumes_or_is_opened_again(bench: Bench) -> None:
    for _ in range(2):
        sound = Sound()
        playing = asyncio.create_task(bench.speaker.play(sound))
        await sound.until(pcm.byte_count(0.1, pcm.DOWNLINK_HZ), playing)
        if not bench.speaker.pause():
            await stop(playing)
            pytest.skip("this speaker does not pause, as what is behind it may need a signal")
        pulls = await sound.standstill()
        bench.speaker.resume()
        await sound.until(pulls * pcm.PERIOD_BYTES + pcm.byte_count(0.1, pcm.DOWNLINK_HZ), playing)
        bench.speaker.pause()
        await sound.standstill()
        await stop(playing)


def test_a_speaker_that_does_not_play_does_not_pause(bench: Bench) -> None:
    assert not bench.speaker.pause()
    bench.speaker.resume()


async def test_two_plays_are_heard_one_after_the_other(bench: Bench) -> None:
    if not bench.exact:
        pytest.skip("this device's sound cannot be read")
    total = 0
    for level in (1, 2):
        sound = Sound(np.full(480, level, dtype="<i2").tobytes())
        playing = asyncio.create_task(bench.speaker.play(sound))
        await sound.until(960, playing)
        await stop(playing)
        total += sum(sound.pulls)
    heard = np.frombuffer(bench.heard(), "<i2")
    assert len(heard) * 2 == total
    assert heard[heard != 0].tolist() == [1] * 480 + [2] * 480


async def test_a_missing_speaker_is_lost_and_works_when_it_is_back(bench: Bench) -> None:
    bench.unplug()
    async with asyncio.timeout(60):
        with pytest.raises(DeviceLost, match="speaker"):
            await bench.speaker.play(Sound())
    await asyncio.to_thread(bench.replug)
    sound = Sound()
    playing = asyncio.create_task(bench.speaker.play(sound))
    await sound.until(960, playing)
    await stop(playing)


async def test_an_error_in_the_source_ends_the_playing_and_is_raised(bench: Bench) -> None:
    class Broken:
        def pull(self, byte_count: int) -> bytes:
            raise ArithmeticError(f"planted: {byte_count}")

    async with asyncio.timeout(60):
        with pytest.raises(ArithmeticError, match="planted"):
            await bench.speaker.play(Broken())


async def test_the_recorded_monitor_has_the_sound_without_a_gap(sound_server: SoundServer) -> None:
    spoken = murmur(2.0, pcm.DOWNLINK_HZ)
    sound = Sound(spoken)
    with sound_server.record() as recording:
        playing = asyncio.create_task(PortAudioSpeaker("default").play(sound))
        await sound.until(len(spoken) + pcm.byte_count(0.5, pcm.DOWNLINK_HZ), playing)
        await stop(playing)
    # Not all of it: the sound server itself skips now and then on a busy machine.
    assert carried(spoken, bytes(recording.pcm), pcm.DOWNLINK_HZ) >= THROUGH_THE_AIR
