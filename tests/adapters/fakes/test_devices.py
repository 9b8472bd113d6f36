import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.support.buttons import levels_into
from tests.support.fakes_devices import (
    ManualClock,
    MemoryLamp,
    MemoryMicrophone,
    MemoryNotifier,
    MemorySpeaker,
)

from kioskd.adapters.fakes.devices import MemoryButton
from kioskd.errors import DeviceLost
from kioskd.ports import Light


class Numbers:
    """Source of bytes that count up."""

    def __init__(self) -> None:
        self.given = 0

    def pull(self, byte_count: int) -> bytes:
        self.given += 1
        return bytes([self.given % 256]) * byte_count


@asynccontextmanager
async def running(work: Coroutine[Any, Any, object]) -> AsyncIterator[asyncio.Task[object]]:
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_an_unplugged_microphone_is_lost_during_its_capture_although_it_is_plugged_in_again() -> None:
    microphone = MemoryMicrophone()
    frames: asyncio.Queue[bytes] = asyncio.Queue()
    async with running(microphone.capture(frames.put_nowait)) as capturing:
        microphone.say(b"\x01" * 640)
        async with asyncio.timeout(1):
            assert await frames.get() == b"\x01" * 640
        microphone.unplug()
        microphone.replug()
        async with asyncio.timeout(1):
            with pytest.raises(DeviceLost, match="microphone: unplugged"):
                await capturing


async def test_a_speaker_without_a_clock_plays_on_command_in_periods() -> None:
    speaker, source = MemorySpeaker(), Numbers()
    async with running(speaker.play(source)):
        await speaker.advance(0.03)
        assert source.given == 3
        assert speaker.heard == b"\x01" * 480 + b"\x02" * 480 + b"\x03" * 480


async def test_a_speakers_command_waits_until_it_has_a_source() -> None:
    speaker, source = MemorySpeaker(), Numbers()
    async with running(speaker.advance(0.01)) as advancing, running(speaker.play(source)):
        async with asyncio.timeout(1):
            await advancing
        assert source.given == 1


async def test_a_speaker_with_a_clock_plays_at_the_clocks_pace() -> None:
    clock = ManualClock()
    speaker, source = MemorySpeaker(clock), Numbers()
    async with running(speaker.play(source)) as playing:
        await clock.advance(1.0)
        assert source.given == 100
        speaker.unplug()
        await clock.advance(0.02)
        with pytest.raises(DeviceLost, match="speaker: unplugged"):
            await playing
    assert source.given == 100


async def test_a_button_keeps_edges_from_before_its_watch() -> None:
    button = MemoryButton()
    edges: asyncio.Queue[bool] = asyncio.Queue()
    button.press()
    async with running(button.watch(levels_into(edges))) as watching:
        button.hold()
        async with asyncio.timeout(1):
            assert [await edges.get() for _ in range(4)] == [False, True, False, True]
        button.unplug()
        async with asyncio.timeout(1):
            with pytest.raises(DeviceLost, match="button: unplugged"):
                await watching
    assert edges.empty()


async def test_a_lamp_is_lit_while_it_runs_and_remembers_its_states() -> None:
    lamp = MemoryLamp()
    lamp.shine(Light("starting", 1.0, 1.0, 1.0))
    async with running(lamp.run()):
        for level in (0.0, 1.0, 0.5):
            lamp.shine(Light("waking", 0.0, level, level))
        await asyncio.sleep(0)
        assert lamp.lit
    assert not lamp.lit
    assert lamp.shown == ["starting", "waking"]
    assert lamp.light == Light("waking", 0.0, 0.5, 0.5)


def test_a_notifier_remembers_its_messages() -> None:
    notifier = MemoryNotifier(watchdog_s=30.0)
    notifier.ready()
    notifier.status("listening")
    notifier.alive()
    notifier.stopping()
    assert notifier.told == ["ready", "status: listening", "alive", "stopping"]
    assert notifier.watchdog_s == 30.0
