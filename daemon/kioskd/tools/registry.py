"""The list of all kinds of tools, and the needs of the owner's tools on this machine.

Only this module names all kinds.
"""

import importlib
import importlib.util
from collections import UserDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from kioskd.tools import credentials
from kioskd.tools.guard import Guard
from kioskd.tools.tool_kind import ToolKind
from kioskd.yamlconf.document import ValuePath


class _Kinds(UserDict[str, Any]):
    """Kinds by their names. The first look-up imports a kind, so a kiosk without tools imports none."""

    def __getitem__(self, name: str) -> ToolKind[Any]:
        """Return the kind; it is the object NAME of `kinds/NAME/kind.py`."""
        kind: ToolKind[Any] | None = self.data[name]
        if kind is None:
            module = importlib.import_module(f"kioskd.tools.kinds.{name}.kind")
            kind = self.data[name] = getattr(module, name.upper())
        return kind


KINDS: Final = _Kinds(
    builtin=None,
    documents=None,
    http=None,
    command=None,
    mqtt=None,
    mcp=None,
    python=None,
)
"""Kinds by their names in the YAML's `kind`."""


def kind_of(tool: Guard) -> ToolKind[Any]:
    """Return the kind of one entry of `tools`; raises LookupError if no kind has such settings."""
    return KINDS[getattr(tool, "kind", type(tool).__name__)]


def tool_faults(tools: Sequence[Guard], environ: Mapping[str, str]) -> list[tuple[ValuePath, str]]:
    """Return the faults that keep well-formed tools from working here, each with its place in the settings.

    A fault is a missing secret, program, file, extra or installed package. A rehearsal does without these.
    """
    return [
        (("tools", index, *loc), what)
        for index, tool in enumerate(tools)
        for loc, what in _faults(tool, environ)
    ]


def extras(tools: Sequence[Guard]) -> set[str]:
    """Return the package's extras that `tools` need, by their names in pyproject.toml."""
    return {kind.name for kind in map(kind_of, tools) if kind.package is not None}


def unseen(tools: Sequence[Guard], environ: Mapping[str, str]) -> list[str]:
    """Return the references to secrets that only root can look for in systemd's stores."""
    if environ.get("CREDENTIALS_DIRECTORY"):
        return []
    named = sorted({name for name in credential_names(tools) if "/" not in name})
    return [f"credential:{name}" for name in named if credentials.stored(name) is None]


def credential_names(tools: Sequence[Guard]) -> list[str]:
    """Return the credentials that `tools` refer to. Paths of files have a slash; names have none."""
    values = (value for tool in tools for value in kind_of(tool).credentials(tool).values())
    return [name for value in values for name in credentials.CREDENTIAL.findall(value)]


def credential_files(tools: Sequence[Guard]) -> list[Path]:
    """Return the paths of the secret files that `tools` refer to."""
    return [Path(name) for name in credential_names(tools) if "/" in name]


def _faults(tool: Guard, environ: Mapping[str, str]) -> Iterator[tuple[ValuePath, str]]:
    kind = kind_of(tool)
    if kind.package is not None and importlib.util.find_spec(kind.package) is None:
        what = f"{kind.name} needs the package {kind.package} (kioskd[{kind.name}]), which is not installed"
        yield ("kind",), f"{what}; run scripts/install.sh again, which installs what the settings need"
    for loc, value in kind.credentials(tool).items():
        yield from credentials.faults(loc, value, environ)
    yield from kind.faults(tool)
