"""If a camera's driver hangs in its thread, the loop goes on, and the caller is told in time."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

import pytest

from kioskd.adapters.cameras import thread
from kioskd.adapters.cameras.thread import CameraDriver, CameraThread
from kioskd.errors import DeviceLost


class Driver:
    """Camera driver whose calls can be made to hang or to fail."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()
        self.fault: BaseException | None = None
        self.starts = self.stops = 0
        self.called = threading.Event()
        self.stopped = threading.Event()
        self.threads: set[str] = set()

    @contextlib.contextmanager
    def opened(self) -> Iterator[CameraDriver]:
        self._call()
        self.starts += 1
        try:
            yield self.shoot
        finally:
            self._call(quietly=True)
            self.stops += 1
            self.stopped.set()

    def shoot(self) -> bytes:
        self._call()
        return b"picture"

    def _call(self, *, quietly: bool = False) -> None:
        self.threads.add(threading.current_thread().name)
        self.called.set()
        self.free.wait(10)
        if self.fault is not None and not quietly:
            raise self.fault


def driven() -> tuple[Driver, CameraThread]:
    driver = Driver()
    return driver, CameraThread("camera x", driver.opened)


@contextlib.contextmanager
def impatient() -> Iterator[None]:
    """Shorten the deadlines for calls that hang, but not all deadlines of the test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("START_S", "SHOOT_S", "STOP_S"):
            patch.setattr(thread, name, 0.05)
        yield


async def let_go(name: str) -> None:
    """Wait until the threads of a camera have ended: the loop has then got all their messages."""
    for one in threading.enumerate():
        if one.name == name:
            await asyncio.to_thread(one.join, 5)


async def happened(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 5)


async def test_all_calls_are_made_in_one_thread_other_than_the_loops() -> None:
    driver = Driver()
    async with CameraThread("camera x", driver.opened).look() as sight:
        assert [await sight.shoot() for _ in range(3)] == [b"picture"] * 3
    assert driver.threads == {"camera x"}
    assert (driver.starts, driver.stops) == (1, 1)


async def test_a_start_that_hangs_is_a_lost_camera_and_is_undone_when_it_returns() -> None:
    driver, thread = driven()
    driver.free.clear()
    with impatient():
        with pytest.raises(DeviceLost, match="camera x: not started after 0 s; check its cable"):
            async with thread.look():
                pytest.fail("it started")
        with pytest.raises(DeviceLost, match="has not released the camera since its last use"):
            async with thread.look():
                pytest.fail("it started")
    driver.free.set()
    await let_go("camera x")
    assert driver.stops == 1
    async with thread.look() as sight:
        assert await sight.shoot() == b"picture"


async def test_a_picture_that_hangs_is_a_lost_camera(caplog: pytest.LogCaptureFixture) -> None:
    driver, thread = driven()
    with contextlib.ExitStack() as deadlines:
        async with thread.look() as sight:
            deadlines.enter_context(impatient())
            driver.free.clear()
            with pytest.raises(DeviceLost, match="camera x: no picture for 0 s") as lost:
                await sight.shoot()
            assert (lost.value.listed, lost.value.device) == (True, "camera x")
    assert caplog.messages == ["camera x does not stop, kioskd goes on without it: waited=0.1s"]
    driver.free.set()
    await happened(driver.stopped)


async def test_released_returns_when_a_hanging_stop_has_ended() -> None:
    driver, thread = driven()
    async with asyncio.timeout(60):
        await thread.released()
        with impatient():
            async with thread.look():
                driver.free.clear()
        told = asyncio.create_task(thread.released())
        await asyncio.sleep(0)
        assert not told.done()
        driver.free.set()
        await told
    assert driver.stops == 1


@pytest.mark.parametrize("fault", [DeviceLost("gone"), ZeroDivisionError("a bug")])
async def test_an_error_of_a_driver_call_reaches_its_caller(fault: Exception) -> None:
    driver, thread = driven()
    driver.fault = fault
    with pytest.raises(type(fault)):
        async with thread.look():
            pytest.fail("it started")
    driver.fault = None
    async with thread.look() as sight:
        driver.fault = fault
        with pytest.raises(type(fault)):
            await sight.shoot()
        driver.fault = None
        assert await sight.shoot() == b"picture"


async def test_a_bug_while_stopping_is_raised() -> None:
    @contextlib.contextmanager
    def opened() -> Iterator[CameraDriver]:
        yield lambda: b"picture"
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        async with CameraThread("camera x", opened).look() as sight:
            await sight.shoot()


async def test_a_start_that_is_cancelled_ends_with_a_stop() -> None:
    driver, thread = driven()
    driver.free.clear()

    async def look() -> None:
        async with thread.look():
            pytest.fail("it started")

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(look())
        await happened(driver.called)
        task.cancel()
        driver.free.set()
    await happened(driver.stopped)
    assert driver.starts == driver.stops == 1


async def test_threads_do_not_accumulate() -> None:
    _, thread = driven()
    for _ in range(200):
        async with thread.look() as sight:
            await sight.shoot()
    left = [one for one in threading.enumerate() if one.name == "camera x"]
    assert len(left) <= 1, "the last thread may be about to end"
