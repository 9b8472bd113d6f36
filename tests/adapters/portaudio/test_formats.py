"""Devices that accept one format only: files behind a library that works like PyAudio."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from tests.support.file_audio import (
    FORMATS,
    NAME,
    PITCH_HZ,
    SECONDS,
    FileAudio,
    Samples,
    captured,
    fill,
    install,
    levels,
    tone,
)

from kioskd.adapters.portaudio.devices import Direction, SoundDevice
from kioskd.adapters.portaudio.formats import SoundFormat, candidates
from kioskd.adapters.portaudio.streams import PortAudioMicrophone, PortAudioSpeaker
from kioskd.errors import DeviceLost
from kioskd.media import pcm
from kioskd.media.resample import Resampler


@pytest.fixture(params=FORMATS, ids=str)
def taken(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoundFormat:
    form: SoundFormat = request.param
    install(form, tmp_path, monkeypatch)
    return form


def read(data: bytes, form: SoundFormat) -> Samples:
    return _flat(data, form).reshape(-1, form.channels)


def _flat(data: bytes, form: SoundFormat) -> Samples:
    match form.samples:
        case "int16":
            return np.frombuffer(data, "<i2") / 32768
        case "float32":
            return np.frombuffer(data, "<f4").astype(np.float64)
        case "int32":
            return np.frombuffer(data, "<i4") / 2**31
        case "int24":
            rows = np.frombuffer(data, np.uint8).reshape(-1, 3)
            return np.pad(rows, ((0, 0), (1, 0))).view("<i4").reshape(-1) / 2**31


def level(samples: Samples, rate_hz: int) -> float:
    """Return the tone's loudness in the middle of `samples`, and check that they contain no other sound."""
    heard = samples[len(samples) // 4 : len(samples) * 3 // 4]
    angle = 2 * np.pi * PITCH_HZ * np.arange(len(heard)) / rate_hz
    waves = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    fit, *_ = np.linalg.lstsq(waves, heard, rcond=None)
    assert np.abs(heard - waves @ fit).max() < 0.001
    return float(np.hypot(*fit))


async def test_a_microphone_of_any_format_works_and_all_its_channels_count(taken: SoundFormat) -> None:
    fill(taken)
    heard = await captured(PortAudioMicrophone("choosy"))
    assert level(heard, pcm.UPLINK_HZ) == pytest.approx(float(np.mean(levels(taken.channels))), abs=0.002)


@pytest.mark.parametrize("rate_hz", [48_000, 44_100, 32_000, 8_000])
async def test_each_period_of_a_microphone_of_another_rate_ends_a_frame(
    rate_hz: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(SoundFormat(rate_hz, 1, "int16"), tmp_path, monkeypatch)
    silence = bytes(rate_hz * pcm.FRAME_MS // 1000 * pcm.SAMPLE_BYTES)
    FileAudio.path.write_bytes(silence + (20_000).to_bytes(2, "little"))  # a click that begins a frame
    heard = await captured(PortAudioMicrophone("choosy"))
    frame = pcm.FRAME_BYTES // pcm.SAMPLE_BYTES
    delay = round(Resampler(rate_hz, pcm.UPLINK_HZ).delay_s * pcm.UPLINK_HZ)
    late = int(np.argmax(np.abs(heard))) - frame
    assert abs(late - delay % frame) <= 4, "no sound waits for another period"


@pytest.mark.parametrize("channel", [1, 2, 4])
async def test_one_channel_of_an_array_can_be_used_alone(
    channel: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = SoundFormat(48_000, 4, "int32")
    install(form, tmp_path, monkeypatch)
    fill(form)
    heard = await captured(PortAudioMicrophone("choosy", channel=channel))
    assert level(heard, pcm.UPLINK_HZ) == pytest.approx(levels(4)[channel - 1], abs=0.002)


async def test_a_channel_that_the_device_does_not_have_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(SoundFormat(48_000, 2, "int16"), tmp_path, monkeypatch)
    with pytest.raises(DeviceLost, match=r"it has no channel 3, only 2; set microphone\.channel") as lost:
        await PortAudioMicrophone("choosy", channel=3).capture(lambda _: None)
    assert not lost.value.listed, "a new process would not help"


class Tone:
    """Source of the tone, followed by silence; sets `gone` when the tone has been played."""

    def __init__(self) -> None:
        self.left = (tone(pcm.DOWNLINK_HZ, 0.5) * 32767).astype("<i2").tobytes()
        self.gone = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def pull(self, byte_count: int) -> bytes:
        piece, self.left = self.left[:byte_count], self.left[byte_count:]
        if not piece:
            self._loop.call_soon_threadsafe(self.gone.set)
        return piece.ljust(byte_count, b"\0")


async def test_a_speaker_of_any_format_plays_on_all_its_channels(taken: SoundFormat) -> None:
    source, speaker = Tone(), PortAudioSpeaker("choosy")
    playing = asyncio.create_task(speaker.play(source))
    async with asyncio.timeout(60):
        await source.gone.wait()
    assert 0.02 <= speaker.latency_s < 0.08
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing
    channels = read(FileAudio.path.read_bytes(), taken)[: round(SECONDS * taken.rate_hz)].T
    assert len(channels) == taken.channels
    assert all((channel == channels[0]).all() for channel in channels)
    assert level(channels[0], taken.rate_hz) == pytest.approx(0.5, abs=0.002)


async def test_the_latency_is_known_at_the_first_pull(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(SoundFormat(48_000, 2, "int16"), tmp_path, monkeypatch)
    speaker, known, pulled = PortAudioSpeaker("choosy"), list[float](), asyncio.Event()
    loop = asyncio.get_running_loop()

    class Asking:
        def pull(self, byte_count: int) -> bytes:
            known.append(speaker.latency_s)
            loop.call_soon_threadsafe(pulled.set)
            return bytes(byte_count)

    playing = asyncio.create_task(speaker.play(Asking()))
    async with asyncio.timeout(60):
        await pulled.wait()
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing
    assert known[0] == speaker.latency_s >= 0.02


def sound_device(name: str, channels: int) -> SoundDevice:
    return SoundDevice(0, name, channels, channels, 44_100)


@pytest.mark.parametrize(
    ("device", "direction", "channel", "first"),
    [
        pytest.param(
            sound_device("default", 32), Direction.IN, None, SoundFormat(16_000, 1, "int16"), id="mixed"
        ),
        pytest.param(
            sound_device("default", 32), Direction.IN, 3, SoundFormat(16_000, 4, "int16"), id="one of some"
        ),
        pytest.param(
            sound_device(NAME, 2), Direction.IN, None, SoundFormat(16_000, 2, "int16"), id="all of a card"
        ),
        pytest.param(
            sound_device(NAME, 32), Direction.IN, None, SoundFormat(16_000, 1, "int16"), id="a loopback"
        ),
        pytest.param(
            sound_device(NAME, 8), Direction.OUT, None, SoundFormat(16_000, 2, "int16"), id="both speakers"
        ),
    ],
)
def test_the_order_in_which_formats_are_tried(
    device: SoundDevice, direction: Direction, channel: int | None, first: SoundFormat
) -> None:
    assert next(candidates(device, direction, 16_000, channel)) == first
