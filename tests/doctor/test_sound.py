"""Capturing and playing sound for a while, and the times recorded of it."""

import asyncio

import pytest
from tests.support.fakes_devices import ManualClock, MemoryMicrophone
from tests.support.kiosk import soon

from kioskd.doctor.sound import CapturedSound, Player, beside, listen
from kioskd.errors import DeviceLost
from kioskd.media import pcm

FRAME = b"\x01" * pcm.FRAME_BYTES
FRAME_S = pcm.FRAME_MS / 1000


async def take(heard: CapturedSound, clock: ManualClock, *gaps_s: float) -> None:
    for gap_s in gaps_s:
        await clock.advance(gap_s)
        heard(FRAME)


async def test_one_late_frame_does_not_change_the_measured_beginning() -> None:
    clock = ManualClock(now=100.0)
    heard = CapturedSound(clock)
    await take(heard, clock, *[FRAME_S] * 4, 3 * FRAME_S, 0, 0, *[FRAME_S] * 4)
    assert heard.began_s == pytest.approx(100.0)
    assert heard.sound == FRAME * 11


@pytest.mark.parametrize("pace", [0.9, 1.0, 1.1])
async def test_the_pace_follows_the_arrival_of_the_frames(pace: float) -> None:
    clock = ManualClock()
    heard = CapturedSound(clock)
    await take(heard, clock, *[FRAME_S / pace] * 50)
    assert heard.pace == pytest.approx(pace)


async def test_enough_is_set_after_the_wanted_seconds() -> None:
    clock = ManualClock()
    heard = CapturedSound(clock, seconds=2 * FRAME_S)
    await take(heard, clock, 0)
    assert not heard.enough.is_set()
    await take(heard, clock, 0)
    assert heard.enough.is_set()


async def test_a_piece_is_played_to_its_end_and_silence_after_it() -> None:
    clock, over = ManualClock(), asyncio.Event()
    player = Player(b"\x01" * 30, clock, over)
    pulled = [player.pull(20), player.pull(20), player.pull(20)]
    assert pulled == [b"\x01" * 20, b"\x01" * 10 + bytes(10), bytes(20)]
    await soon(over.wait())


async def test_listening_to_a_missing_microphone_raises_device_lost() -> None:
    clock, microphone = ManualClock(), MemoryMicrophone()
    microphone.unplug()
    with pytest.raises(DeviceLost, match="unplugged"):
        await listen(microphone, clock, 1.0)


async def test_the_first_failure_ends_the_others_and_is_raised_as_it_is() -> None:
    forever = asyncio.Event()
    ended = asyncio.Event()

    async def wait() -> None:
        try:
            await forever.wait()
        finally:
            ended.set()

    async def fail() -> None:
        raise DeviceLost("gone")

    with pytest.raises(DeviceLost, match="gone"):
        await beside(wait(), fail())
    assert ended.is_set()


async def test_the_others_end_when_the_main_task_has_ended() -> None:
    over = asyncio.Event()
    over.set()
    await soon(beside(over.wait(), asyncio.Event().wait()))
