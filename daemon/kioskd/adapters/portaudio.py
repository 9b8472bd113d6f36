"""Microphone and speaker by PyAudio over PortAudio over ALSA.

What PortAudio is like, and what follows (seen with PortAudio 19.6, PyAudio 0.2.13 and 0.2.14):
- A lost device only stops calling back; blocking calls to it hang, and closing it under one crashes. So: callbacks
  only, and one thread for each stream, which opens, watches and closes it (`portaudio_thread`).
- The list of devices is made when the first user initialises, and stays until the last one terminates. Each stream
  initialises and terminates for itself; when a device is not to be had and the kernel's cards have changed since, the
  other streams are given up (DeviceLost), and whoever opens next gets a fresh list.
- Initialising, opening, closing and terminating are not thread-safe: one lock around all of them.
"""

import collections
import contextlib
import ctypes
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import pyaudio

from kioskd.adapters import portaudio_devices as naming
from kioskd.adapters.portaudio_devices import Direction, SoundDevice
from kioskd.adapters.portaudio_thread import DeviceThread
from kioskd.adapters.stderr import captured
from kioskd.errors import DeviceLost
from kioskd.media import pcm
from kioskd.ports import Source

if TYPE_CHECKING:
    from kioskd.media.resample import Resampler

log = logging.getLogger(__name__)

_LOCK_S: Final = 5.0
_BACKLOG_FRAMES: Final = 5000 // pcm.FRAME_MS
_MOST_CHANNELS: Final = 32


class PortAudioMicrophone:
    """A capture device by its name; a `ports.Microphone`."""

    def __init__(self, device: str = naming.DEFAULT) -> None:
        """Name the device (see `portaudio_devices.find`); nothing is opened yet."""
        self.overflows = 0
        """Callbacks before which the device had dropped sound."""
        self.dropped_frames = 0
        """Frames dropped because the loop did not take them for 5 s (the oldest go first)."""
        self._device = device

    async def capture(self, sink: Callable[[bytes], None]) -> NoReturn:
        """Open the device and hand each frame to `sink` until cancelled; see `ports.Microphone`.

        An error that `sink` raises ends the capture, and is raised here.
        """
        await _Capture(self, self._device, sink).run()


class PortAudioSpeaker:
    """A playback device by its name; a `ports.Speaker`."""

    def __init__(self, device: str = naming.DEFAULT) -> None:
        """Name the device (see `portaudio_devices.find`); nothing is opened yet."""
        self.latency_s = 0.0
        """Seconds from a `pull` to the air: the device's own buffer and, where the rate differs, the resampler's."""
        self.underflows = 0
        """Callbacks before which the device had run dry."""
        self._device = device

    async def play(self, source: Source) -> NoReturn:
        """Open the device and play from `source` until cancelled; see `ports.Speaker`.

        An error that `source` raises ends the playing, and is raised here.
        """
        await _Playback(self, self._device, source).run()


def list_devices() -> list[SoundDevice]:
    """Return what PortAudio sees now. Blocks for up to some seconds.

    Raises:
        DeviceLost: the sound system cannot be used at all.
    """
    with _library.alone() as audio:
        return _listed(audio)


