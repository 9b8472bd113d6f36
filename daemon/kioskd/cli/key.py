"""`kioskd key`: asks for the service key without echo, tries it, stores it as a systemd credential, and gives it to the
running daemon.

The key goes to the service, through a pipe into `systemd-creds`, and over the control socket: never into arguments,
environment, output or logs.
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
"""The most that is read; no key is that long."""

MACHINE: Final = Machine()
"""The machine that stores the key."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_config(parser)
    client.add_socket(parser)
    parser.add_argument("--no-try", action="store_true", help="store it without asking the service")


def run(arguments: argparse.Namespace) -> int:
    """Ask, try, store, hand over; return 77 where the service refuses the key, and store nothing then.

    Raises:
        KioskError: the service was not reached, or the key cannot be stored; nothing was.
    """
    logs.set_up(logs.level(os.environ) if os.environ.get("KIOSKD_LOG") else logging.ERROR)
    settings = _settings(arguments.config)
    if not os.access(MACHINE.at("/etc"), os.W_OK):
        raise KioskError("the key is stored in /etc, which only root may write; sudo kioskd key")
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
        print(f"tried: {settings.service.model} took it, and was set up in {setup_s:.1f} s")
    print(f"stored: {_store(MACHINE, key.get_secret_value().encode())}")
    print(_handed_over(arguments, key.get_secret_value()))
    return Exit.OK


def _settings(config: Path | None) -> Settings:
    """Return the owner's settings, which say where to try the key; the defaults where there are none yet.

    Raises:
        ConfigError: they have faults, or take their key from elsewhere.
    """
    path = default_path(config, os.environ)
    if config is None and not path.exists():
        return Settings()
    settings = load(path)
    if (other := other_credential(settings.service)) is not None:
        raise ConfigError(
            f"{path}: with service.{other} no stored key is looked at; take that out, or do without"
        )
    return settings


def _asked() -> str:
    # A key may come through a pipe, where getpass would complain about the missing terminal. All of it is read: a second
    # line shows that it is no key.
    return getpass.getpass("Service key: ") if sys.stdin.isatty() else sys.stdin.read(MOST_CHARS)


def _untaken(lost: LinkLost) -> int:
    print(f"kioskd: {lost}", file=sys.stderr)
    if lost.remedy in (Remedy.SETTINGS, Remedy.CREDENTIALS):
        print("nothing was stored", file=sys.stderr)
        return Exit.REFUSED
    print("nothing was stored: the key could not be tried; --no-try stores it all the same", file=sys.stderr)
    return Exit.UNAVAILABLE


def _handed_over(arguments: argparse.Namespace, key: str) -> str:
    """Make the running daemon use the key now: systemd gives it the stored one at its next start only."""
    try:
        answer = client.ask(arguments, {"do": "key", "key": key})
    except client.NotRunning:
        why = "no running kioskd took it"
    else:
        if answer["ok"]:
            return "in use: the running kioskd has it"
        why = f"the running kioskd did not take it: {client.legible(str(answer['why']))}"
    return f"not in use yet: {why}; now: sudo systemctl restart kioskd"


def _store(machine: Machine, key: bytes) -> Path:
    """Return the file that holds the key now: encrypted, or plain where this machine cannot encrypt."""
    encrypted, plain, drop_in = machine.at(ENCRYPTED), machine.at(PLAIN), machine.at(PLAIN_DROP_IN)
    ran = machine.run(*("systemd-creds", "encrypt", f"--name={CREDENTIAL}", "-", "-"), given=key)
    if ran is not None and ran.code == 0 and ran.out:
        _write(encrypted, ran.out.encode())
        _forget(plain)
        if drop_in.exists():
            _forget(drop_in)
            _reread(machine)
        return encrypted
    why = (ran.err.splitlines() or ["no reason given"])[-1] if ran else "there is no systemd-creds here"
    print(f"not encrypted, for root's eyes only: {why}", file=sys.stderr)
    _write(plain, key)
    _write(drop_in, PLAIN_LOADED.encode(), folder_mode=0o755, mode=0o644)
    _reread(machine)
    _forget(encrypted)
    return plain


def _reread(machine: Machine) -> None:
    """Make systemd read the drop-in, for the next start."""
    if machine.has_systemd and machine.output("systemctl", "daemon-reload") is None:
        print("systemd has not read how the key is stored; sudo systemctl daemon-reload", file=sys.stderr)


def _forget(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise KioskError(f"{path}: an older key cannot be removed: {error.strerror}; remove it") from None


def _write(path: Path, data: bytes, *, folder_mode: int = 0o700, mode: int = 0o600) -> None:
    try:
        path.parent.mkdir(mode=folder_mode, parents=True, exist_ok=True)
        put_file(path, data, mode)
    except OSError as error:
        raise KioskError(f"{path}: cannot be written: {error.strerror}; mend that, and try again") from None
