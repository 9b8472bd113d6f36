"""That there is something to open the service with, where the daemon will look for it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from kioskd import regular_file
from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, fault, ok, skipped
from kioskd.doctor.machine import UNIT, Machine
from kioskd.secret_files import KeyMissingError, KeyUnusableError
from kioskd.settings.credentials import CREDENTIAL, service_key

if TYPE_CHECKING:
    from pydantic import SecretStr

_LARGEST_BYTES: Final = 100_000

ENCRYPTED: Final = f"/etc/credstore.encrypted/{CREDENTIAL}"
PLAIN: Final = f"/etc/credstore/{CREDENTIAL}"
"""Where systemd takes the unit's credential from, and `kioskd key` puts it."""

PLAIN_DROP_IN: Final = "/etc/systemd/system/kioskd.service.d/60-plain-key.conf"
PLAIN_LOADED: Final = f"""\
# Written by `kioskd key`: this machine cannot encrypt, and the unit itself takes its key encrypted only.
[Service]
LoadCredential={CREDENTIAL}
"""
"""What has systemd take the plain one: without it the unit would not even start (seen with systemd 257)."""


class OutOfSightError(KeyUnusableError):
    """Whether there is a key is not for this user to see."""


def credential(context: CheckContext) -> Sequence[Finding]:
    """Prove that the daemon will find its key, or needs none."""
    service = context.settings.service
    if service.provider == "vertex":
        return [skipped("no key is needed: vertex is opened by an account, as the session will show")]
    if service.token_url is not None:
        return [skipped("no key is needed: each connection fetches a token, as the session will show")]
    try:
        key, where = found(context)
    except KeyUnusableError as error:
        return [_of(error)]
    assert key is not None
    if where == PLAIN and not _loads_plain(context.machine):
        return [
            fault(
                "key-not-loaded",
                f"{PLAIN} is there, and the unit takes its key encrypted only: it does not start with this one",
                "sudo kioskd key; sudo systemctl daemon-reload; sudo systemctl restart kioskd",
            )
        ]
    return [ok(f"a key of {len(key.get_secret_value())} characters, from {where}")]


def _of(error: KeyUnusableError) -> Finding:
    match error:
        case OutOfSightError():
            return skipped(f"{error.where}: {error.what}", "run doctor with sudo")
        case KeyMissingError():
            said = f"no key: looked into {ENCRYPTED}, {PLAIN}, the environment and service.key_file"
            return fault("key-missing", said, "sudo kioskd key")
        case _:
            said = f"{error.where}: {error.what}"
            return fault("key-unusable", said, "sudo kioskd key, or mend what it names")


def found(context: CheckContext) -> "tuple[SecretStr | None, str]":
    """Return the service's key and where it is; None where the settings need none.

    First as the daemon looks for it in this process's surroundings, then where its unit takes it from: that can be
    seen by root only.

    Raises:
        KeyMissingError: there is none.
        OutOfSightError: only root can see whether there is one.
        KeyUnusableError: there is one that cannot be used, or not be read from here.
    """
    service, environ = context.settings.service, context.environ
    try:
        return service_key(service, environ), _place(context)
    except KeyMissingError:
        stored = _stored(context.machine)
        if stored is None:
            raise
    where, text = stored
    try:
        return service_key(service, {"GEMINI_API_KEY": text}), where
    except KeyUnusableError as error:
        raise KeyUnusableError(where, error.what) from None


def _place(context: CheckContext) -> str:
    if context.settings.service.key_file is not None:
        return f"service.key_file ({context.settings.service.key_file})"
    return "this process's own credentials or environment"


def _stored(machine: Machine) -> tuple[str, str] | None:
    """Return where the unit's credential is kept, and what it holds."""
    encrypted, plain = machine.at(ENCRYPTED), machine.at(PLAIN)
    try:
        if encrypted.exists():
            ran = machine.run("systemd-creds", "decrypt", f"--name={CREDENTIAL}", str(encrypted), "-")
            if ran is None or ran.code:
                raise KeyUnusableError(
                    ENCRYPTED,
                    "cannot be decrypted by us here: only root on the very machine that encrypted it can; "
                    "run doctor with sudo, or store the key anew: sudo kioskd key",
                )
            return ENCRYPTED, ran.out
        if plain.exists():
            return PLAIN, regular_file.content(plain, _LARGEST_BYTES).decode("ascii", errors="replace")
    except PermissionError:
        raise OutOfSightError("/etc/credstore*", "may be read by root only") from None
    return None


def _loads_plain(machine: Machine) -> bool:
    # `systemctl show` calls credentials unprintable.
    ran = machine.run("systemctl", "cat", UNIT) if machine.has_systemd else None
    return ran is None or ran.code != 0 or f"LoadCredential={CREDENTIAL}" in ran.out


def secrets(context: CheckContext) -> Mapping[str, str]:
    """Return what is not to be shown to anybody, by a name that may be."""
    try:
        key, _ = found(context)
    except KeyUnusableError:
        return {}
    return {"service key": key.get_secret_value()} if key is not None else {}
