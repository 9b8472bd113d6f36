"""Small files that a restart keeps: the visitor's volume and mute, and the day's budget."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from kioskd.adapters.storage import atomic_file
from kioskd.ports import Preferences

log = logging.getLogger(__name__)

PREFERENCES: Final = "preferences.json"
BUDGET: Final = "budget.json"


class PreferenceFile:
    """Volume and mute as a visitor set them; a `ports.PreferenceStore`.

    Each call may wait for the disk: make one at a time, and not in the loop's thread. To spare an SD card,
    the file is written only after a change. The old content stays until the new is on the disk.
    """

    def __init__(self, directory: Path) -> None:
        """Use `directory`, which is created when needed."""
        self._path = directory / PREFERENCES
        self._kept: Preferences | None = None

    def load(self) -> Preferences:
        """Return the saved values, or the defaults if there are none. Warns if the file cannot be used."""
        self._kept = None
        try:
            self._kept = _parsed(atomic_file.read_json(self._path))
        except (OSError, ValueError) as error:
            if not isinstance(error, FileNotFoundError):
                log.warning(
                    "volume and mute not restored, the settings' values are used: file=%s error=%s; "
                    "the next change of volume or mute replaces the file",
                    self._path,
                    _reason(error),
                )
        return self._kept or Preferences()

    def save(self, preferences: Preferences) -> None:
        """Save `preferences`; see `ports.PreferenceStore`."""
        if preferences == self._kept:
            return
        self._kept = None  # unknown if the write fails
        atomic_file.replace(self._path, json.dumps(asdict(preferences)), durable=True)
        self._kept = preferences


class BudgetFile:
    """The day's usage; a `BudgetStore` of the flow.

    Each call may wait for the disk: make one at a time, and not in the loop's thread.
    """

    def __init__(self, directory: Path) -> None:
        """Use `directory`, which is created when needed."""
        self._path = directory / BUDGET

    def load(self) -> Mapping[str, object] | None:
        """Return the saved entry; None if there is none; {} if it cannot be read, which is logged here."""
        try:
            return atomic_file.read_json(self._path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            log.warning("today's usage cannot be read: file=%s error=%s", self._path, _reason(error))
            return {}

    def save(self, entry: Mapping[str, object]) -> None:
        """Replace the saved entry by `entry`. The old content stays until the new is on the disk."""
        atomic_file.replace(self._path, json.dumps(entry), durable=True)


def state_directory(environ: Mapping[str, str]) -> Path | None:
    """Return the service manager's state directory (StateDirectory=); None if it created none."""
    first = environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(first) if first else None


def _reason(error: OSError | ValueError) -> str | None:
    return error.strerror if isinstance(error, OSError) else "damaged"


def _parsed(found: Any) -> Preferences:
    """Read the object that `save` writes. ValueError: it is something else."""
    match found:
        case {"volume": None, "muted": bool(muted)}:
            return Preferences(None, muted)
        case {"volume": int(volume), "muted": bool(muted)} if type(volume) is int and 0 <= volume <= 100:
            return Preferences(volume, muted)
    raise ValueError("volume or mute is missing or invalid")
