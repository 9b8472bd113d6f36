"""PortAudio's one state in this process: its list of devices, their users, and when to make the list again.

Facts about PortAudio and their consequences (seen with PortAudio 19.6, PyAudio 0.2.13 and 0.2.14):
- The list of devices is made when the first user initialises PortAudio, and kept until the last one
  terminates it. Each stream does both. If a device is missing from an old list, all other streams are ended
  (DeviceLost, and opened again at once). The next opening then gets a new list.
- Initialising, opening, closing and terminating are not thread-safe: one lock covers all of them.
- Through ALSA, it prints a line to descriptor 2 for each underrun: thousands an hour on a busy machine. They
  are suppressed here.
- When a device is unplugged, PortAudio's own thread prints some lines ("Expression '...' failed"); `stderr`
  catches them.
- Behind ALSA there may be a sound server. Its death must not hang the closing: see `pulse.share_no_memory`.
- An ALSA configuration without `default` makes it end the process by an assertion; `alsa.config_fault` checks
  first.
- If a card is unplugged between opening and start, a mutex stays locked and the opening hangs: DeviceStuck.
  If the start takes over a second on a slow machine, PortAudio aborts (PaUnixMutex_Terminate in
  pa_unix_util.c). Then `stderr` keeps its message for the next process.
- It knows cards by their numbers. A number may belong to another card when the list is used. So it is
  compared with the kernel's cards from when the list was made.
"""

import contextlib
import ctypes
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol

import pyaudio

from kioskd.adapters.portaudio import alsa, pulse, sound_cards
from kioskd.adapters.portaudio import devices as naming
from kioskd.adapters.portaudio.alsa_probe import AlsaProbe
from kioskd.adapters.portaudio.device_thread import DeviceThread
from kioskd.adapters.portaudio.devices import Direction, SoundDevice
from kioskd.adapters.portaudio.sound_cards import Card, Pcm
from kioskd.adapters.portaudio.stderr import captured
from kioskd.errors import DeviceLost

log = logging.getLogger(__name__)

_LOCK_S: Final = 15.0
"""Seconds to wait for the lock: longer than a hanging opening and closing, which end the process before."""

_FUTILE_S: Final = 60.0
"""Seconds until the list is made again for a device that was missing in a new list, too."""


class PendingStream(Protocol):
    """Stream that is about to be opened."""

    direction: Direction
    thread: DeviceThread
    """The thread that owns the stream."""

    def open(self, audio: pyaudio.PyAudio, device: SoundDevice) -> pyaudio.Stream:
        """Open and start `device`. DeviceLost: the device cannot be opened now."""


