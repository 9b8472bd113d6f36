"""Keys of USB devices: which device is chosen, which programs get its events, and what an unplugging does."""

import asyncio
import errno
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from evdev import InputDevice, ecodes
from tests.support.buttons import levels_into
from tests.support.kiosk import running, soon
from tests.support.pedals import NO_UINPUT, KernelPedal, MemoryPedal, uinput_is_possible
from tests.support.until import until

from kioskd.adapters.controls.evdev import (
    EVIOCSCLOCKID,
    EvdevButton,
    EvdevReader,
    InputDevices,
    OpenInput,
    stamp_by_monotonic_clock,
)
from kioskd.adapters.controls.evdev_inputs import ListedInput, inputs, pick
from kioskd.errors import ConfigError, DeviceLost
from kioskd.ports import Edge

PRESENTER = (ecodes.KEY_PAGEUP, ecodes.KEY_PAGEDOWN)


@pytest.fixture
def pedal() -> Iterator[MemoryPedal]:
    pedal = MemoryPedal("PCsensor FootSwitch", PRESENTER)
    yield pedal
    pedal.close()


@asynccontextmanager
async def watching(button: EvdevButton) -> AsyncIterator[asyncio.Queue[bool]]:
    """Yield the queue of reports, once the button's first state was reported."""
    reports: asyncio.Queue[bool] = asyncio.Queue()
    async with running(button.watch(levels_into(reports))):
        await soon(reports.get())
        yield reports


async def fault(button: EvdevButton) -> str:
    """Return the error message of a button that cannot be watched."""
    with pytest.raises(DeviceLost) as caught:
        await soon(button.watch(lambda _pressed: None))
    assert caught.value.device == str(button)
    return str(caught.value)


# The choice of a device.


def test_devices_are_read_without_opening_any(tmp_path: Path) -> None:
    for number, name in enumerate(["Power Button", "PCsensor FootSwitch"]):
        (tmp_path / f"event{number}" / "device").mkdir(parents=True)
        (tmp_path / f"event{number}" / "device" / "name").write_text(f"{name}\n")
    (tmp_path / "event2").mkdir()  # unplugged just now
    (tmp_path / "mice").mkdir()
    assert inputs(tmp_path) == [
        ListedInput("/dev/input/event0", "Power Button"),
        ListedInput("/dev/input/event1", "PCsensor FootSwitch"),
    ]
    assert inputs(tmp_path / "none") == []


def test_a_device_name_cut_within_a_character_is_still_listed(tmp_path: Path) -> None:
    (tmp_path / "event1" / "device").mkdir(parents=True)
    (tmp_path / "event1" / "device" / "name").write_bytes("Pédale".encode()[:2] + b"\xff\n")
    assert [one.name for one in inputs(tmp_path)] == ["P\ufffd\ufffd"]


def test_a_whole_name_is_preferred_to_a_part_of_one() -> None:
    receiver, mouse = (
        ListedInput("/dev/input/event0", "USB Receiver"),
        ListedInput("/dev/input/event1", "USB Receiver Mouse"),
    )
    assert pick("USB Receiver", [receiver, mouse]) == [receiver]
    assert pick("usb receiver m", [receiver, mouse]) == [mouse]
    assert pick("usb", [receiver, mouse]) == [receiver, mouse]
    assert pick("pedal", [receiver, mouse]) == []


async def test_a_missing_device_is_reported_with_the_devices_that_are_here(pedal: MemoryPedal) -> None:
    button = EvdevButton("Arcade", "KEY_ENTER", InputDevices(pedal.here, pedal.open))
    assert await fault(button) == (
        "evdev:Arcade/KEY_ENTER: no input device has this name (devices here: PCsensor FootSwitch); "
        "plug it in, or remove the button from the configuration"
    )


async def test_among_several_devices_the_one_with_the_key_is_used(pedal: MemoryPedal) -> None:
    mouse = MemoryPedal("PCsensor Mouse", (ecodes.BTN_LEFT,), "/dev/input/event8")
    both = {pedal.path: pedal, mouse.path: mouse}
    devices = InputDevices(lambda: [*pedal.here(), *mouse.here()], lambda path: both[path].open(path))
    async with watching(EvdevButton("pcsensor", "KEY_PAGEUP", devices)) as reports:
        pedal.press(ecodes.KEY_PAGEUP)
        assert await soon(reports.get()) is True
        assert mouse.clients == []