class _Stream:
    """One use of a device, whichever way the sound goes."""

    direction: Direction
    rate_hz: int

    def __init__(self, device: str) -> None:
        self.thread = DeviceThread(f"{self.direction.value} {device!r}")
        self._device = device

    async def run(self) -> NoReturn:
        await self.thread.run(lambda: _library.stream(self, self._device))

    def prepare(self, rate_hz: int, channels: int) -> None:
        """Get ready for a device of this rate and these channels; before the first callback."""
        raise NotImplementedError

    def serve(self, data: bytes, frames: int, flags: int) -> bytes | None:
        """Take what the device gives, return what it wants; in its own thread."""
        raise NotImplementedError

    def open(self, audio: pyaudio.PyAudio, device: SoundDevice) -> pyaudio.Stream:
        """Open and start `device` in the best format that it takes.

        Raises:
            DeviceLost: it takes none, or cannot be opened now.
        """
        began = time.monotonic()
        capturing = self.direction is Direction.IN
        try:
            rate_hz, channels = self._choose(audio, device)
            self.prepare(rate_hz, channels)
            stream = audio.open(
                rate=rate_hz,
                channels=channels,
                format=pyaudio.paInt16,
                input=capturing,
                output=not capturing,
                input_device_index=device.index if capturing else None,
                output_device_index=None if capturing else device.index,
                # The nearest to a wish for latency that PyAudio passes on.
                frames_per_buffer=rate_hz * pcm.PERIOD_MS // 1000,
                stream_callback=self._callback,
            )
        except (OSError, ValueError) as error:
            raise DeviceLost(
                f"{self.thread.name}: {device.full_name!r} cannot be opened: {error}; see that nothing else uses it"
            ) from error
        log.info(
            "%s open: name=%r rate=%d channels=%d took=%.2fs",
            *(self.thread.name, device.full_name, rate_hz, channels, time.monotonic() - began),
        )
        return stream

    def _choose(self, audio: pyaudio.PyAudio, device: SoundDevice) -> tuple[int, int]:
        """The daemon's own rate if there is a way, then the device's; few channels before many."""
        refused = ValueError("it has no channels")
        which = "input" if self.direction is Direction.IN else "output"
        most = min(device.channels(self.direction), _MOST_CHANNELS)
        for rate_hz in dict.fromkeys((self.rate_hz, device.rate_hz, 48_000, 44_100)):
            for channels in sorted({1, min(2, most), most}):
                wish = {f"{which}_device": device.index, f"{which}_channels": channels}
                try:
                    audio.is_format_supported(rate_hz, **wish, **{f"{which}_format": pyaudio.paInt16})
                except ValueError as error:
                    refused = error
                else:
                    return rate_hz, channels
        raise refused

    def _callback(
        self, data: bytes | None, frames: int, _times: Mapping[str, float], flags: int
    ) -> tuple[bytes | None, int]:
        if self.thread.calls == 0:
            _keep_thread_state()
        self.thread.calls += 1
        try:
            return self.serve(data or b"", frames, flags), pyaudio.paContinue
        except BaseException as error:  # noqa: BLE001 - PyAudio would print it and stop: run() raises it
            self.thread.lose(error)
            return None, pyaudio.paAbort


def _keep_thread_state() -> None:
    """Have Python keep what it knows of the calling thread, a thread of PortAudio's.

    It would build it for each callback, and drop it after: 200 times a second for two streams, 0.5 s of CPU a minute on
    a desk. What is never released here is a few hundred bytes for each opening of a device.
    """
    ctypes.pythonapi.PyGILState_Ensure()


class _Capture(_Stream):
    direction = Direction.IN
    rate_hz = pcm.UPLINK_HZ

    def __init__(self, owner: PortAudioMicrophone, device: str, sink: Callable[[bytes], None]) -> None:
        super().__init__(device)
        self._owner = owner
        self._sink = sink
        self._convert: Resampler | None = None
        self._pending = bytearray()
        self._frames: collections.deque[bytes] = collections.deque(maxlen=_BACKLOG_FRAMES)
        self._told = False

    def prepare(self, rate_hz: int, channels: int) -> None:
        if (rate_hz, channels) != (pcm.UPLINK_HZ, 1):
            # Imported by who needs it: it brings numpy, 70 ms and 12 MB.
            from kioskd.media.resample import Resampler  # noqa: PLC0415

            self._convert = Resampler(rate_hz, pcm.UPLINK_HZ, channels=channels)

    def serve(self, data: bytes, frames: int, flags: int) -> None:
        if flags:
            self._owner.overflows += 1
        self._pending += self._convert.process(data) if self._convert else data
        while len(self._pending) >= pcm.FRAME_BYTES:
            if len(self._frames) == _BACKLOG_FRAMES:
                self._owner.dropped_frames += 1
            self._frames.append(bytes(self._pending[: pcm.FRAME_BYTES]))
            del self._pending[: pcm.FRAME_BYTES]
            if not self._told:
                self._told = True
                self.thread.tell(self._deliver)

    def _deliver(self) -> None:
        # Lowered before the frames are taken: one that comes meanwhile calls again.
        self._told = False
        while self._frames and not self.thread.quitting:
            try:
                self._sink(self._frames.popleft())
            except BaseException as error:  # noqa: BLE001 - the loop would only log it: run() raises it
                self.thread.lose(error)
                return


