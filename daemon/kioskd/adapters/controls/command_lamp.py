"""A lamp of the owner's own making: a command that is run for each state."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Sequence
from typing import Final, NoReturn

from kioskd.errors import DeviceLost
from kioskd.ports import DARK, Light

log = logging.getLogger(__name__)

OFF: Final = "off"
"""The argument when the daemon ends."""
DEADLINE_S: Final = 5.0
LEAVING_S: Final = 1.0
"""The same when the daemon leaves, which has 5 s for everything."""
KILLED_S: Final = 1.0


def _message(light: Light) -> tuple[str, dict[str, str]]:
    """Return what the command gets: its argument and its variables."""
    known = {"KIOSKD_CODE": light.code, "KIOSKD_OVERLAY": light.overlay, "KIOSKD_ASKING": light.asking}
    return light.state, {name: value for name, value in known.items() if value}


class CommandLamp:
    """Runs `argv` with one more argument, the state, at each change of what is shown, and with `off` at the end.

    One runs at a time: of what has changed meanwhile it is told the newest. Of our environment it sees PATH and LANG.
    KIOSKD_CODE is set while something is wrong, KIOSKD_OVERLAY while something lies over the state (asking, armed_mute,
    armed_restart, recording). KIOSKD_ASKING is the tool that waits for a press. It is killed with its children after 5 s.
    """

    def __init__(self, argv: Sequence[str], *, deadline_s: float = DEADLINE_S) -> None:
        """`argv`: the program, found in PATH, and its arguments; no shell."""
        self._argv = tuple(argv)
        self._deadline_s = deadline_s
        self._wanted = _message(DARK)
        self._changed = asyncio.Event()
        self._failing = False

    def shine(self, light: Light) -> None:
        """Tell the command what `light` tells, if that is new; brightness and rhythm are its own business."""
        if (wanted := _message(light)) != self._wanted:
            self._wanted = wanted
            self._changed.set()

    async def run(self) -> NoReturn:
        """Tell the command each state until cancelled, then `off`; see `ports.Lamp`. A failing command is logged once."""
        sent = None
        try:
            while True:
                self._changed.clear()
                if self._wanted != sent:
                    sent = self._wanted
                    await self._run(*sent, self._deadline_s)
                else:
                    await self._changed.wait()
        finally:
            if sent is not None:
                with contextlib.suppress(DeviceLost):
                    await self._run(OFF, {}, min(LEAVING_S, self._deadline_s))

    async def _run(self, word: str, variables: dict[str, str], deadline_s: float) -> None:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._argv,
                word,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"} | variables,
                start_new_session=True,
            )
        except OSError as err:
            name = f"command:{self._argv[0]}"
            raise DeviceLost(f"{name}: cannot be started ({err.strerror}); mend it", device=name) from err
        try:
            async with asyncio.timeout(deadline_s):
                status = await process.wait()
            self._note("" if status == 0 else f"it ended with status {status}")
        except TimeoutError:
            self._note(f"it took longer than {deadline_s:g} s, and was killed")
        finally:
            await _end(process)

    def _note(self, fault: str) -> None:
        if fault and not self._failing:
            log.warning("lamp command fails: command=%s: %s; mend the command", self._argv[0], fault)
        elif self._failing and not fault:
            log.info("lamp command works again: command=%s", self._argv[0])
        self._failing = bool(fault)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the process and all its children, if it runs; it is the leader of a group of its own."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # One that the kernel holds on to is left to it.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(KILLED_S):
            await process.wait()
