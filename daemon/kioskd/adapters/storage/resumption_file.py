"""The conversation's number, resumption handle and profile, stored in the runtime directory.

The next process goes on with them.

The runtime directory is a tmpfs, which is gone when the machine stops: it neither wears the SD card nor stays
on it. Only the file's owner can read it, and it is deleted as soon as the conversation ends.
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
"""Seconds that a handle is used: visitors wait no longer. The service itself keeps it for two hours."""

NAME: Final = "conversation"

MOST_CONVERSATIONS: Final = 2**31
"""Highest conversation number that is believed: at one a second, the count takes 68 years to reach it."""


LONGEST_NAME: Final = 100
"""Characters of a profile's name that is believed."""


class ResumptionFile:
    """The file of one conversation; a `ports.ResumptionStore`."""

    def __init__(self, directory: Path, *, session_of: str) -> None:
        """Use `directory`. `session_of`: service and model; a handle of any other is ignored."""
        self._path = directory / NAME
        self._owner = sha256(session_of.encode()).hexdigest()
        self._warned = False

    def recover(self) -> tuple[int, SecretStr, str] | None:
        """Return number, handle and profile of the last process's conversation, and delete them; None if
        missing.

        A file that is too old, of another service, damaged, or another user's is deleted silently: the start
        is then normal.
        """
        found = None
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, OverflowError):
            if self._path.stat().st_uid == os.geteuid():
                kept = atomic_file.read_json(self._path)
                age_s = _since_boot_s() - float(kept["at"])
                conversation, handle = int(kept["conversation"]), kept["handle"]
                sendable = isinstance(handle, str) and handle.isascii() and handle.isprintable()
                profile = kept.get("profile", "default")  # an older version keeps none
                makes_sense = 0 < conversation <= MOST_CONVERSATIONS and sendable and handle != ""
                makes_sense = makes_sense and isinstance(profile, str) and len(profile) <= LONGEST_NAME
                if makes_sense and kept["owner"] == self._owner and 0 <= age_s <= FRESH_S:
                    found = conversation, SecretStr(handle), profile
        self.forget()
        return found

    def keep(self, conversation: int, handle: SecretStr, profile: str) -> None:
        """Replace the stored handle: a few hundred bytes, in memory."""
        kept = {
            "conversation": conversation,
            "handle": handle.get_secret_value(),
            "profile": profile,
            "owner": self._owner,
            "at": _since_boot_s(),
        }
        try:
            atomic_file.replace(self._path, json.dumps(kept), durable=False)
        except OSError as error:
            self.forget()  # the stored handle is void now that a new one exists
            if not self._warned:
                self._warned = True
                log.warning(
                    "conversation cannot be stored, and would be lost at a restart: error=%s", error.strerror
                )

    def forget(self) -> None:
        """Delete the stored handle."""
        for path in (self._path, atomic_file.draft_of(self._path)):
            with contextlib.suppress(OSError):
                path.unlink()


def runtime_directory(environ: Mapping[str, str]) -> Path | None:
    """Return the directory that the service manager created (RuntimeDirectory=); None if it created none."""
    first = environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return Path(first) if first else None


def _since_boot_s() -> float:
    """Return seconds since boot, which clock corrections do not change and all processes share."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
