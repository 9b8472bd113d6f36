"""`kioskd key`: asks for the service key without echo, tries it, and stores it as a systemd credential.

The key goes to the service, through a pipe to `systemd-creds`, and over the control socket to the daemon.
It appears in no arguments, environment, output or logs.
"""

import argparse
import asyncio
import getpass
import logging
import os
import sys
from pathlib import Path
from typing import Final

from kioskd import logs
from kioskd.adapters.clock import SystemClock
from kioskd.cli import Exit, add_config, client
from kioskd.doctor.credential import ENCRYPTED, PLAIN, PLAIN_DROP_IN, PLAIN_LOADED
from kioskd.doctor.machine import Machine, put_file
from kioskd.doctor.session import try_service
from kioskd.errors import ConfigError, KioskError, LinkLost, Remedy
from kioskd.secret_files import KeyUnusableError
from kioskd.settings.credentials import CREDENTIAL, other_credential, service_key
from kioskd.settings.load import default_path, load
from kioskd.settings.model import Settings
from kioskd.settings.service import ServiceSettings

MOST_CHARS: Final = 1 << 16
"""The most characters that are read; no key is that long."""

MACHINE: Final = Machine()
"""The machine that stores the key."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_config(parser)
    client.add_socket(parser)
    parser.add_argument(
        "--no-try", action="store_true", help="store the key without trying it at the service"
    )


def run(arguments: argparse.Namespace) -> int:
    """Ask for the key, try it, store it, hand it over. Return 77 and store nothing if the service refuses it.

    Raises:
        KioskError: the service was not reached, or the key cannot be stored; then nothing was stored.
    """
    logs.set_up(logs.level(os.environ) if os.environ.get("KIOSKD_LOG") else logging.ERROR)
    settings = _settings(arguments.config)
    if not os.access(MACHINE.at("/etc"), os.W_OK):
        raise KioskError("the key is stored in /etc, where only root can write; run sudo kioskd key")
    try:
        key = service_key(ServiceSettings(), {"GEMINI_API_KEY": _asked()})
    except KeyUnusableError as error:
        print(f"kioskd: the key {error.what}", file=sys.stderr)
        return Exit.REFUSED
    assert key is not None
    if not arguments.no_try:
        try:
            setup_s, _ = asyncio.run(try_service(settings, key, SystemClock()))
        except LinkLost as lost:
            return _untaken(lost)
        print(f"tried: the service accepts the key; {settings.service.model} was set up in {setup_s:.1f} s")
    print(f"stored: {_store(MACHINE, key.get_secret_value().encode())}")
    print(_handed_over(arguments, key.get_secret_value()))
    return Exit.OK


def _settings(config: Path | None) -> Settings:
    """Return the owner's settings, which say where to try the key; the defaults if there are none yet.

    Raises:
        ConfigError: the settings have faults, or name another source of the key.
    """
    path = default_path(config, os.environ)
    if config is None and not path.exists():
        return Settings()
    settings = load(path)
    if (other := other_credential(settings.service)) is not None:
        raise ConfigError(
            f"{path}: service.{other} is set, so no stored key is used; to store one, remove that setting"
        )
    return settings


def _asked() -> str:
    # A key may come through a pipe, where getpass complains about the missing terminal. It is read to its
    # end: a second line shows that it is no key.
    return getpass.getpass("Service key: ") if sys.stdin.isatty() else sys.stdin.read(MOST_CHARS)


def _untaken(lost: LinkLost) -> int:
    print(f"kioskd: {lost}", file=sys.stderr)
    if lost.remedy in (Remedy.SETTINGS, Remedy.CREDENTIALS):
        print("nothing was stored", file=sys.stderr)
        return Exit.REFUSED
    print("nothing was stored, as the key could not be tried; --no-try stores it untried", file=sys.stderr)
    return Exit.UNAVAILABLE


def _handed_over(arguments: argparse.Namespace, key: str) -> str:
    """Make the running daemon use the key now: systemd hands over the stored key only at the next start."""
    try:
        answer = client.ask(arguments, {"do": "key", "key": key})
    except client.NotRunning:
        why = "no running kioskd accepted it"
    else:
        if answer["ok"]:
            return "in use: the running kioskd has the new key"
        why = f"the running kioskd did not accept it: {client.legible(str(answer['why']))}"
    return f"not in use yet: {why}; to use it now: sudo systemctl restart kioskd"


def _store(machine: Machine, key: bytes) -> Path:
    """Store the key encrypted, or plain if this machine cannot encrypt; return the file that holds it."""
    encrypted, plain, drop_in = machine.at(ENCRYPTED), machine.at(PLAIN), machine.at(PLAIN_DROP_IN)
    ran = machine.run(*("systemd-creds", "encrypt", f"--name={CREDENTIAL}", "-", "-"), given=key)
    if ran is not None and ran.code == 0 and ran.out:
        _write(encrypted, ran.out.encode())
        _forget(plain)
        if drop_in.exists():
            _forget(drop_in)
            _reread(machine)
        return encrypted
    why = (ran.err.splitlines() or ["no reason given"])[-1] if ran else "systemd-creds is not installed"
    print(f"the key is stored without encryption, readable for root only: {why}", file=sys.stderr)
    _write(plain, key)
    _write(drop_in, PLAIN_LOADED.encode(), folder_mode=0o755, mode=0o644)
    _reread(machine)
    _forget(encrypted)
    return plain


def _reread(machine: Machine) -> None:
    """Make systemd read the drop-in, for the next start."""
    if machine.has_systemd and machine.output("systemctl", "daemon-reload") is None:
        print("systemd does not know yet where the key is; run sudo systemctl daemon-reload", file=sys.stderr)


def _forget(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise KioskError(f"{path}: the old key cannot be removed: {error.strerror}; remove it") from None


def _write(path: Path, data: bytes, *, folder_mode: int = 0o700, mode: int = 0o600) -> None:
    try:
        path.parent.mkdir(mode=folder_mode, parents=True, exist_ok=True)
        put_file(path, data, mode)
    except OSError as error:
        raise KioskError(
            f"{path}: cannot be written: {error.strerror}; correct that, and try again"
        ) from None