class _Playback(_Stream):
    direction = Direction.OUT
    rate_hz = pcm.DOWNLINK_HZ

    def __init__(self, owner: PortAudioSpeaker, device: str, source: Source) -> None:
        super().__init__(device)
        self._owner = owner
        self._source = source
        self._delay_s = 0.0
        self._frame_bytes = pcm.SAMPLE_BYTES

    def prepare(self, rate_hz: int, channels: int) -> None:
        if (rate_hz, channels) != (pcm.DOWNLINK_HZ, 1):
            from kioskd.media.resample import ResampledSource  # noqa: PLC0415 - as above

            resampled = ResampledSource(self._source, rate_hz, channels)
            self._source, self._delay_s = resampled, resampled.delay_s
            self._frame_bytes = pcm.SAMPLE_BYTES * channels

    def open(self, audio: pyaudio.PyAudio, device: SoundDevice) -> pyaudio.Stream:
        stream = super().open(audio, device)
        self._owner.latency_s = stream.get_output_latency() + self._delay_s
        return stream

    def serve(self, data: bytes, frames: int, flags: int) -> bytes:
        if flags:
            self._owner.underflows += 1
        return self._source.pull(frames * self._frame_bytes)


class _Library:
    """PortAudio's one state in this process: who uses it, and which cards there were when its list was made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users: list[_Stream] = []
        self._cards = ""

    @contextlib.contextmanager
    def alone(self) -> Iterator[pyaudio.PyAudio]:
        """Yield the library for a short use."""
        with self._locked():
            audio = self._initialise()
            try:
                yield audio
            finally:
                audio.terminate()

    @contextlib.contextmanager
    def stream(self, user: _Stream, device: str) -> Iterator[pyaudio.Stream]:
        """Yield `device` opened by `user`; close it on the way out."""
        with self._locked():
            audio = self._initialise()
            try:
                stream = self._open(audio, user, device)
            except BaseException:
                audio.terminate()
                raise
            self._users.append(user)
        try:
            yield stream
        finally:
            with self._locked():
                self._users.remove(user)
                try:
                    stream.close()
                finally:
                    audio.terminate()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=_LOCK_S):
            raise DeviceLost(f"the sound system has been busy for {_LOCK_S:.0f} s: it hangs; restart kioskd")
        try:
            with captured("sound"):
                yield
        finally:
            self._lock.release()

    def _initialise(self) -> pyaudio.PyAudio:
        config = os.environ.get("ALSA_CONFIG_PATH")
        if config and not all(Path(path).is_file() for path in config.split(":")):
            # PortAudio ends the whole process on this, by an assertion.
            raise DeviceLost(f"ALSA_CONFIG_PATH={config}: no such file; unset it, or put the file there")
        if not self._users:
            self._cards = _kernel_cards()
        try:
            return pyaudio.PyAudio()
        except OSError as error:
            raise DeviceLost(f"the sound system cannot be used: {error}; see what `aplay -l` says") from error

    def _open(self, audio: pyaudio.PyAudio, user: _Stream, device: str) -> pyaudio.Stream:
        try:
            return user.open(audio, naming.find(_listed(audio), device, user.direction))
        except DeviceLost:
            if _kernel_cards() != self._cards:
                for other in self._users:
                    other.thread.lose(
                        DeviceLost(
                            f"{other.thread.name}: given up, so that the sound devices are listed afresh"
                        )
                    )
            raise


def _listed(audio: pyaudio.PyAudio) -> list[SoundDevice]:
    defaults: dict[Direction, object] = {}
    # OSError: there is no device of that kind at all.
    with contextlib.suppress(OSError):
        defaults[Direction.IN] = audio.get_default_input_device_info()["index"]
    with contextlib.suppress(OSError):
        defaults[Direction.OUT] = audio.get_default_output_device_info()["index"]
    return [
        SoundDevice(
            index=index,
            full_name=str(info["name"]),
            inputs=int(info["maxInputChannels"]),
            outputs=int(info["maxOutputChannels"]),
            rate_hz=int(info["defaultSampleRate"]),
            default_for=frozenset(which for which, default in defaults.items() if default == index),
        )
        for index, info in ((n, audio.get_device_info_by_index(n)) for n in range(audio.get_device_count()))
    ]


def _kernel_cards() -> str:
    try:
        return (naming.PROC / "cards").read_text(encoding="utf-8")
    except OSError:
        return ""


_library = _Library()
