"""The thread that owns a device, with devices that hang, fail and fall silent."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import NoReturn

import pytest

from kioskd.adapters.portaudio import device_thread
from kioskd.adapters.portaudio.device_thread import DeviceThread
from kioskd.errors import DeviceLost, DeviceStuck


class Stuck:
    """Device whose opening or closing hangs until `let_go` is set."""

    def __init__(self, *, opening: bool = False, closing: bool = False) -> None:
        self.let_go = threading.Event()
        self.open = threading.Event()
        self.closing = threading.Event()
        self.closed = threading.Event()
        self._opening = opening
        self._closing = closing

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        if self._opening:
            self.let_go.wait(10)
        self.open.set()
        yield
        self.closing.set()
        if self._closing:
            self.let_go.wait(10)
        self.closed.set()


async def test_a_silent_device_is_lost_after_a_second() -> None:
    stuck = Stuck()
    began = asyncio.get_running_loop().time()
    with pytest.raises(DeviceLost, match="microphone: the device gave no sign of life for 1 s"):
        await DeviceThread("microphone").run(stuck.opened)
    assert 0.9 < asyncio.get_running_loop().time() - began < 2.0
    assert stuck.closed.is_set()


async def test_a_device_that_calls_back_is_not_lost() -> None:
    stuck, thread = Stuck(), DeviceThread("microphone")
    running = asyncio.create_task(thread.run(stuck.opened))
    for _ in range(30):
        thread.calls += 1
        await asyncio.sleep(0.05)
    assert not running.done()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert stuck.closed.is_set()


async def test_a_late_opening_is_a_lost_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_thread, "OPEN_S", 0.05)
    stuck = Stuck(opening=True)
    asyncio.get_running_loop().call_later(0.1, stuck.let_go.set)
    with pytest.raises(DeviceLost, match="microphone: not open after") as lost:
        await DeviceThread("microphone", "usb").run(stuck.opened)
    assert not isinstance(lost.value, DeviceStuck)
    assert (lost.value.listed, lost.value.device) == (True, "usb")
    assert stuck.closed.is_set(), "a device that opens too late must be closed again"


async def test_an_opening_that_hangs_for_good_needs_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_thread, "OPEN_S", 0.05)
    monkeypatch.setattr(device_thread, "CLOSE_S", 0.05)
    stuck = Stuck(opening=True)
    with pytest.raises(DeviceStuck, match="microphone: it did not close") as lost:
        await DeviceThread("microphone", "usb").run(stuck.opened)
    assert lost.value.device == "usb"
    assert "not open after" in str(lost.value.__cause__)
    stuck.let_go.set()
    assert await asyncio.to_thread(stuck.closed.wait, 5)


async def test_a_closing_that_hangs_after_a_cancellation_needs_a_new_process(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(device_thread, "CLOSE_S", 0.05)
    stuck = Stuck(closing=True)
    running = asyncio.create_task(DeviceThread("speaker").run(stuck.opened))
    assert await asyncio.to_thread(stuck.open.wait, 5)
    running.cancel()
    async with asyncio.timeout(1):
        with pytest.raises(DeviceStuck, match="speaker: it did not close"):
            await running
    assert caplog.record_tuples == [
        (device_thread.__name__, logging.WARNING, "speaker does not close: waited=0.1s")
    ]
    stuck.let_go.set()
    assert await asyncio.to_thread(stuck.closed.wait, 5)


async def closing_after_a_loss(stuck: Stuck) -> asyncio.Task[NoReturn]:
    """Return a use of `stuck` that was lost, and was cancelled during its closing."""
    thread = DeviceThread("speaker")
    running = asyncio.create_task(thread.run(stuck.opened))
    assert await asyncio.to_thread(stuck.open.wait, 5)
    thread.lose(DeviceLost("pulled"))
    assert await asyncio.to_thread(stuck.closing.wait, 5)
    running.cancel()
    return running


async def test_a_lost_device_is_closed_before_a_cancellation_ends_its_use() -> None:
    stuck = Stuck(closing=True)
    running = await closing_after_a_loss(stuck)
    asyncio.get_running_loop().call_later(0.1, stuck.let_go.set)
    async with asyncio.timeout(2):
        with pytest.raises(asyncio.CancelledError):
            await running
    assert stuck.closed.is_set()


async def test_a_lost_device_that_does_not_close_is_stuck_although_its_use_was_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device_thread, "CLOSE_S", 0.3)
    stuck = Stuck(closing=True)
    running = await closing_after_a_loss(stuck)
    async with asyncio.timeout(2):
        with pytest.raises(DeviceStuck, match="speaker: it did not close"):
            await running
    stuck.let_go.set()
    assert await asyncio.to_thread(stuck.closed.wait, 5)


async def test_a_bug_is_raised_although_the_device_does_not_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_thread, "CLOSE_S", 0.05)
    stuck, thread = Stuck(closing=True), DeviceThread("speaker")
    running = asyncio.create_task(thread.run(stuck.opened))
    assert await asyncio.to_thread(stuck.open.wait, 5)
    thread.lose(ArithmeticError("planted"))
    async with asyncio.timeout(1):
        with pytest.raises(ArithmeticError, match="planted"):
            await running
    stuck.let_go.set()
    assert await asyncio.to_thread(stuck.closed.wait, 5)


async def test_a_lost_device_that_does_not_close_needs_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_thread, "CLOSE_S", 0.05)
    stuck, thread = Stuck(closing=True), DeviceThread("speaker")
    running = asyncio.create_task(thread.run(stuck.opened))
    assert await asyncio.to_thread(stuck.open.wait, 5)
    assert not thread.quitting
    thread.lose(DeviceLost("first"))
    assert thread.quitting
    thread.lose(DeviceLost("second"))
    async with asyncio.timeout(1):
        with pytest.raises(DeviceStuck, match="speaker: it did not close") as lost:
            await running
    assert str(lost.value.__cause__) == "first"
    stuck.let_go.set()
    assert await asyncio.to_thread(stuck.closed.wait, 5)


async def test_a_bug_in_the_thread_is_raised_in_the_loop() -> None:
    @contextlib.contextmanager
    def broken() -> Iterator[None]:
        raise ArithmeticError("planted")
        yield

    with pytest.raises(ArithmeticError, match="planted"):
        await DeviceThread("speaker").run(broken)


class Pausing:
    """A device whose thread calls back every few milliseconds, and which may be pulled."""

    def __init__(self) -> None:
        self.thread = DeviceThread("speaker", "usb")
        self.thread.is_there = lambda: self.plugged
        self.plugged = True
        self.waits = threading.Semaphore(0)
        """Released at each begin of a pause."""
        self.goes_on = threading.Semaphore(0)
        """Released at each end of a pause."""
        self.most_s: float | None = None

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        caller = threading.Thread(target=self._call_back)
        caller.start()
        yield
        caller.join(10)
        assert not caller.is_alive(), "a device that closes joins its callback"

    def _call_back(self) -> None:
        while not self.thread.quitting:
            self.thread.calls += 1
            if self.thread.paused:
                self.waits.release()
                self.thread.wait_while_paused(self.most_s)
                self.goes_on.release()
            threading.Event().wait(0.005)


async def test_a_paused_device_is_not_lost_and_goes_on() -> None:
    device = Pausing()
    running = asyncio.create_task(device.thread.run(device.opened))
    device.thread.pause()
    assert await asyncio.to_thread(device.waits.acquire, timeout=5)
    calls = device.thread.calls
    await asyncio.sleep(2 * device_thread.SILENCE_S)
    assert not running.done()
    assert device.thread.calls == calls
    device.thread.resume()
    assert await asyncio.to_thread(device.goes_on.acquire, timeout=5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_pause_of_limited_length_ends_by_itself() -> None:
    device = Pausing()
    device.most_s = 0.01
    running = asyncio.create_task(device.thread.run(device.opened))
    device.thread.pause()
    for _ in range(3):
        assert await asyncio.to_thread(device.goes_on.acquire, timeout=5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_device_that_is_pulled_while_it_pauses_is_lost() -> None:
    device = Pausing()
    running = asyncio.create_task(device.thread.run(device.opened))
    device.thread.pause()
    assert await asyncio.to_thread(device.waits.acquire, timeout=5)
    device.plugged = False
    async with asyncio.timeout(5):
        with pytest.raises(DeviceLost, match="speaker: the device was unplugged while it paused") as lost:
            await running
    assert (lost.value.listed, lost.value.device) == (True, "usb")


async def test_a_device_that_is_silent_after_its_pause_is_lost() -> None:
    stuck, thread = Stuck(), DeviceThread("speaker")
    running = asyncio.create_task(thread.run(stuck.opened))
    thread.pause()
    thread.resume()
    async with asyncio.timeout(5):
        with pytest.raises(DeviceLost, match="no sign of life"):
            await running


async def test_a_paused_device_that_is_closed_or_lost_does_not_wait() -> None:
    for end in ("closed", "lost"):
        device = Pausing()
        running = asyncio.create_task(device.thread.run(device.opened))
        device.thread.pause()
        assert await asyncio.to_thread(device.waits.acquire, timeout=5)
        if end == "lost":
            device.thread.lose(DeviceLost("listed again"))
        else:
            running.cancel()
        async with asyncio.timeout(2):
            with pytest.raises(DeviceLost if end == "lost" else asyncio.CancelledError):
                await running
