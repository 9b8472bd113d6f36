"""Workers: all end together, and the error that ended them is raised."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from tests.support.kiosk import soon

from kioskd.errors import ConfigError, DeviceLost, KioskError, LinkLost
from kioskd.flow.runtime.workers import first_of, work_together


async def for_ever() -> None:
    await asyncio.Event().wait()


class Worker:
    """Works until cancelled, and remembers that it was."""

    def __init__(self) -> None:
        self.works = asyncio.Event()
        self.cleaned_up = False

    async def run(self) -> None:
        self.works.set()
        try:
            await for_ever()
        finally:
            await asyncio.sleep(0)  # the cleanup takes a turn of the loop, so it must be waited for
            self.cleaned_up = True


def failing(error: BaseException) -> Callable[[], Coroutine[Any, Any, None]]:
    async def fail() -> None:
        raise error

    return fail


async def test_a_failing_worker_ends_all_after_their_cleanup() -> None:
    worker = Worker()

    async def fail_when_the_other_works() -> None:
        await worker.works.wait()
        raise ValueError("worn out")

    with pytest.raises(ValueError, match="worn out"):
        await soon(work_together({"a": worker.run, "b": fail_when_the_other_works}))

    assert worker.cleaned_up


@pytest.mark.parametrize("error", [DeviceLost("microphone: away"), ConfigError("kioskd.yaml: wrong")])
async def test_an_error_that_a_person_can_mend_is_raised_as_it_is(error: KioskError) -> None:
    with pytest.raises(KioskError) as raised:
        await soon(work_together({"a": for_ever, "b": failing(error)}))

    assert raised.value is error


async def test_an_error_in_a_workers_own_group_is_raised_as_it_is() -> None:
    error = DeviceLost("speaker: away")

    with pytest.raises(DeviceLost) as raised:
        await soon(work_together({"a": failing(BaseExceptionGroup("inner", [error]))}))

    assert raised.value is error


async def test_a_bug_is_raised_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        await soon(work_together({"a": for_ever, "b": failing(ZeroDivisionError())}))


async def test_a_mendable_error_does_not_hide_a_bug() -> None:
    with pytest.raises(ZeroDivisionError):
        await soon(work_together({"a": failing(DeviceLost("away")), "b": failing(ZeroDivisionError())}))


async def test_several_bugs_are_all_raised() -> None:
    with pytest.raises(BaseExceptionGroup) as raised:
        await soon(work_together({"a": failing(ZeroDivisionError()), "b": failing(KeyError())}))

    assert raised.group_contains(ZeroDivisionError)
    assert raised.group_contains(KeyError)


async def test_a_worker_that_returns_is_a_bug_and_named() -> None:
    async def return_early() -> None:
        return

    with pytest.raises(RuntimeError, match="worker 'link' has returned"):
        await soon(work_together({"a": for_ever, "link": return_early}))


async def test_an_exception_in_a_callback_ends_all_workers() -> None:
    async def schedule() -> None:
        asyncio.get_running_loop().call_soon(divide_by_zero)
        await for_ever()

    def divide_by_zero() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await soon(work_together({"a": schedule}))


async def test_the_loops_exception_handler_is_restored() -> None:
    loop = asyncio.get_running_loop()

    def handle(_loop: asyncio.AbstractEventLoop, _context: dict[str, Any]) -> None:
        raise AssertionError("nothing to handle in this test")

    loop.set_exception_handler(handle)
    with pytest.raises(ZeroDivisionError):
        await soon(work_together({"a": failing(ZeroDivisionError())}))

    assert loop.get_exception_handler() is handle
    loop.set_exception_handler(None)


async def test_cancelled_workers_clean_up_and_end() -> None:
    worker = Worker()
    crew = asyncio.create_task(work_together({"a": worker.run}))
    await soon(worker.works.wait())

    crew.cancel()

    with pytest.raises(asyncio.CancelledError):
        await soon(end_of(crew))
    assert worker.cleaned_up


async def end_of(task: "asyncio.Task[None]") -> None:
    await task


async def test_the_first_to_return_ends_the_others() -> None:
    worker = Worker()

    await soon(first_of(worker.run(), worker.works.wait()))

    assert worker.cleaned_up


async def test_the_first_to_fail_ends_the_others_and_its_error_is_raised_as_it_is() -> None:
    worker, error = Worker(), LinkLost("gone")

    async def fail() -> None:
        await worker.works.wait()
        raise error

    with pytest.raises(LinkLost) as raised:
        await soon(first_of(worker.run(), fail()))

    assert raised.value is error
    assert worker.cleaned_up


async def test_cancelling_first_of_cancels_all_coroutines() -> None:
    workers = Worker(), Worker()
    race = asyncio.create_task(first_of(*(worker.run() for worker in workers)))
    for worker in workers:
        await soon(worker.works.wait())

    race.cancel()

    with pytest.raises(asyncio.CancelledError):
        await soon(end_of(race))
    assert all(worker.cleaned_up for worker in workers)


async def test_a_cancellation_has_precedence_over_a_simultaneous_error() -> None:
    worker = Worker()

    async def fail_when_cancelled() -> None:
        try:
            await worker.run()
        except asyncio.CancelledError:
            raise LinkLost("broke while closing") from None

    race = asyncio.create_task(first_of(fail_when_cancelled(), for_ever()))
    await soon(worker.works.wait())

    race.cancel()

    with pytest.raises(asyncio.CancelledError):
        await soon(end_of(race))