async def test_several_devices_with_the_key_are_listed_and_not_opened(pedal: MemoryPedal) -> None:
    twin = MemoryPedal(pedal.name, PRESENTER, "/dev/input/event8")
    both = {pedal.path: pedal, twin.path: twin}
    devices = InputDevices(lambda: [*pedal.here(), *twin.here()], lambda path: both[path].open(path))
    assert await fault(EvdevButton(pedal.name, "KEY_PAGEUP", devices)) == (
        "evdev:PCsensor FootSwitch/KEY_PAGEUP: several devices fit (/dev/input/event7, /dev/input/event8); "
        "write a path from /dev/input/by-id or by-path"
    )
    assert pedal.clients == twin.clients == []


async def test_a_path_names_a_device_too(pedal: MemoryPedal) -> None:
    devices = InputDevices(list, pedal.open)
    async with watching(EvdevButton(pedal.path, "KEY_PAGEUP", devices)) as reports:
        pedal.press(ecodes.KEY_PAGEUP)
        assert await soon(reports.get()) is True


async def test_a_device_without_the_key_says_how_to_find_the_right_one(pedal: MemoryPedal) -> None:
    devices = InputDevices(pedal.here, pedal.open)
    assert "the device does not have this key; `evtest` shows" in await fault(
        EvdevButton(pedal.name, "KEY_ENTER", devices)
    )
    assert pedal.clients == []


@pytest.mark.parametrize(
    ("err", "says"),
    [
        (OSError(errno.EBUSY, "busy"), "another program has grabbed the device"),
        (
            PermissionError(errno.EACCES, "denied"),
            "kioskd has no permission; add the user that kioskd runs as to the group",
        ),
        (OSError(errno.ENODEV, "No such device"), "No such device"),
    ],
)
async def test_a_device_that_cannot_be_opened_says_why(pedal: MemoryPedal, err: OSError, says: str) -> None:
    pedal.refusal = err
    assert says in await fault(EvdevButton(pedal.name, "KEY_PAGEUP", InputDevices(pedal.here, pedal.open)))


async def test_a_device_that_another_program_has_grabbed_is_reported(pedal: MemoryPedal) -> None:
    other = pedal.open(pedal.path)
    other.grab()
    devices = InputDevices(pedal.here, pedal.open)
    assert "another program has grabbed the device" in await fault(
        EvdevButton(pedal.name, "KEY_PAGEUP", devices)
    )
    assert pedal.clients == [other]


def test_an_unknown_key_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match=r"no key is called KEY_ENTRE; did you mean KEY_ENTER\?"):
        EvdevButton("pedal", "KEY_ENTRE")
    with pytest.raises(ConfigError, match=r"no key is called 28; `evtest` shows"):
        EvdevButton("pedal", "28")


def test_a_missing_library_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "evdev", None)
    with pytest.raises(ConfigError, match=r"^evdev:pedal/KEY_A: the Python package evdev cannot be imported"):
        EvdevButton("pedal", "KEY_A")


# The events of a device.


async def test_repetition_and_other_keys_are_ignored(pedal: MemoryPedal) -> None:
    devices = InputDevices(pedal.here, pedal.open)
    async with watching(EvdevButton(pedal.name, "KEY_PAGEUP", devices)) as reports:
        pedal.press(ecodes.KEY_PAGEDOWN)
        pedal.press(ecodes.KEY_PAGEUP)
        for _ in range(5):
            pedal.send((ecodes.EV_KEY, ecodes.KEY_PAGEUP, 2), (ecodes.EV_SYN, ecodes.SYN_REPORT, 0))
        pedal.send((ecodes.EV_REL, ecodes.KEY_PAGEUP, 0), (ecodes.EV_MSC, ecodes.KEY_PAGEUP, 0))
        pedal.let_go(ecodes.KEY_PAGEUP)
        assert [await soon(reports.get()) for _ in range(2)] == [True, False]
        assert reports.empty()


