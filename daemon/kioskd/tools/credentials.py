"""Secrets in the settings of tools: `credential:NAME` or `credential:/PATH` in a value, and the secret that it stands for."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from kioskd import secret_files
from kioskd.secret_files import STORES
from kioskd.yamlconf.document import ValuePath

CREDENTIAL: Final = re.compile(r"credential:([A-Za-z0-9_./-]+)")
"""A secret in a value: the name of a systemd credential, or with a slash in it the path of a file."""


def secret(reference: str, environ: Mapping[str, str]) -> SecretStr:
    """Return the secret that `credential:NAME` (or with a path, credential:PATH) stands for.

    Raises:
        KeyUnusableError: it is not there, or cannot be used; its text holds nothing of it.
    """
    name = reference.removeprefix("credential:")
    if "/" in name:
        return secret_files.from_file(reference, Path(name), private=True)
    if directory := environ.get("CREDENTIALS_DIRECTORY"):
        if not Path(directory, name).exists():
            raise secret_files.KeyMissingError(
                reference,
                "is missing: systemd hands over none of that name to this unit; "
                f"store it, and add [Service] LoadCredentialEncrypted={name} by sudo systemctl edit kioskd",
            )
        return secret_files.from_file(reference, Path(directory, name), private=False)
    raise secret_files.KeyMissingError(
        reference,
        "there is none: systemd hands over no credentials here; start it by its unit, or write credential:/PATH",
    )


def headers(values: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, SecretStr]:
    """Return headers with their secrets in place; raises as `secret`."""
    return {
        name: SecretStr(CREDENTIAL.sub(lambda one: secret(one[0], environ).get_secret_value(), value))
        for name, value in values.items()
    }


def secrets_in(values: Iterable[str], environ: Mapping[str, str]) -> list[SecretStr]:
    """Return the secrets alone, to keep them out of what tools answer; raises as `secret`."""
    return [secret(one[0], environ) for value in values for one in CREDENTIAL.finditer(value)]


def stored(name: str) -> bool | None:
    """Return whether systemd has a credential of that name for its units; None where only root can say."""
    found = {secret_files.is_there(Path(store, name)) for store in STORES}
    return True if True in found else None if None in found else False


def faults(loc: ValuePath, value: str, environ: Mapping[str, str]) -> Iterator[tuple[ValuePath, str]]:
    """Yield what keeps the secrets in `value`, which stands at `loc`, from being used here."""
    for found in CREDENTIAL.finditer(value):
        reference = found[0]
        name = found[1]
        if "/" not in name and not environ.get("CREDENTIALS_DIRECTORY"):
            # Asked by hand: what the unit will be handed can only be looked for where systemd takes it from.
            what = (
                f"{reference} is missing: systemd has none of that name in {STORES[0]} or {STORES[1]}; "
                "put it there, or write credential:/PATH of a file of its own"
            )
            if stored(name) is False:
                yield loc, what
            continue
        try:
            secret(reference, environ)
        except secret_files.KeyUnusableError as err:
            yield loc, f"{reference} {err.what}"
