"""Runs a child process with limits: it cannot outlive its call, fill the memory or block the daemon."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from kioskd import ports
from kioskd.tools.program import Program, RunningProgram, start
from kioskd.tools.waiting import within

GRACE_S: Final = 0.5
"""Seconds from SIGTERM to SIGKILL."""
_KILLED_S: Final = 2.0
"""Seconds in which the kernel ends a killed process, unless the process hangs in a driver."""
_LAST_WORDS_S: Final = 0.5
"""Seconds to read the rest of the pipe. A child that has left the group may hold the pipe open forever."""


@dataclass(frozen=True, slots=True)
class ProcessEnded:
    """The end of a process."""

    code: int | None
    """Exit code, negative for a signal; None if it wrote too much and was killed."""
    output: bytes


class _Output(asyncio.Protocol):
    """Collects the output of a process, up to a limit."""

    def __init__(self, most: int, enough: asyncio.Event) -> None:
        self.said = bytearray()
        self.flooded = False
        self.closed = asyncio.Event()
        self._most, self._enough = most, enough

    def data_received(self, data: bytes) -> None:
        """Keep `data`; at the limit set the event."""
        self.said += data[: self._most - len(self.said) + 1]
        if len(self.said) > self._most:
            self.flooded = True
            self._enough.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the output has ended."""
        del exc
        self.closed.set()


async def run_to_end(
    program: Program, *, clock: ports.Clock, stdin: bytes, output_bytes: int | None
) -> ProcessEnded:
    """Run `program` (no shell) until it ends; then end everything that is left in its process group.

    A program that writes more than `output_bytes` is ended. With None its output is thrown away, whatever its
    size. stdin is a file in memory, so a child that never reads it blocks nothing; stderr is thrown away.
    Cancelling sends SIGTERM to the whole group, and SIGKILL after `GRACE_S`. A child that starts its own
    session leaves the group, and only the service manager ends it, together with the daemon.

    Raises:
        OSError: the program cannot be started.
    """
    process = _start(program, stdin, subprocess.DEVNULL if output_bytes is None else subprocess.PIPE)
    enough, transport = asyncio.Event(), None
    output = _Output(output_bytes or 0, enough)
    try:
        async with ended_with_us(process, clock, on_exit=enough.set):
            if process.stdout is not None:
                loop = asyncio.get_running_loop()
                transport, _ = await loop.connect_read_pipe(lambda: output, process.stdout)
            await enough.wait()
        if transport is not None and not output.flooded:
            await _wait(output.closed, _LAST_WORDS_S, clock)
    finally:
        if transport is not None:
            transport.close()
        elif process.stdout is not None:
            process.stdout.close()
    if process.error:
        raise OSError(0, process.error)
    return ProcessEnded(None if output.flooded else process.returncode, bytes(output.said[:output_bytes]))


@contextlib.asynccontextmanager
async def ended_with_us(
    process: RunningProgram,
    clock: ports.Clock,
    *,
    leave_s: float = 0.0,
    on_exit: Callable[[], None] = lambda: None,
) -> AsyncIterator[None]:
    """On exit, end `process`, which leads a process group, and everything else in that group.

    It sends SIGTERM after `leave_s`, and SIGKILL `GRACE_S` later. `on_exit` is called if the process ends by
    itself.
    """
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    descriptor = process.fileno()

    def note() -> None:
        loop.remove_reader(descriptor)  # it would stay readable
        ended.set()
        on_exit()

    loop.add_reader(descriptor, note)
    try:
        yield
    finally:
        try:
            if leave_s:
                await _wait(ended, leave_s, clock)
        finally:
            try:
                await _end_group(process, ended, clock)
            finally:
                loop.remove_reader(descriptor)
                process.poll()
                process.close()


def _start(program: Program, stdin: bytes, stdout: int) -> RunningProgram:
    memory = os.memfd_create("kioskd-stdin")
    try:
        os.write(memory, stdin)
        os.lseek(memory, 0, os.SEEK_SET)
        return start(program, memory, stdout)
    finally:
        os.close(memory)


async def _end_group(process: RunningProgram, ended: asyncio.Event, clock: ports.Clock) -> None:
    """End a whole process group. Its leader is not reaped yet, so the group's number still belongs to it."""
    try:
        if not ended.is_set():
            process.signal(signal.SIGTERM)
            await _wait(ended, GRACE_S, clock)
    finally:
        process.signal(signal.SIGKILL)
        await _wait(ended, _KILLED_S, clock)


async def _wait(event: asyncio.Event, seconds: float, clock: ports.Clock) -> None:
    try:
        await within(clock, seconds, event.wait())
    except TimeoutError:
        return
