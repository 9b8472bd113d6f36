"""Builds the tools that the model is allowed to call from the owner's settings."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kioskd.errors import ConfigError
from kioskd.tools import credentials
from kioskd.tools.contract import Declaration, Guarded, declared
from kioskd.tools.guard import Guard, NamedSettings
from kioskd.tools.program import SOCKET, missing
from kioskd.tools.program_settings import OWN
from kioskd.tools.registry import credential_files, kind_of
from kioskd.tools.tool_kind import BuildContext, program_of

log = logging.getLogger(__name__)


def assemble(tools: Sequence[Guard], context: BuildContext, *, rehearsed: bool = False) -> list[Guarded]:
    """Return the owner's tools, in their order.

    Programs of these tools cannot read the paths that the context hides, the daemon's folders, or the tools'
    secrets.
    `rehearsed`: a tool whose secret or entry point is missing is left out.

    Raises:
        ConfigError: a secret or an entry point is missing.
    """
    made: list[Guarded] = []
    hidden = (*own_folders(context.environ), *context.hidden, *credential_files(tools))
    context = replace(context, hidden=hidden)
    for number, tool in enumerate(tools):
        kind = kind_of(tool)
        try:
            source = kind.build(tool, context)
            secrets = credentials.secrets_in(kind.credentials(tool).values(), context.environ)
            made.append(Guarded(source, tool, secrets, place_of(number, tool)))
        except ConfigError as error:
            if not rehearsed:
                raise
            log.warning("tool left out of the rehearsal: kind=%s cause=%s", kind.name, error)
    return made


def place_of(number: int, tool: Guard) -> str:
    """Return the place of a tool in the owner's file, with its kind and name."""
    return f"tools.{number} ({kind_of(tool).title(tool)})"


def described(tools: Sequence[Guard]) -> list[tuple[Declaration, str]]:
    """Return the declarations that come from the settings alone, with their places.

    Tools of servers are not among them.
    """
    return [
        (declared(tool), place_of(number, tool))
        for number, tool in enumerate(tools)
        if isinstance(tool, NamedSettings)
    ]


def sandboxed(tools: Sequence[Guard]) -> list[str]:
    """Return the labels of the tools that run a program in a sandbox."""
    programs = ((kind_of(tool).label(tool), program_of(tool)) for tool in tools)
    return [label for label, program in programs if program is not None and program.sandbox]


def sandbox_notes(tools: Sequence[Guard]) -> list[str]:
    """Return a note for the owner if programs cannot run here because no sandbox is available."""
    names = sandboxed(tools)
    if not names or SOCKET.exists() or (why := missing()) is None:
        return []
    what = f"tools: {', '.join(names)}: they do not run here, as there is no sandbox for programs: {why}"
    return [f"{what}; run scripts/install.sh, or set sandbox: false (the program can then read the key)"]


def own_folders(environ: Mapping[str, str]) -> list[Path]:
    """Return the daemon's folders: credentials, state, cache, and the folder of the control socket."""
    names = ("CREDENTIALS_DIRECTORY", "STATE_DIRECTORY", "CACHE_DIRECTORY", "RUNTIME_DIRECTORY")
    given = [folder for name in names for folder in environ.get(name, "").split(":")]
    return [*OWN, *(Path(folder) for folder in given if folder.startswith("/"))]
