"""A child process that cannot outlive its call, fill the memory, or wait for anybody."""

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
"""Seconds in which the kernel ends a killed process, but for one that hangs in a driver."""
_LAST_WORDS_S: Final = 0.5
"""Seconds for what is in the pipe; a child that left the group may hold the pipe open for ever."""


@dataclass(frozen=True, slots=True)
class ProcessEnded:
    """How a process ended."""

    code: int | None
    """Its exit code, negative for a signal; None when it said more than it may and was killed."""
    output: bytes


class _Output(asyncio.Protocol):
    """Takes in what a process says, up to a bound."""

    def __init__(self, most: int, enough: asyncio.Event) -> None:
        self.said = bytearray()
        self.flooded = False
        self.closed = asyncio.Event()
        self._most, self._enough = most, enough

    def data_received(self, data: bytes) -> None:
        """Keep `data`, or have enough."""
        self.said += data[: self._most - len(self.said) + 1]
        if len(self.said) > self._most:
            self.flooded = True
            self._enough.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that nobody says anything more."""
        del exc
        self.closed.set()


async def run_to_end(
    program: Program, *, clock: ports.Clock, stdin: bytes, output_bytes: int | None
) -> ProcessEnded:
    """Run `program` (no shell) until it ends; then end whatever it has left behind in its process group.

    One that says more than `output_bytes` is ended; with None all that it says goes nowhere, however much it is.
    stdin is a file in memory, so a child that never reads it holds nobody up; stderr goes nowhere. Cancelling sends
    SIGTERM to the whole group and SIGKILL after `GRACE_S`. A child that makes a session of its own leaves the group:
    only the service manager ends that one, with the daemon.

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
    """End `process`, the leader of a group of its own, and what else is in that group, on the way out.

    By SIGTERM after `leave_s`, and SIGKILL `GRACE_S` later. `on_exit` is called when it has ended by itself.
    """
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    descriptor = process.fileno()

    def note() -> None:
        loop.remove_reader(descriptor)  # it stays readable
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
    """End all of a process group, whose leader has not been reaped, so that the number is still its own."""
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
