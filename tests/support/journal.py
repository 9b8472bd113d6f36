"""The journal of a machine that a test has booted."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

PATIENCE_S: Final = 90.0

Entry = Mapping[str, Any]
"""One line of the journal, with its fields; see systemd.journal-fields(7)."""


class Journal:
    """The machine's journal, read while it is written."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._entries: list[Entry] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, name="journal", daemon=True)
        self._reader.start()

    @property
    def now(self) -> int:
        """The number of lines so far, for `wait(since=…)` and `text(since=…)`."""
        with self._more:
            return len(self._entries)

    def text(self, unit: str | None = None, since: int = 0) -> str:
        """Return the messages of one unit or of all, one a line."""
        with self._more:
            entries = self._entries[since:]
        return "\n".join(_message(entry) for entry in entries if unit is None or _is_of(unit, entry))

    def wait(
        self, wanted: str | Callable[[Entry], bool], *, unit: str = "kioskd.service", since: int = 0,
        within_s: float = PATIENCE_S,
    ) -> Entry:  # fmt: skip
        """Return the first line of `unit` (its own, or systemd's about it) that contains or meets `wanted`.

        Raises:
            AssertionError: no line came in time; contains the unit's last lines.
        """
        fits = wanted if callable(wanted) else lambda entry: wanted in _message(entry)
        until = time.monotonic() + within_s
        seen = since
        with self._more:
            while True:
                for entry in self._entries[seen:]:
                    if _is_of(unit, entry) and fits(entry):
                        return entry
                seen = max(seen, len(self._entries))
                if not self._more.wait_for(lambda: len(self._entries) > seen, until - time.monotonic()):  # noqa: B023 - called at once
                    break
        raise AssertionError(
            f"not in the journal: {wanted}; its last lines:\n{self.text(unit, since)[-4000:]}"
        )

    def go_on(self) -> None:
        """Continue the reader: nsenter stops itself when the machine goes down, and would never end."""
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Stop reading."""
        with contextlib.suppress(ProcessLookupError):  # the process ended with the machine
            os.killpg(self._process.pid, signal.SIGKILL)  # nsenter, and its child
        self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        if self._process.stdout:
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            entry = json.loads(line)
            with self._more:
                self._entries.append(entry)
                self._more.notify_all()


def _message(entry: Entry) -> str:
    message = entry.get("MESSAGE")
    return message if isinstance(message, str) else bytes(message or b"").decode(errors="replace")


def _is_of(unit: str, entry: Entry) -> bool:
    return unit in (entry.get("_SYSTEMD_UNIT"), entry.get("UNIT"), entry.get("OBJECT_SYSTEMD_UNIT"))
