"""Buttons that are keys of a USB device (pedals, presenters, arcade buttons), and readers that type lines.

No other module imports evdev. The daemon grabs a device (EVIOCGRAB), so that none of its keys reaches a
console. The kernel allows one grab per device, so a reader and all buttons on one device share it.
"""

import asyncio
import difflib
import errno
import fcntl
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol

from kioskd.adapters.controls.evdev_inputs import ListedInput, inputs, pick
from kioskd.adapters.controls.typed_lines import KeyboardLayout, TypedLines, known_keys
from kioskd.errors import ConfigError, DeviceLost
from kioskd.ports import Edge

EVIOCSCLOCKID: Final = 0x400445A0
"""_IOW('E', 0xa0, int) of linux/input.h: selects the clock that stamps the events."""


class InputEvent(Protocol):
    """One `struct input_event`, as in `evdev.InputEvent`."""

    type: int
    code: int
    value: int

    def timestamp(self) -> float:
        """Return the time of the event, in seconds."""


class OpenInput(Protocol):
    """Open input device, as in `evdev.InputDevice`."""

    @property
    def fd(self) -> int:
        """Non-blocking file descriptor: readable when an event waits, and when the device is gone."""

    def read(self) -> Iterable[InputEvent]:
        """Return the waiting events. BlockingIOError: none waits. OSError: the device is gone."""

    def active_keys(self) -> Sequence[int]:
        """Return the codes of the keys that are down."""

    def capabilities(self) -> dict[int, list[int]]:
        """Return the device's event codes, by type of event."""

    def grab(self) -> None:
        """Keep the device's events from other programs. OSError (EBUSY): another program has grabbed it."""

    def close(self) -> None:
        """Close the device, which ends the grab."""


def open_device(path: str) -> OpenInput:
    """Open the input device at `path`. Takes about 50 ms for a USB device. OSError: it cannot be opened."""
    from evdev import InputDevice  # noqa: PLC0415 - only machines with such a button need it

    device: OpenInput = InputDevice(path)
    try:
        stamp_by_monotonic_clock(device.fd)
    except OSError:
        device.close()
        raise
    return device


def stamp_by_monotonic_clock(fd: int) -> None:
    """Let the kernel stamp the events by the clock of `Clock.now`. OSError: it refuses."""
    fcntl.ioctl(fd, EVIOCSCLOCKID, struct.pack("i", time.CLOCK_MONOTONIC))


class InputDevices:
    """The input devices in use, each opened once for all that use its keys."""

    def __init__(
        self,
        here: Callable[[], Sequence[ListedInput]] = inputs,
        open_device: Callable[[str], OpenInput] = open_device,
    ) -> None:
        """`here` lists the machine's devices; `open_device` opens one, in a thread."""
        self._here = here
        self._open_device = open_device
        self._grabbed: dict[str, _Grabbed] = {}
        self._opening = asyncio.Lock()

    async def watch(self, control: "_Control", listener: "_Listener") -> NoReturn:
        """Pass the keys of a control's device to `listener` until cancelled.

        DeviceLost: the device or key does not exist, another program has grabbed the device, or it was
        unplugged.
        """
        async with self._opening:
            path, grabbed = await self._grab(control)
            grabbed.join(listener)
        try:
            await grabbed.lost.wait()
            raise DeviceLost(
                f"{control}: the device was unplugged ({grabbed.error}); plug it in", device=str(control)
            )
        finally:
            grabbed.listeners.remove(listener)
            if not grabbed.listeners:
                grabbed.close()
                if self._grabbed.get(path) is grabbed:
                    del self._grabbed[path]

    def catch_up(self) -> None:
        """Report all waiting edges of all buttons; see `ports.Button`."""
        for grabbed in list(self._grabbed.values()):
            if not grabbed.lost.is_set():
                grabbed.read()

    async def _grab(self, control: "_Control") -> "tuple[str, _Grabbed]":
        paths = self._paths(control)
        for path in paths:
            grabbed = self._grabbed.get(path)
            if grabbed and not grabbed.lost.is_set() and control.codes <= _keys_of(grabbed.device):
                return path, grabbed
        loop = asyncio.get_running_loop()
        opening = loop.run_in_executor(None, self._open, control, paths)
        try:
            path, device = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_late)
            raise
        grabbed = self._grabbed[path] = _Grabbed(device)
        return path, grabbed

    def _paths(self, control: "_Control") -> list[str]:
        if control.device.startswith("/"):
            return [control.device]
        here = self._here()
        found = pick(control.device, here)
        if not found:
            names = ", ".join(sorted({one.name for one in here})) or "none"
            raise DeviceLost(
                f"{control}: no input device has this name (devices here: {names}); "
                f"plug it in, or remove {control.called} from the configuration",
                device=str(control),
            )
        return [one.path for one in found]

    def _open(self, control: "_Control", paths: Sequence[str]) -> tuple[str, OpenInput]:
        """Open and grab the one device that has the keys. Runs in a thread."""
        fitting: dict[str, OpenInput] = {}
        try:
            for path in paths:
                device = self._open_device(path)
                if control.codes <= _keys_of(device):
                    fitting[path] = device
                else:
                    device.close()
            if len(fitting) == 1:
                next(iter(fitting.values())).grab()
                return fitting.popitem()
        except OSError as err:
            raise DeviceLost(f"{control}: {_reason(err)}", listed=True, device=str(control)) from err
        finally:
            for device in fitting.values():
                device.close()
        if fitting:
            why = f"several devices fit ({', '.join(fitting)}); write a path from /dev/input/by-id or by-path"
        else:
            why = f"the device does not have {control.lacks}; `evtest` shows the names of its keys"
        raise DeviceLost(f"{control}: {why}", listed=True, device=str(control))


