"""Settings -> the tools that the model may call."""

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
    """Return the tools that the owner has set, in order.

    No program of theirs may read what the context hides, the daemon's own folders, or the files of their secrets.
    `rehearsed`: one whose secret or entry point is not here is left out.

    Raises:
        ConfigError: a secret or an entry point is not there.
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
    """Return where a tool stands in the owner's file, and what it is."""
    return f"tools.{number} ({kind_of(tool).title(tool)})"


def described(tools: Sequence[Guard]) -> list[tuple[Declaration, str]]:
    """Return what settings alone say of tools, and where. What servers offer is not among them."""
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
    """Return what an owner should know of the programs that would be refused here for want of a sandbox."""
    names = sandboxed(tools)
    if not names or SOCKET.exists() or (why := missing()) is None:
        return []
    what = f"tools: {', '.join(names)}: refused on this machine, as no program can have a sandbox: {why}"
    return [f"{what}; run scripts/install.sh, or set sandbox: false, and the program may read the key"]


def own_folders(environ: Mapping[str, str]) -> list[Path]:
    """Return the daemon's own folders: credentials, state, cache, and its control socket's."""
    names = ("CREDENTIALS_DIRECTORY", "STATE_DIRECTORY", "CACHE_DIRECTORY", "RUNTIME_DIRECTORY")
    given = [folder for name in names for folder in environ.get(name, "").split(":")]
    return [*OWN, *(Path(folder) for folder in given if folder.startswith("/"))]
