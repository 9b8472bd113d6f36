"""What others need to know of Model Context Protocol servers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kioskd.tools.credentials import headers, secrets_in
from kioskd.tools.kinds.mcp.settings import McpSettings
from kioskd.tools.tool_kind import BuildContext, ToolKind, file_faults
from kioskd.yamlconf.document import ValuePath

if TYPE_CHECKING:
    from kioskd.tools.contract import ToolSource


class McpKind(ToolKind[McpSettings]):
    """A server whose tools the model may call: a program, or one that is reached over HTTP."""

    name = "mcp"
    settings = McpSettings
    package = "mcp"
    names_in = "allow"
    twice = ("name", "{label} is taken by another server; name one of them otherwise, or merge them")
    connects = True

    def names(self, tool: McpSettings) -> Sequence[str]:
        """Return what the model would call the tools that are allowed."""
        return tool.names

    def credentials(self, tool: McpSettings) -> Mapping[ValuePath, str]:
        """Return the headers."""
        return {("headers", name): value for name, value in tool.headers.items()}

    def faults(self, tool: McpSettings) -> Iterator[tuple[ValuePath, str]]:
        """Yield why its certificates cannot be read, or its program not be started."""
        yield from file_faults("ca_file", tool.ca_file)
        yield from super().faults(tool)

    def web_address(self, tool: McpSettings) -> str | None:
        """Return the server's address, if it is reached over HTTP."""
        return tool.url

    def start_s(self, tool: McpSettings) -> float:
        """Return the seconds in which the server may start."""
        return tool.start_timeout_s

    def goes_to(self, tool: McpSettings) -> str | None:
        """Return the server's name, or what its program may do."""
        return super().goes_to(tool) if tool.url is None else urlsplit(tool.url).hostname or "a server"

    def build(self, tool: McpSettings, context: BuildContext) -> "ToolSource":
        """Return the server; raises KeyUnusableError for a secret in its headers."""
        from kioskd.tools.kinds.mcp.http import McpAddress  # noqa: PLC0415 - where it is used
        from kioskd.tools.kinds.mcp.tool import McpServer  # noqa: PLC0415 - as above
        from kioskd.tools.program import Program  # noqa: PLC0415 - as above

        server: Program | McpAddress
        if tool.url is None:
            server = Program.of(tool, tool.name, context)
        else:
            server = McpAddress(tool.url, headers(tool.headers, context.environ), tool.ca_file)
        return McpServer(tool, server, context.clock, secrets_in(tool.headers.values(), context.environ))
