"""A lamp as a command of the owner, run at each change of state."""

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
"""Argument of the command when the daemon ends."""
DEADLINE_S: Final = 5.0
LEAVING_S: Final = 1.0
"""Seconds for the command when the daemon ends, which has 5 s in all."""
KILLED_S: Final = 1.0


def _message(light: Light) -> tuple[str, dict[str, str]]:
    """Return the command's argument and environment variables for a light."""
    known = {"KIOSKD_CODE": light.code, "KIOSKD_OVERLAY": light.overlay, "KIOSKD_ASKING": light.asking}
    return light.state, {name: value for name, value in known.items() if value}


class CommandLamp:
    """Lamp that runs `argv` plus the state as last argument at each change, and with `off` at the end.

    One command runs at a time. If the light changes meanwhile, only the newest state is passed on. Of the
    daemon's environment the command receives PATH only, and LANG is C.UTF-8. KIOSKD_CODE is set while a fault
    exists. KIOSKD_OVERLAY is set while a signal replaces the state's (asking, announcing, armed_mute,
    armed_restart, recording). KIOSKD_ASKING names the tool that waits for a button press. A command that
    takes longer than 5 s is killed with its children.
    """

    def __init__(self, argv: Sequence[str], *, deadline_s: float = DEADLINE_S) -> None:
        """`argv`: the program, looked up in PATH, and its arguments. No shell is used."""
        self._argv = tuple(argv)
        self._deadline_s = deadline_s
        self._wanted = _message(DARK)
        self._changed = asyncio.Event()
        self._failing = False

    def shine(self, light: Light) -> None:
        """Pass `light` on if its state, code, overlay or tool changed; brightness and rhythm are ignored."""
        if (wanted := _message(light)) != self._wanted:
            self._wanted = wanted
            self._changed.set()

    async def run(self) -> NoReturn:
        """Run the command for each state until cancelled, then for `off`; see `ports.Lamp`."""
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
            raise DeviceLost(
                f"{name}: the command cannot be started ({err.strerror}); correct controls.lamp", device=name
            ) from err
        try:
            async with asyncio.timeout(deadline_s):
                status = await process.wait()
            self._note("" if status == 0 else f"it ended with status {status}")
        except TimeoutError:
            self._note(f"it took longer than {deadline_s:g} s, and kioskd killed it")
        finally:
            await _end(process)

    def _note(self, fault: str) -> None:
        if fault and not self._failing:
            log.warning("lamp command fails: command=%s: %s; correct the command", self._argv[0], fault)
        elif self._failing and not fault:
            log.info("lamp command works again: command=%s", self._argv[0])
        self._failing = bool(fault)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the process and its children, if it still runs. It leads a process group of its own."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # A process that hangs in the kernel is left alone.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(KILLED_S):
            await process.wait()
