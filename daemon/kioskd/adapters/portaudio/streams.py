"""Microphone and speaker by PyAudio over PortAudio over ALSA.

A lost device stops its callbacks, and gives no other sign. Blocking calls to it hang, and closing it during
one crashes. So streams use callbacks only, and each has one thread that opens, watches and closes it
(`device_thread`). Devices are found by name (`devices`) in a list that is renewed if needed (`library`). They
are opened in the first format that they accept (`formats`).
"""

import collections
import ctypes
import functools
import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Literal, NoReturn

import pyaudio

from kioskd.adapters.portaudio.device_thread import DeviceThread
from kioskd.adapters.portaudio.devices import DEFAULT, Direction, SoundDevice
from kioskd.adapters.portaudio.formats import SampleType, SoundFormat, candidates
from kioskd.adapters.portaudio.keepalive_noise import KeepaliveNoise
from kioskd.adapters.portaudio.library import library, listed
from kioskd.adapters.portaudio.sound_cards import Output, Pcm
from kioskd.adapters.portaudio.stale_audio_filter import StaleAudioFilter
from kioskd.errors import DeviceLost
from kioskd.media import pcm
from kioskd.ports import GROUP_FRAMES, AudioSource

if TYPE_CHECKING:
    from kioskd.media.resample import Resampler

log = logging.getLogger(__name__)

BACKLOG_FRAMES: Final = 5000 // pcm.FRAME_MS

_PR_SET_NAME: Final = 15  # linux/prctl.h

_CHOOSING_S: Final = 3.0
"""Seconds after which no more formats are tried: each try takes PortAudio a second if the card is busy."""

PROVE_EVERY_S: Final = 60.0
"""Seconds after which a paused sound server has to prove that it still plays."""

PROVING_PERIODS: Final = 50
"""Periods of silence (0.5 s) that it plays then: more than it can take if it hangs."""

_LEAD_PERIODS: Final = 2
"""Periods of silence with which a device begins again after a pause: its buffer is not empty then when the
first sound comes."""

_REFUSALS: Final = frozenset(
    {pyaudio.paInvalidSampleRate, pyaudio.paInvalidChannelCount, pyaudio.paSampleFormatNotSupported}
)
"""PortAudio's error codes that can only mean the format."""

_PORTAUDIO: Final[Mapping[SampleType, int]] = {
    "int16": pyaudio.paInt16,
    "int32": pyaudio.paInt32,
    "float32": pyaudio.paFloat32,
    "int24": pyaudio.paInt24,
}


class PortAudioMicrophone:
    """Capture device by name; a `ports.Microphone`.

    It accepts any rate, format and number of channels that the device offers. Old sound, which comes in a
    burst after a standstill, is dropped (`stale_audio_filter`).
    """

    def __init__(self, device: str = DEFAULT, channel: int | None = None) -> None:
        """Set the device's name (see `devices.find`), without opening it.

        `channel`: the channel to use, counted from 1; None for the average of all.
        """
        self.urgent = True
        """See `ports.Microphone`."""
        self.overflows = 0
        """Number of callbacks before which the device dropped sound."""
        self.dropped_frames = 0
        """Number of frames dropped, oldest first, because the loop did not take them for 5 s."""
        self._device = device
        self._channel = channel

    async def capture(self, sink: Callable[[bytes], None]) -> NoReturn:
        """Pass each frame to `sink` until cancelled, or until `sink` raises; see `ports.Microphone`."""
        await _Capture(self, self._device, self._channel, sink).run()


class PortAudioSpeaker:
    """Playback device by name; a `ports.Speaker`. All its channels play the same sound.

    Between replies it plays noise at the last bit (see `keepalive_noise`). Otherwise an amplifier or USB
    speaker may fall asleep, and lose the first syllable of the next reply. For the same reason not every
    device pauses.
    """

    def __init__(self, device: str = DEFAULT, asleep: Literal["auto", "pause", "play"] = "auto") -> None:
        """Set the device's name (see `devices.find`), without opening it.

        `asleep`: whether `pause` has an effect; `auto`: it has, unless a thing behind the device may fall
        asleep without a signal.
        """
        self.latency_s = 0.0
        """Seconds from `pull` to the air: the device's buffer, and the resampler's delay if one is used."""
        self.underflows = 0
        """Number of callbacks before which the device ran out of sound."""
        self.asleep: Final = asleep
        self._device = device
        self._playback: _Playback | None = None

    async def play(self, source: AudioSource) -> NoReturn:
        """Play from `source` until cancelled, or until `source` raises an error; see `ports.Speaker`."""
        self._playback = _Playback(self, self._device, source)
        try:
            await self._playback.run()
        finally:
            self._playback = None

    def pause(self) -> bool:
        """Stop to pull until `resume`, if the device may be silent; see `ports.Speaker`."""
        return self._playback is not None and self._playback.pause()

    def resume(self) -> None:
        """Pull again; see `ports.Speaker`."""
        if self._playback is not None:
            self._playback.thread.resume()


