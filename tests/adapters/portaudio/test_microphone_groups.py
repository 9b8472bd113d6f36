"""A microphone gives frames in groups while none is urgent, so the event loop wakes up less often."""

import asyncio
from pathlib import Path
from typing import ClassVar

import pyaudio
import pytest
from tests.support.file_audio import Callback, FileAudio, install

from kioskd.adapters.portaudio.formats import SoundFormat
from kioskd.adapters.portaudio.streams import PortAudioMicrophone
from kioskd.media import pcm
from kioskd.ports import GROUP_FRAMES


class HandStream:
    """A stream whose periods the test gives."""

    def __init__(self, callback: Callback) -> None:
        self._callback = callback
        self._given = 0

    def start_stream(self) -> None:
        pass

    def close(self) -> None:
        pass

    def give(self, periods: int) -> None:
        for _ in range(periods):
            self._given += 1
            self._callback(bytes([self._given]) * pcm.FRAME_BYTES, pcm.FRAME_BYTES // 2, {}, 0)


class HandAudio(FileAudio):
    opened: ClassVar["asyncio.Future[HandStream]"]

    def open(self, *, stream_callback: Callback, **_: object) -> HandStream:  # type: ignore[override]
        stream = HandStream(stream_callback)
        self.opened.get_loop().call_soon_threadsafe(self.opened.set_result, stream)
        return stream


async def test_frames_come_in_groups_until_one_is_urgent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(SoundFormat(pcm.UPLINK_HZ, 1, "int16"), tmp_path, monkeypatch)
    monkeypatch.setattr(pyaudio, "PyAudio", HandAudio)
    monkeypatch.setattr(HandAudio, "opened", asyncio.get_running_loop().create_future(), raising=False)
    microphone, taken, news = PortAudioMicrophone(), list[int](), asyncio.Event()
    microphone.urgent = False

    def sink(frame: bytes) -> None:
        taken.append(frame[0])
        news.set()

    async def until(count: int) -> None:
        async with asyncio.timeout(10):
            while len(taken) < count:
                news.clear()
                await news.wait()

    listening = asyncio.create_task(microphone.capture(sink))
    stream = await asyncio.wait_for(HandAudio.opened, 10)
    stream.give(GROUP_FRAMES)
    await until(GROUP_FRAMES)
    stream.give(GROUP_FRAMES - 1)
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(taken) == GROUP_FRAMES

    microphone.urgent = True
    stream.give(1)
    await until(2 * GROUP_FRAMES)
    stream.give(1)
    await until(2 * GROUP_FRAMES + 1)
    assert taken == list(range(1, 2 * GROUP_FRAMES + 2))
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
