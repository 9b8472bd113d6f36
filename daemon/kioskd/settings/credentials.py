"""What opens the service: where it may stand, and what is wrong with it if it cannot be used. Never what it is."""

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

VARIABLES: Final = ("GEMINI_API_KEY", "GOOGLE_API_KEY")

_LONGEST_CREDENTIALS: Final = 1 << 16


def service_key(settings: ServiceSettings, environ: Mapping[str, str]) -> SecretStr | None:
    """Return the service's key from the first place that has one; None where no key is needed.

    Vertex is opened by an account, and with `token_url` each connection gets a token of its own. The places of a key: `key_file` (no other, when it is set), the systemd credential, GEMINI_API_KEY, GOOGLE_API_KEY.

    Raises:
        KeyMissingError: no place has one.
        KeyUnusableError: the first place that has one holds no key, or is open to others.
    """
    if settings.provider == "vertex" or settings.token_url is not None:
        return None
    if settings.key_file is not None:
        return _key_in("service.key_file", settings.key_file, private=True)
    if directory := environ.get("CREDENTIALS_DIRECTORY"):
        credential = Path(directory, CREDENTIAL)
        if credential.exists():
            # The service manager guards it: its mode is the manager's affair.
            return _key_in(f"systemd credential {CREDENTIAL}", credential, private=False)
    for name in VARIABLES:
        if name in environ:
            return _key(name, environ[name])
    raise KeyMissingError(
        "service key",
        f"there is none: looked for the systemd credential {CREDENTIAL} and for {' and '.join(VARIABLES)}; "
        "`sudo kioskd key` stores one; or set service.key_file",
    )


def other_credential(settings: ServiceSettings) -> str | None:
    """Return the setting that has the service opened by something else than a stored key; None where none does."""
    if settings.provider == "vertex":
        return "provider: vertex"
    if settings.token_url is not None:
        return "token_url"
    return "key_file" if settings.key_file is not None else None


class ServiceKeys:
    """The service's key, for a process that may be handed another one while it runs.

    systemd decrypts a credential when it starts the process, and never again: a key that is stored later has to come by
    another way. It is kept in memory only, and counts until the process ends.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        """`environ`: where keys are looked for; see `service_key`."""
        self._environ = environ
        self._handed: SecretStr | None = None

    def opener(self, settings: ServiceSettings) -> Callable[[], SecretStr] | None:
        """Return what tells the key to use whenever it is asked; None where none is needed. Raises as `service_key`."""
        found = service_key(settings, self._environ)
        if found is None:
            return None
        if other_credential(settings) is not None:
            return lambda: found
        return lambda: found if self._handed is None else self._handed

    def take(self, settings: ServiceSettings, key: SecretStr) -> None:
        """Use `key` in place of the stored one from now on.

        Raises:
            KeyUnusableError: it cannot be a key, or `settings` look at no stored one.
        """
        if (other := other_credential(settings)) is not None:
            raise KeyUnusableError(
                "service key",
                f"with service.{other} no stored key is looked at; take that out, or do without",
            )
        self._handed = _key("service key", key.get_secret_value())


def check_account(settings: ServiceSettings) -> None:
    """Look whether the account's file, where one is named, is one that Google's library will take.

    Raises:
        KeyUnusableError: it is not there, holds no service account, or is open to others.
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
            "holds no service account: JSON with that type is needed; name its own file, or leave the setting out "
            "for application default credentials of another type",
        )
    secret_files.check_private(where, mode)


def _key_in(where: str, path: Path, *, private: bool) -> SecretStr:
    return _key(where, secret_files.text(where, path, private=private))


_MISTAKES: Final = (
    (r"export\s", "begins with export, as in a shell's script: only what follows NAME= is the key"),
    (r"(?i)set(env)?\s", "begins with set, as in a shell's script: only what follows the name is the key"),
    (r"(?i)-H\b|curl\s", "is a command: only the key in it is wanted"),
    (
        r"(?i)(authorization|x-goog-api-key)\s*:",
        "begins with the name of a header: only what follows it is the key",
    ),
    (r"(?i)bearer\s", "begins with Bearer: that belongs to a header, and only what follows it is the key"),
    (r"https?://|\?key=", "is an address: only what follows key= is the key"),
    (r"[\w.-]+\s*=\s*[^=\s]", "begins with NAME=: only what follows the = is the key"),
    (r"[\w.-]+\s*:\s", "begins with NAME:, as in YAML: only what follows the colon is the key"),
    (r"[{\[]", "is JSON or a list: only the key in it is wanted"),
    (r"<|.*>$", "is in angle brackets: they stand for the key, and are none of it"),
)
"""What is often stored in place of the key alone: a pattern at its beginning, and what it is."""
_QUOTES: Final = frozenset("'\"`\xb4\xab\xbb\u2018\u2019\u201a\u201c\u201d\u201e")
"""Those of keyboards, and those that word processors put in their place."""


def _mistake(key: str) -> str | None:
    """Return in words what a text is that holds a key and more; nothing of the text is in them."""
    for pattern, what in _MISTAKES:
        if re.match(pattern, key):
            return what
    if key[0] in _QUOTES or key[-1] in _QUOTES:
        return "is in quotation marks: they are no part of the key"
    if len(key.splitlines()) > 1:
        return "holds blanks or line breaks: more than one line, where a key is one"
    return None


def _key(where: str, text: str) -> SecretStr:
    """Return the service's key that a text holds, and name what people store by mistake."""
    key = text.strip()
    if key and (mistake := _mistake(key)) is not None:
        raise KeyUnusableError(where, f"{mistake}; put the key alone there")
    return secret_files.checked(where, key)
