"""`kioskd tools`: lists the model's tools, or calls one by hand, on the same path as the model's calls."""

import argparse
import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from kioskd import logs, ports, sanitize
from kioskd.adapters.clock import SystemClock
from kioskd.app.tool_host import profile_names, useless_tools
from kioskd.cli import Exit, add_config
from kioskd.cli.output import say, say_json
from kioskd.errors import ConfigError, KioskError
from kioskd.secret_files import STORES, KeyMissingError, is_there
from kioskd.settings.load import SettingsError, default_path, read
from kioskd.settings.model import Settings
from kioskd.settings.sandbox import secret_files
from kioskd.tools.build import assemble
from kioskd.tools.contract import Declaration, Guarded
from kioskd.tools.guard import Guard, NamedSettings
from kioskd.tools.json_text import encode
from kioskd.tools.registry import credential_names, kind_of, tool_faults
from kioskd.tools.tool_kind import BuildContext
from kioskd.tools.toolbox import Toolbox
from kioskd.tools.waiting import within

SETTLE_S: Final = 20.0
"""Seconds to reach and list servers, in addition to the time of their start."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the two commands and their options."""
    actions = parser.add_subparsers(metavar="ACTION", required=True, dest="action")
    listing = actions.add_parser("list", help="list the tools that the model may call")
    calling = actions.add_parser("call", help="call one tool exactly as the model would")
    calling.add_argument("name", metavar="NAME", help="the tool's name, as `kioskd tools list` prints it")
    words = "the tool's arguments, as a JSON object (default: none)"
    calling.add_argument("arguments", nargs="?", default={}, type=_arguments, metavar="JSON", help=words)
    calling.add_argument(
        "--yes", action="store_true", help="confirm the call in place of a press of the button"
    )
    for each in (listing, calling):
        add_config(each)
        each.add_argument("--json", action="store_true", help="print JSON instead of words")


def run(arguments: argparse.Namespace) -> int:
    """List the tools (1 if a server is not reached), or call one (0 only if its status is ok).

    Raises:
        SettingsError: the configuration has faults, or a tool lacks something here.
    """
    logs.set_up(logs.level({"KIOSKD_LOG": "warning"} | os.environ))
    loaded = read(default_path(arguments.config, os.environ))
    for loc, what in tool_faults(loaded.settings.tools, os.environ):
        loaded.document.fault(loc, what)
    if loaded.document.faults:
        raise SettingsError(loaded.document.faults)
    if arguments.action == "list":
        return asyncio.run(_list(loaded.settings, as_json=arguments.json))
    return asyncio.run(_call(loaded.settings, arguments))


