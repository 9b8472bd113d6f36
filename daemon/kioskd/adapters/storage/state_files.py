"""What a restart should not undo: what a visitor has set, and what the day has cost. Small files in the state directory."""

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
    """What a visitor has set; a `ports.PreferenceStore`. Each call may wait for the disk: not for the loop's thread, one at a time.

    Written only when something has changed, to spare an SD card; the old content stays until the new is on the disk.
    """

    def __init__(self, directory: Path) -> None:
        """Use `directory`; it is made when it is needed."""
        self._path = directory / PREFERENCES
        self._kept: Preferences | None = None

    def load(self) -> Preferences:
        """Return what was saved; what the settings say where nothing was, or it cannot be used (one warning then)."""
        self._kept = None
        try:
            self._kept = _parsed(atomic_file.read_json(self._path))
        except (OSError, ValueError) as error:
            if not isinstance(error, FileNotFoundError):
                log.warning(
                    "volume and mute not restored, going by the settings: file=%s error=%s; "
                    "the next change writes it anew, or remove it",
                    self._path,
                    _reason(error),
                )
        return self._kept or Preferences()

    def save(self, preferences: Preferences) -> None:
        """Keep `preferences`; see `ports.PreferenceStore`."""
        if preferences == self._kept:
            return
        self._kept = None  # what a write that fails leaves is not sure
        atomic_file.replace(self._path, json.dumps(asdict(preferences)), durable=True)
        self._kept = preferences


class BudgetFile:
    """What the day has cost; a `BudgetStore` of the flow. Each call may wait for the disk: not for the loop's thread, one at a time."""

    def __init__(self, directory: Path) -> None:
        """Use `directory`; it is made when it is needed."""
        self._path = directory / BUDGET

    def load(self) -> Mapping[str, object] | None:
        """Return what was saved; None where nothing was; nothing at all ({}) where it cannot be read, said here."""
        try:
            return atomic_file.read_json(self._path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            log.warning("count of the day cannot be read: file=%s error=%s", self._path, _reason(error))
            return {}

    def save(self, entry: Mapping[str, object]) -> None:
        """Keep `entry` in place of what was kept; the old content stays until the new is on the disk."""
        atomic_file.replace(self._path, json.dumps(entry), durable=True)


def state_directory(environ: Mapping[str, str]) -> Path | None:
    """Return the directory that the service manager made for our state (StateDirectory=), or None where it made none."""
    first = environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(first) if first else None


def _reason(error: OSError | ValueError) -> str | None:
    return error.strerror if isinstance(error, OSError) else "damaged"


def _parsed(found: Any) -> Preferences:
    """Read what `save` writes. ValueError: it is something else."""
    match found:
        case {"volume": None, "muted": bool(muted)}:
            return Preferences(None, muted)
        case {"volume": int(volume), "muted": bool(muted)} if type(volume) is int and 0 <= volume <= 100:
            return Preferences(volume, muted)
    raise ValueError("neither volume nor mute")
