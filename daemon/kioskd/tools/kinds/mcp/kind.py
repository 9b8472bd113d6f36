"""Declaration of the kind `mcp`, tools of Model Context Protocol servers, for the rest of kioskd."""

from typing import Final
from urllib.parse import urlsplit

from kioskd.tools.contract import ToolSource
from kioskd.tools.credentials import headers, secrets_in
from kioskd.tools.kinds.mcp.settings import McpSettings
from kioskd.tools.tool_kind import BuildContext, ToolKind


def _build(tool: McpSettings, context: BuildContext) -> ToolSource:
    from kioskd.tools.kinds.mcp.http import McpAddress  # noqa: PLC0415 - only if used
    from kioskd.tools.kinds.mcp.tool import McpServer  # noqa: PLC0415 - as above
    from kioskd.tools.program import Program  # noqa: PLC0415 - as above

    server: Program | McpAddress
    if tool.url is None:
        server = Program.of(tool, tool.name, context)
    else:
        server = McpAddress(tool.url, headers(tool.headers, context.environ), tool.ca_file)
    return McpServer(tool, server, context.clock, secrets_in(tool.headers.values(), context.environ))


MCP: Final = ToolKind(
    name="mcp",
    settings=McpSettings,
    build=_build,
    package="mcp",
    names=lambda tool: tool.names,
    names_in="allow",
    twice=("name", "{label} is the name of another server, too; rename one of them, or merge them"),
    connects=True,
    start_s=lambda tool: tool.start_timeout_s,
    goes_to=lambda tool: urlsplit(tool.url).hostname or "a server" if tool.url else tool.reach(),
)
