"""A machine that a test has booted: it runs commands, and writes and reads files in it."""

import abc
import base64
import os
import select
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.journal import PATIENCE_S

Answers = Mapping[str, str | Callable[[], object]]
"""Answers to a program's prompts: a line to type, or a function to call."""


class Machine(abc.ABC):
    """The common part of containers and virtual machines."""

    patience_s: float = PATIENCE_S
    """Seconds that a command may take by default."""

    _environ: Mapping[str, str]
    """The environment of `_inside`."""

    @abc.abstractmethod
    def _inside(self, command: Sequence[str | Path]) -> list[str]:
        """Return the command of this machine that runs `command` in the booted one, as root."""

    def exec(
        self,
        *command: str | Path,
        check: bool = True,
        given: str | None = None,
        environ: Mapping[str, str] | None = None,
        within_s: float | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root, with `given` as its input; kill it if it does not end in time.

        Raises:
            AssertionError: with `check`, the exit code was not 0; contains all output.
        """
        words = " ".join(map(str, command))
        within_s = within_s or self.patience_s
        pipe = subprocess.PIPE
        with subprocess.Popen(
            self._inside(command), stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True,
            env={**self._environ, **(environ or {})},
        ) as process:  # fmt: skip
            try:
                printed, complained = process.communicate(given or "", within_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # nsenter, and its child, which holds the pipes
                printed, complained = process.communicate()
                raise AssertionError(f"{words}: not over in {within_s} s:\n{printed}\n{complained}") from None
        if check and process.returncode:
            raise AssertionError(f"{words}: exit {process.returncode}:\n{printed}\n{complained}")
        return subprocess.CompletedProcess(process.args, process.returncode, printed, complained)

    def typed(
        self, *command: str | Path, answers: Answers | None = None, within_s: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root at a terminal, answer its prompts, and return the terminal's text.

        Raises:
            AssertionError: it did not end in time.
        """
        within_s = within_s or self.patience_s
        seen, answered = "", Counter[str]()
        until = time.monotonic() + within_s
        ours, theirs = os.openpty()
        try:
            with subprocess.Popen(
                ["setsid", "--ctty", *self._at_terminal(command)], stdin=theirs, stdout=theirs, stderr=theirs,
                env=self._environ,
            ) as process:  # fmt: skip
                os.close(theirs)
                try:
                    while select.select([ours], [], [], max(0.0, until - time.monotonic()))[0]:
                        try:
                            seen += os.read(ours, 4096).decode(errors="replace")
                        except OSError:  # the command has closed its end
                            break
                        for prompt, answer in (answers or {}).items():
                            if seen.count(prompt) > answered[prompt]:
                                answered[prompt] += 1
                                if callable(answer):
                                    answer()
                                else:
                                    os.write(ours, f"{answer}\n".encode())
                    process.wait(max(0.1, until - time.monotonic()))
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    raise AssertionError(f"{command}: not over in {within_s} s:\n{seen!r}") from None
        finally:
            os.close(ours)
        return subprocess.CompletedProcess(process.args, process.returncode, seen)

    def _at_terminal(self, command: Sequence[str | Path]) -> list[str]:
        """Return this machine's command that runs `command` in the booted one, at the same terminal."""
        return self._inside(command)

    def sh(self, script: str, **options: Any) -> str:
        """Run a script in the machine's shell as root, and return its output."""
        return self.exec("bash", "-euo", "pipefail", "-c", script, **options).stdout

    def write(self, path: str | Path, text: str, mode: str = "644") -> None:
        """Write a file in the machine, and create its folders. Readers see the old or the new content.

        An existing file keeps its owner.
        """
        self.sh(
            f"mkdir -p '{Path(path).parent}'; cat > '{path}.new'; chmod {mode} '{path}.new';"
            f"[ ! -e '{path}' ] || chown --reference='{path}' '{path}.new'; mv '{path}.new' '{path}'",
            given=text,
        )

    def write_bytes(self, path: str | Path, data: bytes) -> None:
        """Write a small file in the machine."""
        self.sh(f"base64 --decode > '{path}'", given=base64.b64encode(data).decode())

    def read(self, path: str | Path) -> str:
        """Return the text of a file in the machine."""
        return self.exec("cat", path).stdout

    def show(self, name: str, unit: str = "kioskd.service") -> str:
        """Return a property of a unit, as systemd shows it."""
        return self.exec("systemctl", "show", "--value", f"--property={name}", unit).stdout.strip()
