"""Metered devices: they work like the devices alone, and show a level while a client watches."""

import pytest
from tests.support.fakes_devices import MemoryMicrophone, MemorySpeaker
from tests.support.kiosk import frame, frames, running, soon, voice
from tests.support.until import until

from kioskd.errors import DeviceLost
from kioskd.flow.audio.level_meters import LevelMeters
from kioskd.media import pcm


class Tone:
    def pull(self, byte_count: int) -> bytes:
        return b"\x00\x40" * (byte_count // 2)


async def test_a_metered_microphone_delivers_every_frame_and_shows_its_level() -> None:
    meters, microphone = LevelMeters(), MemoryMicrophone()
    meters.watch(on=True)
    taken: list[bytes] = []
    sound = frame(16384) + voice(0.1)
    microphone.say(sound)
    async with running(meters.microphone(microphone).capture(taken.append)):
        await until(lambda: len(taken) == len(frames(sound)))
        assert b"".join(taken) == sound
        assert meters.levels["microphone"] > 0.3
    assert meters.levels["microphone"] == 0.0  # a closed device is silent


async def test_a_metered_speaker_plays_what_the_source_gives_and_shows_its_level() -> None:
    meters, speaker = LevelMeters(), MemorySpeaker(latency_s=0.04)
    metered = meters.speaker(speaker)
    meters.watch(on=True)
    async with running(metered.play(Tone())):
        await soon(speaker.advance(0.05))
        assert bytes(speaker.heard) == b"\x00\x40" * (pcm.byte_count(0.05, pcm.DOWNLINK_HZ) // 2)
        assert metered.latency_s == 0.04
        assert meters.levels["speaker"] == 0.5
    assert meters.levels["speaker"] == 0.0


async def test_the_loss_of_a_device_passes_through_its_meter() -> None:
    meters, microphone = LevelMeters(), MemoryMicrophone()
    microphone.unplug()
    with pytest.raises(DeviceLost):
        await soon(meters.microphone(microphone).capture(lambda _frame: None))
