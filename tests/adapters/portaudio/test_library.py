"""PortAudio's state in the process: ALSA's messages, and a list of devices as old as its first user."""

import asyncio
import ctypes
import dataclasses
import errno
import logging
import os
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest
from tests.support.kiosk import running
from tests.support.sound_cards import plug, pull

pytest.importorskip("pyaudio", reason="no PyAudio here")

import pyaudio  # after the skip
from tests.support.fakes_devices import ManualClock

from kioskd.adapters.clock import SystemClock
from kioskd.adapters.portaudio import alsa
from kioskd.adapters.portaudio.alsa_probe import AlsaProbe
from kioskd.adapters.portaudio.devices import Direction
from kioskd.adapters.portaudio.library import library
from kioskd.adapters.portaudio.stderr import captured
from kioskd.adapters.portaudio.streams import PortAudioMicrophone, PortAudioSpeaker
from kioskd.core.events import Device, DeviceCame, DeviceGone, Event
from kioskd.errors import DeviceLost
from kioskd.flow.runtime.device_supervisor import RETRY_S, DeviceSupervisor

ALSA: Final = ctypes.CDLL("libasound.so.2")
BACK_WITHIN_S: Final = 3.0
MICROPHONE: Final = "Mic: USB Audio"
SPEAKER: Final = "Spk: USB Audio"


def open_what_is_not_there() -> None:
    ALSA.snd_pcm_open(ctypes.byref(ctypes.c_void_p()), b"no-such-device", 0, 1)


def test_alsa_prints_nothing_while_streams_run(capfd: pytest.CaptureFixture[str]) -> None:
    ALSA.snd_lib_error_set_handler(None)  # an earlier use of PortAudio in this process has set it
    with captured("a test") as aloud:
        open_what_is_not_there()
    assert "no-such-device" in " ".join(aloud), "without kioskd, ALSA prints an error"
    with library.exclusive():
        open_what_is_not_there()
    with captured("a test") as said:
        open_what_is_not_there()
    assert said == []
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("text", ["", "pcm.spare { type null }\n"])
def test_a_configuration_without_a_default_is_a_lost_device_and_not_an_abort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (tmp_path / "asound.conf").write_text(text)
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "asound.conf"))
    with (
        pytest.raises(DeviceLost, match=r"it defines no pcm\.default; correct .*asound\.conf"),
        library.exclusive(),
    ):
        pass


def test_a_broken_configuration_is_reported_with_its_file_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "asound.conf").write_text("\npcm.default { type hw card")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "asound.conf"))
    with (
        pytest.raises(DeviceLost, match=r"/asound\.conf: line 2: Unexpected char; correct"),
        library.exclusive(),
    ):
        pass


def test_an_unreadable_configuration_of_the_owner_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".asoundrc").touch()
    monkeypatch.setattr(
        os, "access", lambda path, mode: str(path).startswith(str(tmp_path)) and mode == os.F_OK
    )
    assert alsa.left_out_files({"HOME": str(tmp_path)}) == [str(tmp_path / ".asoundrc")]
    assert alsa.left_out_files({"HOME": str(tmp_path), "ALSA_CONFIG_PATH": "/etc/other.conf"}) == []


class Stream:
    """Stream that calls back until it is closed, or its card is unplugged."""

    def __init__(
        self, audio: "StaleAudio", name: str, callback: Callable[..., object], silence: bytes | None
    ) -> None:
        self._audio = audio
        self._name = name
        self._callback = callback
        self._silence = silence
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start_stream(self) -> None:
        self._thread.start()

    def get_output_latency(self) -> float:
        return 0.02

    def close(self) -> None:
        self._closed.set()
        self._thread.join()
        self._audio.terminate()

    def _run(self) -> None:
        while self._name in StaleAudio.present and not self._closed.wait(0.01):
            self._callback(self._silence, 480, {}, 0)


class StaleAudio:
    """PyAudio with PortAudio's list, which is made for the first user and kept until the last has gone."""

    present: ClassVar[list[str]]
    sysfs: ClassVar[Path]
    listed: ClassVar[list[str]]
    users: ClassVar[int]

    @classmethod
    def plug(cls, *names: str, told: bool = True) -> None:
        """Have exactly these devices. `told`: whether the kernel's list shows them, too."""
        cls.present = list(names)
        for number in range(2) if told else ():
            pull(cls.sysfs, number)
        for number, name in enumerate(names if told else ()):
            plug(cls.sysfs, number, name[:3], "0c" if name == MICROPHONE else "0p")

    def __init__(self) -> None:
        if StaleAudio.users == 0:
            StaleAudio.listed = list(self.present)
        StaleAudio.users += 1

    def terminate(self) -> None:
        StaleAudio.users -= 1

    def get_device_count(self) -> int:
        return len(self.listed)

    def get_device_info_by_index(self, index: int) -> dict[str, object]:
        name = self.listed[index]
        ways = {"maxInputChannels": int(name == MICROPHONE), "maxOutputChannels": int(name == SPEAKER)}
        return {"index": index, "name": f"{name} (hw:{index},0)", "defaultSampleRate": 48_000.0, **ways}

    def get_default_input_device_info(self) -> dict[str, object]:
        raise OSError("no default device")

    get_default_output_device_info = get_default_input_device_info

    def is_format_supported(self, rate: int, **_wish: int) -> bool:
        return rate > 0

    # `input` and `output` are the library's own names.
    def open(self, *, stream_callback: Callable[..., object], **wish: object) -> Stream:
        name = MICROPHONE if wish["input"] else SPEAKER
        if name not in self.present:
            raise OSError("No such device")
        StaleAudio.users += 1  # each stream is one more user
        return Stream(self, name, stream_callback, bytes(960) if wish["input"] else None)


