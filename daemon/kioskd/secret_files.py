"""Files that hold one secret: reading them, and what is wrong with one that cannot be used. Never what it holds."""

import os
import stat
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from kioskd import regular_file
from kioskd.errors import ConfigError

STORES: Final = ("/etc/credstore", "/etc/credstore.encrypted", "/run/credstore", "/run/credstore.encrypted")
"""Where systemd takes credentials from for its units (systemd.exec, ImportCredential=)."""

LONGEST: Final = 4096


class KeyUnusableError(ConfigError):
    """There is a key, and it cannot be used. `where` names its place, `what` says what, why and what to do."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what


class KeyMissingError(KeyUnusableError):
    """No place holds a key."""


def is_there(path: Path) -> bool | None:
    """Return whether there is a file at `path`; None where this user may not look into its folder."""
    try:
        os.stat(path)  # noqa: PTH116 - Path.exists() raises PermissionError or returns False, by version
    except PermissionError:
        return None
    except OSError:
        return False
    return True


def from_file(where: str, path: Path, *, private: bool) -> SecretStr:
    """Return the secret that a file holds, for a tool.

    Raises:
        KeyUnusableError: it cannot be read, holds none, or with `private` is open to others.
    """
    return checked(where, text(where, path, private=private))


def text(where: str, path: Path, *, private: bool) -> str:
    """Return the text of a file that should hold a secret; with `private`, only if nobody else can read it."""
    data, mode = read(where, path, LONGEST)
    if private:
        check_private(where, mode)
    return data.decode("utf-8", errors="replace")


def read(where: str, path: Path, longest: int) -> tuple[bytes, int]:
    """Return the first `longest` + 1 bytes of a regular file, and its mode."""
    try:
        data, status = regular_file.read(path, longest + 1)
    except regular_file.NotRegularError as err:
        raise KeyUnusableError(
            where, f"is {err.strerror}: a key is read from a file; correct the path"
        ) from None
    except FileNotFoundError:
        raise KeyUnusableError(where, "the file is not there; create it, or correct the path") from None
    except OSError as err:
        raise KeyUnusableError(
            where, f"the file cannot be read: {err.strerror}; it must belong to the daemon's own user"
        ) from None
    return data, status.st_mode


def check_private(where: str, mode: int) -> None:
    """Raise KeyUnusableError if a file of this mode is open to others."""
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyUnusableError(where, f"is open to others (mode {stat.S_IMODE(mode):o}); run chmod 600 on it")


def checked(where: str, text: str) -> SecretStr:
    """Return the secret that a text is, or raise KeyUnusableError where it cannot be one."""
    key = text.strip()
    if not key:
        raise KeyUnusableError(where, "is empty: it must be the service's key")
    if len(key) > LONGEST:
        raise KeyUnusableError(
            where, f"is longer than {LONGEST} characters: no key is; put the key alone there"
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise KeyUnusableError(
            where, "holds blanks, line breaks or odd characters: a key has none; put the key alone there"
        )
    return SecretStr(key)
