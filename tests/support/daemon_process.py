"""`kioskd run` as a process, with the test as its service manager."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.support.sound_server import SoundServer

from kioskd.simulator import Simulator

COMMAND: Final = Path(sys.executable).with_name("kioskd")
PATIENCE_S: Final = 60.0
"""Seconds that a test waits for a process on a busy machine with two cores."""

WATCHDOG_S: Final = 3.0


class DaemonProcess:
    """A running daemon."""

    def __init__(self, process: asyncio.subprocess.Process, journal: Path, manager: socket.socket) -> None:
        self._process = process
        self._journal = journal
        self._manager = manager
        self._told_more = asyncio.Event()
        self.told: list[str] = []
        """The messages to the service manager, in order; see sd_notify(3)."""

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def journal(self) -> str:
        """The text of both outputs."""
        return self._journal.read_text()

    def take_notice(self) -> None:
        """Read the messages to the service manager, at once as a real one does."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.told.append(self._manager.recv(4096).decode())
                self._told_more.set()

    async def tells(self, wanted: Callable[[str], bool] | str) -> None:
        """Wait until the daemon has sent a message that equals or meets `wanted`, perhaps earlier."""
        holds = wanted if callable(wanted) else wanted.__eq__
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not any(map(holds, self.told)):
                    self._told_more.clear()
                    await self._told_more.wait()
        except TimeoutError:
            raise AssertionError(
                f"the message did not come; messages: {self.told}; journal:\n{self.journal}"
            ) from None

    async def shows(self, words: str) -> None:
        """Wait until a status line has begun with `words`."""
        await self.tells(lambda said: said.startswith(f"STATUS={words}"))

    def reload(self) -> None:
        """Do the same as `systemctl reload kioskd`."""
        self._process.send_signal(signal.SIGHUP)

    async def leave(self) -> tuple[int, float]:
        """Send SIGTERM; return the exit code, and the seconds until the process ended."""
        began = time.monotonic()
        self._process.terminate()
        code = await self.ended()
        return code, time.monotonic() - began

    async def ended(self, within_s: float = PATIENCE_S) -> int:
        """Wait for the process's end, and return the exit code."""
        async with asyncio.timeout(within_s):
            return await self._process.wait()


@asynccontextmanager
async def daemon_process(
    folder: Path, settings: Mapping[str, Any], environ: Mapping[str, str], *, heeded: bool = True
) -> AsyncIterator[DaemonProcess]:
    """Run the daemon with `settings` as its YAML. If it still runs after the block, it is killed.

    `heeded=False` stands for a service manager that hangs: it reads nothing, and its queue is full.
    """
    config, journal, notify = folder / "kioskd.yaml", folder / "journal", folder / "notify"
    config.write_text(json.dumps(settings))  # JSON is YAML
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, journal.open("wb") as output:
        manager.bind(str(notify))
        manager.setblocking(False)
        if not heeded:
            fill(notify)
        process = await asyncio.create_subprocess_exec(
            *(COMMAND, "run", "--config", config),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                "NOTIFY_SOCKET": str(notify),
                "WATCHDOG_USEC": str(round(WATCHDOG_S * 1_000_000)),
                **environ,
            },
        )
        daemon = DaemonProcess(process, journal, manager)
        loop = asyncio.get_running_loop()
        if heeded:
            loop.add_reader(manager, daemon.take_notice)
        try:
            yield daemon
        finally:
            loop.remove_reader(manager)
            if process.returncode is None:
                process.kill()
            await process.wait()


def fill(inbox: Path) -> None:
    """Send to a datagram socket until its queue is full."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, contextlib.suppress(BlockingIOError):
        sender.setblocking(False)
        while True:
            sender.sendto(b"STATUS=of somebody else", str(inbox))


def always_on(endpoint: str, ca_file: Path | None = None, **sections: Any) -> dict[str, Any]:
    """Return settings of a kiosk that wakes by itself and uses this service; `sections` override."""
    service = {"endpoint": endpoint} | ({"ca_file": str(ca_file)} if ca_file else {})
    return {
        "service": service,
        "conversation": {"wake": ["start"]},
        "speaker": {"volume": 100},
        **sections,
    }


def surroundings(sound: SoundServer, service: Simulator) -> dict[str, str]:
    """Return the environment in which a daemon finds its devices and its key."""
    return {**sound.environ, "GEMINI_API_KEY": service.key.get_secret_value()}
