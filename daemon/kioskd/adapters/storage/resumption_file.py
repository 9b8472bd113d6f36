"""What outlives the process: the conversation's number and its resumption handle, in the runtime directory.

The runtime directory is a tmpfs that ends with the machine's run: nothing of it wears or stays on the SD card. The file
is readable by its owner alone, and is gone as soon as the conversation is.
"""

import contextlib
import json
import logging
import os
import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from kioskd.adapters.storage import atomic_file

log = logging.getLogger(__name__)

FRESH_S: Final = 120.0
"""A visitor does not wait longer for a kiosk that fell silent; the service itself would keep the session for two hours."""

NAME: Final = "conversation"

MOST_CONVERSATIONS: Final = 2**31
"""A higher number is no count of conversations: one a second takes 68 years to it."""


class ResumptionFile:
    """The file; a `ports.ResumptionStore`."""

    def __init__(self, directory: Path, *, session_of: str) -> None:
        """Use `directory`. `session_of` names what a handle belongs to (service and model): with another, it is void."""
        self._path = directory / NAME
        self._owner = sha256(session_of.encode()).hexdigest()
        self._warned = False

    def recover(self) -> tuple[int, SecretStr] | None:
        """Return the conversation's number and handle that another process left, and forget them; None where none is.

        What is stale, of another service, damaged or not ours is dropped without a word: it is an ordinary start then.
        """
        found = None
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, OverflowError):
            if self._path.stat().st_uid == os.geteuid():
                kept = atomic_file.read_json(self._path)
                age_s = _since_boot_s() - float(kept["at"])
                conversation, handle = int(kept["conversation"]), kept["handle"]
                sendable = isinstance(handle, str) and handle.isascii() and handle.isprintable()
                makes_sense = 0 < conversation <= MOST_CONVERSATIONS and sendable and handle != ""
                if makes_sense and kept["owner"] == self._owner and 0 <= age_s <= FRESH_S:
                    found = conversation, SecretStr(handle)
        self.forget()
        return found

    def keep(self, conversation: int, handle: SecretStr) -> None:
        """Replace what is kept: a few hundred bytes, to memory."""
        kept = {
            "conversation": conversation,
            "handle": handle.get_secret_value(),
            "owner": self._owner,
            "at": _since_boot_s(),
        }
        try:
            atomic_file.replace(self._path, json.dumps(kept), durable=False)
        except OSError as error:
            self.forget()  # what is still kept is void: the new handle voided it
            if not self._warned:
                self._warned = True
                log.warning(
                    "conversation cannot be kept for a restart, going on without: error=%s", error.strerror
                )

    def forget(self) -> None:
        """Keep nothing."""
        for path in (self._path, atomic_file.draft_of(self._path)):
            with contextlib.suppress(OSError):
                path.unlink()


def runtime_directory(environ: Mapping[str, str]) -> Path | None:
    """Return the directory that the service manager made for us (RuntimeDirectory=), or None where it made none."""
    first = environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return Path(first) if first else None


def _since_boot_s() -> float:
    """Return seconds that no clock correction moves, comparable between processes of one run of the machine."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
