"""A tool that runs a program, with real child processes."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.support.fakes_devices import ManualClock
from tests.support.tools import command_tool
from tests.support.until import gone, number_in, until

from kioskd.tools.contract import Guarded, ToolResult
from kioskd.tools.guard import Guard
from kioskd.tools.kinds.command.tool import CommandTool
from kioskd.tools.toolbox import Toolbox


def python(code: str, *words: str, **options: Any) -> CommandTool:
    return command_tool([sys.executable, "-c", code, *words], **options)


async def run(command: CommandTool, **arguments: object) -> ToolResult:
    async with asyncio.timeout(60):
        return await command.call("run", arguments)


async def test_the_programs_output_is_the_answer() -> None:
    assert await run(command_tool(["/bin/echo", "open"])) == ToolResult("ok", "done", "open")


async def test_arguments_come_as_json_on_stdin() -> None:
    result = await run(command_tool(["/bin/cat"], answer="json"), door="front", note='"quoted"\n$(id)')
    assert result.data == {"door": "front", "note": '"quoted"\n$(id)'}


async def test_a_parameter_in_a_word_is_not_on_stdin() -> None:
    code = "import json,sys; print(json.dumps([sys.argv[1:], json.load(sys.stdin)]))"
    command = python(code, "--door={door}", "{n}", answer="json")
    assert (await run(command, door="a b", n=3, more=True)).data == [["--door=a b", "3"], {"more": True}]


async def test_the_program_gets_only_the_allowed_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "a-key")
    code = "import json,os; print(json.dumps(dict(os.environ)))"
    result = await run(python(code, answer="json", environment={"TZ": "UTC"}))
    assert isinstance(result.data, Mapping)
    assert set(result.data) - {"LC_CTYPE"} == {"PATH", "LANG", "TZ"}


async def test_the_program_runs_in_its_folder_and_gets_no_descriptor_of_the_daemon(tmp_path: Path) -> None:
    secret = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(secret, True)
    code = (
        "import json,os; print(json.dumps([os.getcwd(), sorted(map(int, os.listdir('/proc/self/fd')))[:-1]]))"
    )
    try:
        result = await run(python(code, answer="json", folder=tmp_path))
    finally:
        os.close(secret)
    assert result.data == [str(tmp_path), [0, 1, 2]]


@pytest.mark.parametrize(("code", "retryable"), [(1, False), (75, True)])
async def test_an_exit_code_is_an_error(code: int, retryable: bool) -> None:
    result = await run(python(f"import sys; print('s3cret'); sys.exit({code})"))
    assert (result.status, result.retryable) == ("error", retryable)
    assert str(code) in result.message


async def test_a_program_without_output_has_no_results_unless_the_answer_is_none() -> None:
    assert (await run(command_tool(["/bin/true"]))).status == "no_results"
    assert (await run(command_tool(["/bin/true"], answer="none"))).status == "ok"


@pytest.mark.parametrize("program", ["/no/such/program", "/etc/passwd", "/"])
async def test_a_program_that_cannot_be_started_is_an_error(program: str) -> None:
    assert "cannot be started" in (await run(command_tool([program]))).message


# Children that misbehave


async def test_a_child_that_never_reads_stdin_does_not_block() -> None:
    assert (await run(command_tool(["/bin/echo", "done"]), text="x" * 16_000)).data == "done"


async def test_a_child_that_floods_stdout_is_stopped(tmp_path: Path) -> None:
    notes = tmp_path / "pid"
    code = f"import os; open({str(notes)!r},'w').write(str(os.getpid()))\nwhile True: os.write(1, b'x'*65536)"
    result = await run(python(code, output_bytes=100_000))
    assert result.message == "its program wrote more than 100000 bytes and was stopped"
    await gone(await number_in(notes))


async def test_a_child_whose_output_is_ignored_may_write_any_amount(tmp_path: Path) -> None:
    code = "import os,sys; os.write(1, b'x' * 200_000); open(sys.argv[1] + '/opened', 'w').close()"
    result = await run(python(code, str(tmp_path), answer="none", output_bytes=1000))
    assert (result.status, (tmp_path / "opened").exists()) == ("ok", True)


STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    if os.fork() == 0:
        open(sys.argv[1] + "/grandchild", "w").write(str(os.getpid()))
        time.sleep(600)
    time.sleep(600)
open(sys.argv[1] + "/leader", "w").write(str(os.getpid()))
time.sleep(600)
"""