class PortAudioLibrary:
    """PortAudio in this process. It is initialised at the first use."""

    def __init__(self) -> None:
        self.probe = AlsaProbe()
        """Questions to this machine's kernel and ALSA."""
        self._lock = threading.Lock()
        self._users: list[PendingStream] = []
        self._cards: Mapping[int, Card] = {}
        """The kernel's cards when the list was made, by number."""
        self._left_out: set[str] = set()
        self._relisted: dict[tuple[str, Direction], float] = {}

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[pyaudio.PyAudio]:
        """Yield the library for a short use. DeviceLost: the sound system cannot be used at all."""
        with self._locked():
            audio = self._initialise()
            try:
                yield audio
            finally:
                audio.terminate()

    @contextlib.contextmanager
    def stream(self, user: PendingStream, device: str) -> Iterator[pyaudio.Stream]:
        """Yield `device`, opened by `user`, and close it. DeviceLost: it cannot be opened now."""
        with self._locked():
            audio = self._initialise()
            try:
                stream = self._open(audio, user, device)
            except BaseException:
                audio.terminate()
                raise
            self._users.append(user)
            self._relisted.pop((device, user.direction), None)
        try:
            yield stream
        finally:
            with self._locked():
                self._users.remove(user)
                try:
                    stream.close()
                finally:
                    audio.terminate()

    def unlisted(self, devices: Sequence[SoundDevice]) -> list[tuple[Pcm, str, str]]:
        """Return the kernel's unlisted devices, each with its name for the YAML and the reason.

        Call it within `exclusive` only.
        """
        known = {
            (device.address, direction)
            for device in devices
            for direction in Direction
            if device.channels(direction)
        }
        cards = self._kernel_cards()
        return [
            (
                pcm,
                f"hw:CARD={cards[pcm.card].id},DEV={pcm.pcm}",
                self.probe.why_pcm_closed(pcm)
                or "PortAudio cannot use it; check whether `arecord` or `aplay` can",
            )
            for pcm in sound_cards.pcms(self.probe.sysfs)
            if pcm.card in cards and ((pcm.card, pcm.pcm), pcm.direction) not in known
        ]

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=_LOCK_S):
            raise DeviceLost(f"the sound system hangs, and was busy for {_LOCK_S:.0f} s; restart kioskd")
        try:
            with captured("sound"):
                # Switched on inside the lock only; otherwise another stream's underruns would be printed.
                _print_alsa_errors(True)
                try:
                    yield
                finally:
                    _print_alsa_errors(False)
        finally:
            self._lock.release()

    def _initialise(self) -> pyaudio.PyAudio:
        if not self._users:
            pulse.share_no_memory(os.environ)
            # If a stream is open, the configuration has been loaded and works.
            if fault := alsa.config_fault(os.environ):
                raise DeviceLost(fault)
            for path in set(alsa.left_out_files(os.environ)) - self._left_out:
                self._left_out.add(path)
                log.warning(
                    "ALSA ignores %s, as kioskd may not read it; make it readable for all users", path
                )
            self._cards = self._kernel_cards()
        try:
            return pyaudio.PyAudio()
        except OSError as error:
            raise DeviceLost(
                f"the sound system cannot be used: {error}; check the cards with `aplay -l`"
            ) from error

    def _open(self, audio: pyaudio.PyAudio, user: PendingStream, device: str) -> pyaudio.Stream:
        try:
            found = naming.find(listed(audio), device, user.direction, self.probe.sysfs)
            self._check_card_number(found, user.thread)
            return user.open(audio, found)
        except DeviceLost as error:
            if self._users and self._out_of_date(device, user.direction, listed=error.listed):
                error.again = True
                for other in self._users:
                    other.thread.lose(
                        DeviceLost(
                            f"{other.thread.name}: closed, as the sound devices are listed again",
                            device=other.thread.device,
                            again=True,
                        )
                    )
            elif any(user.thread.quitting for user in self._users):
                # The list cannot change until the streams that are ending, perhaps for this one, are closed.
                error.again = True
            elif not error.listed and (why := self.probe.why_unlisted(device, user.direction)):
                raise DeviceLost(f"{user.thread.name}: {why}", device=device) from error
            raise

    def _check_card_number(self, found: SoundDevice, thread: DeviceThread) -> None:
        """Raise DeviceLost if the number belongs to another card than when the list was made."""
        if found.address is None:
            return
        number = found.address[0]
        if self._cards.get(number) != self._kernel_cards().get(number):
            raise DeviceLost(
                f"{thread.name}: sound card {number} was plugged in or unplugged since the sound devices "
                "were listed; kioskd lists them again",
                device=thread.device,
                again=True,
            )

    def _kernel_cards(self) -> dict[int, Card]:
        return sound_cards.cards(self.probe.sysfs)

    def _out_of_date(self, device: str, direction: Direction, *, listed: bool) -> bool:
        if self._kernel_cards() != self._cards:
            return True
        now, key = time.monotonic(), (device, direction)
        if listed or now - self._relisted.get(key, -_FUTILE_S) < _FUTILE_S:
            return False
        if not self.probe.can_be_opened(device, direction):
            return False
        self._relisted[key] = now
        return True


def listed(audio: pyaudio.PyAudio) -> list[SoundDevice]:
    """Return PortAudio's list, which may be out of date."""
    defaults: dict[Direction, object] = {}
    # OSError: there is no device in this direction.
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


def _print_alsa_errors(aloud: bool) -> None:
    """Let ALSA print its errors to descriptor 2, or suppress them."""
    if (asound := alsa.library()) is not None:
        # ALSA calls the handler from a thread that must not wait for Python, so it is a C function. getpid(2)
        # ignores its arguments and changes nothing.
        nothing = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p)
        asound.snd_lib_error_set_handler(None if aloud else nothing)


library: Final = PortAudioLibrary()
"""The one instance: a process has one PortAudio."""
