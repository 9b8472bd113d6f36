"""The service key: where it may stand, and what is wrong with one that cannot be used. Never what it is."""

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from kioskd.errors import ConfigError
from kioskd.settings.model import ServiceSettings

CREDENTIAL: Final = "gemini-api-key"
"""Name of the systemd credential."""

VARIABLES: Final = ("GEMINI_API_KEY", "GOOGLE_API_KEY")

_LONGEST: Final = 4096


class KeyUnusableError(ConfigError):
    """There is a key, and it cannot be used. `where` names its place, `what` says what, why and what to do."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what


class KeyMissingError(KeyUnusableError):
    """No place holds a key."""


def service_key(settings: ServiceSettings, environ: Mapping[str, str]) -> SecretStr:
    """Return the service's key from the first place that has one.

    The places: `key_file` (no other, when it is set), the systemd credential, GEMINI_API_KEY, GOOGLE_API_KEY.

    Raises:
        KeyMissingError: no place has one.
        KeyUnusableError: the first place that has one holds no key, or is open to others.
    """
    if settings.key_file is not None:
        return _from_file("service.key_file", settings.key_file, private=True)
    if directory := environ.get("CREDENTIALS_DIRECTORY"):
        credential = Path(directory, CREDENTIAL)
        if credential.exists():
            # The service manager guards it: its mode is the manager's affair.
            return _from_file(f"systemd credential {CREDENTIAL}", credential, private=False)
    for name in VARIABLES:
        if name in environ:
            return _checked(name, environ[name])
    raise KeyMissingError(
        "service key",
        f"there is none: looked for the systemd credential {CREDENTIAL} and for {' and '.join(VARIABLES)}; "
        "set one of them, or service.key_file",
    )


def _from_file(where: str, path: Path, *, private: bool) -> SecretStr:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise KeyUnusableError(where, "is no regular file: a key is read from one; correct the path")
        if private and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise KeyUnusableError(
                where, f"is open to others (mode {stat.S_IMODE(status.st_mode):o}); run chmod 600 on it"
            )
        with path.open("rb") as file:
            data = file.read(_LONGEST + 1)
    except FileNotFoundError:
        raise KeyUnusableError(where, "the file is not there; create it, or correct the path") from None
    except OSError as err:
        raise KeyUnusableError(
            where, f"the file cannot be read: {err.strerror}; it must belong to the daemon's own user"
        ) from None
    return _checked(where, data.decode("ascii", errors="replace"))


def _checked(where: str, text: str) -> SecretStr:
    key = text.strip()
    if not key:
        raise KeyUnusableError(where, "is empty: the service's key is needed; put it there")
    if len(key) > _LONGEST:
        raise KeyUnusableError(
            where, f"is longer than {_LONGEST} characters: no key is; put the key alone there"
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise KeyUnusableError(
            where, "holds blanks, line breaks or odd characters: a key has none; put the key alone there"
        )
    return SecretStr(key)
