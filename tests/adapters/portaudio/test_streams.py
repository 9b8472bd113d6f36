"""PortAudio on the virtual sound server: faults that only the real library has."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, Literal, NoReturn

import pyaudio
import pytest
from tests.support import file_audio
from tests.support.likeness import THROUGH_THE_AIR, carried, murmur
from tests.support.sound_cards import plug, pull
from tests.support.sound_server import MICROPHONE, SPEAKER, Device, SoundServer

from kioskd.adapters.portaudio import streams
from kioskd.adapters.portaudio.alsa_probe import AlsaProbe
from kioskd.adapters.portaudio.device_thread import SILENCE_S
from kioskd.adapters.portaudio.devices import Direction
from kioskd.adapters.portaudio.formats import SoundFormat
from kioskd.adapters.portaudio.library import library
from kioskd.adapters.portaudio.streams import PortAudioMicrophone, PortAudioSpeaker, list_devices
from kioskd.errors import DeviceLost, DeviceStuck
from kioskd.media import pcm


class Traffic:
    """Sink and source that counts frames or pulls, and waits for a number of them."""

    def __init__(self, sound: bytes = b"") -> None:
        self.heard = bytearray()
        self.count = 0
        self._sound = sound
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()

    def sink(self, frame: bytes) -> None:
        self.heard += frame
        self._one()

    def pull(self, byte_count: int) -> bytes:
        piece, self._sound = self._sound[:byte_count], self._sound[byte_count:]
        self._loop.call_soon_threadsafe(self._one)
        return piece.ljust(byte_count, b"\0")

    def _one(self) -> None:
        self.count += 1
        self._news.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(15):
            while self.count < count:
                self._news.clear()
                await self._news.wait()


def use(device: Device, traffic: Traffic) -> asyncio.Task[NoReturn]:
    if device == "mic":
        return asyncio.create_task(PortAudioMicrophone(MICROPHONE).capture(traffic.sink))
    return asyncio.create_task(PortAudioSpeaker(SPEAKER).play(traffic))


async def stop(*tasks: asyncio.Task[NoReturn]) -> None:
    for task in tasks:
        task.cancel()
    async with asyncio.timeout(4):
        for task in tasks:
            with pytest.raises(asyncio.CancelledError):
                await task


@pytest.fixture
async def server(sound_server: SoundServer) -> AsyncIterator[SoundServer]:
    yield sound_server
    await asyncio.to_thread(sound_server.mend)


@pytest.mark.parametrize("device", ["mic", "spk"])
async def test_a_device_unplugged_in_mid_stream_is_lost_within_two_seconds_and_comes_back(
    server: SoundServer, device: Device
) -> None:
    traffic = Traffic()
    using = use(device, traffic)
    await traffic.until(5)
    server.unplug(device)
    async with asyncio.timeout(2.5):
        with pytest.raises(DeviceLost, match="no sign of life for 1 s") as lost:
            await using
    assert lost.value.device == (MICROPHONE if device == "mic" else SPEAKER)
    await asyncio.to_thread(server.replug, device)
    again = Traffic()
    using = use(device, again)
    await again.until(5)
    await stop(using)


async def test_one_unplugged_device_leaves_the_other_alone(server: SoundServer) -> None:
    heard, played = Traffic(), Traffic()
    listening, playing = use("mic", heard), use("spk", played)
    await heard.until(5)
    await played.until(5)
    server.unplug("mic")
    async with asyncio.timeout(2.5):
        with pytest.raises(DeviceLost):
            await listening
    await played.until(played.count + 20)
    await asyncio.to_thread(server.replug, "mic")
    back = Traffic()
    listening = use("mic", back)
    await back.until(5)
    await stop(playing, listening)


@pytest.mark.parametrize("device", ["mic", "spk"])
async def test_a_device_frozen_for_two_seconds_is_lost_and_closes_when_it_thaws(
    server: SoundServer, device: Device
) -> None:
    traffic = Traffic()
    using = use(device, traffic)
    await traffic.until(5)
    server.freeze(device)
    await asyncio.sleep(2.0)
    seen = traffic.count
    server.thaw(device)
    async with asyncio.timeout(2.0):
        with pytest.raises(DeviceLost, match="no sign of life for 1 s") as lost:
            await using
    assert not isinstance(lost.value, DeviceStuck)
    assert traffic.count == seen, "a lost device gives no sound and gets none"
    again = Traffic()
    using = use(device, again)
    await again.until(5)
    await stop(using)


async def test_a_device_that_stays_frozen_needs_a_new_process(server: SoundServer) -> None:
    traffic = Traffic()
    using = use("mic", traffic)
    await traffic.until(5)
    server.freeze("mic")
    async with asyncio.timeout(6.0):
        with pytest.raises(DeviceStuck, match=r"microphone 'kioskmic': it did not close within 3 s"):
            await using
    server.thaw("mic")
    again = Traffic()
    using = use("mic", again)
    await again.until(5)
    await stop(using)


async def test_sound_held_back_by_a_stopped_server_is_dropped_and_logged_once(
    server: SoundServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    said = murmur(3.0, pcm.UPLINK_HZ)
    heard = Traffic()
    listening = use("mic", heard)
    await heard.until(5)
    with server.injector(latency_ms=500) as air:
        assert air.stdin
        air.stdin.write(said)
        air.stdin.flush()
        await heard.until(heard.count + 40)
        server.freeze("mic")
        await asyncio.sleep(0.8)  # shorter than a loss takes
        before, thawed_at = heard.count, asyncio.get_running_loop().time()
        server.thaw("mic")
        await heard.until(before + 25)
    assert asyncio.get_running_loop().time() - thawed_at > 0.4, "half a second of new sound takes that long"
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "microphone 'kioskmic' stood still, old sound dropped"
    ]
    await stop(listening)


@pytest.mark.parametrize("hint", ["the kernel", "ALSA"])
async def test_a_device_that_came_later_is_found_although_another_is_in_use(
    server: SoundServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hint: str
) -> None:
    monkeypatch.setattr(library, "probe", AlsaProbe(tmp_path))
    plug(tmp_path, 0, "speaker")
    server.unplug("mic")
    played = Traffic()
    playing = use("spk", played)
    await played.until(5)
    with pytest.raises(DeviceLost, match="no device has this name") as lost:
        await use("mic", Traffic())
    assert (lost.value.device, lost.value.listed) == (MICROPHONE, False)
    await played.until(played.count + 10)

    await asyncio.to_thread(server.replug, "mic")
    if hint == "the kernel":
        plug(tmp_path, 1, "microphone")
        monkeypatch.setattr(library, "probe", AlsaProbe(tmp_path, open_error=lambda *_: None))
    with pytest.raises(DeviceLost, match="no device has this name"):
        await use("mic", Traffic())
    with pytest.raises(DeviceLost, match="listed again"):
        await playing
    heard, played = Traffic(), Traffic()
    playing, listening = use("spk", played), use("mic", heard)
    await heard.until(5)
    await played.until(5)
    await stop(playing, listening)


async def test_other_streams_are_not_closed_repeatedly_for_a_device_outside_all_lists(
    server: SoundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # ALSA opens it, but PortAudio does not list it, like a device that is not a microphone.
    monkeypatch.setattr(library, "probe", AlsaProbe(open_error=lambda *_: 0))
    played = Traffic()
    playing = use("spk", played)
    await played.until(5)
    with pytest.raises(DeviceLost, match="no device has this name"):
        await PortAudioMicrophone("nowhere").capture(lambda _: None)
    with pytest.raises(DeviceLost, match="listed again"):
        await playing
    played = Traffic()
    playing = use("spk", played)
    await played.until(5)
    with pytest.raises(DeviceLost, match="no device has this name"):
        await PortAudioMicrophone("nowhere").capture(lambda _: None)
    await played.until(played.count + 10)
    await stop(playing)


class ChoosyAudio(pyaudio.PyAudio):
    """The real library, with devices that accept one format only, as many USB devices do."""

    taken: tuple[int, int, int] | None = (48_000, 2, pyaudio.paInt16)

    def is_format_supported(  # noqa: PLR0917 - the library's own signature
        self,
        rate: int,
        input_device: int | None = None,
        input_channels: int | None = None,
        input_format: int | None = None,
        output_device: int | None = None,
        output_channels: int | None = None,
        output_format: int | None = None,
    ) -> bool:
        if (rate, input_channels or output_channels, input_format or output_format) != self.taken:
            raise ValueError("Invalid sample rate", -9997)
        return super().is_format_supported(
            rate, input_device, input_channels, input_format, output_device, output_channels, output_format
        )


TAKEN = [
    pytest.param((48_000, 2, pyaudio.paInt16), id="48 kHz stereo"),
    pytest.param((96_000, 4, pyaudio.paInt32), id="96 kHz, 4 channels of 32 bits"),
    pytest.param((44_100, 1, pyaudio.paFloat32), id="44.1 kHz float"),
]


@pytest.mark.parametrize("taken", TAKEN)
async def test_a_speaker_of_another_format_plays_the_same_sound(
    server: SoundServer, monkeypatch: pytest.MonkeyPatch, taken: tuple[int, int, int]
) -> None:
    monkeypatch.setattr(ChoosyAudio, "taken", taken)
    monkeypatch.setattr(pyaudio, "PyAudio", ChoosyAudio)
    spoken = murmur(1.0, pcm.DOWNLINK_HZ)
    played = Traffic(spoken)
    speaker = PortAudioSpeaker(SPEAKER)
    with server.record() as recording:
        playing = asyncio.create_task(speaker.play(played))
        await played.until(150)
        assert speaker.latency_s > 0.02
        await stop(playing)
    assert carried(spoken, bytes(recording.pcm), pcm.DOWNLINK_HZ) >= THROUGH_THE_AIR


@pytest.mark.parametrize("taken", TAKEN)
async def test_a_microphone_of_another_format_gives_the_same_sound(
    server: SoundServer, monkeypatch: pytest.MonkeyPatch, taken: tuple[int, int, int]
) -> None:
    monkeypatch.setattr(ChoosyAudio, "taken", taken)
    monkeypatch.setattr(pyaudio, "PyAudio", ChoosyAudio)
    said = murmur(1.0, pcm.UPLINK_HZ)
    heard = Traffic()
    listening = use("mic", heard)
    await heard.until(5)
    await asyncio.to_thread(server.inject, said)
    await heard.until(heard.count + 15)
    await stop(listening)
    assert carried(said, bytes(heard.heard), pcm.UPLINK_HZ) >= THROUGH_THE_AIR


async def test_a_device_that_accepts_no_format_is_reported(
    server: SoundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ChoosyAudio, "taken", None)
    monkeypatch.setattr(pyaudio, "PyAudio", ChoosyAudio)
    with pytest.raises(
        DeviceLost, match=r"microphone 'kioskmic': 'kioskmic' cannot be opened: .*Invalid sample rate"
    ) as lost:
        await use("mic", Traffic())
    assert (lost.value.device, lost.value.listed) == (MICROPHONE, True)


async def test_the_first_syllable_after_five_seconds_of_silence_is_whole(server: SoundServer) -> None:
    silence_s = 5.0
    syllable = murmur(0.05, pcm.DOWNLINK_HZ)
    played = Traffic(bytes(pcm.byte_count(silence_s, pcm.DOWNLINK_HZ)) + syllable)
    with server.record() as recording:
        playing = use("spk", played)
        await played.until(round((silence_s + 1.0) * 1000) // pcm.PERIOD_MS)
        await stop(playing)
    assert carried(syllable, bytes(recording.pcm), pcm.DOWNLINK_HZ) == 1.0


class Announcer(Traffic):
    """A source that is silent until it is told to say something, and remembers when that was pulled."""

    pulled_at = 0.0

    def say(self, sound: bytes) -> None:
        self.pulled_at = 0.0
        self._sound = sound

    def pull(self, byte_count: int) -> bytes:
        if self._sound and not self.pulled_at:
            self.pulled_at = time.monotonic()
        return super().pull(byte_count)

    async def standstill(self) -> None:
        """Return when no pull has come for 0.2 s."""
        async with asyncio.timeout(15):
            count = -1
            while count != self.count:
                count = self.count
                await asyncio.sleep(0.2)


PAUSES: Final = 5
CHIMES_WITHIN_S: Final = 0.1
"""Seconds from the press to the first sample of the chime."""


async def test_a_speaker_sounds_at_once_and_whole_after_a_pause(server: SoundServer) -> None:
    speaker, source = PortAudioSpeaker(SPEAKER), Announcer()
    syllable = murmur(0.3, pcm.DOWNLINK_HZ)
    playing = asyncio.create_task(speaker.play(source))
    await source.until(20)
    delays_s, whole = list[float](), 0
    for _ in range(PAUSES):
        assert speaker.pause()
        await source.standstill()
        with server.record() as recording:
            before = source.count
            source.say(syllable)
            pressed_at = time.monotonic()
            speaker.resume()
            await source.until(before + 60)
            delays_s.append(source.pulled_at - pressed_at + speaker.latency_s)
            whole += carried(syllable, bytes(recording.pcm), pcm.DOWNLINK_HZ) == 1.0
    await stop(playing)
    # A busy machine delays some callbacks, and its sound server skips now and then.
    assert min(delays_s) < CHIMES_WITHIN_S
    assert whole >= 1
    assert speaker.underflows <= 1, "the end of a pause is not an underflow"


async def test_a_paused_speaker_is_not_called_and_closes(server: SoundServer) -> None:
    speaker, source = PortAudioSpeaker(SPEAKER), Announcer()
    playing = asyncio.create_task(speaker.play(source))
    await source.until(20)
    assert speaker.pause()
    await source.standstill()
    before = source.count
    await asyncio.sleep(2 * SILENCE_S)
    assert (source.count, playing.done()) == (before, False), "it is not taken for lost"
    await stop(playing)


async def test_a_sound_server_that_dies_while_the_speaker_pauses_is_noticed_and_used_again(
    server: SoundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PROVE_EVERY_S", 0.5)
    speaker, source = PortAudioSpeaker(SPEAKER), Announcer()
    playing = asyncio.create_task(speaker.play(source))
    await source.until(20)
    assert speaker.pause()
    await source.standstill()
    before = source.count
    server.unplug("spk")
    async with asyncio.timeout(10):
        with pytest.raises(DeviceLost, match="no sign of life for 1 s"):
            await playing
    assert source.count == before, "a proof of life is not heard"
    await asyncio.to_thread(server.replug, "spk")
    again = Traffic()
    using = use("spk", again)
    await again.until(5)
    await stop(using)


def kept() -> tuple[int, int]:
    """Return the numbers of this process's threads and open files."""
    threads, files = (len(list(Path("/proc/self", what).iterdir())) for what in ("task", "fd"))
    return threads, files


