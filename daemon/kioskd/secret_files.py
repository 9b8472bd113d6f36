"""Reading files that hold one secret. Errors name the fault, and never show the secret."""

import os
import stat
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from kioskd import regular_file
from kioskd.errors import ConfigError

STORES: Final = ("/etc/credstore", "/etc/credstore.encrypted", "/run/credstore", "/run/credstore.encrypted")
"""The folders from which systemd loads its units' credentials (systemd.exec, ImportCredential=)."""

LONGEST: Final = 4096


class KeyUnusableError(ConfigError):
    """A key cannot be used. `where` names its place, `what` gives the cause and the remedy."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what


class KeyMissingError(KeyUnusableError):
    """There is no key in any place."""


def is_there(path: Path) -> bool | None:
    """Return whether there is a file at `path`; None if this user is not allowed to look into its folder."""
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
        KeyUnusableError: the file cannot be read or holds no secret. With `private`: other users can access
        it.
    """
    return checked(where, text(where, path, private=private))


def text(where: str, path: Path, *, private: bool) -> str:
    """Return the text of a secret file. With `private`, reject a file that others can access."""
    data, mode = read(where, path, LONGEST)
    if private:
        check_private(where, mode)
    return data.decode("utf-8", errors="replace")


def read(where: str, path: Path, longest: int) -> tuple[bytes, int]:
    """Return the first `longest` + 1 bytes of a regular file, and its mode."""
    try:
        data, status = regular_file.read(path, longest + 1)
    except regular_file.NotRegularError as err:
        what = f"is {err.strerror}: a key is read from a file; correct the path"
    except FileNotFoundError:
        what = "the file is not there; create it, or correct the path"
    except OSError as err:
        what = f"the file cannot be read: {err.strerror}; make the daemon's own user its owner"
    else:
        return data, status.st_mode
    raise KeyUnusableError(where, what)


def check_private(where: str, mode: int) -> None:
    """Raise KeyUnusableError if a file of this mode is open to other users."""
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyUnusableError(
            where, f"other users can access it (mode {stat.S_IMODE(mode):o}); run chmod 600 on it"
        )


def checked(where: str, text: str) -> SecretStr:
    """Return `text` as a secret. Raise KeyUnusableError if it cannot be one."""
    key = text.strip()
    if not key:
        what = "is empty: no key was given; give one"
    elif len(key) > LONGEST:
        what = f"is longer than {LONGEST} characters, which no key is; put the key alone there"
    elif not key.isascii() or not key.isprintable() or " " in key:
        what = "holds blanks, line breaks or odd characters, which a key has not; put the key alone there"
    else:
        return SecretStr(key)
    raise KeyUnusableError(where, what)
