"""WAV files as devices: formats, pace, and what is no WAV file."""

import asyncio
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from kioskd.adapters.fakes.devices import ManualClock
from kioskd.adapters.files import WavMicrophone, WavSpeaker
from kioskd.errors import DeviceLost
from kioskd.media import pcm


def write(
    path: Path, data: bytes, *, rate_hz: int = pcm.UPLINK_HZ, channels: int = 1, width: int = 2
) -> Path:
    with wave.open(str(path), "wb") as wav:
        wav.setframerate(rate_hz)
        wav.setnchannels(channels)
        wav.setsampwidth(width)
        wav.writeframes(data)
    return path


def tone(rate_hz: int, seconds: float, dtype: str = "<i2") -> bytes:
    top = np.iinfo(dtype).max / 2
    data: bytes = (
        (top * np.sin(2 * np.pi * 440 * np.arange(round(rate_hz * seconds)) / rate_hz))
        .astype(dtype)
        .tobytes()
    )
    return data


async def frames_of(microphone: WavMicrophone, count: int) -> list[bytes]:
    frames: list[bytes] = []
    enough = asyncio.Event()

    def sink(frame: bytes) -> None:
        frames.append(frame)
        if len(frames) == count:
            enough.set()

    task = asyncio.create_task(microphone.capture(sink))
    waiting = asyncio.create_task(enough.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED, timeout=5)
    waiting.cancel()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return frames


def left(data: bytes) -> bytes:
    """The sound on the left of two channels, and silence on the right."""
    return np.stack([np.frombuffer(data, "<i2"), np.zeros(len(data) // 2, "<i2")], axis=1).tobytes()


def upper_three(data: bytes) -> bytes:
    return np.frombuffer(data, np.uint8).reshape(-1, 4)[:, 1:].tobytes()


@dataclass(frozen=True)
class Shape:
    """A kind of WAV file that holds one second of a tone."""

    data: bytes
    rate_hz: int = pcm.UPLINK_HZ
    channels: int = 1
    width: int = 2
    level: float = 0.5
    """Of the tone, once it is mono."""


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(Shape(upper_three(tone(16_000, 1, "<i4")), width=3), id="24 bits"),
        pytest.param(Shape(tone(16_000, 1, "<i4"), width=4), id="32 bits"),
        pytest.param(Shape(tone(44_100, 1), rate_hz=44_100), id="44.1 kHz"),
        pytest.param(
            Shape(left(tone(48_000, 1)), rate_hz=48_000, channels=2, level=0.25), id="48 kHz stereo"
        ),
    ],
)
async def test_any_wav_file_is_heard_at_16_khz(shape: Shape, tmp_path: Path) -> None:
    path = write(
        tmp_path / "in.wav", shape.data, rate_hz=shape.rate_hz, channels=shape.channels, width=shape.width
    )
    heard = np.frombuffer(
        b"".join(await frames_of(WavMicrophone(path, ManualClock(), paced=False), 50)), "<i2"
    )
    assert len(heard) == pcm.UPLINK_HZ
    middle = heard[4000:12_000].astype(float) / 32767
    assert np.sqrt((middle**2).mean() * 2) == pytest.approx(shape.level, abs=0.002)


async def test_an_unpaced_file_gives_nothing_after_its_end(tmp_path: Path) -> None:
    path = write(tmp_path / "in.wav", tone(16_000, 0.1))
    frames: list[bytes] = []
    task = asyncio.create_task(WavMicrophone(path, ManualClock(), paced=False).capture(frames.append))
    for _ in range(100):
        await asyncio.sleep(0)
    assert b"".join(frames) == tone(16_000, 0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_paced_file_keeps_to_absolute_moments_and_goes_on_in_silence(tmp_path: Path) -> None:
    path = write(tmp_path / "in.wav", tone(16_000, 0.1))
    clock = ManualClock(now=0.0)
    times: list[float] = []
    frames: list[bytes] = []

    def sink(frame: bytes) -> None:
        times.append(clock.now())
        frames.append(frame)

    task = asyncio.create_task(WavMicrophone(path, clock).capture(sink))
    await clock.advance(0.2)
    assert times == pytest.approx([0.02 * number for number in range(1, len(times) + 1)])
    assert len(times) in {9, 10}
    assert b"".join(frames[:5]) == tone(16_000, 0.1)
    assert not any(b"".join(frames[5:]))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("content", [b"", b"not a WAV file at all", b"RIFF\x00\x00\x00\x00WAVE"])
async def test_what_is_no_wav_file_is_a_lost_microphone(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "in.wav"
    path.write_bytes(content)
    with pytest.raises(DeviceLost, match="no WAV file that can be read") as lost:
        await WavMicrophone(path, ManualClock()).capture(lambda _: None)
    assert lost.value.device == str(path)


async def test_eight_bits_are_heard(tmp_path: Path) -> None:
    path = write(tmp_path / "in.wav", b"\xc0" * 320, width=1)
    assert await frames_of(WavMicrophone(path, ManualClock(), paced=False), 1) == [b"\x00\x40" * 320]


class Ones:
    def pull(self, byte_count: int) -> bytes:
        return b"\x01\x00" * (byte_count // 2)


async def test_a_paced_speaker_writes_a_period_every_10_ms(tmp_path: Path) -> None:
    clock = ManualClock(now=0.0)
    path = tmp_path / "out.wav"
    task = asyncio.create_task(WavSpeaker(path, clock).play(Ones()))
    await clock.advance(1.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with wave.open(str(path)) as wav:
        assert wav.getnframes() == pcm.DOWNLINK_HZ
        assert wav.readframes(5) == b"\x01\x00" * 5


async def test_a_new_speaker_begins_its_file_anew(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    path.write_bytes(b"something else, and longer than a header of a WAV file")
    clock = ManualClock()
    task = asyncio.create_task(WavSpeaker(path, clock).play(Ones()))
    await clock.advance(0.015)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with wave.open(str(path)) as wav:
        assert wav.getnframes() == 240


async def test_a_full_disk_is_a_lost_speaker() -> None:
    with pytest.raises(DeviceLost, match=r"speaker /dev/full: cannot be written: .*No space left"):
        await WavSpeaker(Path("/dev/full"), ManualClock(), paced=False).play(Ones())