def _arguments(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
        encode(value)  # infinity, NaN and half characters are no JSON
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(
            'the arguments are not a JSON object; write, for example, \'{"item": "red shoes"}\''
        )
    return value


async def _list(settings: Settings, *, as_json: bool) -> int:
    clock, tools = SystemClock(), settings.tools
    rows: list[dict[str, object]] = []
    missed: list[str] = []
    made: list[Guarded | None] = []
    for tool in tools:
        try:
            made += _assembled([tool], settings, clock)
        except KeyMissingError:
            made.append(None)  # Only systemd hands over its secret, which a listing does not need.
    # Only servers are asked what they offer; for other tools the settings say it.
    asked = [one for tool, one in zip(tools, made, strict=True) if one and kind_of(tool).connects]
    async with _running(Toolbox(asked, clock=clock, confirm=partial(_confirm, False)), clock, tools):
        for tool, one in zip(tools, made, strict=True):
            if one is not None:
                rows += [_row(tool, declared) for declared in one.source.declarations]
            elif isinstance(tool, NamedSettings):
                rows.append(_row(tool, tool))
            kind = kind_of(tool)
            if kind.connects and not (one and one.source.declarations):
                silent = "not reached, or it offers no usable tool; see above, and the server's own log"
                why = silent if one else f"not asked: {_handed_over([tool])}"
                missed.append(f"{kind.label(tool)}   {kind.name}, {why}")
    if as_json:
        say_json(rows)
    else:
        for row in rows:
            say(f"{row['name']}   {row['kind']}{_remarks(row)}\n    {row['description']}")
        for line in missed:
            say(line)
        if not tools:
            print("no tools: add one to `tools` in the configuration")
    return Exit.NOT_MET if missed else Exit.OK


def _row(tool: Guard, declared: Declaration | NamedSettings) -> dict[str, object]:
    return {
        "name": declared.name,
        "kind": kind_of(tool).name,
        "description": declared.description,
        "parameters": declared.parameters,
        "deadline_s": tool.deadline_s,
        "confirm": tool.confirm,
        "blocking": tool.blocking,
        "dry_run": tool.dry_run,
    }


def _assembled(tools: Sequence[Guard], settings: Settings, clock: ports.Clock) -> list[Guarded]:
    useless, profiles = useless_tools(settings, camera=settings.camera.on), profile_names(settings)
    context = BuildContext(os.environ, _Alone(), clock, secret_files(settings), useless, profiles)
    return assemble(tools, context)


def _handed_over(tools: Sequence[Guard]) -> str:
    """Return the command by which systemd hands over the secrets of `tools`; only systemd can read them."""
    names = sorted({name for name in credential_names(tools) if "/" not in name})
    secrets = ", ".join(f"credential:{name}" for name in names)
    return (
        f"only systemd can read {secrets}; put before this command: "
        f"sudo systemd-run --quiet --pipe --wait --collect --uid=kioskd {' '.join(map(_load, names))}"
    )


def _load(name: str) -> str:
    """Return the property that hands over one secret: encrypted, unless its file is known to be plain."""
    places = [place for store in STORES if is_there(place := Path(store, name)) is not False]
    encrypted = [place for place in places if place.parent.suffix == ".encrypted"]
    return f"-p LoadCredentialEncrypted={name}" if encrypted else f"-p LoadCredential={name}"


def _remarks(row: Mapping[str, object]) -> str:
    asks = row["confirm"] == "button"
    remarks = {"asks for a press": asks, "blocking": row["blocking"], "dry run": row["dry_run"]}
    return "".join(f", {remark}" for remark, holds in remarks.items() if holds)


async def _call(settings: Settings, arguments: argparse.Namespace) -> int:
    name, tools = arguments.name, settings.tools
    # Only the tools that can have this name: other servers need not start.
    owners = [tool for tool in tools if name in kind_of(tool).names(tool)]
    owners = owners or [tool for tool in tools if kind_of(tool).connects]
    clock = SystemClock()
    try:
        made = _assembled(owners, settings, clock)
    except KeyMissingError as error:
        if os.environ.get("CREDENTIALS_DIRECTORY"):
            raise
        raise ConfigError(f"tools: {name} cannot be called: {_handed_over(owners)}") from error
    toolbox = Toolbox(made, clock=clock, confirm=partial(_confirm, arguments.yes))
    async with _running(toolbox, clock, owners):
        began = clock.now()
        result = await toolbox.call(name, arguments.arguments, turn=1, conversation=1)
        took_s = clock.now() - began
        known = toolbox.offer(name)
        guard = Guard() if known is None else known.tool.guard
    shown = result.as_json(guard.result_bytes)
    if arguments.json:
        say_json({"name": name, "took_s": round(took_s, 3)} | shown)
    else:
        say(f"{name}: {result.status} after {took_s:.2f} s\n  {result.message}")
        if "data" in shown:
            say(f"  {sanitize.json_text(shown['data'])}")
        if result.status == "refused" and guard.confirm == "button" and not arguments.yes:
            print("  this tool needs a press of the button; --yes confirms in its place")
        if known is None:
            print("  `kioskd tools list` lists all tools")
    return Exit.OK if result.status == "ok" else Exit.NOT_MET


@asynccontextmanager
async def _running(toolbox: Toolbox, clock: ports.Clock, tools: Sequence[Guard]) -> AsyncIterator[None]:
    """Run the connections of `tools` during the block, which begins after an attempt at each."""
    async with asyncio.TaskGroup() as group:
        longest_s = max((kind_of(tool).start_s(tool) for tool in tools), default=0.0)
        worker = group.create_task(toolbox.run())
        try:
            with suppress(TimeoutError):  # a server that hangs offers nothing, and calls of it fail
                await within(clock, SETTLE_S + longest_s, toolbox.ready())
            yield
        finally:
            worker.cancel()


async def _confirm(pressed: bool, _name: str, _words: str) -> bool:
    return pressed


class _Alone:
    """A `KioskControls` without a kiosk."""

    def __init__(self) -> None:
        self.notes: MutableMapping[str, str] = {}

    def end_conversation(self) -> None:
        """Refuse."""
        raise KioskError(
            "this command cannot call end_conversation, which needs the running daemon; use kioskd sleep"
        )

    def set_volume(self, percent: int) -> int:
        """Refuse."""
        raise KioskError(
            "this command cannot call set_volume, which needs the running daemon; use kioskd volume"
        )

    async def look(self) -> bytes:
        """Refuse."""
        raise KioskError("this command cannot call look, which needs the running daemon; use kioskd look")

    async def more_time(self) -> float:
        """Refuse."""
        raise KioskError("this command cannot call more_time, which needs a conversation; press the button")

    def choose_profile(self, profile: str) -> str:
        """Refuse."""
        raise KioskError(
            "this command cannot call choose_profile, which needs the running daemon; "
            f"use kioskd wake --profile {profile}"
        )
