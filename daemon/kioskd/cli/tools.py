"""`kioskd tools`: what the model may have done, and one call of it by hand, on the same path as the model's."""

import argparse
import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from kioskd import logs, ports
from kioskd.adapters.clock import SystemClock
from kioskd.app.tools import assemble
from kioskd.cli import Exit, add_config
from kioskd.errors import KioskError
from kioskd.settings.load import SettingsError, default_path, read
from kioskd.settings.tools import ToolSettings
from kioskd.settings.tools_kinds import BuiltinSettings, McpSettings, NamedSettings
from kioskd.settings.tools_startup import tool_faults
from kioskd.tools.contract import Declaration, Guard, within
from kioskd.tools.toolbox import Toolbox

SETTLE_S: Final = 30.0
"""Seconds for servers to be reached and listed; each has a shorter deadline of its own."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the two commands and their options."""
    actions = parser.add_subparsers(metavar="ACTION", required=True, dest="action")
    listing = actions.add_parser("list", help="what the model may call")
    calling = actions.add_parser("call", help="call one, exactly as the model would")
    calling.add_argument("name", metavar="NAME", help="its name, as `kioskd tools list` prints it")
    calling.add_argument(
        "arguments", nargs="?", default={}, type=_arguments, metavar="JSON", help="an object; else none"
    )
    calling.add_argument("--yes", action="store_true", help="stand for the press that it asks for")
    for each in (listing, calling):
        add_config(each)
        each.add_argument("--json", action="store_true", help="print JSON instead of words")


def run(arguments: argparse.Namespace) -> int:
    """List the tools (1 if a server is not reached), or call one (0 only when its status is ok).

    Raises:
        SettingsError: the configuration has faults, or a tool needs what is not here.
    """
    logs.set_up(logs.level({"KIOSKD_LOG": "warning"} | os.environ))
    loaded = read(default_path(arguments.config, os.environ))
    tools: Sequence[ToolSettings] = loaded.settings.tools
    for loc, what in tool_faults(tools, os.environ):
        loaded.document.fault(loc, what)
    if loaded.document.faults:
        raise SettingsError(loaded.document.faults)
    if arguments.action == "list":
        return asyncio.run(_list(tools, as_json=arguments.json))
    return asyncio.run(_call(tools, arguments))


def _arguments(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(
            'the arguments are no JSON object; write \'{"item": "red shoes"}\', say'
        )
    return value


async def _list(tools: Sequence[ToolSettings], *, as_json: bool) -> int:
    clock = SystemClock()
    rows: list[dict[str, object]] = []
    missed: list[str] = []
    guarded = assemble(tools, os.environ, host=_Alone(), clock=clock)
    # Only servers are asked what they offer: all else is in the settings.
    asked = [tool for settings, tool in zip(tools, guarded, strict=True) if isinstance(settings, McpSettings)]
    async with _at_work(Toolbox(asked, clock=clock, confirm=_nobody), clock):
        for settings, tool in zip(tools, guarded, strict=True):
            if isinstance(settings, McpSettings) and not tool.kind.declarations:
                missed.append(settings.name)
            rows += [_row(settings, declared, tool.guard) for declared in tool.kind.declarations]
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        for row in rows:
            print(f"{row['name']}   {row['kind']}{_remarks(row)}\n    {row['description']}")
        for name in missed:
            print(f"{name}   mcp, not reached or nothing of it to be used: see above, and its own journal")
        if not tools:
            print("no tools: add one to `tools` in the configuration")
    return Exit.NOT_MET if missed else Exit.OK


def _row(settings: ToolSettings, declared: Declaration, guard: Guard) -> dict[str, object]:
    return {
        "name": declared.name,
        "kind": settings.kind,
        "description": declared.description,
        "parameters": declared.parameters,
        "deadline_s": guard.deadline_s,
        "confirm": guard.confirm,
        "blocking": guard.blocking,
        "dry_run": guard.dry_run,
    }


def _remarks(row: Mapping[str, object]) -> str:
    remarks = {
        "asks for a press": row["confirm"] == "button",
        "blocking": row["blocking"],
        "dry run": row["dry_run"],
    }
    return "".join(f", {remark}" for remark, holds in remarks.items() if holds)


async def _call(tools: Sequence[ToolSettings], arguments: argparse.Namespace) -> int:
    name = arguments.name
    # Only who can have it: nobody waits for a server that has nothing to do with it.
    owners = [tool for tool in tools if name in _names(tool)] or [
        tool for tool in tools if isinstance(tool, McpSettings)
    ]
    clock = SystemClock()
    confirm = _somebody if arguments.yes else _nobody
    toolbox = Toolbox(assemble(owners, os.environ, host=_Alone(), clock=clock), clock=clock, confirm=confirm)
    async with _at_work(toolbox, clock):
        began = clock.now()
        result = await toolbox.call(name, arguments.arguments, turn=1, conversation=1)
        took_s = clock.now() - began
        known = toolbox.guard(name)
        guard = known or Guard()
    told = result.as_json(guard.result_bytes)
    if arguments.json:
        print(json.dumps({"name": name, "took_s": round(took_s, 3)} | told, indent=2, ensure_ascii=False))
    else:
        print(f"{name}: {result.status} after {took_s:.2f} s\n  {result.message}")
        if "data" in told:
            print(f"  {json.dumps(told['data'], ensure_ascii=False)}")
        if result.status == "refused" and guard.confirm == "button" and not arguments.yes:
            print("  it needs a press of the button: --yes stands for one")
        if known is None:
            print("  `kioskd tools list` names those that there are")
    return Exit.OK if result.status == "ok" else Exit.NOT_MET


def _names(tool: ToolSettings) -> tuple[str, ...]:
    match tool:
        case BuiltinSettings(names=names):
            return names
        case NamedSettings(name=name):
            return (name,)
    return ()


@asynccontextmanager
async def _at_work(toolbox: Toolbox, clock: ports.Clock) -> AsyncIterator[None]:
    """Run the tools' connections for as long as the block lasts, which begins when each was tried."""
    async with asyncio.TaskGroup() as group:
        worker = group.create_task(toolbox.run())
        try:
            await within(clock, SETTLE_S, toolbox.settled())
            yield
        finally:
            worker.cancel()


async def _somebody(_name: str) -> bool:
    return True


async def _nobody(_name: str) -> bool:
    return False


class _Alone:
    """No kiosk: the tools that act on one have nothing to act on. A `Host`."""

    def __init__(self) -> None:
        self.notes: MutableMapping[str, str] = {}

    def end_conversation(self) -> None:
        """Refuse."""
        raise KioskError("end_conversation acts on the running kiosk only; ask it there")

    def set_volume(self, percent: int) -> int:
        """Refuse."""
        raise KioskError("set_volume acts on the running kiosk only; use kioskd volume")

    async def look(self) -> bytes:
        """Refuse."""
        raise KioskError("look acts on the running kiosk only; use kioskd look")
