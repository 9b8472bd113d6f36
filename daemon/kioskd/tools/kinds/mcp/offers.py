"""The tools of an MCP server that are offered to the model, and their declarations."""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from kioskd import ports
from kioskd.tools.contract import Declaration, hide
from kioskd.tools.kinds.mcp.schema import usable
from kioskd.tools.kinds.mcp.settings import McpSettings

if TYPE_CHECKING:
    import mcp
    import mcp_types

log = logging.getLogger(__name__)

LONGEST_DESCRIPTION: Final = 1000
MOST_PAGES: Final = 20


class OfferedTools:
    """The tools of a server that the owner allows, with their declarations to the model."""

    def __init__(self, settings: McpSettings, clock: ports.Clock, secrets: Sequence[SecretStr]) -> None:
        """`secrets` are kept out of the declarations."""
        self.declarations: tuple[Declaration, ...] = ()
        """Declarations of these tools. The objects stay the same until something changes."""
        self.server_names: dict[str, str] = {}
        """The server's name of each tool, by our name."""
        self._settings, self._clock, self._secrets = settings, clock, secrets
        self._schemas: dict[str, tuple[object, dict[str, object] | None]] = {}
        """The usable form of each schema, by the server's names: making it takes a while."""
        self._missed: dict[str, str] = {}
        """The tools that are not offered, each with its reason, which is logged once."""

    async def update(self, client: "mcp.Client") -> None:
        """Ask the server for its tools, and offer the allowed ones."""
        offered: dict[str, mcp_types.Tool] = {}
        cursor = None
        for _ in range(MOST_PAGES):
            page = await client.list_tools(cursor=cursor)
            offered |= {tool.name: tool for tool in page.tools}
            cursor = page.next_cursor
            if cursor is None:
                break
        declared: dict[str, Declaration] = {}
        for name in self._settings.allow:
            await self._clock.sleep(0)  # checking a tool takes a few milliseconds
            if (tool := offered.get(name)) is None:
                self._miss(name, "the server has no tool of this name; correct allow")
            elif (schema := self._usable(tool)) is None:
                self._miss(name, "its schema is not valid or too large; only its author can correct it")
            elif (declaration := self._declaration(tool, schema)).name in declared:
                self._miss(name, f"another one is also called {declaration.name}; remove one of the two")
            else:
                declared[declaration.name] = declaration
                self.server_names[declaration.name] = name
                self._missed.pop(name, None)
        if tuple(declared.values()) != self.declarations:  # else the same objects stay
            self.declarations = tuple(declared.values())

    def _usable(self, tool: "mcp_types.Tool") -> dict[str, object] | None:
        known = self._schemas.get(tool.name)
        if known is None or known[0] != tool.input_schema:
            clean = hide(usable(tool.input_schema), self._secrets)
            known = (tool.input_schema, clean if isinstance(clean, dict) else None)
            self._schemas[tool.name] = known
        return known[1]

    def _miss(self, name: str, why: str) -> None:
        if self._missed.get(name) != why:
            self._missed[name] = why
            log.warning("mcp tool left out: server=%s tool=%s cause=%s", self._settings.name, name, why)

    def _declaration(self, tool: "mcp_types.Tool", schema: Mapping[str, object]) -> Declaration:
        name = re.sub(r"[^A-Za-z0-9_]", "_", f"{self._settings.prefix or ''}{tool.name}")
        if not re.match(r"[A-Za-z_]", name):
            name = f"_{name}"  # the service accepts no digit first
        description = str(hide(tool.description or tool.title or tool.name, self._secrets))
        return Declaration(
            name[:64],
            description[:LONGEST_DESCRIPTION],
            schema,
            self._settings.blocking,
            bool(tool.annotations and tool.annotations.read_only_hint),
        )
