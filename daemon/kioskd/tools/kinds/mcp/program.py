"""An MCP server that is a program: messages are lines over its stdin and stdout, and lines have a limit.

The protocol's library also does this, but it reads an endless line forever.
"""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kioskd import ports
from kioskd.tools.contract import MOST_MARKS, marks
from kioskd.tools.process import ended_with_us
from kioskd.tools.program import Program, start

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.shared.message import SessionMessage

    Said = MemoryObjectReceiveStream[SessionMessage | Exception]
    ToSay = MemoryObjectSendStream[SessionMessage]

LARGEST_LINE: Final = 1 << 20
"""Bytes of one message."""
LEAVE_S: Final = 1.0
"""Seconds in which a server must end after its stdin is closed, as the protocol requires."""


@contextlib.asynccontextmanager
async def program_transport(
    program: Program, clock: ports.Clock, lose: Callable[[str], None]
) -> "AsyncIterator[tuple[Said, ToSay]]":
    """Start `program`, yield the streams for its messages and for ours, then end its process group.

    Its environment holds its own variables, and HOME, LOGNAME, PATH, SHELL, TERM and USER, which the
    protocol's library passes on. `lose` is called with the reason when the connection becomes useless: the
    program went away, or wrote more than `LARGEST_LINE` in a line.

    Raises:
        OSError: it cannot be started.
    """
    import anyio  # noqa: PLC0415 - an extra that only such tools need
    from mcp.client.stdio import get_default_environment  # noqa: PLC0415 - as above
    from mcp.shared.message import SessionMessage  # noqa: PLC0415 - as above

    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as pipes:
        environment = get_default_environment() | dict(program.environment)
        process = start(replace(program, environment=environment), subprocess.PIPE, subprocess.PIPE)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipes.enter_context(pipe)
        said, heard = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        spoken, to_say = anyio.create_memory_object_stream[SessionMessage](0)
        async with ended_with_us(process, clock, leave_s=LEAVE_S), said, heard, spoken, to_say:
            stdout = asyncio.StreamReader(LARGEST_LINE)
            reading, _ = await loop.connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(stdout), process.stdout
            )
            pipes.callback(reading.close)
            # The reader's protocol gives flow control for writing; nothing is read from it.
            protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader())
            writing, _ = await loop.connect_write_pipe(lambda: protocol, process.stdin)
            stdin = asyncio.StreamWriter(writing, protocol, None, loop)
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [
                        group.create_task(_receive(stdout, said, lose)),
                        group.create_task(_send(to_say, stdin, lose)),
                    ]
                    yield heard, spoken
                    for task in tasks:
                        task.cancel()
            finally:
                writing.close()
        if writing.get_write_buffer_size():
            writing.abort()  # a process outside the group holds the pipe and reads nothing


async def _receive(
    stdout: asyncio.StreamReader,
    said: "MemoryObjectSendStream[SessionMessage | Exception]",
    lose: Callable[[str], None],
) -> None:
    import anyio  # noqa: PLC0415 - as above
    from mcp.shared.message import SessionMessage  # noqa: PLC0415 - as above
    from mcp_types import jsonrpc_message_adapter  # noqa: PLC0415 - as above

    def read(line: bytes) -> SessionMessage | Exception:
        try:
            text = line.decode(errors="replace")
            return SessionMessage(jsonrpc_message_adapter.validate_json(text, by_name=False))
        except ValueError as error:
            return error

    async with said:
        try:
            async for line in stdout:
                if marks(line) > MOST_MARKS:
                    lose(f"it writes more than {MOST_MARKS} values in a line")
                    return
                await said.send(read(line))
            lose("it went away")
        except ValueError:
            lose(f"it writes more than {LARGEST_LINE} bytes in a line")
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # the receiver is closed


async def _send(
    to_say: "MemoryObjectReceiveStream[SessionMessage]",
    stdin: asyncio.StreamWriter,
    lose: Callable[[str], None],
) -> None:
    async with to_say:
        try:
            async for message in to_say:
                stdin.write(
                    message.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
                )
                await stdin.drain()
        except OSError:
            lose("it went away")