class _Control(Protocol):
    """A button or a reader: keys of one device."""

    device: str
    codes: frozenset[int]
    """The keys that its device must have."""
    called: str
    lacks: str
    """Words for `called` and `codes` in messages."""


class _Listener(Protocol):
    """Takes the keys of a device."""

    def begin(self, down: Sequence[int]) -> None:
        """Take the codes of the keys that are down at the start."""

    def key(self, code: int, at_s: float, *, down: bool) -> None:
        """Take a press or a release."""

    def catch_up(self, down: Sequence[int], at_s: float) -> None:
        """Take the codes of the keys that are down, after events were lost."""


class EvdevButton:
    """Button that is the key `key` (KEY_ENTER, BTN_LEFT, ...) of the input device `device`.

    `device` is a path, or the name that the kernel gives the device, or a part of the name. A part must fit
    one device with such a key only. Buttons on one device must share `devices`. ConfigError: no key has that
    name, or the Python package evdev is missing.
    """

    called, lacks = "the button", "this key"

    def __init__(self, device: str, key: str, devices: InputDevices | None = None) -> None:
        self.device = device
        self._key = key
        self._code = _code(str(self), key)
        self.codes = frozenset({self._code})
        self._devices = devices or InputDevices()

    def __str__(self) -> str:
        return f"evdev:{self.device}/{self._key}"

    async def watch(self, on_edge: Callable[[Edge], None]) -> NoReturn:
        """Report the button's state, then each press and release until cancelled; see `ports.Button`."""
        await self._devices.watch(self, _ButtonListener(self._code, on_edge))

    def catch_up(self) -> None:
        """Report the waiting edges; see `ports.Button`."""
        self._devices.catch_up()


class EvdevReader:
    """Reader that types lines: all keys of the input device `device`, which is named as for a button.

    A reader and buttons on one device must share `devices`. ConfigError: the Python package evdev is missing.
    """

    called, lacks = "the reader", "the keys of a reader (KEY_1 and KEY_ENTER)"

    def __init__(self, device: str, layout: KeyboardLayout, devices: InputDevices | None = None) -> None:
        self.device = device
        self._layout: KeyboardLayout = layout
        self.codes = frozenset(_code(str(self), key) for key in ("KEY_1", "KEY_ENTER"))
        self._devices = devices or InputDevices()

    def __str__(self) -> str:
        return f"evdev:{self.device}"

    async def watch(self, on_line: Callable[[str], None]) -> NoReturn:
        """Report each line until cancelled; see `ports.LineReader`."""
        await self._devices.watch(self, _LineListener(self._layout, on_line))


@dataclass(eq=False, slots=True)
class _ButtonListener:
    """Passes on the presses of one key."""

    code: int
    on_edge: Callable[[Edge], None]
    down: bool = False

    def begin(self, down: Sequence[int]) -> None:
        self.down = self.code in down
        self.on_edge(Edge(self.down))

    def key(self, code: int, at_s: float, *, down: bool) -> None:
        if code == self.code:
            self._tell(Edge(down, at_s))

    def catch_up(self, down: Sequence[int], at_s: float) -> None:
        self._tell(Edge(self.code in down, at_s))

    def _tell(self, edge: Edge) -> None:
        if edge.down is not self.down:
            self.down = edge.down
            self.on_edge(edge)


