"""Secrets in the settings of tools: a value refers to one by `credential:NAME` or `credential:/PATH`."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from kioskd import secret_files
from kioskd.secret_files import STORES
from kioskd.yamlconf.document import ValuePath

CREDENTIAL: Final = re.compile(r"credential:([A-Za-z0-9_./-]+)")
"""Reference to a secret in a value: the name of a systemd credential, or the path of a file, with a slash."""


def secret(reference: str, environ: Mapping[str, str]) -> SecretStr:
    """Return the secret for `credential:NAME` or `credential:/PATH`.

    Raises:
        KeyUnusableError: it is missing or unusable; the error's text holds no part of it.
    """
    name = reference.removeprefix("credential:")
    if "/" in name:
        return secret_files.from_file(reference, Path(name), private=True)
    if directory := environ.get("CREDENTIALS_DIRECTORY"):
        if not Path(directory, name).exists():
            raise secret_files.KeyMissingError(
                reference,
                "is missing: systemd passes no credential of this name to this unit; "
                f"store it, and add [Service] LoadCredentialEncrypted={name} by sudo systemctl edit kioskd",
            )
        return secret_files.from_file(reference, Path(directory, name), private=False)
    raise secret_files.KeyMissingError(
        reference,
        "is missing: systemd passes no credentials to this process; "
        "start the daemon by its unit, or write credential:/PATH",
    )


def headers(values: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, SecretStr]:
    """Return headers with the secrets in place of their references; raises as `secret`."""
    return {
        name: SecretStr(CREDENTIAL.sub(lambda one: secret(one[0], environ).get_secret_value(), value))
        for name, value in values.items()
    }


def secrets_in(values: Iterable[str], environ: Mapping[str, str]) -> list[SecretStr]:
    """Return only the secrets that values refer to, to hide them in answers; raises as `secret`."""
    return [secret(one[0], environ) for value in values for one in CREDENTIAL.finditer(value)]


def stored(name: str) -> bool | None:
    """Return whether systemd has stored a credential of that name; None if only root can see that."""
    found = {secret_files.is_there(Path(store, name)) for store in STORES}
    return True if True in found else None if None in found else False


def faults(loc: ValuePath, value: str, environ: Mapping[str, str]) -> Iterator[tuple[ValuePath, str]]:
    """Yield the faults of the secrets in `value`, which stands at `loc`."""
    for found in CREDENTIAL.finditer(value):
        reference = found[0]
        name = found[1]
        if "/" not in name and not environ.get("CREDENTIALS_DIRECTORY"):
            # The command runs outside the unit, so the check looks where systemd stores the credentials for
            # the unit.
            what = (
                f"{reference} is missing: systemd has no such credential in {STORES[0]} or {STORES[1]}; "
                "store it there, or write credential:/PATH with the path of a file"
            )
            if stored(name) is False:
                yield loc, what
            continue
        try:
            secret(reference, environ)
        except secret_files.KeyUnusableError as err:
            yield loc, f"{reference} {err.what}"
