"""Devices that refuse everything but one format: files behind a library that works as PyAudio does."""

import asyncio
import errno
import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyaudio
import pytest

from kioskd.adapters.portaudio import PortAudioMicrophone, PortAudioSpeaker
from kioskd.adapters.portaudio_devices import Direction, SoundDevice
from kioskd.adapters.portaudio_formats import SoundFormat, candidates
from kioskd.adapters.portaudio_library import library
from kioskd.adapters.portaudio_probe import Probe
from kioskd.errors import DeviceLost
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
    """A file that calls back, period by period, until it is closed."""

    def __init__(self, form: SoundFormat, path: Path, callback: Callback, *, capturing: bool) -> None:
        self._frame_bytes = pyaudio.get_sample_size(CODES[form.samples]) * form.channels
        self._period = form.rate_hz // 100
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
    """One device of one format; the library as far as a stream needs it."""

    takes: ClassVar[SoundFormat]
    path: ClassVar[Path]

    def terminate(self) -> None:
        pass

    def get_device_count(self) -> int:
        return 1

    def get_device_info_by_index(self, index: int) -> dict[str, object]:
        # Half of such cards say that they prefer a rate that they do not take.
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

    def open(self, *, stream_callback: Callback, output: bool, start: bool, **_: object) -> FileStream:
        assert not start, "the first callback would come before anything is known of the stream"
        return FileStream(self.takes, self.path, stream_callback, capturing=not output)


