"""The service key and the account of vertex: their places, and why one is rejected. No message repeats a
key."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from kioskd import secret_files
from kioskd.secret_files import KeyMissingError, KeyUnusableError
from kioskd.settings.service import ServiceSettings

CREDENTIAL: Final = "gemini-api-key"
"""Name of the systemd credential."""

DEVICE_KEY: Final = "device-key"
"""Name of the systemd credential with the private key of `service.token_certificate`."""

VARIABLES: Final = ("GEMINI_API_KEY", "GOOGLE_API_KEY")

_LONGEST_CREDENTIALS: Final = 1 << 16


def service_key(settings: ServiceSettings, environ: Mapping[str, str]) -> SecretStr | None:
    """Return the service key from the first place that has one. None: no key is needed.

    Provider vertex uses an account, and with `token_url` each connection gets a token of its own. If
    `key_file` is set, it is the only place. Else the places are the systemd credential, GEMINI_API_KEY and
    GOOGLE_API_KEY, in this order.

    Raises:
        KeyMissingError: no place has a key.
        KeyUnusableError: the first place with a text holds no valid key, or other users can read it.
    """
    if settings.provider == "vertex" or settings.token_url is not None:
        return None
    if settings.key_file is not None:
        return _key_in("service.key_file", settings.key_file, private=True)
    if directory := environ.get("CREDENTIALS_DIRECTORY"):
        credential = Path(directory, CREDENTIAL)
        if credential.exists():
            # systemd protects it, and decides on its mode.
            return _key_in(f"systemd credential {CREDENTIAL}", credential, private=False)
    for name in VARIABLES:
        if name in environ:
            return _key(name, environ[name])
    raise KeyMissingError(
        "service key",
        f"there is none: neither the systemd credential {CREDENTIAL} nor {' nor '.join(VARIABLES)} is set; "
        "store one with `sudo kioskd key`, or set service.key_file",
    )


def other_credential(settings: ServiceSettings) -> str | None:
    """Return the setting that replaces a stored key by another credential. None: a stored key is used."""
    if settings.provider == "vertex":
        return "provider: vertex"
    if settings.token_url is not None:
        return "token_url"
    return "key_file" if settings.key_file is not None else None


def device_key(where: str, path: Path | None, environ: Mapping[str, str]) -> Path:
    """Return the file with the private key of this device's certificate.

    `path` is the owner's file from the setting `where`; None: it is a systemd credential.

    Raises:
        KeyMissingError: no place has one.
        KeyUnusableError: the file cannot be read, or other users can read it.
    """
    if path is not None:
        secret_files.check_private(where, secret_files.read(where, path, _LONGEST_CREDENTIALS)[1])
        return path
    if directory := environ.get("CREDENTIALS_DIRECTORY"):
        credential = Path(directory, DEVICE_KEY)
        if credential.exists():
            return credential
    raise KeyMissingError(
        where,
        f"is not set, and there is no systemd credential {DEVICE_KEY}; "
        f"set it, or store one and add [Service] LoadCredentialEncrypted={DEVICE_KEY} "
        "by sudo systemctl edit kioskd",
    )


class ServiceKeys:
    """The service key of a running process, which can receive a new one.

    systemd decrypts a credential only when it starts the process, so a key that is stored later comes another
    way. That key is kept in memory only, and counts until the process ends.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Look for keys in `environ`, as `service_key` does."""
        self._environ = environ
        self._handed: SecretStr | None = None

    def opener(self, settings: ServiceSettings) -> Callable[[], SecretStr] | None:
        """Return a function that returns the current key. None: no key is needed. Raises as `service_key`."""
        found = service_key(settings, self._environ)
        if found is None:
            return None
        if other_credential(settings) is not None:
            return lambda: found
        return lambda: found if self._handed is None else self._handed

    def take(self, settings: ServiceSettings, key: SecretStr) -> None:
        """Use `key` from now on, in place of the stored one.

        Raises:
            KeyUnusableError: `key` cannot be a key, or `settings` use no stored key.
        """
        if (other := other_credential(settings)) is not None:
            raise KeyUnusableError(
                "service key",
                f"is not used with service.{other}; remove that setting to use a stored key",
            )
        self._handed = _key("service key", key.get_secret_value())


def check_account(settings: ServiceSettings) -> None:
    """Check that the file of the account, if the settings name one, suits Google's library.

    Raises:
        KeyUnusableError: the file is missing, holds no service account, or can be read by other users.
    """
    path, where = settings.credentials_file, "service.credentials_file"
    if path is None:
        return
    data, mode = secret_files.read(where, path, _LONGEST_CREDENTIALS)
    try:
        account = json.loads(data)
    except (ValueError, RecursionError):
        account = None
    if not isinstance(account, dict) or account.get("type") != "service_account":
        raise KeyUnusableError(
            where,
            'holds no service account (JSON with "type": "service_account"); write the path of one, '
            "or remove the setting to use application default credentials of another type",
        )
    secret_files.check_private(where, mode)


def _key_in(where: str, path: Path, *, private: bool) -> SecretStr:
    return _key(where, secret_files.text(where, path, private=private))


_MISTAKES: Final = (
    (r"export\s", "begins with export, as in a shell script: the key is only the text after NAME="),
    (r"(?i)set(env)?\s", "begins with set, as in a shell script: the key is only the text after the name"),
    (r"(?i)-H\b|curl\s", "is a command: the key is only a part of it"),
    (
        r"(?i)(authorization|x-goog-api-key)\s*:",
        "begins with the name of a header: the key is only the text after it",
    ),
    (r"(?i)bearer\s", "begins with Bearer, which belongs to a header: the key is only the text after it"),
    (r"https?://|\?key=", "is an address: the key is only the text after key="),
    (r"[\w.-]+\s*=\s*[^=\s]", "begins with NAME=: the key is only the text after the ="),
    (r"[\w.-]+\s*:\s", "begins with NAME:, as in YAML: the key is only the text after the colon"),
    (r"[{\[]", "is JSON or a list: the key is only a part of it"),
    (r"<|.*>$", "is in angle brackets: they do not belong to the key"),
)
"""Mistakes of people who store a key: a pattern for the begin of the text, and words for the mistake."""
_QUOTES: Final = frozenset("'\"`\xb4\xab\xbb\u2018\u2019\u201a\u201c\u201d\u201e")
"""Quotation marks of keyboards and of word processors."""


def _mistake(key: str) -> str | None:
    """Return words for the mistake in a text that holds more than a key. They repeat nothing of the text."""
    for pattern, what in _MISTAKES:
        if re.match(pattern, key):
            return what
    if key[0] in _QUOTES or key[-1] in _QUOTES:
        return "is in quotation marks: they do not belong to the key"
    if len(key.splitlines()) > 1:
        return "holds several lines: a key has one, without blanks or line breaks"
    return None


def _key(where: str, text: str) -> SecretStr:
    """Return the service key that a text holds. Raises KeyUnusableError with words for the mistake in the
    text."""
    key = text.strip()
    if key and (mistake := _mistake(key)) is not None:
        raise KeyUnusableError(where, f"{mistake}; store the key alone")
    return secret_files.checked(where, key)