class _LineListener:
    """Passes on the lines that the keys type."""

    def __init__(self, layout: KeyboardLayout, on_line: Callable[[str], None]) -> None:
        from evdev import ecodes  # noqa: PLC0415 - as above

        self._on_line = on_line
        self._lines = TypedLines(layout)
        self._names: dict[int, str] = {ecodes.ecodes[name]: name for name in known_keys()}

    def begin(self, down: Sequence[int]) -> None:
        """Ignore the keys that are down: their characters came before the start."""

    def key(self, code: int, at_s: float, *, down: bool) -> None:
        line = self._lines.key(self._names.get(code, ""), at_s, down=down)
        if line is not None:
            self._on_line(line)

    def catch_up(self, down: Sequence[int], at_s: float) -> None:
        self._lines.lose()


class _Grabbed:
    """Grabbed device, which passes its events to its listeners."""

    def __init__(self, device: OpenInput) -> None:
        from evdev import ecodes  # noqa: PLC0415 - as above

        self._codes = ecodes
        self.device = device
        self.listeners: list[_Listener] = []
        self._dropped = False
        self.lost = asyncio.Event()
        self.error: OSError | None = None
        asyncio.get_running_loop().add_reader(device.fd, self.read)

    def join(self, listener: _Listener) -> None:
        self.listeners.append(listener)
        listener.begin(self._down())

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.device.fd)
        self.device.close()

    def read(self) -> None:
        """Pass on the waiting events. Sets `lost` if the device is gone."""
        try:
            events = list(self.device.read())
        except BlockingIOError:
            return
        except OSError as err:
            self._lose(err)
            return
        for event in events:
            self._take(event)

    def _take(self, event: InputEvent) -> None:
        codes = self._codes
        if event.type == codes.EV_SYN:
            # The kernel's buffer ran over: earlier events are lost, and the next report is incomplete.
            if event.code == codes.SYN_DROPPED:
                self._dropped = True
            elif event.code == codes.SYN_REPORT and self._dropped:
                self._dropped = False
                down = self._down()
                for listener in list(self.listeners):
                    listener.catch_up(down, event.timestamp())
        # Value 2 is the repetition of a held key.
        elif event.type == codes.EV_KEY and not self._dropped and event.value != 2:
            for listener in list(self.listeners):
                listener.key(event.code, event.timestamp(), down=bool(event.value))

    def _down(self) -> Sequence[int]:
        try:
            return self.device.active_keys()
        except OSError as err:
            self._lose(err)
            return ()

    def _lose(self, err: OSError) -> None:
        # An unplugged device stays readable for ever.
        asyncio.get_running_loop().remove_reader(self.device.fd)
        self.error = err
        self.lost.set()


def _close_late(opening: "asyncio.Future[tuple[str, OpenInput]]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[1].close()


def _keys_of(device: OpenInput) -> frozenset[int]:
    from evdev import ecodes  # noqa: PLC0415 - as above

    return frozenset(device.capabilities().get(ecodes.EV_KEY, ()))


def _code(button: str, key: str) -> int:
    try:
        from evdev import ecodes  # noqa: PLC0415 - as above
    except ImportError as err:
        raise ConfigError(
            f"{button}: the Python package evdev cannot be imported ({err}); "
            "run `apt install python3-evdev`, or remove this source from the configuration"
        ) from err
    keys: dict[str, int] = {
        name: code for name, code in ecodes.ecodes.items() if name.startswith(("KEY_", "BTN_"))
    }
    if key not in keys:
        near = difflib.get_close_matches(key, keys, n=1)
        hint = f"did you mean {near[0]}?" if near else "`evtest` shows the names of a device's keys"
        raise ConfigError(f"{button}: no key is called {key}; {hint}")
    return keys[key]


def _reason(err: OSError) -> str:
    match err.errno:
        case errno.EBUSY:
            return "another program has grabbed the device (a desktop, or a second kioskd); stop that program"
        case errno.EACCES | errno.EPERM:
            return "kioskd has no permission; add the user that kioskd runs as to the group input"
        case _:
            return f"{err.strerror or err}; plug it in again"
