"""Programs of the unit kioskd-tool@; the test takes the place of its socket and of the service manager."""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.tools import command_tool
from tests.support.until import gone, until

from kioskd.tools import program, sandbox, seccomp
from kioskd.tools.contract import ToolResult
from kioskd.tools.kinds.command.tool import CommandTool
from kioskd.tools.sandbox import ProgramSandbox

pytestmark = pytest.mark.skipif(not seccomp.known(), reason="no filter of system calls for this processor")

STARTER = (
    "import os,sys; os.dup2(int(sys.argv[1]), 3, inheritable=True); "
    "os.execv(sys.executable, [sys.executable, '-m', 'kioskd.tools.spawner'])"
)


@pytest.fixture
async def unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[subprocess.Popen[bytes]]]:
    """Start a spawner for each connection, as the socket's unit does."""
    monkeypatch.setattr(program, "SOCKET", tmp_path / "tool.sock")
    async with _unit(tmp_path / "tool.sock") as started:
        yield started


@asynccontextmanager
async def _unit(path: Path) -> AsyncIterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        listening.setblocking(False)

        def accept() -> None:
            peer, _ = listening.accept()
            with peer:
                argv = [sys.executable, "-c", STARTER, str(peer.fileno())]
                started.append(subprocess.Popen(argv, pass_fds=[peer.fileno()]))

        loop.add_reader(listening, accept)
        yield started
        loop.remove_reader(listening)
    for process in started:
        await asyncio.to_thread(process.wait, 10)


def tool(argv: list[str], **options: Any) -> CommandTool:
    return command_tool(argv, **({"sandbox": ProgramSandbox()} | options))


async def run(command: CommandTool, **arguments: object) -> ToolResult:
    async with asyncio.timeout(60):
        return await command.call("run", arguments)


Started = list[subprocess.Popen[bytes]]


async def test_a_program_answers_as_without_the_unit(unit: Started, tmp_path: Path) -> None:
    code = "import json,os,sys; print(json.dumps([os.getcwd(), dict(os.environ), json.load(sys.stdin)]))"
    command = tool(
        ["/usr/bin/python3", "-c", code], answer="json", environment={"TZ": "UTC"}, folder=tmp_path
    )
    folder, environment, asked = json.loads(json.dumps((await run(command, door="front")).data))
    assert (folder, asked, environment["TZ"]) == (str(tmp_path), {"door": "front"}, "UTC")
    assert set(environment) - {"LC_CTYPE"} == {"PATH", "LANG", "TZ"}
    assert len(unit) == 1


@pytest.mark.parametrize(("code", "retryable"), [(1, False), (75, True)])
async def test_an_exit_code_is_an_error(unit: Started, code: int, retryable: bool) -> None:
    result = await run(tool(["/bin/sh", "-c", f"exit {code}"]))
    assert (result.status, result.retryable, len(unit)) == ("error", retryable, 1)
    assert str(code) in result.message


async def test_a_program_that_cannot_be_started_says_why(unit: Started) -> None:
    assert "cannot be started: No such file" in (await run(tool(["/no/such/program"]))).message
    assert len(unit) == 1


async def test_a_program_has_only_its_own_descriptors(unit: Started) -> None:
    found = await run(tool(["/bin/ls", "/proc/self/fd"]))
    assert str(found.data).split() == ["0", "1", "2", "3"]
    assert len(unit) == 1


async def test_cancelling_ends_the_program_with_all_its_children(unit: Started, tmp_path: Path) -> None:
    code = (
        "import os,signal,sys,time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "os.fork()\n"
        "open(f'{sys.argv[1]}/{os.getpid()}', 'w').close()\n"
        "time.sleep(600)\n"
    )
    notes = tmp_path / "pids"
    notes.mkdir()
    command = tool(["/usr/bin/python3", "-c", code, str(notes)], sandbox=ProgramSandbox(writes=(notes,)))
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        call = group.create_task(command.call("run", {}))
        await until(lambda: len(list(notes.iterdir())) == 2)
        pids = [int(each.name) for each in notes.iterdir()]
        call.cancel()
    assert len(unit) == 1
    for pid in pids:
        await gone(pid)


async def test_a_program_that_writes_too_much_is_stopped(unit: Started) -> None:
    result = await run(tool(["/usr/bin/yes"], output_bytes=100_000))
    assert "more than 100000 bytes" in result.message
    assert len(unit) == 1


async def test_a_spawner_that_dies_is_an_error(unit: Started) -> None:
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        call = group.create_task(tool(["/bin/sleep", "600"]).call("run", {}))
        await until(lambda: bool(unit))
        unit[0].kill()
    assert "its unit kioskd-tool@ has ended it" in call.result().message


async def test_a_program_of_the_unit_is_in_a_sandbox_too(unit: Started, tmp_path: Path) -> None:
    if sandbox.missing() is not None:
        pytest.skip(f"no sandbox here: {sandbox.missing()}")
    (tmp_path / "key").write_text("s3cret", encoding="ascii")
    code = f"open({str(tmp_path / 'key')!r})"
    assert "code 1" in (await run(tool(["/usr/bin/python3", "-c", code]))).message
    assert len(unit) == 1
