"""USB buttons without USB: the kernel's uinput device, and one in memory for machines without it."""

import errno
import os
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from evdev import InputEvent, UInput, ecodes
from evdev.eventio import EventIO

from kioskd.adapters.controls.evdev_inputs import ListedInput

UINPUT: Final = "/dev/uinput"
NO_UINPUT: Final = f"no {UINPUT}: needs `modprobe uinput`, and the right to write to it"


def uinput_is_possible() -> bool:
    """Return whether this machine can create an input device."""
    return os.access(UINPUT, os.W_OK)


class KernelPedal:
    """Input device that the kernel simulates."""

    def __init__(self, name: str, keys: tuple[int, ...] = (ecodes.KEY_ENTER,)) -> None:
        self.name = name
        self._device = UInput({ecodes.EV_KEY: keys}, name=name)

    def press(self, key: int = ecodes.KEY_ENTER) -> None:
        self._write(key, 1)

    def let_go(self, key: int = ecodes.KEY_ENTER) -> None:
        self._write(key, 0)

    def unplug(self) -> None:
        self._device.close()

    def close(self) -> None:
        """Remove the device, if it still exists."""
        with suppress(OSError):
            self._device.close()

    def _write(self, key: int, value: int) -> None:
        self._device.write(ecodes.EV_KEY, key, value)
        self._device.syn()


class MemoryPedal:
    """Input device in memory. Each `open` returns a real file descriptor with real `struct input_event`s.

    `open` replaces `kioskd.adapters.controls.evdev.open_device`, and `here` replaces its `inputs`.
    """

    def __init__(
        self, name: str, keys: tuple[int, ...] = (ecodes.KEY_ENTER,), path: str = "/dev/input/event7"
    ) -> None:
        self.name = name
        self.keys = keys
        self.path = path
        self.plugged = True
        self.down: set[int] = set()
        self.clients: list[MemoryKeys] = []
        self.grabber: MemoryKeys | None = None
        self.refusal: OSError | None = None
        """The kernel's error for `open`; None if it allows it."""

    def here(self) -> list[ListedInput]:
        return [ListedInput(self.path, self.name)] if self.plugged else []

    def open(self, path: str) -> "MemoryKeys":
        if path != self.path or not self.plugged:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        if self.refusal is not None:
            raise self.refusal
        client = MemoryKeys(self)
        self.clients.append(client)
        return client

    def press(self, key: int = ecodes.KEY_ENTER, at_s: float | None = None) -> None:
        self.down.add(key)
        self.send((ecodes.EV_KEY, key, 1), (ecodes.EV_SYN, ecodes.SYN_REPORT, 0), at_s=at_s)

    def let_go(self, key: int = ecodes.KEY_ENTER, at_s: float | None = None) -> None:
        self.down.discard(key)
        self.send((ecodes.EV_KEY, key, 0), (ecodes.EV_SYN, ecodes.SYN_REPORT, 0), at_s=at_s)

    def send(self, *events: tuple[int, int, int], at_s: float | None = None) -> None:
        """Send events (type, code, value), stamped by CLOCK_MONOTONIC, to the grabbing client or to all."""
        micros = time.monotonic_ns() // 1000 if at_s is None else round(at_s * 1e6)
        heard = b"".join(struct.pack("llHHi", *divmod(micros, 10**6), *event) for event in events)
        for client in [self.grabber] if self.grabber else self.clients:
            os.write(client.writer, heard)

    def unplug(self) -> None:
        self.plugged = False
        for client in self.clients:
            os.write(client.writer, b"\0")

    def replug(self) -> None:
        self.plugged = True
        self.down.clear()

    def close(self) -> None:
        for client in list(self.clients):
            client.close()


class MemoryKeys(EventIO):  # type: ignore[misc]  # evdev 1 has no types
    """Open `MemoryPedal`, read by evdev's own reader."""

    def __init__(self, pedal: MemoryPedal) -> None:
        self.fd, self.writer = os.pipe()
        os.set_blocking(self.fd, False)
        self._pedal = pedal

    def read(self) -> Iterator[InputEvent]:
        self._raise_if_gone()
        events: Iterator[InputEvent] = super().read()
        return events

    def active_keys(self) -> list[int]:
        self._raise_if_gone()
        return sorted(self._pedal.down)

    def capabilities(self) -> dict[int, list[int]]:
        return {ecodes.EV_SYN: [ecodes.SYN_REPORT], ecodes.EV_KEY: list(self._pedal.keys)}

    def grab(self) -> None:
        if self._pedal.grabber is not None:
            raise OSError(errno.EBUSY, "Device or resource busy")
        self._pedal.grabber = self

    def close(self) -> None:
        if self in self._pedal.clients:
            self._pedal.clients.remove(self)
            if self._pedal.grabber is self:
                self._pedal.grabber = None
            os.close(self.fd)
            os.close(self.writer)

    def _raise_if_gone(self) -> None:
        if not self._pedal.plugged:
            raise OSError(errno.ENODEV, "No such device")