@pytest.fixture(params=FORMATS, ids=str)
def taken(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoundFormat:
    form: SoundFormat = request.param
    install(form, tmp_path, monkeypatch)
    return form


def install(form: SoundFormat, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FileAudio, "takes", form, raising=False)
    monkeypatch.setattr(FileAudio, "path", folder / "device.raw", raising=False)
    monkeypatch.setattr(pyaudio, "PyAudio", FileAudio)
    monkeypatch.delenv("ALSA_CONFIG_PATH", raising=False)
    closed_with(monkeypatch, 0)


def closed_with(monkeypatch: pytest.MonkeyPatch, *said: int) -> None:
    """Have ALSA open no device but with these errors, one after the other; the last stays."""
    answers = itertools.chain(said[:-1], itertools.repeat(said[-1]))
    monkeypatch.setattr(library, "probe", Probe(Path("/nowhere"), open_error=lambda *_: next(answers)))


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
    """Return how loud the tone is in the middle of `samples`, and make sure that nothing else is in them."""
    heard = samples[len(samples) // 4 : len(samples) * 3 // 4]
    angle = 2 * np.pi * PITCH_HZ * np.arange(len(heard)) / rate_hz
    waves = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    fit, *_ = np.linalg.lstsq(waves, heard, rcond=None)
    assert np.abs(heard - waves @ fit).max() < 0.001
    return float(np.hypot(*fit))


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
    """Return a loudness for each channel, no two alike."""
    return [0.8 / (number + 1) for number in range(channels)]


def fill(form: SoundFormat) -> None:
    """Let the device hear a tone, each channel as loud as `levels` says."""
    channels = np.stack([tone(form.rate_hz, loud) for loud in levels(form.channels)], axis=1)
    FileAudio.path.write_bytes(written(channels, form))


async def test_a_microphone_of_any_format_is_heard_and_all_its_channels_count(taken: SoundFormat) -> None:
    fill(taken)
    heard = await captured(PortAudioMicrophone("choosy"))
    assert level(heard, pcm.UPLINK_HZ) == pytest.approx(float(np.mean(levels(taken.channels))), abs=0.002)


@pytest.mark.parametrize("channel", [1, 2, 4])
async def test_one_channel_of_an_array_is_heard_alone(
    channel: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = SoundFormat(48_000, 4, "int32")
    install(form, tmp_path, monkeypatch)
    fill(form)
    heard = await captured(PortAudioMicrophone("choosy", channel=channel))
    assert level(heard, pcm.UPLINK_HZ) == pytest.approx(levels(4)[channel - 1], abs=0.002)


async def test_a_channel_that_the_device_does_not_have_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(SoundFormat(48_000, 2, "int16"), tmp_path, monkeypatch)
    with pytest.raises(DeviceLost, match=r"has no channel 3, it has 2; set microphone\.channel") as lost:
        await PortAudioMicrophone("choosy", channel=3).capture(lambda _: None)
    assert not lost.value.listed, "a new process would not mend it"


class NotYet(FileAudio):
    """A card that has just been plugged in: it takes its best format, and cannot be opened the first few times."""

    error: ClassVar[OSError | ValueError]
    tries: ClassVar[int]

    def is_format_supported(self, rate: int, **wish: int) -> bool:
        NotYet.tries -= 1
        if self.tries >= 0:
            raise self.error
        return rate > 0 and bool(wish)


UNSURE = [
    pytest.param(ValueError("Illegal combination of I/O devices", -9993), id="no permission yet"),
    pytest.param(ValueError("Device unavailable", -9985), id="busy"),
    pytest.param(ValueError("Invalid sample rate", -9997), id="gone while it was asked"),
    pytest.param(OSError(-9999, "Unanticipated host error"), id="anything"),
]
BEST = SoundFormat(pcm.UPLINK_HZ, 1, "int16")


@pytest.fixture
def not_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[NotYet]:
    install(BEST, tmp_path, monkeypatch)
    monkeypatch.setattr(pyaudio, "PyAudio", NotYet)
    fill(BEST)
    return NotYet


def formats(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the formats that were opened."""
    return [record.getMessage().partition("format=")[2].partition(" took")[0] for record in caplog.records]


@pytest.mark.parametrize("error", UNSURE)
@pytest.mark.parametrize("said", [errno.ENODEV, errno.EACCES, errno.EBUSY])
async def test_a_card_that_cannot_be_opened_yet_has_refused_no_format(
    not_yet: type[NotYet],
    error: OSError | ValueError,
    said: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "kioskd.adapters.portaudio")
    monkeypatch.setattr(not_yet, "error", error, raising=False)
    monkeypatch.setattr(not_yet, "tries", 3, raising=False)
    closed_with(monkeypatch, said)
    for _ in range(3):
        with pytest.raises(DeviceLost) as lost:
            await PortAudioMicrophone("choosy").capture(lambda _: None)
        assert lost.value.listed
    closed_with(monkeypatch, 0)
    await captured(PortAudioMicrophone("choosy"))
    assert formats(caplog) == [str(BEST)]


@pytest.mark.parametrize("error", [each for each in UNSURE if each.id != "gone while it was asked"])
async def test_a_card_that_became_ready_meanwhile_is_asked_again_for_the_best_format(
    not_yet: type[NotYet],
    error: OSError | ValueError,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "kioskd.adapters.portaudio")
    monkeypatch.setattr(not_yet, "error", error, raising=False)
    monkeypatch.setattr(not_yet, "tries", 1, raising=False)
    await captured(PortAudioMicrophone("choosy"))
    assert formats(caplog) == [str(BEST)]


async def test_a_card_that_is_in_use_is_not_called_missing(
    not_yet: type[NotYet], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(not_yet, "error", ValueError("Device unavailable", -9985), raising=False)
    monkeypatch.setattr(not_yet, "tries", 1, raising=False)
    closed_with(monkeypatch, errno.EBUSY)
    with pytest.raises(DeviceLost, match=r"in use by another program; `sudo fuser -v /dev/snd/pcmC1D0c`"):
        await PortAudioMicrophone("choosy").capture(lambda _: None)


class Tone:
    """A source of the tone, and of silence behind it; says when it is all gone."""

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
    async with asyncio.timeout(5):
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
    async with asyncio.timeout(5):
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
def test_what_is_tried_first(
    device: SoundDevice, direction: Direction, channel: int | None, first: SoundFormat
) -> None:
    assert next(candidates(device, direction, 16_000, channel)) == first
