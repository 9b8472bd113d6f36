"""The bench's connection to `server.py`: it sends orders and reads reports."""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from kioskd.simulator.certificate import make_certificate

ROOT: Final = Path(__file__).parents[2]
PATIENCE_S: Final = 20.0

Report = dict[str, Any]


class Service:
    """The server, which runs inside the `with` block. It needs a folder for its certificate."""

    def __init__(self, folder: Path, *, patience_s: float = PATIENCE_S) -> None:
        """`patience_s`: the longest wait for a report."""
        self._patience_s = patience_s
        certificate = make_certificate(folder)
        self.ca_file: Final = certificate.ca_file
        self._command = [
            sys.executable, "-m", "tests.bench.server",
            str(certificate.chain_file), str(certificate.key_file),
        ]  # fmt: skip
        self._reports: list[Report] = []
        self._more = threading.Condition()
        self._over = False
        self.port = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, name="service reports", daemon=True)
        self._reader.start()
        self.port = self.wait("listening", after=0)["port"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin
        assert self._process.stdout
        # The server may have ended for the same reason as this block.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(PATIENCE_S)
        self._process.stdout.close()

    def mark(self) -> int:
        """Return a mark in the reports, for `wait` and `since`."""
        with self._more:
            return len(self._reports)

    def order(self, do: str, **more: Any) -> None:
        """Have the server do something."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self._process.stdin.flush()

    def ask(self, do: str, **more: Any) -> float:
        """Have the server send something, and return the time of sending."""
        mark = self.mark()
        self.order(do, **more)
        at: float = self.wait(do, after=mark)["at"]
        return at

    def wait(self, event: str, *, after: int) -> Report:
        """Return the first report of `event` behind a mark.

        Raises:
            TimeoutError: none came, or the server has ended.
        """
        with self._more:
            self._more.wait_for(lambda: self._over or any(self._of(event, after)), self._patience_s)
            for found in self._of(event, after):
                return found
        raise TimeoutError(f"the bench's server did not report {event!r} in {self._patience_s:.0f} s")

    def since(self, event: str, *, after: int) -> list[Report]:
        """Return the reports of `event` behind a mark."""
        with self._more:
            return list(self._of(event, after))

    def _of(self, event: str, after: int) -> Iterator[Report]:
        return (report for report in self._reports[after:] if report["event"] == event)

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            with self._more:
                self._reports.append(json.loads(line))
                self._more.notify_all()
        with self._more:
            self._over = True
            self._more.notify_all()
