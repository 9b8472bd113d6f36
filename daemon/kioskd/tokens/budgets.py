"""The connections of each device today, in a database that outlives the process and a power cut."""

import contextlib
import datetime as dt
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from kioskd.errors import KioskError

FILE: Final = "budgets.sqlite"

_KEPT_DAYS: Final = 30
_LOCK_S: Final = 2.0
"""Seconds that a write waits for another process that uses the file."""


class TokenBudgets:
    """Counts of connections by day and name. Its calls block for some milliseconds; any thread may make them.

    A clock that is set back finds the counts of that day again.
    """

    def __init__(self, folder: Path) -> None:
        """Open the database, and create it if it is not there.

        Raises:
            KioskError: the folder or the file cannot be used.
        """
        self._guard = threading.Lock()
        self._path = folder / FILE
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._database = sqlite3.connect(
                self._path, timeout=_LOCK_S, isolation_level=None, check_same_thread=False
            )
            # FULL: a count that was given out has survived a power cut.
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS spent "
                "(day TEXT, name TEXT, connections INTEGER NOT NULL, PRIMARY KEY (day, name)) WITHOUT ROWID"
            )
        except (OSError, sqlite3.Error) as error:
            raise KioskError(
                f"{self._path}: the day's counts cannot be kept ({error}); "
                "check the folder, its permissions and the disk, or set state_folder"
            ) from None

    def spend(self, day: dt.date, most: Mapping[str, int]) -> str | None:
        """Count a connection under each name, or under none of them.

        Return a name that is at its limit, or None. A limit of 0 is none.

        Raises:
            sqlite3.Error: the count cannot be stored.
        """
        with self._guard, self._transaction():
            for name, limit in most.items():
                if limit and self._spent(day, name) >= limit:
                    return name
            for name in most:
                self._add(day, name, 1)
            self._database.execute(
                "DELETE FROM spent WHERE day < ?", ((day - dt.timedelta(days=_KEPT_DAYS)).isoformat(),)
            )
        return None

    def refund(self, day: dt.date, names: Mapping[str, int]) -> None:
        """Take back a connection that did not come about. Raises sqlite3.Error."""
        with self._guard, self._transaction():
            for name in names:
                self._add(day, name, -1)

    def spent(self, day: dt.date, name: str) -> int:
        """Return the connections of a day. Raises sqlite3.Error."""
        with self._guard:
            return self._spent(day, name)

    def close(self) -> None:
        """Close the database."""
        with self._guard:
            self._database.close()

    def _spent(self, day: dt.date, name: str) -> int:
        found = self._database.execute(
            "SELECT connections FROM spent WHERE day = ? AND name = ?", (day.isoformat(), name)
        ).fetchone()
        return int(found[0]) if found else 0

    def _add(self, day: dt.date, name: str, number: int) -> None:
        self._database.execute(
            "INSERT INTO spent VALUES (?, ?, max(?, 0)) "
            "ON CONFLICT (day, name) DO UPDATE SET connections = max(connections + ?, 0)",
            (day.isoformat(), name, number, number),
        )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")
