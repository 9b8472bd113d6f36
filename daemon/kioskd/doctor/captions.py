"""Checks that the captions' page and terminal can be used."""

import dataclasses
import re
import socket
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kioskd.doctor.access import UnixAccount, account, group_numbers, may, owners
from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, fault, ok, skipped

ANSWER_S: Final = 3.0

_DROP_IN: Final = (
    "sudo install -D -m 644 config/examples/captions-terminal.conf "
    "/etc/systemd/system/kioskd.service.d/captions-terminal.conf (write {} into it); "
    "sudo systemctl daemon-reload; sudo systemctl restart kioskd"
)


def captions(context: CheckContext) -> Sequence[Finding]:
    """Prove that the port of the page is free or ours, and that the service may write to the terminal."""
    settings = context.settings.captions
    if not settings.on:
        return [skipped("captions are off (captions)")]
    found = []
    if settings.port:
        found.append(_page(settings.port, running=context.machine.daemon() is not None))
    if settings.terminal is not None:
        found.append(_terminal(context, settings.terminal))
    return found or [ok("captions are shown by `kioskd captions` alone")]


def _page(port: int, *, running: bool) -> Finding:
    if running:
        return _running_page(port)
    try:
        with socket.create_server(("127.0.0.1", port)):
            pass
    except OSError as error:
        said = f"the port {port} of the captions' page cannot be used: {error.strerror}"
        return fault("captions-port", said, "end the other program, or write another captions.port")
    return ok(f"the port {port} of the captions' page is free")


def _running_page(port: int) -> Finding:
    try:
        with socket.create_connection(("127.0.0.1", port), ANSWER_S) as page:
            page.settimeout(ANSWER_S)
            page.sendall(f"HEAD / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            answered = page.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        answered = False
    if answered:
        return ok(f"the captions' page answers at http://127.0.0.1:{port}/")
    said = f"the captions' page does not answer at http://127.0.0.1:{port}/"
    return fault("captions-page", said, "sudo systemctl restart kioskd; journalctl -u kioskd may say more")


def _terminal(context: CheckContext, terminal: Path) -> Finding:
    machine = context.machine
    path = machine.at(str(terminal))
    if not path.exists():
        said = f"the terminal {terminal} of captions.terminal does not exist"
        return fault("captions-terminal", said, "ls /dev/tty* lists the terminals; correct captions.terminal")
    unit = machine.unit_text() or ""
    if re.search(r"^DevicePolicy=(closed|strict)$", unit, re.MULTILINE) and not re.search(
        rf"^DeviceAllow=({re.escape(str(terminal))}|char-tty) r?w", unit, re.MULTILINE
    ):
        said = f"the service's sandbox does not allow {terminal}"
        return fault("captions-sandbox", said, _DROP_IN.format(terminal))
    user = account(context)
    if user is None:
        return skipped("the service's user does not exist yet: scripts/install.sh creates it")
    if not may(path, _with_groups_of(unit, user, context), stat.S_IWOTH):
        said = f"{terminal} cannot be written by {user.name} ({owners(path, machine)})"
        return fault("captions-permission", said, _DROP_IN.format(terminal))
    return ok(f"{user.name} may write captions to {terminal}")


def _with_groups_of(unit: str, user: UnixAccount, context: CheckContext) -> UnixAccount:
    """Return the user with the groups that the unit adds (SupplementaryGroups=)."""
    known = group_numbers(context.machine)
    lines = re.findall(r"^SupplementaryGroups=(.*)$", unit, re.MULTILINE)
    names = (name for line in lines for name in line.split())
    more = frozenset(known[name][0] for name in names if name in known)
    return dataclasses.replace(user, groups=user.groups | more)
