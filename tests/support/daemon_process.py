"""`kioskd run` as a process of its own, and its service manager played by the test."""

import asyncio
import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.support.sound_server import SoundServer

from kioskd.rehearsal.service import StandIn

COMMAND: Final = Path(sys.executable).with_name("kioskd")
PATIENCE_S: Final = 20.0
"""How long a test waits for a process on a busy machine of two cores."""

WATCHDOG_S: Final = 3.0


class DaemonProcess:
    """A running daemon."""

    def __init__(self, process: asyncio.subprocess.Process, journal: Path, manager: socket.socket) -> None:
        self._process = process
        self._journal = journal
        self._manager = manager
        self.told: list[str] = []
        """What it has told the service manager, in order; see sd_notify(3)."""

    @property
    def journal(self) -> str:
        """All that it wrote, to both outputs."""
        return self._journal.read_text()

    async def tells(self, wanted: Callable[[str], bool] | str) -> None:
        """Wait until it tells the service manager so; what it told before this call counts too."""
        holds = wanted if callable(wanted) else wanted.__eq__
        seen = 0
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    while seen < len(self.told):
                        seen += 1
                        if holds(self.told[seen - 1]):
                            return
                    self.told.append((await loop.sock_recv(self._manager, 4096)).decode())
        except TimeoutError:
            raise AssertionError(f"not told; told: {self.told}; journal:\n{self.journal}") from None

    async def shows(self, words: str) -> None:
        """Wait until its status line begins with `words`."""
        await self.tells(lambda said: said.startswith(f"STATUS={words}"))

    async def tells_within(self, seconds: float) -> list[str]:
        """Return what it tells the service manager in the next `seconds`."""
        before = len(self.told)
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    self.told.append((await loop.sock_recv(self._manager, 4096)).decode())
        return self.told[before:]

    async def leave(self) -> tuple[int, float]:
        """Send SIGTERM; return the exit code and the seconds until the process was gone."""
        began = time.monotonic()
        self._process.terminate()
        code = await self.ended()
        return code, time.monotonic() - began

    async def ended(self, within_s: float = PATIENCE_S) -> int:
        """Wait for its end, and return the exit code."""
        async with asyncio.timeout(within_s):
            return await self._process.wait()


@asynccontextmanager
async def daemon_process(
    folder: Path, settings: Mapping[str, Any], environ: Mapping[str, str]
) -> AsyncIterator[DaemonProcess]:
    """Run the daemon with `settings` as its YAML; it is killed after the block if it still runs."""
    config, journal, notify = folder / "kioskd.yaml", folder / "journal", folder / "notify"
    config.write_text(json.dumps(settings))  # JSON is YAML
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, journal.open("wb") as output:
        manager.bind(str(notify))
        manager.setblocking(False)
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
        try:
            yield DaemonProcess(process, journal, manager)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


def always_on(endpoint: str, ca_file: Path | None = None, **sections: Any) -> dict[str, Any]:
    """Return settings of a kiosk that wakes by itself and uses this service; `sections` come on top."""
    service = {"endpoint": endpoint} | ({"ca_file": str(ca_file)} if ca_file else {})
    return {
        "service": service,
        "conversation": {"wake": ["start"]},
        "speaker": {"volume": 100},
        **sections,
    }


def surroundings(sound: SoundServer, service: StandIn) -> dict[str, str]:
    """Return the environment in which a daemon finds its devices and its key."""
    return {**sound.environ, "GEMINI_API_KEY": service.key.get_secret_value()}
