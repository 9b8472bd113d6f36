"""`kioskd tokens`: runs the token service of a fleet, or checks its configuration."""

import argparse
import asyncio
import dataclasses
import importlib.util
import json
import logging
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kioskd import logs
from kioskd.adapters import clock
from kioskd.adapters.systemd import notifier
from kioskd.cli import Exit
from kioskd.errors import ConfigError, KioskError
from kioskd.secret_files import KeyMissingError, KeyUnusableError
from kioskd.settings.load import SettingsError
from kioskd.yamlconf.document import Fault

if TYPE_CHECKING:
    from kioskd.tokens.rights import DeviceRights, TokenRegister

log = logging.getLogger(__name__)

DEFAULT: Final = "/etc/kioskd/tokens.yaml"

_NEEDED: Final = ("starlette", "uvicorn", "jwt", "cryptography")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the two commands and their options."""
    actions = parser.add_subparsers(metavar="ACTION", required=True, dest="action")
    serving = actions.add_parser("serve", help="mint tokens for the devices of the fleet, in the foreground")
    checking = actions.add_parser(
        "check", help="check the token service's configuration, and list its devices"
    )
    for each in (serving, checking):
        each.add_argument(
            "--config",
            type=Path,
            default=Path(DEFAULT),
            metavar="FILE",
            help=f"configuration of the token service (default: {DEFAULT})",
        )
    checking.add_argument("--json", action="store_true", help="print one JSON object instead of lines")


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT, or print what `check` finds.

    Raises:
        ConfigError: serving: the configuration, the key or a certificate has a fault.
        KioskError: serving: the port or the folder for the day's counts cannot be used.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"kioskd tokens: {', '.join(missing)} is not installed; "
            "run sudo scripts/install.sh --extras tokens, or scripts/setup in a checkout"
        )
    if arguments.action == "check":
        return _check(arguments.config, as_json=arguments.json)
    logs.set_up(logs.level(os.environ))
    try:
        return asyncio.run(_serve(arguments.config))
    except KioskError as error:
        # systemd shows these words to every user, but the journal only to its readers.
        notifier(os.environ).status(str(error))
        raise


async def _serve(path: Path) -> int:
    from kioskd.tokens import serve  # noqa: PLC0415 - its libraries belong to the extra `tokens`

    parts = serve.TokenParts(clock.SystemClock(), clock.wall, notifier(os.environ))
    service = await asyncio.to_thread(serve.build, path, os.environ, parts)

    def leave() -> None:
        parts.notifier.stopping()
        service.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, leave)
    await serve.run(service, parts)
    log.info("stopped")
    return Exit.OK


def _check(path: Path, *, as_json: bool) -> int:
    from kioskd.tokens import rights, serve  # noqa: PLC0415 - as above
    from kioskd.tokens.certificates import DeviceCertificates, IdentityFileError  # noqa: PLC0415 - as above

    faults: list[Fault] = []
    notes: list[str] = []
    register: TokenRegister | None = None
    try:
        register = rights.read_register(path)
        identity = register.settings.identity
        DeviceCertificates(identity.ca_file, identity.crl_file)
    except SettingsError as error:
        faults += error.faults
    except IdentityFileError as error:
        assert register is not None
        register.document.fault(("identity", error.setting), error.what)
    if register is not None:
        # The keys may be credentials that only the service itself gets.
        for look in (
            lambda: serve.minting_key(register.settings, os.environ),
            lambda: serve.tls_files(register.settings.listen, os.environ),
        ):
            try:
                look()
            except KeyMissingError as error:
                notes.append(f"{error} (if the systemd service has one, it cannot be seen from here)")
            except KeyUnusableError as error:
                register.document.fault(tuple(error.where.split(".")), error.what)
        faults = list(register.document.faults)
    lines = [str(fault) for fault in faults]
    if not faults and register is not None:
        lines = [f"{path}: ok", *(_row(device) for device in register.devices.values())]
    if as_json:
        listed = [dataclasses.asdict(fault) for fault in faults]
        print(json.dumps({"ok": not faults, "faults": listed, "notes": notes}, indent=2, ensure_ascii=False))
    else:
        print("\n".join([*lines, *(f"  note: {note}" for note in notes)]))
    return Exit.CONFIGURATION if faults else Exit.OK


def _row(device: "DeviceRights") -> str:
    if not device.enabled:
        return f"  {device.name}  disabled"
    session = device.session
    fixed = {
        "voice": session.voice is not None,
        "instructions": session.instructions is not None,
        "tools": session.tools is not None,
    }
    locks = ", ".join(["model", *(name for name, is_set in fixed.items() if is_set)])
    budget = f"{device.connections_per_day} a day" if device.connections_per_day else "no limit a day"
    return f"  {device.name}  {session.model} ({session.api_version}), {budget}, fixed: {locks}"