async def test_the_keys_state_is_read_again_after_dropped_events(pedal: MemoryPedal) -> None:
    devices = InputDevices(pedal.here, pedal.open)
    async with watching(EvdevButton(pedal.name, "KEY_PAGEUP", devices)) as reports:
        pedal.press(ecodes.KEY_PAGEUP)
        assert await soon(reports.get()) is True
        pedal.down.clear()
        pedal.send(
            (ecodes.EV_SYN, ecodes.SYN_DROPPED, 0),
            (ecodes.EV_KEY, ecodes.KEY_PAGEUP, 0),
            (ecodes.EV_KEY, ecodes.KEY_PAGEUP, 1),
            (ecodes.EV_SYN, ecodes.SYN_REPORT, 0),
        )
        assert await soon(reports.get()) is False
        pedal.press(ecodes.KEY_PAGEUP)
        assert await soon(reports.get()) is True


async def test_each_edge_has_the_kernels_time(pedal: MemoryPedal) -> None:
    edges: asyncio.Queue[Edge] = asyncio.Queue()
    button = EvdevButton(pedal.name, "KEY_PAGEUP", InputDevices(pedal.here, pedal.open))
    async with running(button.watch(edges.put_nowait)):
        assert await soon(edges.get()) == Edge(down=False)
        pedal.press(ecodes.KEY_PAGEUP, at_s=70.25)
        pedal.let_go(ecodes.KEY_PAGEUP, at_s=70.5)
        assert [await soon(edges.get()) for _ in range(2)] == [Edge(True, 70.25), Edge(False, 70.5)]


def test_the_clock_is_selected_by_the_kernels_number() -> None:
    # _IOW('E', 0xa0, int): direction 1 << 30, size 4 << 16, type 'E' << 8, number.
    assert 1 << 30 | 4 << 16 | ord("E") << 8 | 0xA0 == EVIOCSCLOCKID


def test_a_device_that_cannot_use_our_clock_is_not_used() -> None:
    reader, writer = os.pipe()
    try:
        with pytest.raises(OSError, match=r"Inappropriate ioctl"):
            stamp_by_monotonic_clock(reader)
    finally:
        os.close(reader)
        os.close(writer)


async def test_two_buttons_of_one_device_share_it(pedal: MemoryPedal) -> None:
    devices = InputDevices(pedal.here, pedal.open)
    up, down = EvdevButton(pedal.name, "KEY_PAGEUP", devices), EvdevButton("foot", "KEY_PAGEDOWN", devices)
    async with watching(up) as ups:
        async with watching(down) as downs:
            assert len(pedal.clients) == 1
            pedal.press(ecodes.KEY_PAGEDOWN)
            assert await soon(downs.get()) is True
            assert ups.empty()
        pedal.press(ecodes.KEY_PAGEUP)
        assert await soon(ups.get()) is True
    assert pedal.clients == []


async def test_both_buttons_of_a_device_lose_it_and_find_it_again(pedal: MemoryPedal) -> None:
    devices = InputDevices(pedal.here, pedal.open)
    buttons = [EvdevButton(pedal.name, key, devices) for key in ("KEY_PAGEUP", "KEY_PAGEDOWN")]

    async def unplug(told: asyncio.Queue[bool]) -> None:
        for _ in buttons:
            await told.get()
        pedal.unplug()

    for _ in range(2):
        told: asyncio.Queue[bool] = asyncio.Queue()
        async with asyncio.timeout(60):
            faults = await asyncio.gather(
                *(button.watch(levels_into(told)) for button in buttons), unplug(told), return_exceptions=True
            )
        assert [type(each) for each in faults] == [DeviceLost, DeviceLost, type(None)]
        assert pedal.clients == []
        assert "no input device has this name" in await fault(buttons[0])
        pedal.replug()

    async with watching(buttons[0]) as reports:
        pedal.press(ecodes.KEY_PAGEUP)
        assert await soon(reports.get()) is True


async def test_a_device_that_opens_after_its_watch_was_cancelled_is_closed(pedal: MemoryPedal) -> None:
    loop = asyncio.get_running_loop()
    begun, closed = asyncio.Event(), asyncio.Event()
    go_on = threading.Event()

    def open_slowly(path: str) -> OpenInput:
        loop.call_soon_threadsafe(begun.set)
        assert go_on.wait(10)
        return Telling(pedal.open(path), lambda: loop.call_soon_threadsafe(closed.set))

    async with running(
        EvdevButton(pedal.name, "KEY_PAGEUP", InputDevices(pedal.here, open_slowly)).watch(print)
    ):
        await soon(begun.wait())
    go_on.set()
    await soon(closed.wait())
    assert pedal.clients == []