@pytest.fixture
def stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[StaleAudio]:
    monkeypatch.delenv("ALSA_CONFIG_PATH", raising=False)
    monkeypatch.setattr(pyaudio, "PyAudio", StaleAudio)
    # No device can be opened, so a device outside the list is missing.
    monkeypatch.setattr(library, "probe", AlsaProbe(tmp_path, tmp_path, lambda *_: None, lambda _: ""))
    monkeypatch.setattr(StaleAudio, "sysfs", tmp_path, raising=False)
    monkeypatch.setattr(StaleAudio, "users", 0, raising=False)
    StaleAudio.plug(MICROPHONE, SPEAKER)
    return StaleAudio


class Naps(ManualClock):
    """Clock that shows whether a task sleeps, and for how long."""

    def __init__(self, news: asyncio.Event) -> None:
        super().__init__()
        self.news = news
        self.nap_s: float | None = None

    async def sleep(self, seconds: float) -> None:
        self.nap_s = seconds
        self.news.set()
        await super().sleep(seconds)
        self.nap_s = None


class Silence:
    """Source of silence that gives a sign of life at each pull."""

    def __init__(self, works: Callable[[], None]) -> None:
        self._works = works
        self._loop = asyncio.get_running_loop()

    def pull(self, byte_count: int) -> bytes:
        self._loop.call_soon_threadsafe(self._works)
        return bytes(byte_count)


async def test_a_replugged_card_is_used_in_time_and_the_other_card_is_never_lost(
    stale: type[StaleAudio], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    told, others, news = list[Event](), list[Event](), asyncio.Event()

    def into(events: list[Event]) -> Callable[[Event], None]:
        def post(event: Event) -> None:
            events.append(event)
            news.set()

        return post

    async def until(holds: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not holds():
                news.clear()
                await news.wait()

    clock = Naps(news)
    listening = DeviceSupervisor("microphone", clock, into(told), device=Device.MICROPHONE)
    playing = DeviceSupervisor("speaker", SystemClock(), into(others), device=Device.SPEAKER)
    microphone, speaker = PortAudioMicrophone("Mic"), PortAudioSpeaker("Spk")
    async with running(
        playing.use(lambda: speaker.play(Silence(playing.note_alive))),
        listening.use(lambda: microphone.capture(lambda _frame: listening.note_alive())),
    ):
        await until(lambda: told and others)
        for times in (1, 2, 3):
            stale.plug(SPEAKER)
            while clock.nap_s != RETRY_S:
                await until(lambda: clock.nap_s is not None)
                nap_s = clock.nap_s
                if nap_s is not None and nap_s < RETRY_S:
                    await clock.advance(nap_s)
            stale.plug(SPEAKER, MICROPHONE)
            back_at = clock.now()
            while listening.away:
                await until(lambda: clock.nap_s is not None or not listening.away)
                await clock.advance(clock.nap_s or 0.0)
            assert clock.now() - back_at < BACK_WITHIN_S
            assert told == [DeviceCame(Device.MICROPHONE)] + times * [
                DeviceGone(Device.MICROPHONE, "Mic"),
                DeviceCame(Device.MICROPHONE),
            ]
    assert others == [DeviceCame(Device.SPEAKER)]
    assert {record.getMessage().partition(",")[0] for record in caplog.records} == {"microphone lost"}


async def test_an_incomplete_list_is_made_again_at_the_next_opening(
    stale: type[StaleAudio], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Devices of a sound server: the kernel's list does not have them, but ALSA can open them.
    def open_error(name: str, _direction: Direction) -> int:
        return 0 if name == "Mic" and MICROPHONE in stale.present else errno.ENOENT

    monkeypatch.setattr(library, "probe", dataclasses.replace(library.probe, open_error=open_error))

    def listen() -> Coroutine[Any, Any, object]:
        return PortAudioMicrophone("Mic").capture(lambda _frame: listens.set())

    def play() -> asyncio.Task[object]:
        plays.clear()
        return asyncio.create_task(PortAudioSpeaker("Spk").play(Silence(plays.set)))

    plays, listens = asyncio.Event(), asyncio.Event()
    async with asyncio.timeout(60):
        for _ in range(2):
            stale.plug(SPEAKER, told=False)
            playing = play()
            await plays.wait()
            with pytest.raises(DeviceLost, match="no device has this name") as absent:
                await listen()
            assert not absent.value.again, "it is missing, so a new list would not have it"

            stale.plug(SPEAKER, MICROPHONE, told=False)
            with pytest.raises(DeviceLost, match="no device has this name") as unlisted:
                await listen()
            with pytest.raises(DeviceLost, match="listed again") as given_up:
                await playing
            assert unlisted.value.again
            assert given_up.value.again

            listens.clear()
            listening = asyncio.create_task(listen())
            await listens.wait()
            listening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await listening


async def test_a_number_that_now_belongs_to_another_card_is_not_opened(stale: type[StaleAudio]) -> None:
    plays = asyncio.Event()
    playing = asyncio.create_task(PortAudioSpeaker("Spk").play(Silence(plays.set)))
    async with asyncio.timeout(60):
        await plays.wait()
        plug(stale.sysfs, 0, "Other", "0c")
        with pytest.raises(DeviceLost, match="card 0 was plugged in or unplugged") as moved:
            await PortAudioMicrophone("Mic").capture(lambda _: None)
        assert moved.value.again
        with pytest.raises(DeviceLost, match="listed again"):
            await playing


async def test_a_card_is_found_by_its_id_although_proc_is_hidden(stale: type[StaleAudio]) -> None:
    heard = asyncio.Event()
    listening = asyncio.create_task(PortAudioMicrophone("hw:CARD=Mic,DEV=0").capture(lambda _: heard.set()))
    async with asyncio.timeout(60):
        await heard.wait()
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
