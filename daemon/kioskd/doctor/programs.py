"""Checks that the programs of tools cannot reach the daemon's secrets: a probe tries it, in their sandbox."""

import json
import os
import sys
from collections.abc import Sequence
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
"""A program that prints the paths and sockets that it reached. It uses Python's standard library only."""


async def programs(context: CheckContext) -> Sequence[Finding]:
    """Prove that no program of a tool can read the key, the memory or the state of the daemon."""
    tools = context.settings.tools
    risks = [(tool, kind_of(tool).risk(tool)) for tool in tools]
    notes = [note(f"{kind_of(tool).label(tool)} {risk}") for tool, risk in risks if risk is not None]
    names = sandboxed(tools)
    if not names:
        return notes or [skipped("no tool runs a program")]
    if (why := program.missing()) is not None:
        said = f"{', '.join(names)}: calls are refused, as there is no sandbox for their programs: {why}"
        remedy = "sudo systemctl start kioskd-tool.socket; if that fails, run sudo scripts/install.sh"
        return [*notes, fault("tool-sandbox-missing", said, remedy)]
    return [*notes, await _probe_finding(context)]


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
        said = f"the program that tests the tools' sandbox failed: {type(error).__name__}: {error}"
        return fault("tool-sandbox-broken", said, "see journalctl -u 'kioskd-tool@*'")
    if got:
        remedy = "run sudo scripts/install.sh again; undo changes made by systemctl edit kioskd-tool@"
        return fault("tool-sandbox-leaks", f"a tool's program can reach {', '.join(got)}", remedy)
    return ok(
        f"a test program in the tools' sandbox reached none of the daemon's {len(paths)} private places"
    )