class Telling:
    """Open device that reports its closing."""

    def __init__(self, keys: OpenInput, on_close: Callable[[], object]) -> None:
        self._keys = keys
        self._on_close = on_close
        self.fd = keys.fd
        self.read = keys.read
        self.active_keys = keys.active_keys
        self.capabilities = keys.capabilities
        self.grab = keys.grab

    def close(self) -> None:
        self._keys.close()
        self._on_close()


@pytest.mark.hardware
async def test_other_programs_do_not_get_the_events_of_a_grabbed_device() -> None:
    if not uinput_is_possible():
        pytest.skip(NO_UINPUT)
    pedal = KernelPedal(f"kioskd test presenter {os.getpid()}")
    path = next(each.path for each in inputs() if each.name == pedal.name)
    console = InputDevice(path)
    try:
        async with watching(EvdevButton(pedal.name, "KEY_ENTER")) as reports:
            pedal.press()
            assert await soon(reports.get()) is True
            assert console.read_one() is None
            pedal.let_go()
            assert await soon(reports.get()) is False
        pedal.press()
        heard = console.read_one()
        assert heard is not None
        assert (heard.code, heard.value) == (ecodes.KEY_ENTER, 1)
    finally:
        console.close()
        pedal.close()


# Readers that type lines.

SCANNER = (*range(ecodes.KEY_ESC, ecodes.KEY_KPDOT + 1), ecodes.KEY_F13)


@pytest.fixture
def scanner() -> Iterator[MemoryPedal]:
    scanner = MemoryPedal("Barcode Scanner", SCANNER)
    yield scanner
    scanner.close()


def types(pedal: MemoryPedal | KernelPedal, *names: str) -> None:
    """Press and release keys."""
    for name in names:
        pedal.press(ecodes.ecodes[f"KEY_{name}"])
        pedal.let_go(ecodes.ecodes[f"KEY_{name}"])


@asynccontextmanager
async def reading(reader: EvdevReader, pedal: MemoryPedal | None = None) -> AsyncIterator[asyncio.Queue[str]]:
    """Yield the queue of a reader's lines, once its device is grabbed."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    async with running(reader.watch(lines.put_nowait)):
        if pedal is not None:
            await until(lambda: pedal.grabber is not None)
        yield lines


async def test_a_reader_types_lines_and_keeps_them_from_the_console(scanner: MemoryPedal) -> None:
    reader = EvdevReader("scanner", "us", InputDevices(scanner.here, scanner.open))
    async with reading(reader, scanner) as lines:
        types(scanner, "A", "1", "ENTER")
        assert await soon(lines.get()) == "a1"


async def test_a_reader_and_a_button_share_one_device(scanner: MemoryPedal) -> None:
    devices = InputDevices(scanner.here, scanner.open)
    reader, button = EvdevReader(scanner.name, "us", devices), EvdevButton(scanner.name, "KEY_F13", devices)
    async with reading(reader, scanner) as lines, watching(button) as reports:
        types(scanner, "A", "ENTER")
        assert await soon(lines.get()) == "a"
        scanner.press(ecodes.KEY_F13)
        assert await soon(reports.get()) is True
        assert len(scanner.clients) == 1


async def test_lost_keys_make_the_line_of_a_reader_useless(scanner: MemoryPedal) -> None:
    reader = EvdevReader(scanner.name, "us", InputDevices(scanner.here, scanner.open))
    async with reading(reader, scanner) as lines:
        types(scanner, "A")
        scanner.send((ecodes.EV_SYN, ecodes.SYN_DROPPED, 0), (ecodes.EV_SYN, ecodes.SYN_REPORT, 0))
        types(scanner, "B", "ENTER")
        assert await soon(lines.get()) == ""


async def test_a_device_without_letters_or_enter_is_no_reader(pedal: MemoryPedal) -> None:
    reader = EvdevReader(pedal.name, "us", InputDevices(pedal.here, pedal.open))
    with pytest.raises(DeviceLost, match="does not have the keys of a reader"):
        await soon(reader.watch(lambda _line: None))
    missing = EvdevReader("NFC", "us", InputDevices(pedal.here, pedal.open))
    with pytest.raises(DeviceLost, match="plug it in, or remove the reader"):
        await soon(missing.watch(lambda _line: None))
