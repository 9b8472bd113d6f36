"""Checks that the daemon will find its key for the service."""

from typing import TYPE_CHECKING, Final

from kioskd import regular_file
from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, fault, ok, skipped
from kioskd.doctor.machine import Machine
from kioskd.secret_files import KeyMissingError, KeyUnusableError
from kioskd.settings.credentials import CREDENTIAL, service_key

if TYPE_CHECKING:
    from pydantic import SecretStr

_LARGEST_BYTES: Final = 100_000

ENCRYPTED: Final = f"/etc/credstore.encrypted/{CREDENTIAL}"
"""The file in which `kioskd key` stores the encrypted key, and from which systemd gives it to the unit."""
PLAIN: Final = f"/etc/credstore/{CREDENTIAL}"
"""The file for the plain key, on a machine that cannot encrypt."""

PLAIN_DROP_IN: Final = "/etc/systemd/system/kioskd.service.d/60-plain-key.conf"
PLAIN_LOADED: Final = f"""\
# Written by `kioskd key`: this machine cannot encrypt the key, and the unit itself loads an encrypted one.
[Service]
LoadCredential={CREDENTIAL}
"""
"""The drop-in that makes systemd load the plain key.

Without it the unit does not start (seen with systemd 257).
"""


class OutOfSightError(KeyUnusableError):
    """This user cannot see whether there is a key."""


def credential(context: CheckContext) -> Finding:
    """Prove that the daemon will find its key, or needs none."""
    service = context.settings.service
    if service.provider == "vertex" or service.token_url is not None:
        vertex = service.provider == "vertex"
        how = "vertex uses an account" if vertex else "each connection fetches a token"
        return skipped(f"no key is needed: {how}; the check session tries it")
    try:
        key, where = found(context)
    except OutOfSightError as error:
        return skipped(str(error), "run doctor with sudo")
    except KeyMissingError:
        said = f"there is no key in {ENCRYPTED}, {PLAIN}, the environment or service.key_file"
        return fault("key-missing", said, "sudo kioskd key")
    except KeyUnusableError as error:
        return fault("key-unusable", str(error), "sudo kioskd key stores a new one")
    assert key is not None
    if where == PLAIN and not _loads_plain(context.machine):
        said = f"{PLAIN} is not encrypted: the unit does not start, as it loads only an encrypted key"
        remedy = "sudo kioskd key; sudo systemctl daemon-reload; sudo systemctl restart kioskd"
        return fault("key-not-loaded", said, remedy)
    return ok(f"a key of {len(key.get_secret_value())} characters, from {where}")


def found(context: CheckContext) -> "tuple[SecretStr | None, str]":
    """Return the service's key and its place; the key is None if the settings need none.

    This process's own environment comes first, then the unit's credentials, which only root can see.

    Raises:
        KeyMissingError: there is none.
        OutOfSightError: only root can see whether there is one.
        KeyUnusableError: there is one, but it cannot be used, or this user cannot read it.
    """
    service, environ = context.settings.service, context.environ
    try:
        key = service_key(service, environ)
    except KeyMissingError:
        stored = _stored(context.machine)
        if stored is None:
            raise
    else:
        own = "this process's own credentials or environment"
        return key, own if service.key_file is None else f"service.key_file ({service.key_file})"
    where, text = stored
    try:
        return service_key(service, {"GEMINI_API_KEY": text}), where
    except KeyUnusableError as error:
        raise KeyUnusableError(where, error.what) from None


def _stored(machine: Machine) -> tuple[str, str] | None:
    """Return the place of the unit's credential, and its text."""
    encrypted, plain = machine.at(ENCRYPTED), machine.at(PLAIN)
    try:
        if encrypted.exists():
            key = machine.output("systemd-creds", "decrypt", f"--name={CREDENTIAL}", str(encrypted), "-")
            if key is None:
                raise KeyUnusableError(
                    ENCRYPTED,
                    "cannot be decrypted: only root can, on the machine that encrypted it; "
                    "run doctor with sudo, or store the key again: sudo kioskd key",
                )
            return ENCRYPTED, key
        if plain.exists():
            return PLAIN, regular_file.content(plain, _LARGEST_BYTES).decode("ascii", errors="replace")
    except PermissionError:
        raise OutOfSightError("/etc/credstore*", "only root can read these folders") from None
    return None


def _loads_plain(machine: Machine) -> bool:
    # `systemctl show` does not print credentials.
    text = machine.unit_text()
    return text is None or f"LoadCredential={CREDENTIAL}" in text


def secrets(context: CheckContext) -> list[str]:
    """Return the secrets that must not be shown."""
    try:
        key, _ = found(context)
    except KeyUnusableError:
        return []
    return [] if key is None else [key.get_secret_value()]
