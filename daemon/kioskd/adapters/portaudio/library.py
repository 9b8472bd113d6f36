"""PortAudio's one state in this process: its list of devices, who uses it, and when to make it again.

What PortAudio is like, and what follows (seen with PortAudio 19.6, PyAudio 0.2.13 and 0.2.14):
- The list of devices is made when the first user initialises, and stays until the last one terminates. Each stream
  initialises and terminates for itself. When a device is not to be had although the list seems out of date, the other
  streams are given up (DeviceLost, to be opened again at once), and the next opening gets a fresh list.
- Initialising, opening, closing and terminating are not thread-safe: one lock around all of them.
- It has ALSA write a line to descriptor 2 for each underrun: thousands an hour on a busy machine, were they not kept back.
- When a device is pulled, PortAudio's own thread prints some lines ("Expression '...' failed"), and `stderr` keeps
  them back.
- Behind ALSA may be a sound server, whose death must not hang the closing: `pulse.share_no_memory`.
- It ends the process by an assertion where ALSA's configuration has no `default`: `alsa.config_fault` looks before.
- A card that goes between its opening and its start leaves a mutex locked: the opening hangs. On a machine so slow that
  the start takes over a second, PortAudio aborts (PaUnixMutex_Terminate in pa_unix_util.c). The first ends in DeviceStuck;
  of the second `stderr` keeps the words for the next process.
- It knows cards by their numbers. A number may be another card's by the time that the list is used, so each is compared
  with what the kernel had when the list was made.
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
"""More than an opening and a closing that hang may take: their own threads tell of it first, and end the process."""

_FUTILE_S: Final = 60.0
"""A fresh list that did not have a wanted device either is not made again for its sake before that."""


class PendingStream(Protocol):
    """A stream that is to be opened."""

    direction: Direction
    thread: DeviceThread
    """The thread that owns it."""

    def open(self, audio: pyaudio.PyAudio, device: SoundDevice) -> pyaudio.Stream:
        """Open and start `device`. DeviceLost: it cannot be opened now."""


class PortAudioLibrary:
    """PortAudio. Nothing is initialised before the first use."""

    def __init__(self) -> None:
        self.probe = AlsaProbe()
        """Asks the kernel and ALSA of this machine."""
        self._lock = threading.Lock()
        self._users: list[PendingStream] = []
        self._cards: Mapping[int, Card] = {}
        """The kernel's, when the list was made."""
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
        """Yield `device` opened by `user`, and close it. DeviceLost: it is not there, or cannot be opened now."""
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
        """Return what the kernel has and the list has not: with a name for the YAML, and why. Within `exclusive` only."""
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
                or "PortAudio finds no way to use it; try another program: arecord, aplay",
            )
            for pcm in sound_cards.pcms(self.probe.sysfs)
            if pcm.card in cards and ((pcm.card, pcm.pcm), pcm.direction) not in known
        ]

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=_LOCK_S):
            raise DeviceLost(f"the sound system has been busy for {_LOCK_S:.0f} s: it hangs; restart kioskd")
        try:
            with captured("sound"):
                # Only inside: another stream's underrun would be printed in between.
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
            # Those who use it already have loaded a configuration that works.
            if fault := alsa.config_fault(os.environ):
                raise DeviceLost(fault)
            for path in set(alsa.left_out_files(os.environ)) - self._left_out:
                self._left_out.add(path)
                log.warning("%s is left out, it cannot be read; have it be readable by everybody", path)
            self._cards = self._kernel_cards()
        try:
            return pyaudio.PyAudio()
        except OSError as error:
            raise DeviceLost(f"the sound system cannot be used: {error}; see what `aplay -l` says") from error

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
                            f"{other.thread.name}: given up, so that the sound devices are listed afresh",
                            device=other.thread.device,
                            again=True,
                        )
                    )
            elif any(user.thread.quitting for user in self._users):
                # The list stays as it is until they are gone, given up for our sake perhaps.
                error.again = True
            elif not error.listed and (why := self.probe.why_unlisted(device, user.direction)):
                raise DeviceLost(f"{user.thread.name}: {why}", device=device) from error
            raise

    def _check_card_number(self, found: SoundDevice, thread: DeviceThread) -> None:
        """Raise DeviceLost where the number belongs to another card than when the list was made."""
        if found.address is None:
            return
        number = found.address[0]
        if self._cards.get(number) != self._kernel_cards().get(number):
            raise DeviceLost(
                f"{thread.name}: card {number} was pulled or put in since the sound devices were listed; "
                "they are listed afresh",
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
    """Return PortAudio's list, as old as it is."""
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


def _print_alsa_errors(aloud: bool) -> None:
    """Have ALSA write its complaints to descriptor 2, or nowhere."""
    if (asound := alsa.library()) is not None:
        # What is called instead is C, and not ours: it comes from a thread that must not wait for Python. getpid(2)
        # looks at no argument and changes nothing.
        nothing = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p)
        asound.snd_lib_error_set_handler(None if aloud else nothing)


library: Final = PortAudioLibrary()
"""There is one PortAudio in a process, so there is one of these."""
