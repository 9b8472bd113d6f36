"""The daemon's tasks: one TaskGroup, each worker by name. When one ends, all end."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from kioskd.errors import KioskError

Worker = Callable[[], Coroutine[Any, Any, object]]


async def work_together(workers: Mapping[str, Worker]) -> None:
    """Run all workers until cancelled, or until one fails; then cancel the others and wait for them.

    While it runs, it also handles the loop's stray exceptions: an exception in a callback ends all workers,
    as an exception in a worker does. It is not only logged.

    Raises:
        KioskError: the error that ended the workers, if a person can mend it.
        Exception: a bug, in a group if there were several. A worker that returns is a bug, too
        (RuntimeError).
    """
    loop = asyncio.get_running_loop()
    stray: asyncio.Future[None] = loop.create_future()

    def report(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not stray.done():
            stray.set_exception(context.get("exception") or RuntimeError(context["message"]))

    previous = loop.get_exception_handler()
    loop.set_exception_handler(report)
    try:
        async with asyncio.TaskGroup() as group:
            for name, work in workers.items():
                group.create_task(_until_the_end(name, work), name=name)
            # Awaited inside the block. A group that fails while it is being left (Python 3.11, 3.12) does
            # not take back its own cancel(). `_chief` would take that for a cancellation from outside.
            await stray
    except BaseExceptionGroup as failures:
        raise _chief(failures) from None
    finally:
        loop.set_exception_handler(previous)


async def once(work: Callable[[], Awaitable[None]]) -> None:
    """Do `work`, then wait until cancelled. For a worker that finishes early."""
    await work()
    await asyncio.Event().wait()


async def first_of(*works: Coroutine[Any, Any, object]) -> None:
    """Run all coroutines; when the first returns, cancel the others and wait for them.

    Raises:
        Exception: the exception of the first one that failed, not in a group.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)  # inside the block, for the reason in `work_together`
    except BaseExceptionGroup as failures:
        raise _chief(failures) from None


async def _until_the_end(name: str, work: Worker) -> None:
    await work()
    raise RuntimeError(f"worker {name!r} has returned: workers run until they are cancelled")


def _chief(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the exception to raise: first a bug, then a cancellation, then a KioskError.

    A TaskGroup forgets its cancellation if one of its tasks fails, so it is checked here.
    """
    bugs = failures.split(KioskError)[1]
    if bugs is not None:
        return bugs.exceptions[0] if len(bugs.exceptions) == 1 else bugs
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        return asyncio.CancelledError()
    first: BaseException = failures
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
