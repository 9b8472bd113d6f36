"""Settings -> what the model may have done."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from kioskd import ports
from kioskd.errors import ConfigError
from kioskd.settings.model import Settings
from kioskd.settings.tool_value_types import CREDENTIAL
from kioskd.settings.tools import ToolSettings
from kioskd.settings.tools_kinds import (
    BuiltinSettings,
    CommandSettings,
    GuardSettings,
    HttpSettings,
    McpSettings,
    MqttSettings,
    NamedSettings,
    PythonSettings,
)
from kioskd.settings.tools_programs import OWN
from kioskd.settings.tools_startup import function, headers, program, secret, secrets_in
from kioskd.tools.builtin import BuiltinTools, KioskControls
from kioskd.tools.command import CommandTool
from kioskd.tools.contract import Declaration, Guard, Guarded
from kioskd.tools.mcp import McpServer
from kioskd.tools.mcp_http import McpAddress
from kioskd.tools.mcp_program import McpProgram
from kioskd.tools.mqtt import MqttTool
from kioskd.tools.program import SOCKET, missing
from kioskd.tools.python import PythonTool
from kioskd.tools.sandbox import ProgramSandbox

log = logging.getLogger(__name__)

REPEATABLE: Final = frozenset({"GET"})
"""HTTP methods that do nothing: a call may be made twice."""


def assemble(
    tools: Sequence[ToolSettings],
    environ: Mapping[str, str],
    *,
    host: KioskControls,
    clock: ports.Clock,
    camera: bool = True,
    rehearsed: bool = False,
    hidden: Sequence[Path] = (),
) -> list[Guarded]:
    """Return the tools that the owner has set, in order. Without a `camera` nothing is offered that looks.

    No program of theirs may read what is `hidden`, or the daemon's own folders.

    `rehearsed`: one whose secret or entry point is not here is left out.

    Raises:
        ConfigError: a secret or an entry point is not there.
    """
    made: list[Guarded] = []
    hidden = (*own_folders(environ), *hidden, *_secret_files(tools))
    for number, tool in enumerate(tools):
        try:
            one = _assembled(tool, environ, host, clock, hidden, camera=camera)
            made.append(replace(one, place=place_of(number, tool)))
        except ConfigError as error:
            if not rehearsed:
                raise
            log.warning("tool left out of the rehearsal: kind=%s cause=%s", tool.kind, error)
    return made


def place_of(number: int, tool: ToolSettings) -> str:
    """Return where a tool stands in the owner's file, and what it is."""
    named = tool.kind if isinstance(tool, BuiltinSettings) else f"{tool.kind} {tool.name}"
    return f"tools.{number} ({named})"


def described(tools: Sequence[ToolSettings]) -> list[tuple[Declaration, str]]:
    """Return what settings alone say of tools, and where. What servers offer is not among them."""
    found: list[tuple[Declaration, str]] = []
    for number, tool in enumerate(tools):
        if isinstance(tool, NamedSettings):
            found.append((_declared(tool), place_of(number, tool)))
    return found


def _assembled(
    tool: ToolSettings,
    environ: Mapping[str, str],
    host: KioskControls,
    clock: ports.Clock,
    hidden: Sequence[Path],
    *,
    camera: bool,
) -> Guarded:
    guard = _guard(tool)
    match tool:
        case BuiltinSettings():
            names = [name for name in tool.names if camera or name != "look"]
            return Guarded(BuiltinTools(names, host, place=tool.place, blocking=tool.blocking), guard)
        case HttpSettings():
            from kioskd.tools.http import HttpTool  # noqa: PLC0415 - brings http.cookiejar

            http = HttpTool(
                _declared(tool, repeatable=tool.method in REPEATABLE),
                method=tool.method,
                url=tool.url,
                send=tool.send or ("query" if tool.method in {"GET", "DELETE"} else "json"),
                answer=tool.answer,
                headers=headers(tool.headers, environ),
                allowed_hosts=tool.allowed_hosts,
                redirects=tool.redirects,
                answer_bytes=tool.answer_bytes,
                ca_file=tool.ca_file,
            )
            return Guarded(http, guard, secrets_in(tool.headers, environ))
        case CommandSettings():
            command = CommandTool(
                _declared(tool),
                clock=clock,
                argv=_found(tool.argv),
                answer=tool.answer,
                environment={name: environ[name] for name in tool.environment if name in environ},
                folder=tool.working_directory,
                output_bytes=tool.output_bytes,
                sandbox=_sandbox(tool, hidden),
            )
            return Guarded(command, guard)
        case MqttSettings():
            password = None if tool.password_from is None else secret(tool.password_from, environ)
            mqtt = MqttTool(
                _declared(tool),
                clock=clock,
                broker=tool.broker,
                topic=tool.topic,
                payload=tool.payload,
                qos=tool.qos,
                retain=tool.retain,
                reply=tool.reply,
                answer=tool.answer,
                expiry_s=tool.deadline_s,
                username=tool.username,
                password=password,
                ca_file=tool.ca_file,
            )
            return Guarded(mqtt, guard, [] if password is None else [password])
        case McpSettings():
            return Guarded(_server(tool, environ, clock, hidden), guard, secrets_in(tool.headers, environ))
        case PythonSettings():
            return Guarded(PythonTool(_declared(tool), function(tool.entry)), guard)