async def test_at_the_deadline_a_child_that_ignores_sigterm_is_killed_with_its_children(
    tmp_path: Path,
) -> None:
    clock = ManualClock()  # for the toolbox only: the child has time to start
    box = Toolbox([Guarded(python(STUBBORN, str(tmp_path)), Guard(deadline_s=5))], clock=clock, confirm=no)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        call = group.create_task(box.call("run", {}, turn=1, conversation=1))
        pids = [await number_in(tmp_path / name) for name in ("leader", "grandchild")]
        await clock.advance(5.1)
    assert call.result().status == "timeout"
    for pid in pids:
        await gone(pid)


async def no(_name: str, _words: str) -> bool:
    return False


async def test_cancelling_kills_the_child_and_its_children(tmp_path: Path) -> None:
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        call = group.create_task(python(STUBBORN, str(tmp_path)).call("run", {}))
        pids = [await number_in(tmp_path / name) for name in ("leader", "grandchild")]
        call.cancel()
    assert call.cancelled()
    for pid in pids:
        await gone(pid)


async def test_a_child_gets_sigterm_first(tmp_path: Path) -> None:
    code = (
        "import signal,sys,time\n"
        "def leave(*_): open(sys.argv[1]+'/tidied','w').write('yes'); sys.exit()\n"
        "signal.signal(signal.SIGTERM, leave)\n"
        "open(sys.argv[1]+'/ready','w').write('yes')\n"
        "time.sleep(600)"
    )
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        call = group.create_task(python(code, str(tmp_path)).call("run", {}))
        await until((tmp_path / "ready").exists)
        call.cancel()
    assert (tmp_path / "tidied").exists()


async def test_processes_that_a_child_leaves_behind_are_ended(tmp_path: Path) -> None:
    code = (
        "import os,sys,time\n"
        "if os.fork() == 0:\n"
        "    open(sys.argv[1]+'/left','w').write(str(os.getpid())); time.sleep(600)\n"
        "while not os.path.exists(sys.argv[1]+'/left') or not open(sys.argv[1]+'/left').read(): pass\n"
        "print('done', flush=True); os._exit(0)"
    )
    assert (await run(python(code, str(tmp_path)))).data == "done"
    await gone(await number_in(tmp_path / "left"))


async def test_a_process_that_left_the_group_does_not_delay_the_answer(tmp_path: Path) -> None:
    code = (
        "import os,sys,time\n"
        "if os.fork() == 0:\n"
        "    os.setsid(); open(sys.argv[1]+'/left','w').write(str(os.getpid())); time.sleep(600)\n"
        "while not os.path.exists(sys.argv[1]+'/left') or not open(sys.argv[1]+'/left').read(): pass\n"
        "print('done', flush=True); os._exit(0)"
    )
    result = await run(python(code, str(tmp_path)))
    psutil.Process(await number_in(tmp_path / "left")).kill()
    assert result.data == "done"


async def test_many_calls_leave_no_descriptor_and_no_zombie() -> None:
    command = command_tool(["/bin/echo", "x"])
    await run(command)
    before = psutil.Process().num_fds()
    for _ in range(5):
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            calls = [group.create_task(command.call("run", {})) for _ in range(4)]
        assert [call.result().data for call in calls] == ["x"] * 4
    assert psutil.Process().num_fds() <= before
    zombies = [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE]
    assert zombies == []


async def test_json_output_is_parsed() -> None:
    assert (await run(command_tool(["/bin/echo", json.dumps({"a": 1})], answer="json"))).data == {"a": 1}
