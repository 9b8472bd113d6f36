"""That the programs of tools reach nothing of the daemon's: a probe tries it, in the sandbox that they get."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, fault, note, ok, skipped
from kioskd.settings.sandbox import secret_files
from kioskd.tools import program
from kioskd.tools.build import own_folders, sandboxed
from kioskd.tools.process import run_to_end
from kioskd.tools.registry import kind_of
from kioskd.tools.sandbox import ProgramSandbox
from kioskd.tools.waiting import within

_PROBE_S: Final = 20.0
_PROBE: Final = """
import json, os, socket, sys
def tried(work):
    try: work()
    except OSError: return False
    return True
def read(path):
    if os.path.isdir(path): os.listdir(path)
    else: open(path, "rb").read(1)
def ask(path):
    with socket.socket(socket.AF_UNIX) as peer: peer.connect(path)
wanted = json.load(sys.stdin)
got = [path for path in wanted["paths"] if tried(lambda: read(path))]
got += [path for path in wanted["sockets"] if tried(lambda: ask(path))]
print(json.dumps(got))
"""
"""Prints what it could reach; Python's own library only."""


async def programs(context: CheckContext) -> Sequence[Finding]:
    """Prove that no program of a tool reads the key, the memory or the state of the daemon."""
    notes = list(_unconfined(context))
    names = sandboxed(context.settings.tools)
    if not names:
        return notes or [skipped("no tool runs a program")]
    if (why := program.missing()) is not None:
        missing = f"{', '.join(names)}: refused, no sandbox: {why}"
        return [
            *notes,
            fault(
                "tool-sandbox-missing",
                missing,
                "sudo systemctl start kioskd-tool.socket; or run scripts/install.sh",
            ),
        ]
    return [*notes, await _probe_finding(context)]


def _unconfined(context: CheckContext) -> Iterator[Finding]:
    for tool in context.settings.tools:
        kind = kind_of(tool)
        if (risk := kind.risk(tool)) is not None:
            yield note(f"{kind.label(tool)} {risk}")


async def _probe_finding(context: CheckContext) -> Finding:
    hidden = [*own_folders(context.environ), *secret_files(context.settings)]
    pid = context.machine.daemon() or os.getpid()
    paths = [*map(str, hidden), *(f"/proc/{pid}/{name}" for name in ("mem", "environ"))]
    asked = {"paths": paths, "sockets": ["/run/kioskd/control", str(program.SOCKET)]}
    argv, box = [sys.executable, "-I", "-c", _PROBE], ProgramSandbox(hidden=tuple(hidden))
    probe = program.Program(argv, Path("/"), {"LANG": "C.UTF-8"}, box)
    try:
        ended = await within(
            context.clock,
            _PROBE_S,
            run_to_end(
                probe,
                clock=context.clock,
                stdin=json.dumps(asked).encode(),
                output_bytes=65_536,
            ),
        )
        got = json.loads(ended.output)
    except (OSError, TimeoutError, ValueError) as error:
        return fault(
            "tool-sandbox-broken",
            f"the probe did not run: {type(error).__name__}: {error}",
            "see journalctl -u 'kioskd-tool@*'",
        )
    if got:
        return fault(
            "tool-sandbox-leaks",
            f"a tool's program reaches {', '.join(got)}",
            "run scripts/install.sh again, and see what was changed by systemctl edit kioskd-tool@",
        )
    return ok(f"a probe reached none of {len(paths)} files and memories of the daemon's")