def secret_files(settings: Settings) -> list[Path]:
    """Return the files of these settings that no program of a tool may read: keys, and what was said and seen."""
    service, privacy = settings.service, settings.privacy
    files = [service.key_file, service.credentials_file]
    files += [record.folder for record in (privacy.transcripts, privacy.recordings) if record is not None]
    return [*(path for path in files if path is not None), *_secret_files(settings.tools)]


def sandbox_notes(settings: Settings) -> list[str]:
    """Return what an owner should know of the programs that would be refused here for want of a sandbox."""
    names = [
        tool.name
        for tool in settings.tools
        if isinstance(tool, CommandSettings | McpSettings) and tool.argv is not None and tool.sandbox
    ]
    if not names or SOCKET.exists() or (why := missing()) is None:
        return []
    what = f"tools: {', '.join(names)}: refused on this machine, as no program can have a sandbox: {why}"
    return [f"{what}; run scripts/install.sh, or set sandbox: false, and the program may read the key"]


def own_folders(environ: Mapping[str, str]) -> list[Path]:
    """Return the daemon's own folders: credentials, state, cache, and its control socket's."""
    names = ("CREDENTIALS_DIRECTORY", "STATE_DIRECTORY", "CACHE_DIRECTORY", "RUNTIME_DIRECTORY")
    given = [folder for name in names for folder in environ.get(name, "").split(":")]
    return [*OWN, *(Path(folder) for folder in given if folder.startswith("/"))]


def _secret_files(tools: Sequence[ToolSettings]) -> list[Path]:
    values: list[str] = []
    for tool in tools:
        if isinstance(tool, HttpSettings | McpSettings):
            values += tool.headers.values()
        elif isinstance(tool, MqttSettings) and tool.password_from is not None:
            values.append(tool.password_from)
    names = [name for value in values for name in CREDENTIAL.findall(value)]
    return [Path(name) for name in names if "/" in name]


def _sandbox(tool: CommandSettings | McpSettings, hidden: Sequence[Path]) -> ProgramSandbox | None:
    if not tool.sandbox:
        return None
    if (why := missing()) is not None:
        log.warning(
            "tool refused until its program can have a sandbox: name=%s cause=%s; "
            "start the daemon by its unit, or set sandbox: false, and the program may read the key",
            *(tool.name, why),
        )
    return ProgramSandbox(tool.reads, tool.writes, tool.network, tuple(hidden))


def _server(
    tool: McpSettings, environ: Mapping[str, str], clock: ports.Clock, hidden: Sequence[Path]
) -> McpServer:
    if tool.argv is not None:
        passed = {name: environ[name] for name in tool.environment if name in environ}
        server: McpProgram | McpAddress = McpProgram(
            _found(tool.argv), passed, tool.working_directory, _sandbox(tool, hidden)
        )
    else:
        server = McpAddress(tool.url or "", headers(tool.headers, environ), tool.ca_file)
    return McpServer(
        server,
        clock=clock,
        label=tool.name,
        allow=tool.allow,
        prefix=tool.prefix or "",
        blocking=tool.blocking,
        secrets=secrets_in(tool.headers, environ),
        start_timeout_s=tool.start_timeout_s,
    )


def _found(argv: Sequence[str]) -> list[str]:
    """Return `argv` with the program's path; one that is gone fails when it is called."""
    return [program(argv) or argv[0], *argv[1:]]


def _declared(tool: NamedSettings, *, repeatable: bool = False) -> Declaration:
    return Declaration(tool.name, tool.description, tool.parameters, tool.blocking, repeatable)


def _guard(tool: GuardSettings) -> Guard:
    return Guard(
        deadline_s=tool.deadline_s,
        per_turn=tool.per_turn,
        per_conversation=tool.per_conversation,
        per_day=tool.per_day,
        at_once=tool.at_once,
        same_calls=tool.same_calls,
        confirm=tool.confirm,
        confirm_text=tool.confirm_text or "",
        blocking=tool.blocking,
        scheduling=tool.scheduling or "when_idle",
        dry_run=tool.dry_run,
        result_bytes=tool.result_bytes,
    )
