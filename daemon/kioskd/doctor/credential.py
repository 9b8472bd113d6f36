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
PLAIN: Final = f"/etc/credstore/{CREDENTIAL}"
"""The places from which systemd takes the unit's credential, and where `kioskd key` stores it."""

PLAIN_DROP_IN: Final = "/etc/systemd/system/kioskd.service.d/60-plain-key.conf"
PLAIN_LOADED: Final = f"""\
# Written by `kioskd key`: this machine cannot encrypt, and the unit itself takes its key encrypted only.
[Service]
LoadCredential={CREDENTIAL}
"""
"""The drop-in that makes systemd take the plain key: without it the unit would not start (seen with systemd 257)."""


class OutOfSightError(KeyUnusableError):
    """This user cannot see whether there is a key."""


def credential(context: CheckContext) -> Finding:
    """Prove that the daemon will find its key, or needs none."""
    service = context.settings.service
    if service.provider == "vertex" or service.token_url is not None:
        vertex = service.provider == "vertex"
        how = "vertex is opened by an account" if vertex else "each connection fetches a token"
        return skipped(f"no key is needed: {how}, as the session will show")
    try:
        key, where = found(context)
    except OutOfSightError as error:
        return skipped(str(error), "run doctor with sudo")
    except KeyMissingError:
        said = f"no key: looked into {ENCRYPTED}, {PLAIN}, the environment and service.key_file"
        return fault("key-missing", said, "sudo kioskd key")
    except KeyUnusableError as error:
        return fault("key-unusable", str(error), "sudo kioskd key, or mend what it names")
    assert key is not None
    if where == PLAIN and not _loads_plain(context.machine):
        said = f"{PLAIN} is there, and the unit takes its key encrypted only: it does not start with this one"
        remedy = "sudo kioskd key; sudo systemctl daemon-reload; sudo systemctl restart kioskd"
        return fault("key-not-loaded", said, remedy)
    return ok(f"a key of {len(key.get_secret_value())} characters, from {where}")


def found(context: CheckContext) -> "tuple[SecretStr | None, str]":
    """Return the service's key and its place; None where the settings need none.

    The first place is this process's own environment, the second the unit's credentials, which only root can see.

    Raises:
        KeyMissingError: there is none.
        OutOfSightError: only root can see whether there is one.
        KeyUnusableError: there is one that cannot be used, or that this user cannot read.
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
                    "cannot be decrypted by us here: only root on the very machine that encrypted it can; "
                    "run doctor with sudo, or store the key anew: sudo kioskd key",
                )
            return ENCRYPTED, key
        if plain.exists():
            return PLAIN, regular_file.content(plain, _LARGEST_BYTES).decode("ascii", errors="replace")
    except PermissionError:
        raise OutOfSightError("/etc/credstore*", "may be read by root only") from None
    return None


def _loads_plain(machine: Machine) -> bool:
    # `systemctl show` calls credentials unprintable.
    text = machine.unit_text()
    return text is None or f"LoadCredential={CREDENTIAL}" in text


def secrets(context: CheckContext) -> list[str]:
    """Return the texts that must not be shown."""
    try:
        key, _ = found(context)
    except KeyUnusableError:
        return []
    return [] if key is None else [key.get_secret_value()]