def list_devices() -> tuple[list[SoundDevice], list[tuple[Pcm, str, str]]]:
    """Return PortAudio's devices, and the kernel's others with their names and their faults.

    Blocks for up to some seconds. DeviceLost: the sound system cannot be used at all.
    """
    with library.exclusive() as audio:
        devices = listed(audio)
        return devices, library.unlisted(devices)


class _Stream:
    """One use of a device, in either direction."""

    direction: Direction
    rate_hz: int
    period_ms: int
    """Time that the device gives or takes with each callback."""

    def __init__(self, device: str, channel: int | None = None) -> None:
        self.thread = DeviceThread(f"{self.direction.value} {device!r}", device)
        self._device = device
        self._channel = channel

    async def run(self) -> NoReturn:
        await self.thread.run(lambda: library.stream(self, self._device))

    def prepare(self, form: SoundFormat) -> None:
        """Prepare for a device of this format, before the first callback. Called once for each try."""
        raise NotImplementedError

    def ready(self, stream: pyaudio.Stream) -> None:
        """Read facts from the opened stream. Called before it starts, so before the first callback."""

    def serve(self, data: bytes, frames: int, flags: int) -> bytes | None:
        """Take the device's sound, or return sound for it. Runs in PortAudio's thread."""
        raise NotImplementedError

    def open(self, audio: pyaudio.PyAudio, device: SoundDevice) -> pyaudio.Stream:
        """Open and start `device` in the best format that it accepts. DeviceLost: it cannot be opened."""
        began = time.monotonic()
        refused, tried = "it has no channels", 0
        for form in candidates(device, self.direction, self.rate_hz, self._channel):
            stream, refused, tried = *self._try_twice(audio, device, form), tried + 1
            took_s = time.monotonic() - began
            if stream is not None:
                log.info(
                    "%s open: name=%r format=%s took=%.2fs", self.thread.name, device.full_name, form, took_s
                )
                return stream
            if took_s > _CHOOSING_S:
                break
        what = self.direction.value
        raise self._cannot_open(
            device,
            f"it rejects all {tried} formats that were tried: {refused}; set {what}.device to another device",
        )

    def _try_twice(
        self, audio: pyaudio.PyAudio, device: SoundDevice, form: SoundFormat, *, twice: bool = True
    ) -> tuple[pyaudio.Stream | None, str]:
        """Return the stream, or None and the reason why the device rejects this format.

        PortAudio uses the same codes for a bad format and for a card that is busy, gone or not ready. So ALSA
        is asked whether the device can be opened at all (DeviceLost: it cannot). It may have become ready in
        between, so with `twice` the format is tried again, unless the code can only mean the format.
        """
        try:
            return self._open_format(audio, device, form), ""
        except (OSError, ValueError) as error:
            if why := library.probe.why_closed(device, self.direction):
                raise self._cannot_open(device, why) from error
            if twice and _REFUSALS.isdisjoint(error.args):
                return self._try_twice(audio, device, form, twice=False)
            return None, " ".join(word for word in error.args if isinstance(word, str))

    def _cannot_open(self, device: SoundDevice, why: str) -> DeviceLost:
        said = f"{self.thread.name}: {device.full_name!r} cannot be opened: {why}"
        return DeviceLost(said, listed=True, device=self._device)

    def _open_format(self, audio: pyaudio.PyAudio, device: SoundDevice, form: SoundFormat) -> pyaudio.Stream:
        capturing = self.direction is Direction.IN
        which, samples = ("input" if capturing else "output"), _PORTAUDIO[form.samples]
        wish = {
            f"{which}_device": device.index,
            f"{which}_channels": form.channels,
            f"{which}_format": samples,
        }
        audio.is_format_supported(form.rate_hz, **wish)
        self.prepare(form)
        stream = audio.open(
            rate=form.rate_hz,
            channels=form.channels,
            format=samples,
            input=capturing,
            output=not capturing,
            input_device_index=device.index if capturing else None,
            output_device_index=None if capturing else device.index,
            # PyAudio has no parameter for latency; this is the nearest to it.
            frames_per_buffer=form.rate_hz * self.period_ms // 1000,
            stream_callback=self._callback,
            start=False,
        )
        try:
            self.ready(stream)
            stream.start_stream()
        except BaseException:
            stream.close()
            raise
        return stream

    def _callback(
        self, data: bytes | None, frames: int, _times: Mapping[str, float], flags: int
    ) -> tuple[bytes | None, int]:
        if self.thread.calls == 0:
            _keep_thread_state()
            _name_thread(self.direction.value)
        self.thread.calls += 1
        try:
            return self.serve(data or b"", frames, flags), pyaudio.paContinue
        except BaseException as error:  # noqa: BLE001 - PyAudio would print it and stop; `run` raises it
            self.thread.lose(error)
            return None, pyaudio.paAbort


