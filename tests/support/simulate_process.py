"""`kioskd simulate` as a process, and its output."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

PATIENCE_S: Final = 60.0
_SHELL_LINE: Final = re.compile(r"(unset|export|#) ")


class SimulateProcess:
    """A running `kioskd simulate`."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kioskd", "simulate", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def shell_lines(self) -> list[str]:
        """The lines for a shell, which are printed first."""
        self.wait_for("export GEMINI_API_KEY=")
        return [line for line in self._lines if _SHELL_LINE.match(line)]

    @property
    def told(self) -> list[str]:
        """The lines about clients, without their times."""
        with self._changed:
            return [line.split(" s  ", 1)[1] for line in self._lines if not _SHELL_LINE.match(line)]

    def wait_for(self, words: str) -> None:
        """Wait until a line with these words is printed."""
        with self._changed:
            found = self._changed.wait_for(
                lambda: self._ended or any(words in line for line in self._lines), PATIENCE_S
            )
            assert found, f"no line with {words!r} in {self._lines}"
            assert any(words in line for line in self._lines), f"it ended: {self._errors()}"

    def stop(self, number: int) -> tuple[int, str]:
        """Send a signal; return the exit code and the text of stderr."""
        self._process.send_signal(number)
        code = self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return code, self._errors()

    def kill(self) -> None:
        """End the process, if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()

    def _errors(self) -> str:
        assert self._process.stderr is not None
        return self._process.stderr.read()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


@contextmanager
def simulating(*arguments: str) -> Iterator[SimulateProcess]:
    """Run `kioskd simulate` while the block lasts."""
    process = SimulateProcess(arguments)
    try:
        yield process
    finally:
        process.kill()
