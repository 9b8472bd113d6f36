"""A sound device with one format, made of a file, behind a library that works like PyAudio."""

import asyncio
import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyaudio
import pytest

from kioskd.adapters.portaudio.alsa_probe import AlsaProbe
from kioskd.adapters.portaudio.formats import SoundFormat
from kioskd.adapters.portaudio.library import library
from kioskd.adapters.portaudio.streams import PortAudioMicrophone
from kioskd.media import pcm

Callback = Callable[[bytes | None, int, dict[str, float], int], tuple[bytes | None, int]]
Samples = npt.NDArray[np.float64]

NAME = "Choosy: USB Audio (hw:1,0)"
SECONDS = 0.3
PITCH_HZ = 440
RATES_HZ = (8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000)
FORMATS = [
    form
    for rate_hz, channels in itertools.product(RATES_HZ, (1, 2, 4))
    for form in (SoundFormat(rate_hz, channels, "int16"), SoundFormat(rate_hz, channels, "int32"))
] + [SoundFormat(48_000, 2, "float32"), SoundFormat(48_000, 2, "int24")]
CODES = {
    "int16": pyaudio.paInt16,
    "int32": pyaudio.paInt32,
    "float32": pyaudio.paFloat32,
    "int24": pyaudio.paInt24,
}


class FileStream:
    """Stream of a file that calls back, period by period, until it is closed."""

    def __init__(
        self, form: SoundFormat, period: int, path: Path, callback: Callback, *, capturing: bool
    ) -> None:
        self._frame_bytes = pyaudio.get_sample_size(CODES[form.samples]) * form.channels
        self._period = period
        self._callback = callback
        self._path = path
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._capture if capturing else self._play)

    def start_stream(self) -> None:
        self._thread.start()

    def _capture(self) -> None:
        size = self._period * self._frame_bytes
        with self._path.open("rb") as file:
            while not self._closed.wait(0.0005):
                self._callback(file.read(size).ljust(size, b"\0"), self._period, {}, 0)

    def _play(self) -> None:
        with self._path.open("wb") as file:
            while not self._closed.wait(0.0005):
                data, _ = self._callback(None, self._period, {}, 0)
                assert data is not None
                assert len(data) == self._period * self._frame_bytes
                file.write(data)

    def get_output_latency(self) -> float:
        return 0.02

    def close(self) -> None:
        self._closed.set()
        self._thread.join()


class FileAudio:
    """PyAudio for one device with one format, as far as a stream needs it."""

    takes: ClassVar[SoundFormat]
    path: ClassVar[Path]

    def terminate(self) -> None:
        pass

    def get_device_count(self) -> int:
        return 1

    def get_device_info_by_index(self, index: int) -> dict[str, object]:
        # Half of such cards report a default rate that they do not accept.
        channels = self.takes.channels
        return {
            "index": index, "name": NAME, "maxInputChannels": channels, "maxOutputChannels": channels,
            "defaultSampleRate": 44_100.0,
        }  # fmt: skip

    def get_default_input_device_info(self) -> dict[str, object]:
        return self.get_device_info_by_index(0)

    get_default_output_device_info = get_default_input_device_info

    def is_format_supported(self, rate: int, **wish: int) -> bool:
        which = "input" if "input_device" in wish else "output"
        asked = (rate, wish[f"{which}_channels"], wish[f"{which}_format"])
        if asked != (self.takes.rate_hz, self.takes.channels, CODES[self.takes.samples]):
            raise ValueError("Invalid sample rate", -9997)
        return True

    def open(
        self, *, stream_callback: Callback, output: bool, start: bool, frames_per_buffer: int, **_: object
    ) -> FileStream:
        assert not start, "the first callback would come before the stream is prepared"
        return FileStream(self.takes, frames_per_buffer, self.path, stream_callback, capturing=not output)


def install(form: SoundFormat, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FileAudio, "takes", form, raising=False)
    monkeypatch.setattr(FileAudio, "path", folder / "device.raw", raising=False)
    monkeypatch.setattr(pyaudio, "PyAudio", FileAudio)
    monkeypatch.delenv("ALSA_CONFIG_PATH", raising=False)
    closed_with(monkeypatch, 0)


def closed_with(monkeypatch: pytest.MonkeyPatch, *said: int) -> None:
    """Make ALSA's openings fail with these errors, one after the other; the last one stays."""
    answers = itertools.chain(said[:-1], itertools.repeat(said[-1]))
    monkeypatch.setattr(library, "probe", AlsaProbe(Path("/nowhere"), open_error=lambda *_: next(answers)))


def tone(rate_hz: int, level: float) -> Samples:
    return level * np.sin(2 * np.pi * PITCH_HZ * np.arange(round(rate_hz * SECONDS)) / rate_hz)


def written(frames: Samples, form: SoundFormat) -> bytes:
    flat = frames.reshape(-1)
    match form.samples:
        case "int16":
            return (flat * 32767).astype("<i2").tobytes()
        case "float32":
            return flat.astype("<f4").tobytes()
        case "int32":
            return (flat * (2**31 - 1)).astype("<i4").tobytes()
        case "int24":
            wide = (flat * (2**31 - 1)).astype("<i4").view(np.uint8).reshape(-1, 4)
            return wide[:, 1:].tobytes()


async def captured(microphone: PortAudioMicrophone) -> Samples:
    enough = asyncio.Event()
    frames: list[bytes] = []

    def sink(frame: bytes) -> None:
        frames.append(frame)
        if len(frames) >= SECONDS * 50:
            enough.set()

    listening = asyncio.create_task(microphone.capture(sink))
    waiting = asyncio.create_task(enough.wait())
    await asyncio.wait([listening, waiting], timeout=5, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    assert {len(frame) for frame in frames} == {pcm.FRAME_BYTES}
    return np.frombuffer(b"".join(frames), "<i2")[: round(pcm.UPLINK_HZ * SECONDS)] / 32768


def levels(channels: int) -> list[float]:
    """Return a different loudness for each channel."""
    return [0.8 / (number + 1) for number in range(channels)]


def fill(form: SoundFormat) -> None:
    """Put a tone on the device, with each channel as loud as `levels` says."""
    channels = np.stack([tone(form.rate_hz, loud) for loud in levels(form.channels)], axis=1)
    FileAudio.path.write_bytes(written(channels, form))