async def test_a_speaker_pauses_a_hundred_times_and_keeps_nothing(
    server: SoundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PROVING_PERIODS", 1)
    speaker, source = PortAudioSpeaker(SPEAKER), Announcer()
    playing = asyncio.create_task(speaker.play(source))
    await source.until(20)
    before_all = kept()
    for number in range(100):
        speaker.pause()
        await asyncio.sleep(0.02 * (number % 3))  # in the middle of a period, at its end, deep in the pause
        before = source.count
        speaker.resume()
        await source.until(before + 2)
    assert kept() <= before_all
    await stop(playing)


@pytest.mark.parametrize(("asleep", "pauses"), [("auto", True), ("pause", True), ("play", False)])
async def test_the_owner_decides_whether_a_speaker_pauses(
    server: SoundServer, asleep: Literal["auto", "pause", "play"], pauses: bool
) -> None:
    speaker, source = PortAudioSpeaker(SPEAKER, asleep), Announcer()
    playing = asyncio.create_task(speaker.play(source))
    await source.until(20)
    assert speaker.pause() is pauses
    if not pauses:
        await source.until(source.count + 20)
    await stop(playing)


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A USB card made of files; the result is the kernel's list of cards."""
    file_audio.install(SoundFormat(48_000, 2, "int16"), tmp_path, monkeypatch)
    plug(tmp_path / "sys", 1, "Choosy", "0p")
    monkeypatch.setattr(library, "probe", AlsaProbe(tmp_path / "sys", open_error=lambda *_: 0, card_name=str))
    return tmp_path / "sys"


@pytest.mark.parametrize("plugged", ["out", "out and in again"])
async def test_a_card_that_is_pulled_while_the_speaker_pauses_is_noticed_at_once(
    card: Path, plugged: str
) -> None:
    speaker, source = PortAudioSpeaker("choosy", "pause"), Announcer()
    playing = asyncio.create_task(speaker.play(source))
    await source.until(20)
    assert speaker.pause()
    await source.standstill()
    if plugged == "out":
        pull(card, 1)
    else:
        plug(card, 1, "Choosy", "0p")
    async with asyncio.timeout(2):
        with pytest.raises(DeviceLost, match="the device was unplugged while it paused") as lost:
            await playing
    assert lost.value.device == "choosy"


@pytest.mark.usefixtures("card")
async def test_a_usb_speaker_does_not_pause_by_itself() -> None:
    speaker, source = PortAudioSpeaker("choosy"), Announcer()
    playing = asyncio.create_task(speaker.play(source))
    await source.until(20)
    assert not speaker.pause()
    await source.until(source.count + 20)
    await stop(playing)


async def test_a_loop_that_stalls_keeps_five_seconds_at_most(
    server: SoundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "BACKLOG_FRAMES", 5)
    heard = Traffic()
    microphone = PortAudioMicrophone(MICROPHONE)
    listening = asyncio.create_task(microphone.capture(heard.sink))
    await heard.until(5)
    before = heard.count
    # Block the loop, as a bug would.
    threading.Event().wait(0.4)
    await heard.until(before + 1)
    assert heard.count <= before + 6
    assert microphone.dropped_frames >= 5
    await stop(listening)


async def test_a_missing_alsa_configuration_is_a_lost_device_and_not_the_end_of_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALSA_CONFIG_PATH", "/nowhere/asound.conf")
    with pytest.raises(DeviceLost, match=r"ALSA_CONFIG_PATH=/nowhere/asound\.conf"):
        await use("mic", Traffic())


async def test_the_devices_are_listed_with_their_defaults(server: SoundServer) -> None:
    devices, closed = await asyncio.to_thread(list_devices)
    assert closed == []
    by_name = {device.full_name: device for device in devices}
    assert by_name[MICROPHONE].channels(Direction.IN) > 0
    assert by_name[MICROPHONE].channels(Direction.OUT) == 0
    assert by_name[SPEAKER].channels(Direction.OUT) > 0
    assert by_name["default"].default_for == {Direction.IN, Direction.OUT}
