"""PortAudio's one state in this process: its list of devices, who uses it, and when to make it anew.

What PortAudio is like, and what follows (seen with PortAudio 19.6, PyAudio 0.2.13 and 0.2.14):
- The list of devices is made when the first user initialises, and stays until the last one terminates. Each stream
  initialises and terminates for itself. When a device is not to be had although the list seems out of date, the other
  streams are given up (DeviceLost, to be opened again at once), and whoever opens next gets a fresh list.
- Initialising, opening, closing and terminating are not thread-safe: one lock around all of them.
- It has ALSA write a line to descriptor 2 for each underrun: thousands an hour on a busy machine, were they not kept back.
- When a device is pulled, PortAudio's own thread prints three lines to descriptor 2 ("Expression '...' failed"), and they are
  left there: the function by which it could be told to be silent is hidden in the library (PaUtil_SetDebugPrintFunction),
  nobody knows beforehand when to divert the descriptor, and diverted for good it would hide what a crash has to say.
"""

import contextlib
import ctypes
import functools
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

import pyaudio

from kioskd.adapters import portaudio_devices as naming
from kioskd.adapters.portaudio_devices import Direction, SoundDevice
from kioskd.adapters.portaudio_probe import can_be_opened
from kioskd.adapters.portaudio_thread import DeviceThread
from kioskd.adapters.stderr import captured
from kioskd.errors import DeviceLost

_LOCK_S: Final = 15.0
"""More than an opening and a closing that hang may take: their own threads tell of it first, and end the process."""

_FUTILE_S: Final = 60.0
"""A fresh list that did not have a wanted device either is not made again for its sake before that."""


class User(Protocol):
    """A stream to be."""

    @property
    def direction(self) -> Direction:
        """Which way the sound goes."""

    @property
    def thread(self) -> DeviceThread:
        """Who owns it."""

    def open(self, audio: pyaudio.PyAudio, device: SoundDevice) -> pyaudio.Stream:
        """Open and start `device`.

        Raises:
            DeviceLost: it cannot be opened now.
        """


class Library:
    """PortAudio, for whoever needs it."""

    def __init__(self) -> None:
        """Initialise nothing yet."""
        self._lock = threading.Lock()
        self._users: list[User] = []
        self._cards = ""
        self._relisted: dict[tuple[str, Direction], float] = {}

    @contextlib.contextmanager
    def alone(self) -> Iterator[pyaudio.PyAudio]:
        """Yield the library for a short use.

        Raises:
            DeviceLost: the sound system cannot be used at all.
        """
        with self._locked():
            audio = self._initialise()
            try:
                yield audio
            finally:
                audio.terminate()

    @contextlib.contextmanager
    def stream(self, user: User, device: str) -> Iterator[pyaudio.Stream]:
        """Yield `device` opened by `user`; close it on the way out.

        Raises:
            DeviceLost: it is not there, or cannot be opened now.
        """
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

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=_LOCK_S):
            raise DeviceLost(f"the sound system has been busy for {_LOCK_S:.0f} s: it hangs; restart kioskd")
        try:
            _let_alsa_speak(True)
            with captured("sound"):
                yield
        finally:
            _let_alsa_speak(False)
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

    def _open(self, audio: pyaudio.PyAudio, user: User, device: str) -> pyaudio.Stream:
        try:
            return user.open(audio, naming.find(listed(audio), device, user.direction))
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
            raise

    def _out_of_date(self, device: str, direction: Direction, *, listed: bool) -> bool:
        if _kernel_cards() != self._cards:
            return True
        now, key = time.monotonic(), (device, direction)
        if listed or now - self._relisted.get(key, -_FUTILE_S) < _FUTILE_S:
            return False
        if not can_be_opened(device, direction):
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


def _let_alsa_speak(aloud: bool) -> None:
    """Have ALSA write its complaints to descriptor 2, or nowhere."""
    if (alsa := _alsa()) is not None:
        # What is called instead is C, and not ours: it comes from a thread that must not wait for Python. getpid(2)
        # looks at no argument and changes nothing.
        nothing = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p)
        alsa.snd_lib_error_set_handler(None if aloud else nothing)


@functools.cache
def _alsa() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL("libasound.so.2")
    except OSError:  # a PortAudio without it
        return None


def _kernel_cards() -> str:
    try:
        return (naming.PROC / "cards").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


library: Final = Library()
"""There is one PortAudio in a process, so there is one of these."""
