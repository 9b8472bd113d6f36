"""Everybody who works in the daemon: one TaskGroup, each worker by name; when one goes, all go."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from kioskd.errors import KioskError

Worker = Callable[[], Coroutine[Any, Any, object]]


async def work_together(workers: Mapping[str, Worker]) -> None:
    """Run all workers until cancelled, or until one fails; then cancel the others and wait for them.

    Also owns the loop's stray exceptions while it runs: what a callback raises ends all workers like a worker's bug,
    instead of being logged and forgotten.

    Raises:
        KioskError: what ended the workers, when it was trouble that a person can mend.
        Exception: a bug, in a group if there were several. A worker that returns is one too (RuntimeError).
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
            # Waited for in the block: a group that fails while it is being left (Python 3.11, 3.12) forgets to take
            # back the cancel() that it gave itself, and `_chief` would take that for somebody else's.
            await stray
    except BaseExceptionGroup as failures:
        raise _chief(failures) from None
    finally:
        loop.set_exception_handler(previous)


async def once(work: Callable[[], Awaitable[None]]) -> None:
    """Be a worker that has done its work when `work` is done."""
    await work()
    await asyncio.Event().wait()


async def first_of(*works: Coroutine[Any, Any, object]) -> None:
    """Run all; when the first returns, cancel the others and wait for them.

    Raises:
        Exception: what the first to fail raised, as it is.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)  # in the block, as above
    except BaseExceptionGroup as failures:
        raise _chief(failures) from None


async def _until_the_end(name: str, work: Worker) -> None:
    await work()
    raise RuntimeError(f"worker {name!r} has returned: workers run until they are cancelled")


def _chief(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return what to raise: a bug before all; then a cancellation, which a TaskGroup forgets over a failure; then trouble."""
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
