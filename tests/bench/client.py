"""The client that is measured: kioskd or a floor, as a process."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

import psutil
from tests.bench.service import ROOT

Kind = Literal["kioskd", "floor 20", "floor 10"]
"""kioskd, or a floor with device periods of so many milliseconds."""
KINDS: Final[tuple[Kind, ...]] = ("kioskd", "floor 20", "floor 10")

EXIT_S: Final = 10.0
_CPUCLOCK_SCHED: Final = 2


class Client:
    """One process of a client. Making it starts it; `spawned` is the time just before."""

    def __init__(
        self,
        kind: Kind,
        *,
        folder: Path,
        port: int,
        ca_file: Path,
        environ: Mapping[str, str],
        prefix: Sequence[str] = (),
        log_folder: Path | None = None,
    ) -> None:
        """Start it.

        Args:
            kind: The client.
            folder: The place of its settings and its cache.
            port: The server's.
            ca_file: The certificate authority of the server.
            environ: More of its environment.
            prefix: The words before the command, of a program that becomes the process and then runs it.
            log_folder: The place of its log; None for `folder`.
        """
        self.kind: Final = kind
        self._log = (log_folder or folder) / f"{kind}.log"
        command = (
            [
                str(Path(sys.executable).with_name("kioskd")),
                "run",
                "--config",
                str(_config(folder, port, ca_file)),
            ]
            if kind == "kioskd"
            else [
                sys.executable,
                str(ROOT / "tests/bench/floor.py"),
                str(port),
                str(ca_file),
                kind.removeprefix("floor "),
            ]
        )
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("KIOSKD_", "NOTIFY_"))
        }
        with self._log.open("wb") as log:
            self.spawned: Final = time.monotonic()
            self._process = subprocess.Popen(
                [*prefix, *command],
                # systemd gives the service such a folder. Renderings in it are made once for all starts.
                env={**kept, **environ, "GEMINI_API_KEY": "bench", "CACHE_DIRECTORY": str(folder / "cache")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        # The CPU clock of the other process, to the nanosecond: clock_getcpuclockid(3). Python does not offer
        # it.
        self._cpu_clock = (~self._process.pid << 3) | _CPUCLOCK_SCHED

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def cpu_s(self) -> float:
        """Return the CPU seconds of all its threads so far, user and system."""
        return time.clock_gettime(self._cpu_clock)

    def rss_mb(self) -> float:
        """Return its resident memory in MB (10^6 bytes)."""
        return float(psutil.Process(self._process.pid).memory_info().rss) / 1e6

    def leave(self) -> float:
        """Send SIGTERM, and return the seconds until the process has ended.

        Raises:
            RuntimeError: it had ended before, or did not end in 10 s; with the end of its log.
        """
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.kind} ended by itself, code {self._process.returncode}: {self.said()}")
        watched = os.pidfd_open(self._process.pid)
        try:
            poll = select.poll()
            poll.register(watched, select.POLLIN)
            asked = time.monotonic()
            self._process.send_signal(signal.SIGTERM)
            gone = poll.poll(EXIT_S * 1000)
            took = time.monotonic() - asked
        finally:
            os.close(watched)
        if not gone:
            raise RuntimeError(f"{self.kind} did not leave in {EXIT_S:.0f} s: {self.said()}")
        self._process.wait()
        return took

    def end(self) -> None:
        """Kill it if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def lines_said(self) -> int:
        """Return the number of lines in its log."""
        return self._log.read_text(errors="replace").count("\n")

    def said(self) -> str:
        """Return the end of its log."""
        return self._log.read_text(errors="replace")[-1500:]


def _config(folder: Path, port: int, ca_file: Path) -> Path:
    path = folder / "kioskd.yaml"
    path.write_text(
        f"service: {{endpoint: 'https://127.0.0.1:{port}', ca_file: {ca_file}}}\n"
        "conversation: {wake: [start], idle_s: 3600, longest_s: 86400}\n"
        "microphone: {echo: hardware}\n"
    )
    return path
