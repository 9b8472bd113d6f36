"""What the day has cost, over restarts: one small file in the state directory."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kioskd.adapters.storage import atomic_file

log = logging.getLogger(__name__)

NAME: Final = "budget.json"


class BudgetFile:
    """The file; a `BudgetStore` of the flow. Each call may wait for the disk: not for the loop's thread, one at a time."""

    def __init__(self, directory: Path) -> None:
        """Use `directory`; it is made when it is needed."""
        self._path = directory / NAME

    def load(self) -> Mapping[str, object] | None:
        """Return what was saved; None where nothing was; nothing at all ({}) where it cannot be read, said here."""
        try:
            return atomic_file.read_json(self._path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "damaged"
            log.warning("count of the day cannot be read: file=%s error=%s", self._path, reason)
            return {}

    def save(self, entry: Mapping[str, object]) -> None:
        """Keep `entry` in place of what was kept; the old content stays until the new is on the disk."""
        atomic_file.replace(self._path, json.dumps(entry), durable=True)
