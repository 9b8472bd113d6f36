"""Whatever a camera's driver does to its thread, the loop goes on, and who waits is told in time."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

import pytest

from kioskd.adapters.cameras import thread
from kioskd.adapters.cameras.thread import CameraDriver, CameraThread
from kioskd.errors import DeviceLost


class Driver:
    """A camera whose every call can be made to hang or to fail."""

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
    """Deadlines that are soon over, for calls that hang; all others keep theirs, however busy the machine is."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("START_S", "SHOOT_S", "STOP_S"):
            patch.setattr(thread, name, 0.05)
        yield


async def let_go(name: str) -> None:
    """Wait until the threads of a camera have ended: what they told the loop, it has heard before this returns."""
    for one in threading.enumerate():
        if one.name == name:
            await asyncio.to_thread(one.join, 5)


async def happened(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 5)


async def test_all_calls_are_made_in_one_thread_that_is_not_the_loop_s() -> None:
    driver = Driver()
    async with CameraThread("camera x", driver.opened).look() as sight:
        assert [await sight.shoot() for _ in range(3)] == [b"picture"] * 3
    assert driver.threads == {"camera x"}
    assert (driver.starts, driver.stops) == (1, 1)


async def test_a_start_that_hangs_is_a_lost_camera_and_is_undone_when_it_comes_back() -> None:
    driver, thread = driven()
    driver.free.clear()
    with impatient():
        with pytest.raises(DeviceLost, match="camera x: not started after 0 s; see its cable"):
            async with thread.look():
                pytest.fail("it started")
        with pytest.raises(DeviceLost, match="has not let go since it was used last"):
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
    assert caplog.messages == ["camera x does not stop, left alone: waited=0.1s"]
    driver.free.set()
    await happened(driver.stopped)


async def test_a_stop_that_hangs_is_told_when_it_is_over() -> None:
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
async def test_what_a_call_raises_reaches_whoever_waits_for_it(fault: Exception) -> None:
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


async def test_a_bug_in_stopping_is_not_passed_over() -> None:
    @contextlib.contextmanager
    def opened() -> Iterator[CameraDriver]:
        yield lambda: b"picture"
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        async with CameraThread("camera x", opened).look() as sight:
            await sight.shoot()


async def test_who_is_cancelled_while_it_starts_leaves_it_stopped() -> None:
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


async def test_threads_do_not_gather() -> None:
    _, thread = driven()
    for _ in range(200):
        async with thread.look() as sight:
            await sight.shoot()
    left = [one for one in threading.enumerate() if one.name == "camera x"]
    assert len(left) <= 1, "the last one may be on its way out"