def _keep_thread_state() -> None:
    """Make Python keep its state for the calling thread, which is PortAudio's.

    Otherwise Python creates and deletes that state at each callback. With two streams that is 150 times a
    second, and costs 0.4 s of CPU a minute on a desktop. Each opening of a device leaks a few hundred bytes
    here.
    """
    ctypes.pythonapi.PyGILState_Ensure()


def _name_thread(name: str) -> None:
    """Give the calling thread, which is PortAudio's, a name of at most 15 bytes that `top -H` shows."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)


class _Capture(_Stream):
    direction = Direction.IN
    rate_hz = pcm.UPLINK_HZ
    period_ms = pcm.FRAME_MS

    def __init__(
        self, owner: PortAudioMicrophone, device: str, channel: int | None, sink: Callable[[bytes], None]
    ) -> None:
        super().__init__(device, channel)
        self._owner = owner
        self._sink = sink
        self._convert: Resampler | None = None
        self._remainder = b""
        """Sound after the last whole frame. Most devices give whole frames, and leave nothing."""
        self._frames: collections.deque[bytes] = collections.deque(maxlen=BACKLOG_FRAMES)
        self._delivery_scheduled = False
        self._stale_filter = StaleAudioFilter()
        self._device_hz = pcm.UPLINK_HZ

    def prepare(self, form: SoundFormat) -> None:
        self._device_hz = form.rate_hz
        self._convert = None
        self._remainder = b""
        if form != SoundFormat(pcm.UPLINK_HZ, 1, "int16"):
            # Imported only if needed: it brings numpy, which takes 70 ms and 12 MB.
            from kioskd.media.resample import Resampler, SampleFormat  # noqa: PLC0415

            self._convert = Resampler(
                form.rate_hz,
                pcm.UPLINK_HZ,
                channels=form.channels,
                channel=self._channel,
                sample_format=SampleFormat(form.samples),
            )
            # The first output is short by the filter's delay. Filled up, each period ends where a frame ends,
            # and no sound waits for the next period.
            self._remainder = bytes(pcm.byte_count(self._convert.delay_s, pcm.UPLINK_HZ) % pcm.FRAME_BYTES)

    def serve(self, data: bytes, frames: int, flags: int) -> None:
        if flags:
            self._owner.overflows += 1
        if self.thread.quitting or self._is_old(frames):
            return
        sound = self._convert.process(data) if self._convert else data
        if self._remainder:
            sound = self._remainder + sound
        if len(sound) == pcm.FRAME_BYTES:
            self._remainder = b""
            self._take(sound)
            return
        whole = len(sound) - len(sound) % pcm.FRAME_BYTES
        self._remainder = sound[whole:]
        for start in range(0, whole, pcm.FRAME_BYTES):
            self._take(sound[start : start + pcm.FRAME_BYTES])

    def _take(self, frame: bytes) -> None:
        if len(self._frames) == BACKLOG_FRAMES:
            self._owner.dropped_frames += 1
        self._frames.append(frame)
        if not self._delivery_scheduled and (self._owner.urgent or len(self._frames) >= GROUP_FRAMES):
            self._delivery_scheduled = True
            self.thread.call_in_loop(self._deliver)

    def _is_old(self, frames: int) -> bool:
        dropping = self._stale_filter.dropping
        old = self._stale_filter.is_old(time.monotonic(), frames / self._device_hz)
        if dropping and not self._stale_filter.dropping:
            stood_s, dropped_s = self._stale_filter.gap_s, self._stale_filter.dropped_s
            say = "%s stood still, old sound dropped: stood=%.1fs dropped=%.1fs"
            self.thread.call_in_loop(
                functools.partial(log.warning, say, self.thread.name, stood_s, dropped_s)
            )
        return old

    def _deliver(self) -> None:
        # Cleared before the frames are taken, so that a frame that comes meanwhile schedules another call.
        self._delivery_scheduled = False
        while self._frames and not self.thread.quitting:
            try:
                self._sink(self._frames.popleft())
            except BaseException as error:  # noqa: BLE001 - the loop would only log it; `run` raises it
                self.thread.lose(error)
                return


class _Playback(_Stream):
    direction = Direction.OUT
    rate_hz = pcm.DOWNLINK_HZ
    period_ms = pcm.PERIOD_MS

    def __init__(self, owner: PortAudioSpeaker, device: str, source: AudioSource) -> None:
        super().__init__(device)
        self._owner = owner
        self._source = source
        self._pull = source.pull
        self._delay_s = 0.0
        self._frame_bytes = pcm.SAMPLE_BYTES
        self._keepalive: KeepaliveNoise | None = None
        self._output: Output | None = None
        self._pausable = False
        self._buffered_periods = 0
        self._unheard_periods = 0
        """Periods of silence that are still to be given after a pause."""
        self._proving_periods = 0
        """Periods that are still to be played before the next pause."""

    def open(self, audio: pyaudio.PyAudio, device: SoundDevice) -> pyaudio.Stream:
        """Open and start `device`, and learn whether it may pause; see `_Stream.open`."""
        asleep = self._owner.asleep
        # Asked before the opening, as most cards can be opened once only.
        output = None if asleep == "play" else library.probe.output(device)
        stream = super().open(audio, device)
        if output is not None:
            self._output = output
            self.thread.is_there = functools.partial(library.probe.is_there, output)
        self._pausable = asleep == "pause" or (output is not None and not output.needs_signal)
        return stream

    def pause(self) -> bool:
        """Pause, if the device may. Return whether it may."""
        if self._pausable:
            self.thread.pause()
        return self._pausable

    def prepare(self, form: SoundFormat) -> None:
        self._delay_s = 0.0
        self._pull = self._source.pull
        self._keepalive = KeepaliveNoise(form)
        self._frame_bytes = pyaudio.get_sample_size(_PORTAUDIO[form.samples]) * form.channels
        if form != SoundFormat(pcm.DOWNLINK_HZ, 1, "int16"):
            from kioskd.media.resample import ResampledSource, SampleFormat  # noqa: PLC0415 - as above

            resampled = ResampledSource(self._source, form.rate_hz, form.channels, SampleFormat(form.samples))
            self._pull, self._delay_s = resampled.pull, resampled.delay_s

    def ready(self, stream: pyaudio.Stream) -> None:
        latency_s = stream.get_output_latency()
        self._owner.latency_s = latency_s + self._delay_s
        self._buffered_periods = math.ceil(latency_s / pcm.PERIOD_S) + 1

    def serve(self, data: bytes, frames: int, flags: int) -> bytes:
        size = frames * self._frame_bytes
        if self.thread.quitting or self._keepalive is None:
            # A lost device asks for sound until it is closed; that sound would never be heard.
            return bytes(size)
        if self._unheard_periods:
            self._unheard_periods = (_LEAD_PERIODS if flags else self._unheard_periods) - 1
            return bytes(size)
        if flags:
            self._owner.underflows += 1
        if self.thread.paused:
            self._pause()
            return bytes(size)
        return self._keepalive.fill(self._pull(size))

    def _pause(self) -> None:
        """Wait in the callback: the device plays what it has, and stands still then.

        PortAudio lets a device that has run dry begin again before a later callback, and sets a flag then. It
        drops the sound of this callback, and of those that it makes at once to fill the buffer. So silence
        is given until the flag comes, or the buffer would be full without it.
        """
        if self._proving_periods:
            self._proving_periods -= 1
            return
        # A card that goes away is seen in the kernel's list. A sound server has to be asked for a sound.
        card = None if self._output is None else self._output.card
        self.thread.wait_while_paused(PROVE_EVERY_S if card is None else None)
        self._unheard_periods = self._buffered_periods
        self._proving_periods = PROVING_PERIODS
