"""A lamp as a command of the owner, and the faults that such commands have."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.support.kiosk import running, soon

from kioskd.adapters.controls.command_lamp import CommandLamp
from kioskd.errors import DeviceLost
from kioskd.ports import Light


def light(state: str, level: float = 1.0) -> Light:
    return Light(state, level, level, level)


class Words:
    """Lines that commands write into a named pipe."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self.heard: asyncio.Queue[str] = asyncio.Queue()
        self._rest = b""
        # Opened for reading and writing, or it would end with the first command.
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        asyncio.get_running_loop().add_reader(self._fd, self._read)

    async def next(self) -> str:
        return await soon(self.heard.get())

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)

    def _read(self) -> None:
        *lines, self._rest = (self._rest + os.read(self._fd, 4096)).split(b"\n")
        for line in lines:
            self.heard.put_nowait(line.decode())


@pytest.fixture
async def words(tmp_path: Path) -> AsyncIterator[Words]:
    words = Words(tmp_path / "words")
    yield words
    words.close()


@pytest.fixture
def command(words: Words) -> Callable[..., CommandLamp]:
    """Make a lamp of a line of shell: $1 is the pipe to write to, $2 the state."""

    def make(line: str, deadline_s: float = 5.0) -> CommandLamp:
        return CommandLamp(["sh", "-c", line, "lamp", str(words.path)], deadline_s=deadline_s)

    return make


async def test_the_command_gets_each_state_once_and_the_end(
    words: Words, command: Callable[..., CommandLamp]
) -> None:
    lamp = command('echo "$2" > "$1"')
    async with running(lamp.run()):
        assert await words.next() == "starting"
        for state in ("asleep", "waking"):
            for level in (1.0, 0.0, 1.0):
                lamp.shine(light(state, level))
            assert await words.next() == state
    assert await words.next() == "off"
    assert words.heard.empty()


async def test_the_command_gets_the_newest_state_after_several_changes(
    words: Words, command: Callable[..., CommandLamp], tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    lamp = command(f'echo "$2" > "$1"; [ "$2" = off ] || read -r _ < "{gate}"')
    async with running(lamp.run()):
        assert await words.next() == "starting"
        for state in ("asleep", "waking", "listening", "thinking"):
            lamp.shine(light(state))
        await asyncio.to_thread(gate.write_text, "go on\n")
        assert await words.next() == "thinking"
        assert words.heard.empty()
        lamp.shine(light("speaking"))
        lamp.shine(light("thinking"))
        await asyncio.to_thread(gate.write_text, "go on\n")
    assert await words.next() == "off"


async def test_the_command_gets_the_fault_code(words: Words, command: Callable[..., CommandLamp]) -> None:
    lamp = command('echo "$2 ${KIOSKD_CODE-none}" > "$1"')
    async with running(lamp.run()):
        assert await words.next() == "starting none"
        for code, told in (("", "none"), ("S1", "S1"), ("", "none")):
            lamp.shine(Light("asleep", 0.0, 0.0, 0.0, code))
            assert await words.next() == f"asleep {told}"
        lamp.shine(Light("fault", 1.0, 0.0, 0.0, "D1"))
        assert await words.next() == "fault D1"
    assert await words.next() == "off none"


async def test_the_command_gets_the_signal_over_the_state(
    words: Words, command: Callable[..., CommandLamp]
) -> None:
    lamp = command('echo "$2 ${KIOSKD_OVERLAY-none}" > "$1"')
    async with running(lamp.run()):
        assert await words.next() == "starting none"
        for overlay, told in (("", "none"), ("recording", "recording"), ("asking", "asking"), ("", "none")):
            for level in (1.0, 0.0):
                lamp.shine(Light("listening", level, level, level, overlay=overlay))
            assert await words.next() == f"listening {told}"
    assert await words.next() == "off none"
    assert words.heard.empty()


async def test_the_command_gets_nothing_of_the_daemons_environment(
    words: Words, command: Callable[..., CommandLamp], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "not for you")
    lamp = command(
        'env | cut -d= -f1 | grep -v -e PWD -e SHLVL -e "^_$" | sort | tr "\\n" " " > "$1"; echo > "$1"'
    )
    async with running(lamp.run()):
        assert await words.next() == "LANG PATH "


async def test_a_command_that_takes_too_long_is_killed_with_its_children_and_logged_once(
    words: Words, command: Callable[..., CommandLamp], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    lamp = command(
        '[ "$2" = listening ] || [ "$2" = off ] || { sleep 1000 & echo $! > "$1"; wait; }; echo "$2" > "$1"',
        deadline_s=1.0,
    )
    async with running(lamp.run()):
        for state in ("asleep", "listening"):
            child = int(await words.next())
            lamp.shine(light(state))
            await gone(child)
        assert (await words.next()).split() == ["listening"]
    assert await words.next() == "off"
    fails, works = caplog.messages
    assert (
        fails == "lamp command fails: command=sh: it took longer than 1 s, and kioskd killed it; "
        "correct the command"
    )
    assert works == "lamp command works again: command=sh"


async def gone(process: int) -> None:
    """Wait until a process has ended, perhaps as a zombie."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(handle, ended.set)
    try:
        await soon(ended.wait())
    finally:
        loop.remove_reader(handle)
        os.close(handle)


async def test_a_failing_command_is_logged_once(
    words: Words, command: Callable[..., CommandLamp], caplog: pytest.LogCaptureFixture
) -> None:
    lamp = command('echo "$2" > "$1"; exit 3')
    async with running(lamp.run()):
        for state in ("starting", "asleep", "waking"):
            lamp.shine(light(state))
            assert await words.next() == state
    assert caplog.messages == ["lamp command fails: command=sh: it ended with status 3; correct the command"]


async def test_a_hanging_command_does_not_delay_the_daemons_end(
    words: Words, command: Callable[..., CommandLamp]
) -> None:
    lamp = command('echo $$ > "$1"; exec sleep 1000', deadline_s=1.0)
    async with running(lamp.run()):
        first = int(await words.next())
    await gone(first)
    await gone(int(await words.next()))


@pytest.mark.parametrize(("mode", "says"), [(None, "No such file"), (0o644, "Permission denied")])
async def test_a_missing_command_is_a_lost_device(tmp_path: Path, mode: int | None, says: str) -> None:
    program = tmp_path / "blink"
    if mode is not None:
        program.write_text("#!/bin/sh\n")
        program.chmod(mode)
    expected = rf"^command:{program}: the command cannot be started \({says}.*\); correct controls.lamp$"
    with pytest.raises(DeviceLost, match=expected):
        await soon(CommandLamp([str(program)]).run())


async def test_the_command_gets_the_tool_that_waits_for_a_press(
    words: Words, command: Callable[..., CommandLamp]
) -> None:
    lamp = command('echo "$2 $KIOSKD_OVERLAY $KIOSKD_ASKING" > "$1"')
    async with running(lamp.run()):
        await words.next()
        lamp.shine(Light("listening", 1.0, 1.0, 1.0, overlay="asking", asking="open_door"))
        assert await words.next() == "listening asking open_door"
        lamp.shine(Light("listening", 1.0, 1.0, 1.0))
        assert (await words.next()).split() == ["listening"]
